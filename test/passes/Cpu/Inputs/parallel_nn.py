"""The nn kernels of run_nn.py, their loops split into as many parts as they have iterations: the same bits in any order and on several threads.

usage: parallel_nn.py MACHINE EVERY [FIRST]     each EVERY-th case from number FIRST on
"""
import os
import re
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import compiled
from run_nn import TYPES, cases


def main():
    machine, every, first = sys.argv[1], int(sys.argv[2]), int((sys.argv + ["0"])[3])
    # Entry functions take dense tensors.
    chosen = [c for c in cases(False) if all(b.shape == b.outer for b in c.operands + [c.out])][first::every]
    rng = np.random.default_rng(11)
    arguments, results, body, inputs, outputs = [], [], [], [], []
    for n, case in enumerate(chosen):
        body.append("    " + re.sub(r"%a(\d+)", rf"%c{n}_a\1", case.text) + f' loc("case{n}")\n')
        for i, b in enumerate(case.operands):
            arguments.append(f"%c{n}_a{i}: {b.type}")
            whole = b.dtype.startswith("i")
            inputs.append((rng.integers(-128, 128, b.shape) if whole else rng.standard_normal(b.shape)).astype(TYPES[b.dtype]))
        results.append(f"%c{n}_a{len(case.operands)}: {case.out.type}")
        outputs.append(np.full(case.out.shape, 77, TYPES[case.out.dtype]))
    signature = ", ".join(arguments + results + ["%arena: memref<64xi8>", "%weights: memref<64xi8>"])
    text = f"module {{\n  func.func @main({signature}) attributes {{burin.num_inputs = {len(inputs)} : i64}} {{\n{''.join(body)}    return\n  }}\n}}\n"
    got = compiled.run(text, inputs, outputs, machine, parallel=True)
    at = wrong = 0
    for case, result in zip(chosen, got):
        operands = inputs[at:at + len(case.operands)]
        at += len(operands)
        want = np.asarray(case.reference(operands))
        limit = 1 if result.dtype == np.int8 else 0 if result.dtype.kind == "i" else {2: 5e-3, 4: 1e-4, 8: 1e-10}[result.dtype.itemsize] * (1 + np.abs(want))
        if not np.all((np.abs(want.astype(np.float64) - result) <= limit) | (np.isnan(want) & np.isnan(result))):
            wrong += 1
            print("wrong:", case.name)
    print(f"{len(chosen) - wrong} of {len(chosen)} kernels right on {machine}")
    sys.exit(wrong != 0)


main()
