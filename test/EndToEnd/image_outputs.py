#!/usr/bin/env python3
"""Models that end in pictures, classes or masks, compiled with an image stage at their end and as plain code (--plain-images), against ONNX Runtime.
The tensor and the result lie against pages that cannot be touched, once at their end and once at their begin; what each stage calls from outside, and the
size of its code. Classes may differ where scores are equal but for rounding, bytes by 1, floats by 1e-5 of their range.

usage: image_outputs.py [--bin DIR] [--target T] [--aarch64] [--bench] [NAMES...]
--aarch64: also a static program under qemu, whose results must be the same bits. --bench: also the least time of stage and plain code, one thread.
A line a model; last, `N passed, N failed`.
"""
import argparse
import ctypes
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper, save

from image import ROOT, guarded, outside

F, U8, I32, I64 = TensorProto.FLOAT, TensorProto.UINT8, TensorProto.INT32, TensorProto.INT64


class Model:
    """[1, c, h, w] of floats, `conv`: behind a 1x1 convolution -> what `make` adds, from the names of the tensor to those of the result and the scores."""

    def __init__(self, shape, make, conv=False, stage=True, low=-1.0, high=1.0):
        self.shape, self.make, self.conv, self.stage, self.low, self.high = [1, *shape], make, conv, stage, low, high

    def build(self, path, scored=False):
        self.nodes, self.weights = [], []
        x = "x"
        if self.conv:
            count = self.shape[1]
            x = self.add("Conv", [x, self.const("kernel", np.random.RandomState(1).randn(count, count, 1, 1), np.float32)])
        scores, y, dtype, dims = self.make(self, x)
        self.nodes.append(helper.make_node("Identity", [y], ["y"]))
        info = helper.make_tensor_value_info
        outputs = [info("y", dtype, dims)] + ([info(scores, F, None)] if scored and scores else [])
        save(helper.make_model(helper.make_graph(self.nodes, "g", [info("x", F, self.shape)], outputs, self.weights), opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)
        return dtype, dims, scores

    def const(self, name, value, dtype):
        self.weights.append(numpy_helper.from_array(np.array(value, dtype), name))
        return name

    def add(self, op, inputs, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [f"t{len(self.nodes)}"], **attributes))
        return self.nodes[-1].output[0]


def bytes_of(m, x, first="scale"):
    """Clamped to 0..1, then scaled; or scaled, then rounded and clamped."""
    if first == "clip":
        x = m.add("Clip", [x, m.const("zero", 0, np.float32), m.const("one", 1, np.float32)])
    x = m.add("Mul", [x, m.const("scale", 255, np.float32)])
    x = m.add("Round", [x])
    if first == "scale":
        x = m.add("Clip", [x, m.const("zero", 0, np.float32), m.const("most", 255, np.float32)])
    return m.add("Cast", [x], to=U8)


def shuffled(block, mode="DCR", interleaved=True, first="scale"):
    def make(m, x):
        x = m.add("DepthToSpace", [x], blocksize=block, mode=mode)
        _, c, h, w = m.shape
        c, h, w = c // block**2, h * block, w * block
        x = bytes_of(m, x, first)
        return None, m.add("Transpose", [x], perm=[0, 2, 3, 1]) if interleaved else x, U8, [1, h, w, c] if interleaved else [1, c, h, w]
    return make


def resized(m, x, size, mode, coordinates, last=False):
    c = m.shape[1]
    return m.add("Resize", [x, "", "", m.const("sizes", [1, *size, c] if last else [1, c, *size], np.int64)], mode=mode, coordinate_transformation_mode=coordinates, nearest_mode="floor", cubic_coeff_a=-0.75)


def picture(size, mode="cubic"):
    return lambda m, x: (None, m.add("Transpose", [bytes_of(m, resized(m, x, size, mode, "half_pixel"), "clip")], perm=[0, 2, 3, 1]), U8, [1, *size, m.shape[1]])


