"""Runs MLIR through the cpu stage on a machine of the table, natively or under qemu, on numpy arrays.

`Program` holds @main's body; `run` compiles it with burin-opt, mlir-translate and llc and calls the entry function from a small C program.
"""
import os
import subprocess
import sys
import tempfile

import numpy as np

TARGETS = {
    "x86-64": ("x86_64-unknown-linux-gnu", "x86-64", "", "cc", []),
    "x86-64-v3": ("x86_64-unknown-linux-gnu", "x86-64-v3", "", "cc", []),
    "x86-64-v4": ("x86_64-unknown-linux-gnu", "x86-64-v4", "-prefer-256-bit", "cc", []),
    "aarch64": ("aarch64-unknown-linux-gnu", "generic", "+neon", "aarch64-linux-gnu-gcc", ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"]),
}

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), *[".."] * 4)
INCLUDE = os.path.join(ROOT, "include")

HARNESS = r"""
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "burin/runtime.h"
#ifdef PARALLEL
#include "runtime/hosted/pool.h"
static long forks;
static void backwards(void *user, void (*body)(void *, int64_t), void *data, int64_t count) {
  ++forks;
  for (int64_t i = count; i-- > 0;) body(data, i);
}
#endif
int32_t entry(const burin_tensor *inputs, burin_tensor *outputs, void *arena, const void *weights, const burin_context *context);
int main(int argc, char **argv) {
  FILE *in = fopen(argv[1], "rb"), *out = fopen(argv[2], "wb");
  int64_t counts[2], size;
  if (!in || !out || fread(counts, 8, 2, in) != 2) return 1;
  burin_tensor *tensors[2]; int64_t *sizes[2];
  for (int side = 0; side < 2; ++side) {
    tensors[side] = calloc(counts[side] + 1, sizeof(burin_tensor)); sizes[side] = calloc(counts[side] + 1, 8);
    for (int64_t i = 0; i < counts[side]; ++i) {
      int64_t rank;
      burin_tensor *tensor = &tensors[side][i];
      if (fread(&size, 8, 1, in) != 1 || fread(&rank, 8, 1, in) != 1 || fread(tensor->dims, 8, rank, in) != (size_t)rank) return 1;
      tensor->rank = (int32_t)rank; tensor->capacity = size;
      /* Guard bytes behind each tensor show writes beyond it. */
      /* A caller's tensors begin at any multiple of their elements. */
      char *data = (char *)aligned_alloc(64, (size + 128 + 63) / 64 * 64) + i % 8 * 8;
      if (fread(data, 1, size, in) != (size_t)size) return 1;
      memset(data + size, 0x5a, 64);
      tensor->data = data; sizes[side][i] = size;
    }
  }
#ifdef PARALLEL
  char **before = calloc(counts[1] + 1, sizeof *before);
  for (int64_t i = 0; i < counts[1]; ++i) memcpy(before[i] = malloc(sizes[1][i] + 1), tensors[1][i].data, sizes[1][i]);
#endif
  void *arena = aligned_alloc(64, 1 << 20);
  int repeats = argc > 3 ? atoi(argv[3]) : 1;
  struct timespec a, b; double best = 1e9;
  for (int r = 0; r < repeats; ++r) {
    clock_gettime(CLOCK_MONOTONIC, &a);
    if (entry(tensors[0], tensors[1], arena, arena, 0) != 0) return 2;
    clock_gettime(CLOCK_MONOTONIC, &b);
    double t = (b.tv_sec - a.tv_sec) * 1e6 + (b.tv_nsec - a.tv_nsec) * 1e-3;
    if (t < best) best = t;
  }
  if (repeats > 1) printf("%.3f\n", best);
#ifdef PARALLEL
  /* The same from the same contents, parts in another order and on several threads: the same bits. */
  burin_pool *pool = burin_pool_create(3);
  burin_parallel reversed = {backwards, 0};
  const burin_parallel *hooks[] = {&reversed, burin_pool_parallel(pool)};
  for (int way = 0; way < 2; ++way) {
    burin_context context = {.abi_version = BURIN_ABI_VERSION, .parallel = hooks[way]};
    burin_tensor *again = calloc(counts[1] + 1, sizeof(burin_tensor));
    for (int64_t i = 0; i < counts[1]; ++i) {
      again[i] = tensors[1][i];
      again[i].data = aligned_alloc(64, (sizes[1][i] + 64 + 63) / 64 * 64);
      memcpy(again[i].data, before[i], sizes[1][i]);
    }
    if (entry(tensors[0], again, arena, arena, &context) != 0) return 2;
    for (int64_t i = 0; i < counts[1]; ++i)
      if (memcmp(again[i].data, tensors[1][i].data, sizes[1][i])) { fprintf(stderr, "output %d differs when run %s\n", (int)i, way ? "by several threads" : "backwards"); return 4; }
  }
  burin_pool_destroy(pool);
  if (!forks) { fprintf(stderr, "no loop was split\n"); return 5; }
#endif
  for (int side = 0; side < 2; ++side)
    for (int64_t i = 0; i < counts[side]; ++i) {
      if (side) fwrite(tensors[side][i].data, 1, sizes[side][i], out);
      for (int g = 0; g < 64; ++g)
        if (((char *)tensors[side][i].data)[sizes[side][i] + g] != 0x5a) { fprintf(stderr, "wrote beyond tensor %d of side %d\n", (int)i, side); return 3; }
    }
  return fclose(out) != 0;
}
"""


