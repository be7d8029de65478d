#!/usr/bin/env python3
"""Models that hold their own preprocessing in ONNX's operators: compiled with an image stage, at the start where the picture shrinks and at the end where it
grows, as plain code (--plain-images), and run by ONNX Runtime.

usage: image_chains.py [--bin DIR] [--bench]
A line a model; last, `N passed, N failed`. --bench: also the time of both on one thread, the larger input of the last.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper, save

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def model(path, shape, target, layout="NCHW", mode="linear", crop=None, reverse=False, pad=None, mean=(123.7, 116.3, 103.5), scale=(58.4, 57.1, 57.4), first="resize", scales=False, relu=True):
    """uint8 NHWC or HWC -> Cast, [Slice], [Gather], Transpose, Resize, [Pad], Sub, Div -> Relu."""
    nodes, weights = [], []
    def const(name, value, dtype):
        weights.append(numpy_helper.from_array(np.array(value, dtype), name))
        return name
    def node(op, inputs, **attributes):
        nodes.append(helper.make_node(op, inputs, [f"t{len(nodes)}"], **attributes))
        return nodes[-1].output[0]
    channels, planar = shape[-1], layout == "NCHW"
    at = (lambda values: np.array(values).reshape(-1, 1, 1)) if planar else np.array
    x = "x"
    if len(shape) == 3:
        x = node("Unsqueeze", [x, const("first", [0], np.int64)])
    if crop:
        x = node("Slice", [x, const("starts", crop[:2], np.int64), const("ends", crop[2:], np.int64), const("axes", [1, 2], np.int64)])
    x = node("Cast", [x], to=TensorProto.FLOAT)
    if reverse:
        x = node("Gather", [x, const("backwards", list(range(channels))[::-1], np.int64)], axis=3)
    if planar:
        x = node("Transpose", [x], perm=[0, 3, 1, 2])
    def normalize(x):
        x = node("Sub", [x, const("mean", at(mean[:channels]), np.float32)])
        return node("Div", [x, const("scale", at(scale[:channels]), np.float32)])
    if first == "normalize":
        x = normalize(x)
    height, width = (crop[2] - crop[0], crop[3] - crop[1]) if crop else shape[-3:-1]
    whole = [1, channels, *target] if planar else [1, *target, channels]
    if scales:
        factors = [1, 1, target[0] / height, target[1] / width] if planar else [1, target[0] / height, target[1] / width, 1]
        x = node("Resize", [x, "", const("scales", factors, np.float32)], mode=mode)
    else:
        x = node("Resize", [x, "", "", const("sizes", whole, np.int64)], mode=mode)
    if pad:
        top, left, bottom, right = pad
        pads = [0, 0, top, left, 0, 0, bottom, right] if planar else [0, top, left, 0, 0, bottom, right, 0]
        x = node("Pad", [x, const("pads", pads, np.int64), const("grey", 114, np.float32)])
        whole = [w + (pads[i] + pads[i + 4]) for i, w in enumerate(whole)]
    if first != "normalize":
        x = normalize(x)
    nodes.append(helper.make_node("Relu" if relu else "Identity", [x], ["y"]))
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.UINT8, shape)], [helper.make_tensor_value_info("y", TensorProto.FLOAT, whole)], weights)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)


MODELS = {
    "planar": ([1, 48, 64, 3], (24, 32), {}),
    "interleaved": ([1, 48, 64, 3], (20, 31), {"layout": "NHWC"}),
    "no_batch": ([37, 53, 3], (60, 70), {}),
    "nearest_reversed": ([1, 50, 40, 3], (21, 17), {"mode": "nearest", "reverse": True}),
    "cropped_padded": ([1, 60, 80, 3], (30, 36), {"crop": [4, 8, 52, 72], "pad": (2, 1, 3, 4)}),
    "normalized_first": ([1, 33, 29, 3], (16, 16), {"first": "normalize", "reverse": True}),
    "grey": ([1, 33, 29, 1], (66, 58), {"scales": True}),
    "letterboxed": ([90, 120, 3], (30, 40), {"crop": [4, 8, 84, 112], "pad": (5, 0, 5, 0), "layout": "NHWC"}),
    "as_output": ([1, 48, 64, 3], (24, 32), {"relu": False}),
    "large": ([1, 720, 1280, 3], (224, 224), {}),
}
PLAIN = {"cropped_padded"}  # hardly smaller; what grows is a stage at the end


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.path.join(ROOT, "build", "bin"))
    parser.add_argument("--bench", action="store_true")
    a = parser.parse_args()
    passed = failed = 0
    for name, (shape, target, options) in MODELS.items():
        with tempfile.TemporaryDirectory() as folder:
            path, given, made = (os.path.join(folder, f) for f in ("net.onnx", "in.npz", "out.npz"))
            model(path, shape, target, **options)
            frame = np.random.RandomState(len(name)).randint(0, 256, shape).astype(np.uint8)
            np.savez(given, x=frame)
            want = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"x": frame})[0]
            problem, times = None, []
            for flags, is_stage in (([], True), (["--plain-images"], False)):
                program = os.path.join(folder, f"net{len(flags)}")
                compiler = [os.path.join(a.bin, "burin-compile"), path, *flags]
                ir = subprocess.run([*compiler, "--stop-after=graph", "-o", "-"], check=True, capture_output=True, text=True).stdout
                subprocess.run([*compiler, "-o", program], check=True)
                subprocess.run([program, "--inputs", given, "--outputs", made], check=True)
                worst = np.abs(np.load(made)["y"] - want).max()
                if ("ImageStage" in ir) != (is_stage and name not in PLAIN):
                    problem = f"{'an' if 'ImageStage' in ir else 'no'} image stage with {flags or 'no flags'}"
                elif not worst <= 5e-4:  # of numbers up to 5; ONNX Runtime's coordinates are f32
                    problem = f"expected errors of at most 5e-4, got {worst:g}{' with ' + flags[0] if flags else ''}"
                if a.bench:
                    out = subprocess.run([program, "--inputs", given, "--bench=0.5"], check=True, capture_output=True, text=True).stdout
                    times.append(json.loads(out.splitlines()[-1])["median_ms"])
        passed, failed = passed + (problem is None), failed + (problem is not None)
        print(f"{'ok  ' if problem is None else 'FAIL'} {name}{': ' + problem if problem else ''}" + (f"  stage {times[0]:.4f} ms, plain {times[1]:.4f} ms" if times else ""), flush=True)
    print(f"{passed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
