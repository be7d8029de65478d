#!/usr/bin/env python3
"""Speed of the nn kernels against the machine's own FMA peak: one line a shape with GFLOP/s, share of the peak measured beside it, and code bytes.
Compare shares, not times: the peak moves with the clock. Correctness is test/passes/Cpu/run_nn.py's business.

  bench.py [--machine NAME] [--filter TEXT] [--keep DIR]
"""
import argparse, os, re, subprocess, sys, tempfile
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../passes/Cpu"))
from run_nn import *


def block(machine, k, n):
    """The packing block the compiler chooses: asked of the packing table printed by --blocks, else a fixed guess."""
    return min(n, {"x86-64-v4": 32, "x86-64-v3": 24 if n % 24 == 0 else 16}.get(machine, 12 if n % 12 == 0 else 16))


def shapes(machine):
    B = lambda n: BLOCKS.get(n) or block(machine, 0, n)
    c = lambda size, ic, oc, k, s, ep="bias_relu": conv(1, [(size - 1) // s * s + k] * 2 if k > 1 else [size] * 2, ic, oc, [k, k], [s, s], packed=B(oc), ep=ep)
    yield "conv 3x3 64-64@56", c(56, 64, 64, 3, 1)
    yield "conv 3x3 128-128@28", c(28, 128, 128, 3, 1)
    yield "conv 3x3 256-256@14", c(14, 256, 256, 3, 1)
    yield "conv 3x3 512-512@7", c(7, 512, 512, 3, 1)
    yield "conv 3x3s2 64-128@56", conv(1, [57, 57], 64, 128, [3, 3], [2, 2], packed=B(128), ep="bias_relu")
    yield "stem 3x3s2 3-32@224", conv(1, [225, 225], 3, 32, [3, 3], [2, 2], packed=B(32), ep="bias_relu")
    yield "stem 7x7s2 3-64@224", conv(1, [229, 229], 3, 64, [7, 7], [2, 2], packed=B(64), ep="bias_relu")
    yield "conv 1x1 96-24@80", c(80, 96, 24, 1, 1)
    yield "conv 1x1 16-96@80", c(80, 16, 96, 1, 1)
    yield "conv 1x1 24-144@40", c(40, 24, 144, 1, 1)
    yield "conv 1x1 144-24@40", c(40, 144, 24, 1, 1)
    yield "conv 1x1 24-144@40 silu", c(40, 24, 144, 1, 1, "silu_scale")
    yield "conv 1x1 64-256@56", c(56, 64, 256, 1, 1)
    yield "conv 1x1 256-64@56", c(56, 256, 64, 1, 1)
    yield "conv 1x1 1024-256@14", c(14, 1024, 256, 1, 1)
    yield "conv 1x1 1024-512@14", c(14, 1024, 512, 1, 1)
    yield "conv 1x1 320-1280@5", c(5, 320, 1280, 1, 1)
    yield "conv 1x1 512-2048@7", c(7, 512, 2048, 1, 1)
    yield "conv 3x3 12-12@32", c(32, 12, 12, 3, 1)
    yield "conv 3x3 24-24@16", c(16, 24, 24, 3, 1)
    yield "conv 1x1 48-12@32", c(32, 48, 12, 1, 1)
    yield "conv 1x1 64-8@32", c(32, 64, 8, 1, 1)
    yield "conv 3x3p1 64-3@168", conv(1, [168, 168], 64, 3, [3, 3], packed=3, pads=[1, 1, 1, 1], ep="bias_relu")
    yield "conv 1x1 32-2@200", conv(1, [200, 200], 32, 2, [1, 1], packed=2, ep="bias_relu")
    yield "conv 1x1 64-4@40", conv(1, [40, 40], 64, 4, [1, 1], packed=4, ep="bias_relu")
    yield "conv 1x1 64-6@40", conv(1, [40, 40], 64, 6, [1, 1], packed=6, ep="bias_relu")
    yield "conv 3x3 64-6@20", conv(1, [22, 22], 64, 6, [3, 3], packed=6, ep="bias_relu")
    yield "conv 5x5 1-8@28", conv(1, [32, 32], 1, 8, [5, 5], packed=8, ep="bias_relu")
    yield "conv 5x5 8-16@14", conv(1, [18, 18], 8, 16, [5, 5], packed=16, ep="bias_relu")
    yield "conv 3x3p1 64-64@56", conv(1, [56, 56], 64, 64, [3, 3], packed=B(64), pads=[1, 1, 1, 1], ep="bias_relu")
    for size, ch in [(28, 128), (14, 256), (7, 512), (40, 24)]:
        yield "conv 3x3p1 %d-%d@%d" % (ch, ch, size), conv(1, [size] * 2, ch, ch, [3, 3], packed=B(ch), pads=[1, 1, 1, 1], ep="bias_relu")
    yield "stem 3x3s2p1 3-32@224", conv(1, [224, 224], 3, 32, [3, 3], [2, 2], packed=B(32), pads=[0, 0, 1, 1], ep="bias_relu")
    yield "stem 7x7s2p3 3-64@224", conv(1, [224, 224], 3, 64, [7, 7], [2, 2], packed=B(64), pads=[3, 3, 3, 3], ep="bias_relu")
    for size, ch in [(224, 64), (56, 64), (28, 128), (14, 256), (7, 512), (56, 32), (40, 24), (32, 16), (14, 96), (20, 192), (10, 64)]:
        yield "conv 3x3 %d-%d@%d" % (ch, ch, size), c(size, ch, ch, 3, 1)
        for m in (2, 4):
            yield "winograd%d 3x3 %d-%d@%d" % (m, ch, ch, size), winograd(m, 1, [size + 2] * 2, ch, ch, packed=B(ch), ep="bias_relu")
    yield "conv grouped32 3x3 128@28", conv(1, [30, 30], 128, 128, [3, 3], groups=32, ep="bias_relu")
    for size, ch in [(80, 96), (40, 144), (20, 192), (10, 576), (5, 960)]:
        yield "depthwise 3x3 %d@%d" % (ch, size), depthwise(1, [size + 2] * 2, ch, [3, 3], ep="bias_relu")
        yield "depthwise 3x3s2 %d@%d" % (ch, size), depthwise(1, [size + 1] * 2, ch, [3, 3], [2, 2], ep="bias_relu")
    for size, ch in [(40, 144), (20, 192), (10, 576), (5, 960)]:
        yield "depthwise 3x3p1 %d@%d" % (ch, size), depthwise(1, [size] * 2, ch, [3, 3], pads=[1, 1, 1, 1], ep="bias_relu")
    yield "depthwise 5x5p2 96@28", depthwise(1, [28] * 2, 96, [5, 5], pads=[2, 2, 2, 2], ep="bias_relu")
    yield "depthwise 5x5 96@28", depthwise(1, [32] * 2, 96, [5, 5], ep="bias_relu")
    yield "depthwise 3x3 24@112", depthwise(1, [114] * 2, 24, [3, 3], ep="bias_relu")
    yield "matmul 33x384x384", matmul([], 33, 384, 384, packed=B(384), ep="bias_relu")
    yield "matmul 33x384x1536", matmul([], 33, 384, 1536, packed=B(1536), ep="bias_relu")
    yield "matmul 33x1536x384", matmul([], 33, 1536, 384, packed=B(384), ep="bias_relu")
    yield "matmul 576x384x384", matmul([], 576, 384, 384, packed=B(384), ep="bias_relu")
    yield "gemv 1x1280x1000", matmul([], 1, 1280, 1000, packed=B(1000), ep="bias_relu")
    yield "gemv 1x1024x1024", matmul([], 1, 1024, 1024, packed=B(1024), ep="bias_relu")
    yield "gemv 1x256x10", matmul([], 1, 256, 10, packed=10, ep="bias_relu")
    yield "attention qk 12x128x32x128", matmul([12], 128, 32, 128, transpose=True)
    yield "attention pv 12x128x128x32", matmul([12], 128, 128, 32)
    yield "attention qk 12x33x32x33", matmul([12], 33, 32, 33, transpose=True)
    if machine in ["cortex-a76", "aarch64+dotprod+fp16"]:
        yield "conv 3x3 64-64@56 f16", conv(1, [58, 58], 64, 64, [3, 3], packed=32, dtype="f16")
        yield "conv 1x1 96-24@80 f16", conv(1, [80, 80], 96, 24, [1, 1], packed=24, dtype="f16")
        yield "depthwise 3x3 96@80 f16", depthwise(1, [82] * 2, 96, [3, 3], dtype="f16")
        yield "matmul 576x384x384 f16", matmul([], 576, 384, 384, packed=32, dtype="f16")
        yield "attention qk 12x128x32x128 f16", matmul([12], 128, 32, 128, transpose=True, dtype="f16")
        yield "attention pv 12x128x128x32 f16", matmul([12], 128, 128, 32, dtype="f16")
    yield "conv_transpose 2x2s2 64-32@40", conv_transpose(1, [40, 40], 64, 32, [2, 2], [2, 2], ep="bias_relu")
    yield "conv_transpose 4x4s2 64-32@40", conv_transpose(1, [40, 40], 64, 32, [4, 4], [2, 2], pads=[1, 1, 1, 1], ep="bias_relu")
    yield "pool max 3x3s2 64@112", pool("max", 1, [113, 113], 64, [3, 3], [2, 2])
    yield "pool max 2x2s2 8@28", pool("max", 1, [28, 28], 8, [2, 2], [2, 2])
    yield "pool average 7x7 1280@7", pool("average", 1, [7, 7], 1280, [7, 7])


BLOCKS = {}
DRIVE = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
extern void *table[]; extern int counts[]; extern long sizes[][8]; extern double flops[]; extern const char *names[];
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec * 1e-9; }
static void call(void (*f)(), void **p, int n) {
  switch (n) { case 2: f(p[0], p[1]); break; case 3: f(p[0], p[1], p[2]); break; case 4: f(p[0], p[1], p[2], p[3]); break; case 5: f(p[0], p[1], p[2], p[3], p[4]); break; }
}
typedef float V __attribute__((vector_size(WIDTH * 4)));
static double peak(void) {
  double best = 1e9;
  for (int t = 0; t < 8; ++t) {
    V a[10]; V x, y;
    for (int i = 0; i < WIDTH; ++i) { x[i] = 0.999f; y[i] = 0.5f; }
    for (int i = 0; i < 10; ++i) a[i] = x;
    double s = now();
    for (int k = 0; k < 100000; ++k)
      for (int i = 0; i < 10; ++i) { a[i] = a[i] * x + y; }
    double d = now() - s;
    for (int i = 0; i < 10; ++i) __asm__ volatile("" : : "x"(a[i]));
    if (d < best) best = d;
  }
  return 2.0 * WIDTH * 10 * 100000 / best * 1e-9;
}
int main(void) {
  for (int i = 0; table[i]; ++i) {
    void *p[8];
    for (int j = 0; j < counts[i]; ++j) {
      p[j] = aligned_alloc(64, (sizes[i][j] + 63) / 64 * 64 + 64);
      for (long k = 0; k < sizes[i][j] / 4; ++k) ((float *)p[j])[k] = (float)(k % 13) * 0.01f;
    }
    void (*f)() = (void (*)())table[i];
    for (int r = 0; r < 3; ++r) call(f, p, counts[i]);
    double best = 1e9, pk = peak();
    for (double begin = now(); now() - begin < 0.08;) {
      double s = now(); int reps = 0;
      do { call(f, p, counts[i]); ++reps; } while (now() - s < 0.002);
      double d = (now() - s) / reps;
      if (d < best) best = d;
    }
    double pk2 = peak(); if (pk2 > pk) pk = pk2;
    printf("%s\t%.2f\t%.1f\t%.1f\n", names[i], best * 1e6, flops[i] / best * 1e-9, 100 * flops[i] / best * 1e-9 / pk);
    for (int j = 0; j < counts[i]; ++j) free(p[j]);
  }
}
"""


def flops(case):
    """Naive multiplications and additions, from operand shapes."""
    n = 1
    for s in case.out.shape:
        n *= s
    if case.name.startswith("conv_transpose"):
        w, x = case.operands[1].shape, case.operands[0].shape
        return 2.0 * np.prod(x) * np.prod(w[:-2]) * w[-1]
    if case.name.startswith("conv"):
        w = case.operands[1].shape
        taps = w[1:-1] if len(w) > len(case.operands[0].shape) else w[:-1]
        return 2.0 * n * np.prod(taps)
    if case.name.startswith("winograd"):  # as the plain convolution
        return 2.0 * n * 9 * case.operands[0].shape[-1]
    if case.name.startswith("depthwise"):
        return 2.0 * n * np.prod(case.operands[1].shape[:-1])
    if case.name.startswith("matmul"):
        return 2.0 * n * case.operands[0].shape[-1]
    return 1.0 * np.prod(case.operands[0].shape)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machine", default="x86-64-v4")
    parser.add_argument("--filter", default="")
    parser.add_argument("--blocks", default="", help="packing blocks, as N=B,N=B")
    parser.add_argument("--keep")
    args = parser.parse_args()
    for pair in filter(None, args.blocks.split(",")):
        n, b = pair.split("=")
        BLOCKS[int(n)] = int(b)
    chosen = [(n, c) for n, c in shapes(args.machine) if args.filter in n]
    with tempfile.TemporaryDirectory() as temporary:
        directory = args.keep or temporary
        os.makedirs(directory, exist_ok=True)
        source = os.path.join(directory, "in.mlir")
        open(source, "w").write("module {\n" + "".join(c.mlir(i) for i, (_, c) in enumerate(chosen)) + "}\n")
        obj = build(source, "--pass-pipeline=builtin.module(func.func(cpu-lower-nn{machine=%s}))" % args.machine, args.machine, directory, "kernels")
        symbols = {}
        for line in run([LLVM + "/llvm-nm", "--print-size", obj]).splitlines():
            f = line.split()
            if len(f) == 4 and f[2] in "Tt":
                symbols[f[3]] = int(f[1], 16)
        spills, current = {}, None
        for line in run([LLVM + "/llvm-objdump", "-d", "--no-show-raw-insn", obj]).splitlines():
            if line.endswith(">:"):
                current = line.split("<")[1][:-2]
            elif ("(%rsp)" in line and "mm" in line) or ("[sp" in line and re.search(r"\bq\d", line)):
                spills[current] = spills.get(current, 0) + 1
        width = {"x86-64-v4": 16, "x86-64-v3": 8}.get(args.machine, 4)
        text = DRIVE.replace("WIDTH", str(width)) + "".join("void f%d();" % i for i in range(len(chosen)))
        text += "void *table[] = {%s, 0};" % ", ".join("f%d" % i for i in range(len(chosen)))
        text += "int counts[] = {%s};" % ", ".join(str(len(c.operands) + 1) for _, c in chosen)
        text += "const char *names[] = {%s};" % ", ".join('"%s"' % n for n, _ in chosen)
        text += "double flops[] = {%s};" % ", ".join("%.1f" % flops(c) for _, c in chosen)
        size = lambda b: int(np.prod(b.outer)) * np.dtype(TYPES[b.dtype]).itemsize
        text += "long sizes[][8] = {%s};" % ", ".join("{%s}" % ", ".join(str(size(b)) for b in c.operands + [c.out]) for _, c in chosen)
        path = os.path.join(directory, "bench")
        open(path + ".c", "w").write(text)
        run([LLVM + "/clang", "-O2", "-w", "-std=gnu11", "-ffp-contract=fast", "-march=" + MACHINES[args.machine][1], "-mprefer-vector-width=512", path + ".c", obj, "-o", path, "-lm"])
        for (_, c), line in zip(chosen, run([path]).splitlines()):
            name, us, gf, share = line.split("\t")
            index = [n for n, _ in chosen].index(name)
            print("%-32s %9s us %7s GF/s %5s%%  code %5d B%s" % (name, us, gf, share, symbols.get("f%d" % index, 0),
                                                                        "  %d vectors through the stack" % spills["f%d" % index] if "f%d" % index in spills else ""), flush=True)


if __name__ == "__main__":
    main()
