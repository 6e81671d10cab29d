#!/usr/bin/env python3
"""Makes the HDF5 files in this folder that no honest writer would make. Needs h5py; the files are kept in the repository.

The expected messages are in tests/test_h5.c."""
import os

import h5py
import numpy as np

here = os.path.dirname(os.path.abspath(__file__))


def new(name):
    return h5py.File(os.path.join(here, name), "w", libver="earliest", track_order=False)


with new("soft_link.h5") as f:
    f["real"] = np.arange(4, dtype="f4")
    f["link"] = h5py.SoftLink("/real")
    f["group/real"] = np.arange(4, dtype="f4")
    f["alias"] = h5py.SoftLink("/group")

with new("external_link.h5") as f:
    f["link"] = h5py.ExternalLink("/etc/passwd", "/real")

with new("external_storage.h5") as f:
    f.create_dataset("stored", shape=(16,), dtype="u1", external=[("/etc/passwd", 0, 16)])

with new("virtual.h5") as f:
    layout = h5py.VirtualLayout(shape=(4,), dtype="f4")
    layout[:] = h5py.VirtualSource("other.h5", "real", shape=(4,))
    f.create_virtual_dataset("virtual", layout)

with new("absurd_size.h5") as f:
    f.create_dataset("huge", shape=(1 << 20, 1 << 20, 4), dtype="f4", chunks=(1, 64, 4))
    f.create_dataset("overflow", shape=(1 << 31, 1 << 31, 1 << 31), dtype="f8", chunks=(1, 64, 4))
    f.create_dataset("huge_chunk", shape=(4,), maxshape=(None,), dtype="u1", chunks=(1 << 31,))

with new("other_types.h5") as f:
    f["half"] = np.zeros(4, dtype="f2")
    f["signed"] = np.zeros(4, dtype="i1")
    f["record"] = np.zeros(4, dtype=[("a", "i4"), ("b", "f4")])
    f["big_endian"] = np.arange(4, dtype=">f4")
    f["fixed_text"] = np.array([b"one", b"two", b"a longer one"])
    f["texts"] = np.array(["eins", "zw\u00f6lf"], dtype=h5py.string_dtype())
    f["rank7"] = np.zeros((1,) * 7, dtype="f4")
    f.attrs["fixed"] = np.bytes_("fixed text")
    f.attrs["list"] = np.arange(3)
    f.attrs["flag"] = True

with new("cycle.h5") as f:
    f.create_group("a/b")
    f["a/b/again"] = f["a"]
    f["a/b/once_more"] = f["/"]
    f["a/data"] = np.zeros(2, dtype="f4")

# For tests/bad/program/model_newer.sh.
with h5py.File(os.path.join(here, "../program/model_newer.h5"), "w", libver="earliest") as f:
    f.attrs["format"] = "sandglass-checkpoint"
    f.attrs["version"] = np.int64(2)
