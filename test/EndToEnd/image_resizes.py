#!/usr/bin/env python3
"""Every Resize test of ONNX's own suite as an image stage: the data as a picture of bytes, all stages in one program, against the results that the
suite holds, within 1e-5 of the largest.

usage: image_resizes.py [--bin DIR] [--target T]
A line a test; last, `N passed, N failed`.
"""
import argparse
import os
import subprocess
import sys
import tempfile

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save
from onnx.backend.test.case.node import collect_testcases

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def tests():
    """(name, node, constant inputs by name, picture [h, w], result)."""
    with np.errstate(all="ignore"):  # tests of other operators are made too
        cases = collect_testcases("Resize")
    for case in cases:
        node = case.model.graph.node[0]
        names = [i.name for i in case.model.graph.input]
        given, want = case.data_sets[0]
        arrays = {n: np.asarray(v if isinstance(v, np.ndarray) else numpy_helper.to_array(v)) for n, v in zip(names, given)}
        picture = arrays.pop(node.input[0])
        want = np.asarray(want[0] if isinstance(want[0], np.ndarray) else numpy_helper.to_array(want[0]))
        if node.op_type == "Resize" and picture.ndim == 4:
            yield case.name, node, arrays, picture, want


def whole(path):
    """One model of all tests, its pictures and the results."""
    nodes, inputs, outputs, constants, feed, wanted = [], [], [], [], {}, {}
    for name, node, arrays, picture, want in tests():
        bytes_ = picture.astype(np.uint8)
        assert np.array_equal(bytes_, picture) and picture.shape[:2] == (1, 1), f"{name}: no picture of bytes"
        inputs.append(helper.make_tensor_value_info(f"{name}.x", TensorProto.UINT8, [1, *picture.shape[2:], 1]))
        outputs.append(helper.make_tensor_value_info(f"{name}.y", TensorProto.FLOAT, want.shape))
        constants += [numpy_helper.from_array(value, f"{name}.{n}") for n, value in arrays.items()]
        nodes.append(helper.make_node("Cast", [f"{name}.x"], [f"{name}.float"], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Transpose", [f"{name}.float"], [f"{name}.planar"], perm=[0, 3, 1, 2]))
        resize = helper.make_node("Resize", [f"{name}.planar"] + [n and f"{name}.{n}" for n in node.input[1:]], [f"{name}.resized"], name=name)
        resize.attribute.extend(node.attribute)
        nodes += [resize, helper.make_node("Neg", [f"{name}.resized"], [f"{name}.y"])]
        feed[f"{name}.x"] = np.ascontiguousarray(bytes_.transpose(0, 2, 3, 1))
        wanted[name] = -want
    save(helper.make_model(helper.make_graph(nodes, "g", inputs, outputs, constants), opset_imports=[helper.make_opsetid("", 19)], ir_version=10), path)
    return feed, wanted


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.path.join(ROOT, "build", "bin"))
    parser.add_argument("--target", default="host")
    a = parser.parse_args()
    passed = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        model, graph, program, given, made = (os.path.join(folder, f) for f in ("all.onnx", "all.mlir", "all", "in.npz", "out.npz"))
        feed, wanted = whole(model)
        subprocess.run([os.path.join(a.bin, "burin-opt"), model, "--graph", "--graph-raise-image-stage=least-shrink=0", "-o", graph], check=True)
        with open(graph) as f:
            stages = f.read().count('"ImageStage"')
        subprocess.run([os.path.join(a.bin, "burin-compile"), graph, f"--target={a.target}", "-o", program], check=True)
        np.savez(given, **feed)
        subprocess.run([program, "--inputs", given, "--outputs", made], check=True)
        results = np.load(made)
        for name, want in wanted.items():
            worst = np.abs(results[f"{name}.y"] - want).max() / max(1, np.abs(want).max())
            good = worst <= 1e-5
            passed, failed = passed + good, failed + (not good)
            print(f"{'ok  ' if good else 'FAIL'} {name}" + ("" if good else f": expected errors of at most 1e-5, got {worst:.3g}"))
        if stages != len(wanted):
            failed += 1
            print(f"FAIL expected {len(wanted)} image stages, got {stages}")
    print(f"{passed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
