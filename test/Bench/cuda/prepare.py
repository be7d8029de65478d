"""Prepares everything that a machine with a GPU needs: programs, inputs, expected outputs and run.py, in one folder. The compiler need not run there.

usage: prepare.py OUT_DIR [--target cuda:sm_80,sm_90] [--precision P] [MODEL.onnx...]
    MODEL.onnx stands beside MODEL.inputs.npz and MODEL.expected.npz; without any, all such models of the models' folder and the kernel families of
    test/EndToEnd/cuda.py, whose outputs the ONNX reference gives.
then, there: python3 OUT_DIR/run.py [--bench] [--sanitize]
"""
import argparse
import glob
import json
import os
import shutil
import subprocess
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))


def compile_model(compiler, path, folder, target, precision):
    name = os.path.basename(path)[:-5]
    inputs, expected = path[:-5] + ".inputs.npz", path[:-5] + ".expected.npz"
    with np.load(inputs) as arrays:
        shapes = [f"--shape={key}={'x'.join(map(str, value.shape))}" for key, value in arrays.items()]
    done = subprocess.run([compiler, path, "-o", os.path.join(folder, name), "--target=" + target, "--precision=" + precision, "-v", *shapes],
                          capture_output=True, text=True)
    if done.returncode:
        print(f"  {name}: {(done.stderr.strip().splitlines() or ['no message'])[0]}")
        return None
    shutil.copy(inputs, os.path.join(folder, name + ".inputs.npz"))
    shutil.copy(expected, os.path.join(folder, name + ".expected.npz"))
    notes = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith(("note:", "cuda:")) and "registers" not in line]
    return {"name": name, "notes": notes}


def write_families(folder):
    """Small nets that meet every kernel family, for memory checkers."""
    import onnx
    from onnx.reference import ReferenceEvaluator

    sys.path.insert(0, os.path.join(ROOT, "test", "EndToEnd"))
    import cuda_nets
    from generated import MODELS

    paths = []
    for name in cuda_nets.FAMILIES:
        net, feed = MODELS[name]()
        path = os.path.join(folder, name)
        onnx.save(net, path + ".onnx")
        np.savez(path + ".inputs.npz", **feed)
        np.savez(path + ".expected.npz", **{o.name: v for o, v in zip(net.graph.output, ReferenceEvaluator(net).run(None, feed))})
        paths.append(path + ".onnx")
    return paths


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("models", nargs="*")
    parser.add_argument("--target", default="cuda:sm_80,sm_90")
    parser.add_argument("--precision", default="tf32")
    parser.add_argument("--build", default=os.environ.get("BURIN_BUILD", os.path.join(ROOT, "build")))
    a = parser.parse_args()
    os.makedirs(a.out, exist_ok=True)
    models = a.models
    if not models:
        folder = os.environ.get("BURIN_MODELS", os.path.join(os.path.dirname(ROOT), "shared", "models"))
        models = [p for p in sorted(glob.glob(os.path.join(folder, "*.onnx"))) if os.path.exists(p[:-5] + ".expected.npz")]
        scratch = os.path.join(a.out, "families")
        os.makedirs(scratch, exist_ok=True)
        models += write_families(scratch)
    compiler = os.path.join(a.build, "bin", "burin-compile")
    entries = [e for e in (compile_model(compiler, path, a.out, a.target, a.precision) for path in models) if e]
    with open(os.path.join(a.out, "models.json"), "w") as f:
        json.dump({"target": a.target, "precision": a.precision, "models": entries}, f, indent=1)
    shutil.copy(os.path.join(HERE, "run.py"), os.path.join(a.out, "run.py"))
    print(f"{len(entries)} of {len(models)} programs in {a.out}; copy the folder to the machine with the GPU and call python3 run.py there")


main()