def classes(size, mode="linear", coordinates="half_pixel", colors=True, dtype=I64, last=False, keep=0):
    def make(m, x):
        if last:
            x = m.add("Transpose", [x], perm=[0, 2, 3, 1])
        scores = resized(m, x, size, mode, coordinates, last)
        y = m.add("ArgMax", [scores], axis=3 if last else 1, keepdims=keep)
        dims = [1, *size] if not keep else [1, *size, 1] if last else [1, 1, *size]
        if colors:
            table = np.random.RandomState(2).permutation(1 << 16)[:m.shape[1]]
            return scores, m.add("Gather", [m.const("colors", np.stack([table & 255, table >> 8, 255 - (table & 255)], 1), np.uint8), y]), U8, [*dims, 3]
        return scores, m.add("Cast", [y], to=dtype) if dtype != I64 else y, dtype, dims
    return make


def mask(size, mode="linear", coordinates="half_pixel", after=None):
    def make(m, x):
        x = resized(m, x, size, mode, coordinates)
        return None, m.add(after, [x]) if after else x, F, [1, m.shape[1], *size]
    return make


MODELS = {
    "shuffle_3": Model((9, 14, 53), shuffled(3), low=-0.2, high=1.2),
    "shuffle_rgb": Model((12, 9, 33), shuffled(2, first="clip"), low=-0.2, high=1.2),
    "shuffle_crd_planar": Model((48, 5, 20), shuffled(4, "CRD", False), low=-0.2, high=1.2),
    "shuffle_small": Model((4, 3, 2), shuffled(2)),
    "shuffle_conv": Model((9, 14, 53), shuffled(3), conv=True, stage=False),
    "picture_cubic": Model((3, 9, 17), picture((31, 70))),
    "picture_linear_one": Model((1, 20, 20), picture((53, 41), "linear")),
    "colors": Model((21, 17, 17), classes((129, 131))),
    "colors_corners": Model((21, 9, 9), classes((65, 65), coordinates="align_corners")),
    "colors_conv": Model((5, 16, 12), classes((64, 48)), conv=True),
    "colors_nearest_many": Model((150, 6, 7), classes((24, 35), "nearest", "asymmetric")),
    "colors_small": Model((3, 2, 3), classes((5, 7), "cubic")),
    "labels_i64": Model((4, 10, 13), classes((77, 40), colors=False)),
    "labels_u8_kept": Model((2, 10, 13), classes((40, 65), colors=False, dtype=U8, keep=1)),
    "labels_i32_last": Model((7, 10, 13), classes((40, 65), colors=False, dtype=I32, last=True)),
    "labels_down": Model((6, 40, 65), classes((10, 13), colors=False)),
    "mask": Model((1, 40, 40), mask((160, 160))),
    "mask_sigmoid": Model((2, 15, 27), mask((101, 67), after="Sigmoid")),
    "mask_conv_cubic": Model((3, 15, 27), mask((60, 54), "cubic", "align_corners"), conv=True),
    "mask_hardly": Model((1, 40, 40), mask((41, 42)), stage=False),
}
LARGE = {
    "large_shuffle": Model((9, 224, 224), shuffled(3)),
    "large_mask": Model((1, 160, 160), mask((640, 640))),
    "large_masks": Model((32, 160, 160), mask((640, 640))),
    "large_masks_conv": Model((32, 160, 160), mask((640, 640)), conv=True),
    "large_double": Model((1, 320, 320), mask((640, 640))),
    "large_colors": Model((21, 65, 65), classes((513, 513), coordinates="align_corners")),
    "large_labels": Model((19, 128, 256), classes((512, 1024), colors=False)),
    "large_labels_conv": Model((19, 64, 128), classes((512, 1024), colors=False), conv=True),
}


def compare(got, want, scores, dims, dtype):
    if dtype == F:
        worst = np.abs(got - want).max() / max(1, np.abs(want).max())
        return None if worst <= 1e-5 else f"expected errors of at most 1e-5, got {worst:g}"
    if scores is None:
        worst = np.abs(got.astype(int) - want.astype(int)).max()
        return None if worst <= 1 else f"expected errors of at most 1, got {worst}"
    # By pixel: only where the two best scores are as good as equal.
    pixels = scores.shape[2] * scores.shape[3]
    differ = (got.reshape(pixels, -1) != want.reshape(pixels, -1)).any(1)
    best = np.sort(scores.reshape(scores.shape[1], pixels), 0)
    close = best[-1] - best[-2] <= 1e-5 * np.abs(scores).max()
    return None if not (differ & ~close).any() else f"{(differ & ~close).sum()} of {pixels} classes differ"


