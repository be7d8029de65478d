#!/usr/bin/env python3
"""Speed of integer convolutions and matrix products on this machine against the peak of its dot product instruction: one line a shape with GOP/s and the
share of the peak measured beside it. Compare shares, not times. Correctness is test/EndToEnd/integers.py's business.

  integers.py [--filter TEXT] [--run BURIN-RUN]        needs a CPU with AVX-512 VNNI
"""
import argparse, os, re, subprocess, tempfile
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

PEAK = r"""
#include <immintrin.h>
#include <stdio.h>
#include <time.h>
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + 1e-9 * t.tv_nsec; }
int main(void) {
  double best = 0;
  for (int round = 0; round < 20; ++round) {
    __m512i a[16], x = _mm512_set1_epi8(1), w = _mm512_set1_epi8(2);
    for (int i = 0; i < 16; ++i) a[i] = _mm512_setzero_si512();
    double start = now();
    for (int n = 0; n < 200000; ++n) {
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) { a[i] = _mm512_dpbusd_epi32(a[i], x, w); __asm__ volatile("" : "+v"(a[i])); }
    }
    double speed = 200000.0 * 16 * 64 * 2 / (now() - start) * 1e-9;
    if (speed > best) best = speed;
  }
  printf("%.1f\n", best);
  return 0;
}
"""


def peak(directory):
    source, program = os.path.join(directory, "peak.c"), os.path.join(directory, "peak")
    open(source, "w").write(PEAK)
    subprocess.run(["clang-22", "-O2", "-mavx512f", "-mavx512vnni", source, "-o", program], check=True)
    return lambda: float(subprocess.run([program], capture_output=True, text=True, check=True).stdout)


def profiled(run, net, directory, **inputs):
    """Milliseconds and 1e9 operations a second of each convolution and matrix product, in order of the program."""
    path, data = os.path.join(directory, "net.onnx"), os.path.join(directory, "x.npz")
    onnx.save(net, path)
    np.savez(data, **inputs)
    text = subprocess.run([*run, path, "--inputs", data, "--profile"], capture_output=True, text=True, check=True).stdout
    lines = [l.split() for l in text.splitlines() if re.match(r"\s+\d+\s+(conv|depthwise_conv|matmul)\s", l)]
    return [(float(line[2]), float(line[4])) for line in lines]


def model(kind, x, w, **attributes):
    rng = np.random.default_rng(3)
    constants = [numpy_helper.from_array(a, n) for n, a in [
        ("w", rng.integers(-127, 128, w).astype(np.int8)), ("xs", np.float32(0.02)), ("xz", np.uint8(3)), ("ws", np.full(w[0 if kind == "conv" else 1], 0.01, np.float32)),
        ("wz", np.int8(0)), ("ys", np.float32(0.5)), ("yz", np.uint8(100)), ("b", rng.integers(-100, 100, w[0]).astype(np.int32))]]
    if kind == "conv":
        node = helper.make_node("QLinearConv", ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b"], ["y"], **attributes)
    else:
        node = helper.make_node("QLinearMatMul", ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"], ["y"])
    graph = helper.make_graph([node], "bench", [helper.make_tensor_value_info("x", TensorProto.UINT8, x)], [helper.make_tensor_value_info("y", TensorProto.UINT8, None)],
                              constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), rng.integers(0, 256, x).astype(np.uint8)


def shapes():
    conv = lambda size, ic, oc, k, s=1, g=1: model("conv", [1, ic, size, size], [oc, ic // g, k, k], strides=[s, s], pads=[k // 2] * 4, group=g)
    for size, ic, oc, k, s in [(56, 64, 64, 3, 1), (28, 128, 128, 3, 1), (14, 256, 256, 3, 1), (7, 512, 512, 3, 1), (56, 64, 128, 3, 2), (224, 3, 32, 3, 2), (224, 1, 64, 5, 1),
                               (56, 64, 256, 1, 1), (56, 256, 64, 1, 1), (40, 24, 144, 1, 1), (40, 144, 24, 1, 1), (14, 384, 64, 1, 1), (7, 512, 2048, 1, 1), (40, 64, 6, 3, 1)]:
        yield "conv %dx%d/%d %d-%d@%d" % (k, k, s, ic, oc, size), conv(size, ic, oc, k, s)
    for size, c, s in [(80, 32, 1), (80, 96, 2), (40, 144, 1), (20, 192, 1), (10, 576, 1), (5, 960, 1)]:
        yield "depthwise 3x3/%d %d@%d" % (s, c, size), conv(size, c, c, 3, s, c)
    for m, k, n in [(33, 384, 384), (33, 384, 1536), (33, 1536, 384), (256, 1024, 1024), (1, 1024, 1024)]:
        yield "matmul %dx%dx%d" % (m, k, n), model("matmul", [m, k], [k, n])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--filter", default="")
    parser.add_argument("--run", default=os.path.join(ROOT, "build", "bin", "burin-run"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        measure = peak(directory)
        for name, (net, x) in shapes():
            if args.filter not in name:
                continue
            top = measure()
            [(ms, speed)] = profiled([args.run], net, directory, x=x)
            top = max(top, measure())
            print("%-28s %9.4f ms %8.1f GOP/s  %5.1f %% of %.0f" % (name, ms, speed, 100 * speed / top, top), flush=True)


if __name__ == "__main__":
    main()
