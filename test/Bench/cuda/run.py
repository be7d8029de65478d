"""Runs what prepare.py has made, on a machine with a GPU: needs Python and the driver, nothing else.

usage: run.py [--bench] [--sanitize] [--rtol R] [NAME...]
    --bench     also the time of a run, median of one second
    --sanitize  each program under compute-sanitizer (memcheck, then racecheck), where that is installed
Prints a line a program and "N passed, N failed".
"""
import argparse
import json
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


def call(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


def first_line(done):
    return (done.stderr.strip().splitlines() or done.stdout.strip().splitlines() or ["no message"])[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--bench", action="store_true")
    parser.add_argument("--sanitize", action="store_true")
    parser.add_argument("--rtol", type=float, default=None)
    a = parser.parse_args()
    with open(os.path.join(HERE, "models.json")) as f:
        prepared = json.load(f)
    rtol = a.rtol or (1e-3 if prepared["precision"] == "f32" else 2e-3)
    checker = shutil.which("compute-sanitizer") or "/usr/local/cuda/bin/compute-sanitizer"
    passed = failed = 0
    for model in prepared["models"]:
        name = model["name"]
        if a.names and name not in a.names:
            continue
        path = os.path.join(HERE, name)
        inputs = ["--inputs", path + ".inputs.npz"]
        done = call(path, *inputs, "--expect", path + ".expected.npz", "--rtol", str(rtol), "--atol", str(rtol))
        text, good = "right" if done.returncode == 0 else first_line(done), done.returncode == 0
        if good and a.bench:
            bench = call(path, *inputs, "--bench")
            text += f", {json.loads(bench.stdout.strip().splitlines()[-1])['median_ms']:.3f} ms" if bench.returncode == 0 else ", bench: " + first_line(bench)
        if good and a.sanitize:
            for tool in ("memcheck", "racecheck"):
                checked = call(checker, "--tool", tool, "--error-exitcode", "9", path, *inputs)
                good &= checked.returncode == 0
                text += f", {tool} {'clean' if checked.returncode == 0 else 'FOUND: ' + first_line(checked)}"
        passed, failed = passed + good, failed + (not good)
        print(f"{'ok  ' if good else 'FAIL'} {name}: {text}", flush=True)
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed != 0)


main()