def check(name, model, folder, a):
    compiler, path = os.path.join(a.bin, "burin-compile"), os.path.join(folder, "net.onnx")
    _, _, scores = model.build(path, scored=True)
    x = np.random.RandomState(len(name)).uniform(model.low, model.high, model.shape).astype(np.float32)
    results = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"x": x})
    want, scored = results[0], results[1] if scores else None
    if scores and scored.shape[-1] == model.shape[1] and name.endswith("last"):
        scored = scored.transpose(0, 3, 1, 2)
    dtype, dims, _ = model.build(path)
    arena = np.zeros((1 << 26) + 64, np.uint8)
    place = ctypes.c_void_p((arena.ctypes.data + 63) // 64 * 64)
    times = []
    for flags, is_stage in (([], True), (["--plain-images"], False)):
        library = os.path.join(folder, f"lib{name}{len(flags)}.so")
        command = [compiler, path, *flags, f"--target={a.target}"]
        ir = subprocess.run([*command, "--stop-after=graph", "-o", "-"], check=True, capture_output=True, text=True).stdout
        if ("ImageStage" in ir) != (is_stage and model.stage):
            return f"{'an' if 'ImageStage' in ir else 'no'} image stage with {flags or 'no flags'}", []
        subprocess.run([*command, "--emit=shared", "--name=net", "-o", library], check=True, capture_output=True, text=True)
        run = ctypes.CDLL(library).net_run
        for at_end in (True, False):
            area, address = guarded(x.reshape(-1).view(np.uint8), at_end)
            room, result = guarded(np.full(want.nbytes, 99, np.uint8), at_end)
            got = np.frombuffer((ctypes.c_char * want.nbytes).from_address(result), want.dtype).reshape(want.shape)
            if status := run(ctypes.c_void_p(address), ctypes.c_void_p(result), place):
                return f"the run gives status {status}", []
            if problem := compare(got, want, scored, dims, dtype):
                return problem + (f" with {flags[0]}" if flags else ""), []
        if is_stage and model.stage and not model.conv and (problem := outside(library, compiler, a.target)):
            return problem, []
        if is_stage and a.aarch64:
            program, given, made = (os.path.join(folder, f) for f in ("arm", "in.npz", "out.npz"))
            subprocess.run([compiler, path, "--target=aarch64", "--static", "-o", program], check=True, capture_output=True, text=True)
            np.savez(given, x=x)
            subprocess.run(["qemu-aarch64", program, "--inputs", given, "--outputs", made], check=True, capture_output=True, text=True)
            if not model.conv and not np.array_equal(np.load(made)["y"], got) and not name.endswith("sigmoid"):
                return "aarch64 gives other values", []
        if a.bench:
            times.append([])
            for _ in range(40):
                begin = time.perf_counter()
                run(ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(result), place)
                times[-1].append((time.perf_counter() - begin) * 1e3)
    return None, [min(t) for t in times]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.path.join(ROOT, "build", "bin"))
    parser.add_argument("--target", default="host")
    parser.add_argument("--aarch64", action="store_true")
    parser.add_argument("--bench", action="store_true")
    parser.add_argument("names", nargs="*")
    a = parser.parse_args()
    passed = failed = 0
    for name, model in (LARGE if a.bench else MODELS).items():
        if a.names and not any(name.startswith(n) for n in a.names):
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                problem, times = check(name, model, folder, a)
            except subprocess.CalledProcessError as e:
                problem, times = (e.stderr or str(e)).strip().splitlines()[-1], []
        passed, failed = passed + (problem is None), failed + (problem is not None)
        print(f"{'ok  ' if problem is None else 'FAIL'} {name}{': ' + problem if problem else ''}" + (f"  stage {times[0]:.4f} ms, plain {times[1]:.4f} ms" if times else ""), flush=True)
    print(f"{passed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
