#!/usr/bin/env python3
"""Instructions that a run of a model takes on 64-bit Arm, counted by qemu-aarch64, beside ONNX Runtime's library of that machine under the same emulator: one
line a model with both counts (millions) and their ratio. One thread; what differs between longer and shorter repetition is divided by the runs between.

  pip download onnxruntime --no-deps --only-binary=:all: --platform manylinux_2_28_aarch64 --python-version 3.11 -d DIR
  instructions.py --ort DIR/onnxruntime-*.whl [--target T] [--bin DIR] MODEL.onnx...

Inputs are MODEL.inputs.npz beside the model. --ort left out: Burin's counts alone.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import zipfile

import numpy as np
import onnx

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "EndToEnd"))
from models import ROOT, shapes  # noqa: E402

LIBRARY = "/usr/aarch64-linux-gnu"
# QEMU's plugin interface, version 1: as much of it as counts.
PLUGIN = r"""
#include <stdint.h>
#include <stdio.h>
#include <string.h>
struct qemu_plugin_tb;
extern void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t, void (*)(uint64_t, struct qemu_plugin_tb *));
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int, void *, uint64_t);
extern void qemu_plugin_register_atexit_cb(uint64_t, void (*)(uint64_t, void *), void *);
int qemu_plugin_version = 1;
static uint64_t count;
static char path[4096];
static void translated(uint64_t id, struct qemu_plugin_tb *tb) { qemu_plugin_register_vcpu_tb_exec_inline(tb, 0, &count, qemu_plugin_tb_n_insns(tb)); }
static void ended(uint64_t id, void *data) {
  FILE *f = fopen(path, "w");
  if (f) { fprintf(f, "%llu\n", (unsigned long long)count); fclose(f); }
}
int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv) {
  if (argc != 1 || strncmp(argv[0], "out=", 4)) return 1;
  strncpy(path, argv[0] + 4, sizeof path - 1);
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
  qemu_plugin_register_atexit_cb(id, ended, 0);
  return 0;
}
"""
# ONNX Runtime's C interface is a table of functions whose order never changes: those of these places. Arguments: model, runs, then name, type, file and dims of each
# input, "--", the outputs' names.
DRIVER = r"""
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
struct base { void **(*api)(uint32_t); const char *(*version)(void); };
extern const struct base *OrtGetApiBase(void);
static void **api;
static void check(void *status) {
  if (!status) return;
  fprintf(stderr, "%s\n", ((const char *(*)(void *))api[2])(status));
  exit(1);
}
#define CALL(place, ...) check(((void *(*)())api[place])(__VA_ARGS__))
int main(int argc, char **argv) {
  api = OrtGetApiBase()->api(11);
  void *env, *options, *session, *memory, *values[64], *results[64];
  const char *names[64], *wanted[64];
  size_t inputs = 0, outputs = 0;
  CALL(3, 3, "count", &env);
  CALL(10, &options);
  CALL(23, options, 99);
  CALL(24, options, 1);
  CALL(25, options, 1);
  CALL(7, env, argv[1], options, &session);
  CALL(69, 1, 0, &memory);
  int i = 3;
  for (; strcmp(argv[i], "--"); ++inputs) {
    names[inputs] = argv[i++];
    int type = atoi(argv[i++]);
    FILE *f = fopen(argv[i++], "rb");
    fseek(f, 0, SEEK_END);
    size_t bytes = ftell(f), rank = atoi(argv[i++]);
    rewind(f);
    void *data = malloc(bytes + 1);
    if (fread(data, 1, bytes, f) != bytes) return 1;
    int64_t *dims = calloc(rank + 1, 8);
    for (size_t d = 0; d < rank; ++d) dims[d] = atoll(argv[i++]);
    CALL(49, memory, data, bytes, dims, rank, type, &values[inputs]);
  }
  for (++i; i < argc; ++i) wanted[outputs++] = argv[i];
  for (int run = 0; run < atoi(argv[2]); ++run) {
    memset(results, 0, sizeof results);
    CALL(9, session, (void *)0, names, values, inputs, wanted, outputs, results);
    for (size_t o = 0; o < outputs; ++o) ((void (*)(void *))api[96])(results[o]);
  }
  return 0;
}
"""


def call(command, **more):
    done = subprocess.run(command, capture_output=True, text=True, **more)
    if done.returncode:
        sys.exit("%s\n%s" % (" ".join(command), done.stderr[-2000:]))
    return done.stdout


PROCESSOR = """processor\t: %d
Features\t: fp asimd aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm asimddp i8mm
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x3
CPU part\t: 0xd0c
CPU revision\t: 1

