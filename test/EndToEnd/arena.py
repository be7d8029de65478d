"""Models compiled with --arena-limit below the arena that they take without one: they fit, and compute the same.

usage: arena.py [--full] [--share 0.6] [--bin DIR] [name...]     prints "N passed, N failed, N skipped"

Generated models (generated.py) and, where they lie beside the project, those of SIX: each must fit into that share of its arena. With
--full every model beside the project is tried: one that does not fit is counted as skipped if the error says which tensors are too large.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile

import numpy as np
import onnx

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from emulated import agree, from_script, model_sets  # noqa: E402
from generated import MODELS  # noqa: E402
from models import ROOT, Failure, call, shapes  # noqa: E402

SIX = ["ultraface_rfb_320", "mobilenetv2_dog", "sr_espcn_x3", "sr_espcn_x3_int8_qoperator", "unet_convtranspose", "mnist_cntk"]
FIT = ["residual_net", "shuffles"]  # of the generated ones


def arena_of(program):
    return int(re.search(r"arena: (\d+) bytes", call([program, "--describe"]).stdout).group(1))


def check(binaries, share, name, path, sets, folder):
    """Why the model does not fit; None where it does and computes the same."""
    flags = shapes(onnx.load(path, load_external_data=False), sets[0][0])
    program, x, y = (os.path.join(folder, f) for f in ("program", "x.npz", "y.npz"))
    compiler = [os.path.join(binaries, "burin-compile"), path, "-o", program, *flags]
    call(compiler)
    limit = int(arena_of(program) * share)
    done = subprocess.run([*compiler, f"--arena-limit={limit}"], capture_output=True, text=True, timeout=300)
    if done.returncode:
        if not re.search(r"error: .*the arena takes \d+ bytes, the limit is \d+.*most by", done.stderr):
            raise Failure(done.stderr.strip().split("\n")[0])
        return done.stderr.strip().split("\n")[0]
    if "known at run time only" in done.stderr:
        return "free sizes"
    if (arena := arena_of(program)) > limit:
        raise Failure(f"the arena takes {arena} bytes, the limit was {limit}")
    for feed, want in sets:
        if any(feed[k].shape != sets[0][0][k].shape for k in feed):
            continue
        np.savez_compressed(x, **feed)
        call([program, "--inputs", x, "--outputs", y])
        with np.load(y) as z:
            agree(name, dict(z), want)
    return None


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--full", action="store_true")
    ap.add_argument("--share", type=float, default=0.6)
    ap.add_argument("--bin", default=os.path.join(os.path.abspath(os.environ.get("BURIN_BUILD", os.path.join(ROOT, "build"))), "bin"))
    ap.add_argument("--models", default=os.environ.get("BURIN_MODELS", os.path.join(os.path.dirname(ROOT), "shared", "models")))
    ap.add_argument("names", nargs="*")
    a = ap.parse_args()
    counts = {"ok": 0, "FAIL": 0, "skip": 0}

    def test(name, make, must):
        if a.names and name not in a.names:
            return
        with tempfile.TemporaryDirectory() as folder:
            try:
                why = check(a.bin, a.share, name, *make(folder), folder)
                verdict = "ok" if not why else "FAIL" if must else "skip"
            except (Failure, subprocess.TimeoutExpired, OSError) as e:
                verdict, why = "FAIL", str(e)
        counts[verdict] += 1
        print(f"{verdict:4s} {name:32s} {(why or '')[:200]}", flush=True)

    for name in MODELS if a.full or a.names else [n for n in FIT if n in MODELS]:
        test(name, from_script(name), name in FIT)
    here = sorted(f[:-5] for f in os.listdir(a.models) if f.endswith(".onnx")) if os.path.isdir(a.models) else []
    for name in here if a.full or a.names else [n for n in SIX if n in here]:
        test(name, lambda folder, name=name: (os.path.join(a.models, name + ".onnx"), list(model_sets(a.models, name))), name in SIX)
    print(f"{counts['ok']} passed, {counts['FAIL']} failed, {counts['skip']} skipped")
    sys.exit(counts["FAIL"] != 0)


if __name__ == "__main__":
    main()
