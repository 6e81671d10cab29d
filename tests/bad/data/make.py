#!/usr/bin/env python3
"""Makes the bad files of this folder, below files/, and a NAME.yaml for each case.

The message each one must give stands in NAME.err: tests/test_bad_data.c compares. After a change on purpose, run it
with SANDGLASS_UPDATE_BAD=1, and read the difference. Needs python3-h5py; everything else is the standard library.
"""
import gzip
import os
import shutil
import struct
import zlib

import h5py

here = os.path.dirname(os.path.abspath(__file__))
files = os.path.join(here, "files")
shutil.rmtree(files, ignore_errors=True)
for name in os.listdir(here):
    if name.endswith(".yaml"):
        os.remove(os.path.join(here, name))


def write(name, content):
    path = os.path.join(files, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


def case(name, task, data):
    with open(os.path.join(here, name + ".yaml"), "w") as file:
        file.write(f"task: {task}\nmodel:\n  layers: [conv2d: {{filters: 2, kernel: 1}}]\ndata:\n  root: files\n{data}")


def png(width, height, values, color_type=0, rows=None):
    """8 bit, values row by row; with `rows` only so many are there."""
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    row = width * (3 if color_type == 2 else 1)
    raw = b"".join(b"\0" + bytes(values[y * row:(y + 1) * row]) for y in range(rows or height))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, color_type, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b""))


picture = png(8, 6, [(7 * i) % 256 for i in range(8 * 6 * 3)], 2)
mask = [i % 3 for i in range(8 * 6)]


def folder(name, classes="[sky, road, car]", image=picture, target=None, extra=""):
    """A pair that is fine, and one that this case is about."""
    write(f"{name}/images/a.png", picture)
    write(f"{name}/masks/a.png", png(8, 6, [value % (classes.count(",") + 1) for value in mask]))
    if image is not None:
        write(f"{name}/images/b.png", image)
    write(f"{name}/masks/b.png", png(8, 6, mask) if target is None else target)
    case(name, "segmentation", f"  kind: folder\n  classes: {classes}\n{extra}"
         f"  train: {{images: {name}/images, masks: {name}/masks}}\n")




def corpus(name):
    with open(os.path.join(here, "../../corpus/image", name), "rb") as file:
        return file.read()


changed = bytearray(picture)
changed[70] ^= 1
folder("png_changed_byte", image=bytes(changed))
folder("png_truncated", image=picture[:-20])
folder("png_too_few_rows", image=png(8, 6, list(range(144)), 2, rows=5), target=png(8, 6, mask, rows=5))
folder("mask_too_few_rows", target=png(8, 6, mask, rows=5))
folder("picture_empty", image=b"")
folder("picture_is_text", image=b"<html>404 not found</html>")
folder("mask_size", target=png(6, 8, mask))
folder("mask_value", target=png(8, 6, mask[:-9] + [204, 204, 11] + mask[-6:]))
folder("mask_binary", classes="[back, front]", target=png(8, 6, [255 * (i % 2) for i in range(48)]))
folder("mask_from_1", target=png(8, 6, [1 + i % 3 for i in range(48)]))
folder("mask_is_picture", classes="[back, front]", target=picture)
folder("mask_unknown_color", classes="{sky: [0, 0, 255], road: [90, 90, 90]}", extra="  mask: color\n",
       target=png(8, 6, [0, 0, 255] * 40 + [90, 90, 90] * 7 + [90, 91, 90], 2))
shutil.copy(os.path.join(files, "mask_unknown_color/masks/b.png"),
            os.path.join(files, "mask_unknown_color/masks/a.png"))
write("mask_missing/masks/b.png", b"")
folder("mask_missing")
os.remove(os.path.join(files, "mask_missing/masks/b.png"))

write("list/a.png", picture)
write("list/train.txt", b"a.png\nb.png\n")
case("list_missing_picture", "reconstruction", "  kind: folder\n  train: {list: list/train.txt}\n")
write("sizes/a.png", picture)
write("sizes/b.png", png(4, 4, [0] * 48, 2))
case("crop_too_small", "reconstruction",
     "  kind: folder\n  size: [5, 5]\n  fit: crop\n  train: {images: sizes}\n")
case("no_folder", "reconstruction", "  kind: folder\n  train: {images: nowhere}\n")

