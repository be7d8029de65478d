#!/usr/bin/env python3
"""Elementwise layers and products of one row on buffers that no cache holds: bytes a second, as a share of what a loop with as many streams reaches beside them.

  bandwidth.py [--bin DIR] [--rounds N] [--megabytes 128]

The loops are C of vectors of 64 bytes: `read` sums one buffer, `copy` reads one and writes one, `add` reads two and writes one; writing goes through the
caches or, `streamed`, past them, and the faster counts. A product of one row reads its weights alone. Contestants in turns, the least time of each.
"""
import argparse, ctypes, json, os, subprocess, tempfile
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
SOURCE = """
#include <time.h>
typedef float v __attribute__((vector_size(64)));
#define LOOP(name, body) \\
  double name(const v *a, const v *b, v *y, long n) { \\
    struct timespec t0, t1; v s[4] = {{0}}; \\
    clock_gettime(CLOCK_MONOTONIC, &t0); \\
    for (long i = 0; i < n; i += 4) for (int j = 0; j < 4; ++j) body; \\
    clock_gettime(CLOCK_MONOTONIC, &t1); \\
    volatile float sink = (s[0] + s[1] + s[2] + s[3])[0]; (void)sink; \\
    return t1.tv_sec - t0.tv_sec + 1e-9 * (t1.tv_nsec - t0.tv_nsec); \\
  }
LOOP(read_plain, s[j] += a[i + j])
LOOP(copy_plain, y[i + j] = a[i + j])
LOOP(copy_streamed, __builtin_nontemporal_store(a[i + j], &y[i + j]))
LOOP(add_plain, y[i + j] = a[i + j] + b[i + j])
LOOP(add_streamed, __builtin_nontemporal_store(a[i + j] + b[i + j], &y[i + j]))
"""


def model(path, op, elements):
    """One node over `elements` floats. A product's weights are a square, as decoding reads them."""
    info = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    side = int(elements**0.5) // 64 * 64
    rng = np.random.default_rng(0)
    if op == "MatMul":
        inputs, outputs = [info("a", [1, side])], [info("y", [1, side])]
        weights = [numpy_helper.from_array(rng.standard_normal((side, side), np.float32), "b")]
    else:
        names = ["a", "b"] if op == "Add" else ["a"]
        inputs, outputs, weights = [info(n, [elements]) for n in names], [info("y", [elements])], []
    graph = helper.make_graph([helper.make_node(op, ["a", "b"] if op in ("Add", "MatMul") else ["a"], ["y"])], "g", inputs, outputs, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return (side * side, {"a": np.ones((1, side), np.float32)}) if op == "MatMul" else (elements, {i.name: np.ones(elements, np.float32) for i in inputs})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.path.join(os.environ.get("BURIN_BUILD", os.path.join(ROOT, "build")), "bin"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=128, help="of each buffer")
    arguments = parser.parse_args()
    elements = arguments.megabytes * 2**18
    with tempfile.TemporaryDirectory() as folder:
        at = lambda name: os.path.join(folder, name)
        subprocess.run(["clang-22", "-O3", "-march=native", "-shared", "-fPIC", "-xc", "-", "-o", at("loops.so")], input=SOURCE, text=True, check=True)
        loops = ctypes.CDLL(at("loops.so"))
        buffers = [np.ones(elements + 16, np.float32) for _ in range(3)]
        aligned = [ctypes.c_void_p((b.ctypes.data + 63) & ~63) for b in buffers]

        def reference(name):
            loop = getattr(loops, name)
            loop.restype = ctypes.c_double
            return loop(*aligned, ctypes.c_long(elements // 16 & ~3))

        rows = {"Relu": (["copy_plain", "copy_streamed"], 2), "Exp": (["copy_plain", "copy_streamed"], 2), "Add": (["add_plain", "add_streamed"], 3), "MatMul": (["read_plain"], 1)}
        best = {}
        for op in rows:
            count, feed = model(at(op + ".onnx"), op, elements)
            subprocess.run([os.path.join(arguments.bin, "burin-compile"), at(op + ".onnx"), "-o", at(op)], check=True)
            np.savez(at(op + ".npz"), **feed)
            best[op, "count"] = count
        for _ in range(arguments.rounds):
            for op, (names, _) in rows.items():
                done = subprocess.run([at(op), "--inputs", at(op + ".npz"), "--bench=0.3"], capture_output=True, text=True, check=True)
                best[op] = min(best.get(op, np.inf), json.loads(done.stdout.strip().splitlines()[-1])["min_ms"] / 1e3)
                for name in names:
                    best[name] = min(best.get(name, np.inf), reference(name))
        for op, (names, streams) in rows.items():
            own = 4e-9 * streams * best[op, "count"] / best[op]
            name = min(names, key=lambda n: best[n])
            other = 4e-9 * streams * elements / best[name]
            print("%-8s %6.2f GB/s, %-14s %6.2f GB/s: %3.0f %%" % (op, own, name, other, 100 * own / other))


if __name__ == "__main__":
    main()