def element(dtype):
    names = {"float32": "f32", "float64": "f64", "float16": "f16", "bool": "i1"}
    return names.get(str(dtype)) or "i" + str(np.dtype(dtype).itemsize * 8)


def memref(array, dtype=None, sizes=None):
    return "memref<" + "".join(f"{d}x" for d in sizes or array.shape) + (dtype or element(array.dtype)) + ">"


def call(args):
    done = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(args)}: exit {done.returncode}\n{done.stderr[-3000:]}")
    return done.stdout


def run(text, inputs, outputs, machine, opt="burin-opt", repeats=1, keep=None, parallel=False, loose=False, streamed=False):
    """Gives the outputs' new contents (and the best time in microseconds when repeats > 1). `parallel`: every loop that can be is split, and must give the
    same bits when its parts run backwards and on three threads. `streamed`: results are stored past the caches however small they are."""
    triple, cpu, features, cc, runner = TARGETS[machine]
    with tempfile.TemporaryDirectory() as folder:
        at = lambda name: os.path.join(keep or folder, name)
        open(at("in.mlir"), "w").write(text)
        open(at("main.c"), "w").write(HARNESS)
        call([opt, at("in.mlir"), f"--cpu=machine={machine}" + (" minimal-part=1" if parallel else "") + (" loose-math" if loose else "") + (" streamed-bytes=1" if streamed else ""), "-o", at("llvm.mlir")])
        call(["mlir-translate", "--mlir-to-llvmir", at("llvm.mlir"), "-o", at("out.ll")])
        call(["llc", "-O2", "-filetype=obj", "-relocation-model=pic", f"-mtriple={triple}", f"-mcpu={cpu}", f"-mattr={features}", at("out.ll"), "-o", at("out.o")])
        undefined = [line.split()[-1] for line in call(["llvm-nm", "-u", at("out.o")]).splitlines()]
        calls = set(undefined) - {"memcpy", "memset", "memmove"}
        if calls:
            sys.exit(f"the code calls {sorted(calls)}")
        pool = ["-DPARALLEL", f"-I{ROOT}", *(os.path.join(ROOT, "runtime", "hosted", name) for name in ("pool.c", "host.c")), "-pthread"] if parallel else []
        call([cc, "-O1", f"-I{INCLUDE}", *pool, "-o", at("program"), at("main.c"), at("out.o")])
        with open(at("in.bin"), "wb") as f:
            f.write(np.array([len(inputs), len(outputs)], np.int64).tobytes())
            for a in list(inputs) + list(outputs):
                data = np.ascontiguousarray(a).tobytes()
                f.write(np.array([len(data), np.ndim(a), *np.shape(a)], np.int64).tobytes() + data)
        printed = call(runner + [at("program"), at("in.bin"), at("out.bin"), str(repeats)])
        data, results, start = open(at("out.bin"), "rb").read(), [], 0
        for a in outputs:
            results.append(np.frombuffer(data, a.dtype, a.size, start).reshape(a.shape))
            start += a.nbytes
        return (results, float(printed)) if repeats > 1 else results
