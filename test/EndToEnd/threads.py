"""Several threads inside one model: the same bits for any number of them, and sessions that do not disturb one another.

usage: threads.py [--build DIR]     prints "N passed, N failed"
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading

import numpy as np
import onnx

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from generated import MODELS, Graph, model  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CHOSEN = ["wide_blocks", "attention_and_norms", "images_and_pools", "free_rows"]


@model
def wide_blocks():
    """Odd sizes, so that last tiles overlap, with epilogues that pass through memory."""
    g = Graph(101)
    x = g.input("x", (1, 3, 61, 67))
    silu = lambda y: g.op("Mul", y, g.op("Sigmoid", y))
    y = silu(g.conv(x, 3, 40, 3, 2))
    y = silu(g.conv(y, 40, 75, 1))
    y = silu(g.conv(y, 75, 75, 5, groups=75))
    y = g.op("Add", y, silu(g.conv(y, 75, 75, 3)))
    y = g.op("ConvTranspose", y, g.weight(75, 7, 2, 2), strides=[2, 2], kernel_shape=[2, 2])
    return g.done(y)


@model
def attention_and_norms():
    """Products whose operands are both computed, softmax, normalization, and a reduction of everything."""
    g = Graph(102)
    x = g.input("x", (2, 77, 96))
    heads = lambda: g.op("Transpose", g.op("Reshape", g.op("MatMul", x, g.weight(96, 96)), g.constant(np.array([2, 77, 3, 32]))), perm=[0, 2, 1, 3])
    q, k, v = heads(), heads(), heads()
    weights = g.op("Softmax", g.op("MatMul", q, g.op("Transpose", k, perm=[0, 1, 3, 2])), axis=-1)
    y = g.op("Reshape", g.op("Transpose", g.op("MatMul", weights, v), perm=[0, 2, 1, 3]), g.constant(np.array([2, 77, 96])))
    y = g.op("LayerNormalization", g.op("Add", x, y), g.weight(96), g.weight(96), axis=-1)
    y = g.op("Add", y, g.op("MatMul", g.op("Gelu", g.op("MatMul", y, g.weight(96, 200))), g.weight(200, 96)))
    return g.done(y, g.op("ReduceSum", y, keepdims=0), opset=20)


@model
def images_and_pools():
    """Pools, resizing, concatenation, movement of data, other types."""
    g = Graph(103)
    x = g.input("x", (1, 24, 63, 65))
    y = g.op("Concat", g.op("MaxPool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1]), g.op("AveragePool", x, kernel_shape=[5, 5], pads=[2, 2, 2, 2]), axis=1)
    y = g.op("Resize", y, "", g.constant(np.array([1, 1, 2, 2], np.float32)), mode="linear")
    y = g.op("Transpose", g.op("Tanh", y), perm=[0, 2, 3, 1])
    return g.done(y, g.op("Cast", g.op("ReduceMean", y, axes=[1, 2]), to=onnx.TensorProto.DOUBLE))


@model
def free_rows():
    """A number of rows that is known at run time only."""
    g = Graph(104)
    x = g.input("x", (301, 64), ["rows", 64])
    y = g.op("Relu", g.op("MatMul", x, g.weight(64, 130)))
    return g.done(g.op("Softmax", g.op("MatMul", y, g.weight(130, 50)), axis=-1))


class Failure(Exception):
    pass


def call(*command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise Failure(f"{os.path.basename(command[0])}: {(done.stderr.strip().splitlines() or ['exit %d' % done.returncode])[0]}")
    return done.stdout


def program(build, folder, name):
    """A program: every number of threads writes the same bytes, and a profile with threads has every layer."""
    net, feed = MODELS[name]()
    path, exe = os.path.join(folder, name + ".onnx"), os.path.join(folder, name)
    onnx.save(net, path)
    np.savez(exe + ".npz", **feed)
    call(os.path.join(build, "bin", "burin-compile"), path, "-o", exe)
    if "burin_fork" not in call(os.path.join(build, "bin", "burin-compile"), path, "--emit=llvm", "-o", "-"):
        raise Failure("no loop of it runs on several threads")
    written = {}
    for threads in (1, 2, 3, 7):
        for _ in range(3):  # who takes what differs from run to run
            call(exe, "--inputs", exe + ".npz", "--outputs", exe + ".out.npz", "--threads", str(threads))
            found = {k: v.tobytes() for k, v in np.load(exe + ".out.npz").items()}
            if found != written.setdefault("outputs", found):
                raise Failure(f"{threads} threads give other bits than one")
    call(exe, "--inputs", exe + ".npz", "--profile=" + exe + ".json", "--threads", "2")
    if not json.load(open(exe + ".json"))["traceEvents"]:
        raise Failure("a profile with two threads is empty")


def sessions(build, folder):
    """Sessions with threads of their own, each called from several Python threads at once."""
    sys.path.insert(0, os.path.join(build, "python"))
    import burin

    wanted, running = [], []
    for name in CHOSEN[:3]:
        net, feed = MODELS[name]()
        wanted.append([o.tobytes() for o in burin.InferenceSession(net).run(None, feed)])
        running.append((burin.InferenceSession(net, threads=3), feed))
    problems = []

    def work(i):
        session, feed = running[i % len(running)]
        for _ in range(30):
            if [o.tobytes() for o in session.run(None, feed)] != wanted[i % len(running)]:
                return problems.append(CHOSEN[i % len(running)])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2 * len(running))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if problems:
        raise Failure(f"other bits from {', '.join(sorted(set(problems)))}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.environ.get("BURIN_BUILD", os.path.join(ROOT, "build")))
    build = parser.parse_args().build
    passed = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        checks = [(name, lambda name=name: program(build, folder, name)) for name in CHOSEN] + [("sessions", lambda: sessions(build, folder))]
        for name, check in checks:
            try:
                check()
                passed += 1
            except Failure as problem:
                failed += 1
                print(f"FAIL {name}: {problem}")
    print(f"{passed} passed, {failed} failed")
    sys.exit(failed != 0)


main()
