#!/usr/bin/env python3
"""Does each graph pass alone keep what a model computes? Every pass of the room that needs no options of a user, on every
model as it comes, and with its shapes bound and folded, as the pass meets it in the stage: ONNX -> the pass -> ONNX, and ONNX Runtime on
both (limits: graph_passes.py).

usage: each_pass.py [--full] [--bin DIR] [--pass NAME[,NAME...]] [MODEL.onnx...]

Without models it takes those beside the project, with --full only: it is long. A line a failure, then a line a pass with the number of
cases in which it changed something; last `N passed, N failed, N skipped`.
"""
import argparse
import collections
import glob
import hashlib
import os
import re
import subprocess
import sys
import tempfile

import numpy as np
from graph_passes import UNBOUND, difference, feeds, session

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MODELS = os.environ.get("BURIN_MODELS", os.path.join(os.path.dirname(ROOT), "shared", "models"))
# What these do, options say: they have end to end tests of their own.
OF_OPTIONS = {"append-postprocessing", "apply-patterns", "bind-shapes", "build-early-exit", "convert-precision", "extract-subgraph", "insert-image-stage",
              "insert-preprocessing", "merge-lora"}
# What raising and fusion meet.
SETTLED = ["--graph-infer-shapes", "--graph-fold-constants", "--graph-fold-shapes", "--graph-eliminate-identities"]
# Beside the defaults, forms that a pipeline asks for.
FORMS = {"fuse-siblings": ["groups=true"], "lower-strided-conv": ["max-channels=64"]}


def every_pass(chosen):
    """The flags of the room's passes in the order of Passes.td, and of their other forms."""
    with open(os.path.join(ROOT, "passes", "Graph", "Passes.td")) as file:
        names = re.findall(r'Pass<"graph-([\w-]+)"', file.read())
    for name in names:
        if name not in OF_OPTIONS and (not chosen or name in chosen):
            yield f"--graph-{name}"
            yield from (f"--graph-{name}={form}" for form in FORMS.get(name, []))


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).digest()


def alone(path, passes, binary, folder):
    """Yields (pass, whether it changed the model, what is wrong or None) for each pass, as it comes and settled."""
    name = os.path.basename(path)[:-5]
    before = session(path)
    samples = feeds(path, before)
    wants = [before.run(None, feed) for feed in samples]
    shapes = ",".join(f"{k}={'x'.join(map(str, v.shape))}" for k, v in samples[0].items() if v.ndim)
    out = os.path.join(folder, "alone.onnx")
    bind = [f"--graph-bind-shapes=shapes={shapes}"] if shapes and name not in UNBOUND else []
    for start in (["--graph-infer-shapes"], [*bind, *SETTLED, *SETTLED, "--cse"]):
        subprocess.run([binary, path, *start, "-o", out], check=True)
        unchanged = digest(out)
        for which in passes:
            done = subprocess.run([binary, path, *start, which, "-o", out], capture_output=True, text=True)
            if done.returncode:
                yield which, True, (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[0]
                continue
            if digest(out) == unchanged:
                yield which, False, None
                continue
            try:
                after, why = session(out), None
                # Bound sizes are those of the first sample.
                for feed, want in list(zip(samples, wants))[:1 if len(start) > 1 and bind else None]:
                    for spec, g, w in zip(before.get_outputs(), after.run(None, feed), want):
                        wrong = difference(name, g, w) if isinstance(w, np.ndarray) else None
                        why = why or (wrong and f"'{spec.name}' {wrong}")
            except Exception as error:
                why = "after: " + str(error).splitlines()[0]
            yield which, True, why and (why + (", settled" if len(start) > 1 else ""))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--bin", default=os.path.join(os.environ.get("BURIN_BUILD", os.path.join(ROOT, "build")), "bin"))
    parser.add_argument("--pass", dest="passes", default="")
    parser.add_argument("models", nargs="*")
    arguments = parser.parse_args()
    models = arguments.models or (sorted(glob.glob(os.path.join(MODELS, "*.onnx"))) if arguments.full else [])
    passes = list(every_pass(set(filter(None, arguments.passes.split(",")))))
    if not models:
        print("no models, or not --full\n0 passed, 0 failed, 1 skipped")
        return 0
    changed, ran, bad = collections.Counter(), collections.Counter(), 0
    with tempfile.TemporaryDirectory() as folder:
        for path in models:
            for which, did, why in alone(path, passes, os.path.join(arguments.bin, "burin-opt"), folder):
                changed[which] += did
                ran[which] += 1
                bad += why is not None
                if why:
                    print(f"FAIL {os.path.basename(path)[:-5]} {which}: {why[:200]}", flush=True)
    for which in passes:
        print(f"{which:44s} changed {changed[which]:3d} of {ran[which]}")
    print(f"{sum(ran.values()) - bad} passed, {bad} failed, 0 skipped")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
