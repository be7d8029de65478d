#!/usr/bin/env python3
"""Time of f32 convolutions and matrix products by the share of their weights' blocks (one input of 16 output channels) that are zero, as a part of the time
with no zero at all. Below the compiler's threshold (sparseThreshold, sparseOverWinograd of lib/Support/Packing.h) a layer stays dense and its part is 1; those
two numbers are what this table says.

  sparse.py [--filter TEXT] [--zeros 0.3,0.5,...] [--target host] [--run BURIN-RUN]
"""
import argparse, os, tempfile
import numpy as np
from onnx import TensorProto, helper, numpy_helper

from integers import ROOT, profiled

BLOCK = 16


def prune(w, share, rng):
    """w [outputs, inputs, ...] with this share of its blocks zero."""
    blocks = -(-w.shape[0] // BLOCK)
    count = blocks * int(np.prod(w.shape[1:]))
    kept = np.ones(count, bool)
    kept[rng.permutation(count)[:int(round(share * count))]] = False
    return w * np.repeat(kept.reshape((blocks,) + w.shape[1:]), BLOCK, 0)[:w.shape[0]]


def model(x, w, shares):
    """A layer for each share, each with an input of its own: layers of one input would become one."""
    rng = np.random.default_rng(3)
    nodes, weights, outputs = [], [], []
    for i, share in enumerate(shares):
        values = prune(rng.standard_normal(w).astype(np.float32), share, rng)
        conv = len(x) == 4
        nodes.append(helper.make_node("Conv", ["x%d" % i, "w%d" % i], ["y%d" % i], pads=[w[2] // 2] * 4) if conv else helper.make_node("MatMul", ["x%d" % i, "w%d" % i], ["y%d" % i]))
        weights.append(numpy_helper.from_array(values if conv else np.ascontiguousarray(values.T), "w%d" % i))
        outputs.append(helper.make_tensor_value_info("y%d" % i, TensorProto.FLOAT, None))
    inputs = {"x%d" % i: rng.standard_normal(x).astype(np.float32) for i in range(len(shares))}
    graph = helper.make_graph(nodes, "bench", [helper.make_tensor_value_info(name, TensorProto.FLOAT, x) for name in inputs], outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), inputs


def shapes():
    for size, ic, oc, k in [(56, 64, 256, 1), (56, 256, 64, 1), (14, 256, 1024, 1), (7, 512, 2048, 1), (40, 24, 144, 1), (40, 144, 24, 1), (56, 64, 64, 3), (14, 256, 256, 3),
                            (28, 32, 64, 5)]:
        yield "conv %dx%d %d-%d@%d" % (k, k, ic, oc, size), [1, ic, size, size], [oc, ic, k, k]
    for m, k, n in [(128, 384, 1536), (128, 1536, 384), (33, 384, 384), (1, 1024, 1024), (4, 1024, 1024)]:
        yield "matmul %dx%dx%d" % (m, k, n), [m, k], [n, k]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--filter", default="")
    parser.add_argument("--zeros", default="0.3,0.4,0.5,0.7,0.9")
    parser.add_argument("--target", default="host")
    parser.add_argument("--run", default=os.path.join(ROOT, "build", "bin", "burin-run"))
    args = parser.parse_args()
    shares = [float(s) for s in args.zeros.split(",")]
    print("%-24s %9s  %s" % ("", "dense", "".join("%6.0f%%" % (100 * s) for s in shares)), flush=True)
    with tempfile.TemporaryDirectory() as directory:
        for name, x, w in shapes():
            if args.filter in name:
                net, inputs = model(x, w, [0] + shares)
                times = [ms for ms, _ in profiled([args.run, "--target=" + args.target], net, directory, **inputs)]
                print("%-24s %6.4f ms  %s" % (name, times[0], "".join("%7.2f" % (t / times[0]) for t in times[1:])), flush=True)


if __name__ == "__main__":
    main()
