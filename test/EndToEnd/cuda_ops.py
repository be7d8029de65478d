"""ONNX's node tests through the GPU road: compiled with --target=cuda:emulated and run by the emulator of the driver. What the CPU passes has to pass.

usage: cuda_ops.py [--build DIR] [--every N] [NAME...]     prints "N passed, N failed"
Needs the emulator on LD_LIBRARY_PATH when it starts; calls itself again with it.
"""
import argparse
import json
import multiprocessing
import os
import sys
import warnings

import numpy as np
from onnx.backend.test.loader import load_model_tests
from onnx.backend.test.runner import Runner, _normalize_tensor

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SECONDS = 60  # a test


def run(case):
    import burin.backend

    prepared = burin.backend.prepare(case.model, target="cuda:emulated", precision="f32")
    for inputs, wanted in case.data_sets:
        outputs = list(prepared.run([_normalize_tensor(x) for x in inputs]))
        Runner.assert_similar_outputs(ref_outputs=[_normalize_tensor(x) for x in wanted], outputs=outputs, rtol=case.rtol, atol=case.atol)


def serve(pipe, cases):
    """In a process of its own: a test may bring it down."""
    for case in cases:
        try:
            run(case)
            pipe.send(None)
        except BaseException as problem:  # noqa: BLE001
            lines = [line for line in str(problem).splitlines() if line.strip()]
            pipe.send((lines or [type(problem).__name__])[0][:200])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.environ.get("BURIN_BUILD", os.path.join(ROOT, "build")))
    parser.add_argument("--every", type=int, default=1, help="of the tests, in the order of their names")
    parser.add_argument("names", nargs="*")
    a = parser.parse_args()
    emulator = os.path.join(a.build, "lib", "burin", "emulator")
    if emulator not in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep):
        os.environ["LD_LIBRARY_PATH"] = emulator
        os.environ["PYTHONPATH"] = os.path.join(a.build, "python")
        os.execv(sys.executable, [sys.executable, *sys.argv])
    warnings.simplefilter("ignore")
    with np.errstate(all="ignore"):
        cases = sorted(load_model_tests(kind="node"), key=lambda case: case.name)
    # What no road takes is not the GPU's fault.
    with open(os.path.join(HERE, "expectations", "cpu.json")) as f:
        known = {name for names in json.load(f)["static"].values() for name in names}
    cases = [case for i, case in enumerate(cases) if (case.name in a.names if a.names else i % a.every == 0 and case.name not in known)]
    passed = failed = 0
    while passed + failed < len(cases):
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("fork").Process(target=serve, args=(theirs, cases[passed + failed:]), daemon=True)
        process.start()
        theirs.close()
        while passed + failed < len(cases):
            name = cases[passed + failed].name
            try:
                problem = ours.recv() if ours.poll(SECONDS) else f"took more than {SECONDS} s"
            except EOFError:
                problem = "brought the process down"
            passed, failed = passed + (problem is None), failed + (problem is not None)
            if problem is not None:
                print(f"FAIL {name}: {problem}", flush=True)
            if problem and problem.startswith(("took", "brought")):
                break
        process.kill()
        process.join()
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed != 0)


main()
