#!/usr/bin/env python3
"""Segment a picture with libsandglass, from Python alone: segment.py MODEL PICTURE.ppm MASK.pgm

The structs are those of sandglass.h, which is the manual. SANDGLASS_LIBRARY says where the library is when the loader
does not know."""
import ctypes as c
import os
import sys


class Error(c.Structure):
    _fields_ = [("status", c.c_int), ("text", c.c_char * 2048)]


class Options(c.Structure):
    _fields_ = [("width", c.c_int), ("height", c.c_int), ("batch", c.c_int), ("threads", c.c_int),
                ("memory_mb", c.c_int), ("outputs", c.POINTER(c.c_char_p))]


class Picture(c.Structure):
    _fields_ = [("width", c.c_int), ("height", c.c_int), ("channels", c.c_int), ("bits", c.c_int),
                ("row_bytes", c.c_size_t), ("data", c.c_char_p)]


class Result(c.Structure):
    _fields_ = [(name, c.c_void_p) for name in ("classes", "confidence", "probabilities", "pixels")]


sg = c.CDLL(os.environ.get("SANDGLASS_LIBRARY", "libsandglass.so"))
sg.sg_model_class_name.restype = c.c_char_p


def call(function, *arguments):
    error = Error()
    if function(*arguments, c.byref(error)) != 0:
        sys.exit(error.text.decode().rstrip())


if len(sys.argv) != 4:
    sys.exit("usage: segment.py MODEL PICTURE.ppm MASK.pgm")
path, picture, mask = sys.argv[1:]
with open(picture, "rb") as file:  # a binary PPM, its header in three lines
    header, rgb = [file.readline(80).split() for _ in range(3)], file.read()
size = [int(word) for word in header[1] if word.isdigit()]
if header[0] != [b"P6"] or header[2] != [b"255"] or len(size) != 2 or len(rgb) != 3 * size[0] * size[1]:
    sys.exit(picture + ": no binary 8-bit PPM with a header of three lines (convert FILE PICTURE.ppm)")
width, height = size

model, session, classes = c.c_void_p(), c.c_void_p(), c.create_string_buffer(width * height)
call(sg.sg_model_load, c.byref(model), path.encode(), None)
call(sg.sg_session_open, c.byref(session), model, c.byref(Options()))
call(sg.sg_session_run, session, 1, c.byref(Picture(width=width, height=height, channels=3, data=rgb)),
     c.byref(Result(classes=c.addressof(classes))))
with open(mask, "wb") as file:
    file.write(b"P5\n%d %d\n255\n" % (width, height) + classes.raw)
for k in range(sg.sg_model_n_classes(model)):
    print(sg.sg_model_class_name(model, k).decode(), classes.raw.count(bytes([k])))
sg.sg_session_close(session)
sg.sg_model_free(model)
