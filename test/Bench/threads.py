#!/usr/bin/env python3
"""What two threads gain in each model, beside what two threads of a bare loop of multiply-adds gain on the same machine.

usage: threads.py [--bin DIR] [--rounds N] [--seconds S] [--threads N] [--parts] MODEL.onnx...     NAME.inputs.npz beside a model gives its shapes

One thread, N threads and the bare loop take turns; a row shows the least time of all rounds, and the scaling's share of the bare loop's. On a machine that is
not quiet nothing but --parts tells much: it times every part of every parallel loop alone, on one thread, and adds up what N threads would take.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

LOOP = r"""
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
typedef float vector __attribute__((vector_size(sizeof(float) * LANES)));
static void *work(void *rounds) {
  vector sums[10], x, y;
  for (int i = 0; i < LANES; ++i) x[i] = 0.99f, y[i] = 0.01f;
  for (int i = 0; i < 10; ++i) sums[i] = y;
  for (long r = 0; r < *(long *)rounds; ++r)
    for (int i = 0; i < 10; ++i) { sums[i] = sums[i] * x + y; __asm__ volatile("" : "+VECTOR"(sums[i])); }
  return NULL;
}
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1e3 + t.tv_nsec * 1e-6; }
int main(int argc, char **argv) {
  long rounds = 500000; int threads = atoi(argv[1]); double best[2] = {1e9, 1e9}, until = now() + atof(argv[2]) * 1e3;
  pthread_t others[64];
  while (now() < until)
    for (int many = 0; many < 2; ++many) {
      double begin = now();
      for (int i = 1; many && i < threads; ++i) pthread_create(&others[i], NULL, work, &rounds);
      work(&rounds);
      for (int i = 1; many && i < threads; ++i) pthread_join(others[i], NULL);
      double took = now() - begin;
      if (took < best[many]) best[many] = took;
    }
  return printf("%f %f\n", best[0], best[1]) < 0;
}
"""

PARTS = r"""
#include "burin/runtime.h"
#include "runtime/hosted/host.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
enum { FORKS = 4096, PARTS = 256 };
extern const burin_model net_model;
static double part[FORKS][PARTS], alone[FORKS + 1];
static int counts[FORKS], forks;
static uint64_t last;
static void least(double *best, uint64_t took) { if (*best == 0 || took < *best) *best = took; }
static void run(void *user, void (*body)(void *, int64_t), void *data, int64_t count) {
  if (forks >= FORKS || count > PARTS) exit(1);
  least(&alone[forks], burin_clock() - last);
  counts[forks] = (int)count;
  for (int64_t i = 0; i < count; ++i) { uint64_t begin = burin_clock(); body(data, i); least(&part[forks][i], burin_clock() - begin); }
  ++forks;
  last = burin_clock();
}
int main(int argc, char **argv) {
  const burin_model *m = &net_model;
  int threads = atoi(argv[1]), runs = atoi(argv[2]);
  burin_tensor tensors[2][64] = {{{0}}};
  burin_parallel hook = {run, 0};
  burin_context context = {.abi_version = BURIN_ABI_VERSION, .arena = burin_arena_allocate(m->arena_bytes), .arena_bytes = m->arena_bytes,
                           .allocator = &burin_host_allocator, .parallel = &hook};
  FILE *in = fopen(argv[3], "rb");
  for (int side = 0; side < 2; ++side)
    for (uint32_t i = 0; i < (side ? m->num_outputs : m->num_inputs); ++i) {
      const burin_tensor_info *info = side ? &m->outputs[i] : &m->inputs[i];
      burin_tensor *t = &tensors[side][i];
      size_t bytes = burin_dtype_size(info->dtype);
      t->dtype = info->dtype; t->rank = info->rank;
      for (int d = 0; d < info->rank; ++d) bytes *= t->dims[d] = info->dims[d];
      t->data = aligned_alloc(64, bytes / 64 * 64 + 64);
      if (!side && fread(t->data, 1, bytes, in) != bytes) return 2;
    }
  burin_flush_denormals();
  for (int r = 0; r < runs; ++r) {
    forks = 0;
    last = burin_clock();
    if (burin_run(m, &context, tensors[0], tensors[1])) return 3;
    least(&alone[forks], burin_clock() - last);
  }
  double one = alone[forks], many = alone[forks], split = 0;
  for (int f = 0; f < forks; ++f) {
    double busy[64] = {0};
    int next[64];
    for (int t = 0; t < threads; ++t) next[t] = counts[f] * t / threads;
    for (;;) { /* who is free first takes the next of its own parts, else of another's */
      int who = 0, from = -1;
      for (int t = 1; t < threads; ++t) if (busy[t] < busy[who]) who = t;
      for (int t = 0; t < threads && from < 0; ++t)
        if (next[(who + t) % threads] < counts[f] * ((who + t) % threads + 1) / threads) from = (who + t) % threads;
      if (from < 0) break;
      split += part[f][next[from]];
      busy[who] += part[f][next[from]++];
    }
    double longest = 0;
    for (int t = 0; t < threads; ++t) longest = busy[t] > longest ? busy[t] : longest;
    one += alone[f];
    many += alone[f] + longest + 700; /* the fork and the join themselves */
  }
  return printf("%f %f %f %d\n", (one + split) / 1e6, (many) / 1e6, split / (one + split), forks) < 0;
}
"""


def call(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.path.join(os.environ.get("BURIN_BUILD", os.path.join(ROOT, "build")), "bin"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.3, help="of one turn")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--parts", action="store_true")
    parser.add_argument("models", nargs="+")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        at = lambda name: os.path.join(folder, name)
        wide = "avx512f" in open("/proc/cpuinfo").read()
        register = "w" if os.uname().machine == "aarch64" else "v" if wide else "x"
        open(at("loop.c"), "w").write(LOOP.replace("VECTOR", register))
        lanes = 16 if wide else 8 if register == "x" else 4
        call("clang-22", "-O2", "-march=native", "-ffp-contract=fast", f"-DLANES={lanes}", at("loop.c"), "-o", at("loop"), "-pthread")
        if arguments.parts:
            print(f"{'model':28s} {'1 thread':>9s} {'%d, sum' % arguments.threads:>9s} {'scaling':>8s} {'in parts':>9s} {'forks':>6s}")
        else:
            print(f"{'model':28s} {'1 thread':>9s} {'%d threads' % arguments.threads:>9s} {'scaling':>8s} {'bare loop':>10s} {'share':>6s}")
        for path in arguments.models:
            name, inputs = os.path.basename(path)[:-5], path[:-5] + ".inputs.npz"
            feed = dict(np.load(inputs))
            shapes = [f"--shape={k}={'x'.join(map(str, v.shape))}" for k, v in feed.items() if v.ndim]
            compiler = os.path.join(arguments.bin, "burin-compile")
            if arguments.parts:
                call(compiler, path, *shapes, "--name=net", "-o", at("libnet.a"))
                open(at("parts.c"), "w").write(PARTS)
                sources = [os.path.join(ROOT, "runtime", f) for f in ("hosted/host.c", "freestanding/model.c", "freestanding/cpu.c")]
                call("clang-22", "-O1", "-w", f"-I{ROOT}", f"-I{ROOT}/include", at("parts.c"), *sources, at("libnet.a"), "-o", at("parts"))
                with open(at("in.bin"), "wb") as f:
                    for i in onnx.load(path, load_external_data=False).graph.input:
                        if i.name in feed:
                            f.write(np.ascontiguousarray(feed[i.name]).tobytes())
                found = call(at("parts"), str(arguments.threads), str(3 * arguments.rounds), at("in.bin")).split()
                one, many, split = map(float, found[:3])
                print(f"{name:28s} {one:9.3f} {many:9.3f} {one / many:8.2f} {100 * split:7.1f} % {found[3]:>6s}", flush=True)
                continue
            call(compiler, path, *shapes, "-o", at("program"))
            best, bare = {1: float("inf"), arguments.threads: float("inf")}, [float("inf")] * 2
            for _ in range(arguments.rounds):
                for threads in best:
                    line = call(at("program"), "--inputs", inputs, f"--bench={arguments.seconds}", "--threads", str(threads)).splitlines()[-1]
                    best[threads] = min(best[threads], json.loads(line)["min_ms"])
                bare = list(map(min, bare, map(float, call(at("loop"), str(arguments.threads), str(arguments.seconds)).split())))
            one, many = best[1], best[arguments.threads]
            limit = arguments.threads * bare[0] / bare[1]
            print(f"{name:28s} {one:9.3f} {many:9.3f} {one / many:8.2f} {limit:10.2f} {one / many / limit:6.2f}", flush=True)


main()