"""


class Counter:
    def __init__(self, folder):
        self.plugin, self.out, self.root = (os.path.join(folder, name) for name in ("count.so", "count", "root"))
        # ONNX Runtime's library reads what the kernel says of an Arm processor; the emulator would show it this machine's.
        os.makedirs(os.path.join(self.root, "proc"))
        os.symlink(os.path.join(LIBRARY, "lib"), os.path.join(self.root, "lib"))
        with open(os.path.join(self.root, "proc", "cpuinfo"), "w") as f:
            f.writelines(PROCESSOR % i for i in range(os.cpu_count()))
        call(["cc", "-shared", "-fPIC", "-O1", "-w", "-x", "c", "-", "-o", self.plugin], input=PLUGIN)

    def __call__(self, command, paths=()):
        said = call(["qemu-aarch64", "-cpu", "max", "-L", self.root, *(x for p in paths for x in ("-E", "LD_LIBRARY_PATH=" + p)),
                     "-plugin", "%s,out=%s" % (self.plugin, self.out), *command])
        return int(open(self.out).read()), said


def burin(counter, args, path, feed, folder):
    program = os.path.join(folder, "program")
    model = onnx.load(path, load_external_data=False)
    call([os.path.join(args.bin, "burin-compile"), path, "--target=" + args.target, "--emit=exe", "-o", program, *shapes(model, feed)])
    x = os.path.join(folder, "x.npz")
    np.savez(x, **feed)
    run = lambda seconds: counter([program, "--inputs", x, "--bench=%g" % seconds])
    runs = lambda said: json.loads(said.strip().splitlines()[-1])["runs"]
    short, said = run(0.6)
    for seconds in (2, 8, 32):  # until there are more runs than the fewest
        long, more = run(seconds)
        if runs(more) > runs(said):
            return (long - short) / (runs(more) - runs(said))
    return float("nan")


def peer(counter, driver, library, path, feed, folder):
    model = onnx.load(path, load_external_data=False)
    arguments = []
    for i, (name, data) in enumerate(feed.items()):
        file = os.path.join(folder, "in%d" % i)
        np.ascontiguousarray(data).tofile(file)
        arguments += [name, str(onnx.helper.np_dtype_to_tensor_dtype(data.dtype)), file, str(data.ndim), *map(str, data.shape)]
    outputs = [o.name for o in model.graph.output]
    one, three = (counter([driver, path, str(runs), *arguments, "--", *outputs], [library])[0] for runs in (2, 5))
    return (three - one) / 3


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--ort", help="wheel of ONNX Runtime for aarch64")
    ap.add_argument("--target", default="aarch64+dotprod+fp16+i8mm")
    ap.add_argument("--bin", default=os.path.join(os.path.abspath(os.environ.get("BURIN_BUILD", os.path.join(ROOT, "build"))), "bin"))
    ap.add_argument("models", nargs="+")
    args = ap.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counter, driver, library = Counter(folder), os.path.join(folder, "driver"), os.path.join(folder, "onnxruntime", "capi")
        if args.ort:
            with zipfile.ZipFile(args.ort) as wheel:
                name = next(n for n in wheel.namelist() if "/libonnxruntime.so" in n)
                wheel.extract(name, folder)
            os.symlink(os.path.basename(name), os.path.join(library, "libonnxruntime.so.1"))
            call(["aarch64-linux-gnu-gcc", "-O1", "-w", "-std=gnu11", "-x", "c", "-", "-x", "none", os.path.join(folder, name), "-Wl,--allow-shlib-undefined", "-o", driver], input=DRIVER)
        print("%-32s %12s %12s %7s" % ("millions of instructions a run", "Burin", "ONNX Runtime", "ratio"))
        for path in args.models:
            with np.load(path[:-5] + ".inputs.npz") as z:
                feed = dict(z)
            own = burin(counter, args, path, feed, folder) / 1e6
            other = peer(counter, driver, library, path, feed, folder) / 1e6 if args.ort else float("nan")
            print("%-32s %12.2f %12.2f %7.2f" % (os.path.basename(path)[:-5], own, other, own / other), flush=True)


if __name__ == "__main__":
    main()
