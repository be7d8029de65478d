"""Seeds for blob_fuzz: blobs of one task or a few, and a truncated one. usage: make_blob_corpus.py FOLDER"""
import os
import subprocess
import sys

import numpy as np

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "test", "EndToEnd"))
from vpu_tasks import KINDS, Case, memref  # noqa: E402

BIN = os.path.join(os.environ.get("BURIN_BUILD", os.path.join(ROOT, "build")), "bin")
rng = np.random.default_rng(5)
for number in range(12):
    kind, make = KINDS[number % len(KINDS)]
    with np.errstate(all="ignore"):
        made = None
        while not made:
            case = Case(rng)
            made = make(case, kind)
    base = os.path.join(sys.argv[1], f"{kind}{number}")
    with open(base + ".mlir", "w") as f:
        f.write(case.module(kind, memref(made[0]), made[0]))
    subprocess.run([os.path.join(BIN, "burin-compile"), base + ".mlir", "--target=myriad", "-o", base], check=True)
    os.remove(base + ".mlir")
    with open(base, "rb") as whole, open(base + ".cut", "wb") as cut:
        data = whole.read()
        cut.write(data[:len(data) * 2 // 3])