# A 16x16 grey JPEG, cut short: only its markers matter here.
jpeg = (b"\xff\xd8" + b"\xff\xdb\x00\x43\x00" + bytes([8] * 64) + b"\xff\xc0\x00\x0b\x08\x00\x10\x00\x10\x01\x01\x11\x00"
        + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + b"\x12\x34\x56")
write("jpeg/a.jpg", jpeg)
case("jpeg_truncated", "reconstruction", "  kind: folder\n  train: {images: jpeg}\n")

images = struct.pack(">IIII", 2051, 4, 3, 3) + bytes(range(36))
labels = struct.pack(">II", 2049, 4) + bytes([0, 1, 2, 1])
write("idx/images", images)
write("idx/labels", labels)
write("idx/images-short", images[:-5])
write("idx/images-long", images + b"\0")
write("idx/images-short.gz", gzip.compress(images, mtime=0)[:-12])
write("idx/images-changed.gz", gzip.compress(images, mtime=0)[:-8] + bytes(8))
write("idx/labels-three", struct.pack(">II", 2049, 3) + bytes(3))
write("idx/labels-floats", struct.pack(">II", 0x0D01, 1) + bytes(4))


def idx(name, image_file, label_file="idx/labels", extra=""):
    case(name, "classification", f"  kind: idx\n{extra}  train: {{images: {image_file}, labels: {label_file}}}\n")


idx("idx_truncated", "idx/images-short")
idx("idx_too_long", "idx/images-long")
idx("idx_gzip_truncated", "idx/images-short.gz")
idx("idx_gzip_changed", "idx/images-changed.gz")
idx("idx_swapped", "idx/labels", "idx/images")
idx("idx_other_type", "idx/images", "idx/labels-floats")
idx("idx_label_count", "idx/images", "idx/labels-three")
idx("idx_label_range", "idx/images", "idx/labels", "  classes: [a, b]\n")


def packed(name, **flaw):
    path = os.path.join(files, "h5", name + ".h5")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with h5py.File(path, "w") as file:
        file.attrs["format"] = flaw.get("format", "sandglass-dataset")
        file.attrs["version"] = flaw.get("version", 1)
        file.create_dataset("classes", data=["sky", "road"], dtype=h5py.string_dtype())
        train = file.create_group("train")
        pixels = [[[[(17 * (i + y) + x) % 251] * 3 for x in range(6)] for y in range(4)] for i in range(2)]
        train.create_dataset("images", data=pixels, dtype="u1", chunks=(1, 4, 6, 3), fletcher32=True)
        values = [[[flaw.get("value", 1)] * 6] * 4] * flaw.get("masks", 2)
        train.create_dataset("masks", data=values, dtype="u1", chunks=(1, 4, 6), fletcher32=True)
    case(name, "segmentation", f"  kind: hdf5\n  file: h5/{name}.h5\n  train: {{}}\n")
    return path


def change(path, change_bytes):
    with open(path, "rb") as file:
        content = file.read()
    with open(path, "wb") as file:
        file.write(change_bytes(content))


packed("h5_foreign", format="photographs")
packed("h5_newer", version=2)
packed("h5_mask_count", masks=1)
packed("h5_class_value", value=7)
change(packed("h5_truncated"), lambda content: content[:-100])
needle = bytes([17, 17, 17, 18, 18, 18])
change(packed("h5_changed_byte"), lambda content: content.replace(needle, bytes([17, 17, 17, 18, 18, 19]), 1))
write("h5/text.h5", b"not HDF5 at all\n")
case("h5_text", "segmentation", "  kind: hdf5\n  file: h5/text.h5\n  train: {}\n")
case("h5_no_split", "segmentation", "  kind: hdf5\n  file: h5/h5_class_value.h5\n  val: {}\n  train: {group: test}\n")

# Pictures of 17x13, one to be turned: what a mask that is JPEG, or that was not turned along, gives.
for name, image, target, suffix in (("mask_jpeg", "baseline.jpg", corpus("grey.jpg"), "jpg"),
                                    ("mask_not_turned", "turned.jpg", png(17, 13, [i % 3 for i in range(17 * 13)]), "png")):
    write(f"{name}/images/a.jpg", corpus(image))
    write(f"{name}/masks/a.{suffix}", target)
    case(name, "segmentation", f"  kind: folder\n  classes: [sky, road, car]\n"
         f"  train: {{images: {name}/images, masks: {name}/masks}}\n")
