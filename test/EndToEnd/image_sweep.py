#!/usr/bin/env python3
"""Image stages on three targets: x86-64-v3, x86-64-v4 (where this CPU has AVX-512) and aarch64 under qemu give the same bits, over every format, fit, resize
mode and type of result. The stages of one fit and mode stand in one program.

usage: image_sweep.py [--bin DIR] [--full]
Without --full two of the pairs of fit and mode, each with some of the formats. A line a pair; last, `N passed, N failed[, N skipped]`.
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile

import numpy as np
from onnx import TensorProto, helper, save

from image import BAYER, PIXEL, ROOT, TYPES

FORMATS = ("NV12", "I420", "YUYV", "RGB", "BGR", "RGBA", "GRAY", *BAYER)
FITS, MODES = ("stretch", "letterbox", "crop"), ("nearest", "linear", "cubic", "area")
# Some grow, some shrink by a whole number, some by another.
SIZES = ((30, 22, 60, 44), (60, 44, 30, 22), (70, 50, 33, 27))


def frame_of(fmt, width, height, words):
    """The words that describe a frame, and bytes of one."""
    rows = height * 3 // 2 if fmt in ("NV12", "I420") else height
    random = np.random.RandomState(len(words))
    shape = (rows, width, PIXEL[fmt]) if fmt in PIXEL else (rows, width)
    return f"{fmt}:{width}x{height}{words}", random.randint(0, 256, shape).astype(np.uint8)


def build(folder, formats, turn):
    """One network of an image for each format and type: the flags that give them frames, and those."""
    inputs, outputs, nodes, flags, frames = [], [], [], [], {}
    for i, fmt in enumerate(formats):
        for k, (name, (dtype, _)) in enumerate(TYPES.items()):
            width, height, w, h = SIZES[(i + k + turn) % 3]
            shape = [1, 3, h, w]
            words = ":rotate=90" if (i + k) % 4 == 3 else ":matrix=709:range=full" if k % 2 else ""
            text, frame = frame_of(fmt, width, height, words)
            x = f"{fmt}_{name}"
            inputs.append(helper.make_tensor_value_info(x, dtype, shape))
            outputs.append(helper.make_tensor_value_info(x + "_y", dtype, shape))
            nodes.append(helper.make_node("Identity", [x], [x + "_y"]))
            flags.append(f"--image-input={x}={text}")
            frames[x] = frame
    path = os.path.join(folder, "net.onnx")
    save(helper.make_model(helper.make_graph(nodes, "g", inputs, outputs), opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)
    return path, flags, frames


def results(a, model, flags, given, target, folder):
    program, made = os.path.join(folder, "net"), os.path.join(folder, "out.npz")
    arm = target == "aarch64"
    subprocess.run([os.path.join(a.bin, "burin-compile"), model, *flags, f"--target={target}", *(["--static"] if arm else []), "-o", program], check=True, capture_output=True, text=True)
    subprocess.run([*(["qemu-aarch64"] if arm else []), program, "--inputs", given, "--outputs", made], check=True, capture_output=True, text=True)
    return dict(np.load(made))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.path.join(os.environ.get("BURIN_BUILD", os.path.join(ROOT, "build")), "bin"))
    parser.add_argument("--full", action="store_true")
    a = parser.parse_args()
    pairs = [(fit, mode) for fit in FITS for mode in MODES]
    targets = ["x86-64-v3"] + (["x86-64-v4"] if "avx512f" in open("/proc/cpuinfo").read() else []) + (["aarch64"] if shutil.which("qemu-aarch64") else [])
    passed = failed = 0
    for n, (fit, mode) in enumerate(pairs):
        if not a.full and n not in (0, 5):
            continue
        formats = FORMATS if a.full else FORMATS[n % 4::4]
        with tempfile.TemporaryDirectory() as folder:
            try:
                model, flags, frames = build(folder, formats, n)
                flags += [f"--fit={fit}", f"--resize-mode={mode}", "--layout=NCHW", "--mean=3,2,1", "--scale=1.5", "--pad-value=9"]
                given = os.path.join(folder, "in.npz")
                np.savez(given, **frames)
                all_of = {t: results(a, model, flags, given, t, folder) for t in targets}
                first = all_of[targets[0]]
                wrong = [f"{t} {k}" for t in targets[1:] for k in first if first[k].tobytes() != all_of[t][k].tobytes()]
                problem = f"other bits than {targets[0]}: {', '.join(wrong)}" if wrong else None
            except subprocess.CalledProcessError as e:
                problem = (e.stderr or str(e)).strip().splitlines()[-1]
        passed, failed = passed + (problem is None), failed + (problem is not None)
        print(f"{'ok  ' if problem is None else 'FAIL'} {fit} {mode}: {len(frames)} stages on {', '.join(targets)}{': ' + problem if problem else ''}", flush=True)
    print(f"{passed} passed, {failed} failed" + ("" if "aarch64" in targets else ", 1 skipped"))
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
