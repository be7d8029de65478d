#!/usr/bin/env python3
"""Early exits: a seeded network with four heads takes the exits that numpy decides on, exported and compiled, with thresholds in the
model and as inputs; the report's shares and multiplications are counted again here.

usage: early_exit.py [--bin DIR]
A line a case; last, `N passed, N failed`.
"""
import argparse
import collections
import os
import sys
import tempfile

import numpy as np
import onnx
from onnx import helper

from edits import ROOT, Suite, difference, run, session
from generated import Graph

HEADS = ["head0", "head1", "head2"]


def four_heads():
    """Stages of two convolutions, a head on each: logits, but probabilities on the third."""
    g = Graph(31)
    x = g.input("image", [1, 3, 24, 24])
    outputs, macs, channels = [], [], 3
    for i, width in enumerate((8, 12, 16, 24)):
        x = g.op("Relu", g.conv(x, channels, width, 3, stride=2 if i else 1))
        x = g.op("Relu", g.conv(x, width, width, 3))
        size = 24 // 2**i
        macs.append(size * size * 9 * (channels * width + width * width) + width * 6)
        y = g.op("Flatten", g.op("GlobalAveragePool", x))
        y = g.op("Gemm", y, g.constant((g.random.standard_normal((6, width)) * 0.4).astype(np.float32)), g.weight(6), transB=1)
        outputs.append(g.op("Softmax", y, axis=-1) if i == 2 else y)
        channels = width
    model, _ = g.done(*outputs)
    for node in model.graph.node:
        node.output[:] = [HEADS[outputs.index(o)] if o in outputs[:3] else "scores" if o == outputs[3] else o for o in node.output]
    for o, name in zip(model.graph.output, HEADS + ["scores"]):
        o.name = name
    onnx.checker.check_model(model)
    return model, np.cumsum(macs)


def confidence(scores, is_probability):
    if not is_probability:
        e = np.exp(scores - scores.max(-1, keepdims=True))
        scores = e / e.sum(-1, keepdims=True)
    return scores.max(-1).min()


def decide(outputs, thresholds):
    for i, (scores, t) in enumerate(zip(outputs, thresholds)):
        if confidence(scores, i == 2) >= np.float32(t):
            return i, scores
    return len(thresholds), outputs[len(thresholds)]


def branches(graph, depth=0):
    deepest = depth
    for node in graph.node:
        for a in node.attribute:
            if a.type == onnx.AttributeProto.GRAPH:
                deepest = max(deepest, branches(a.g, depth + 1))
    return deepest


def cases(suite):
    model, macs = four_heads()
    onnx.save(model, suite.path("net.onnx"))
    base = session(model)
    rng = np.random.default_rng(8)
    feeds = [{"image": (rng.standard_normal((1, 3, 24, 24)) * s).astype(np.float32)} for s in np.geomspace(0.1, 4, 24)]
    outputs = [base.run(None, f) for f in feeds]
    # A quarter leaves at each head: thresholds halfway between two confidences.
    thresholds, left = [], list(outputs)
    for i in range(3):
        sure = sorted((float(confidence(o[i], i == 2)) for o in left), reverse=True)
        thresholds.append((sure[5] + sure[6]) / 2)
        left = [o for o in left if confidence(o[i], i == 2) < thresholds[i]]

    fixed = [f"--early-exit={h}:threshold={t:.9g}" for h, t in zip(HEADS, thresholds)]
    for name, flags, extra in (("thresholds in the model", fixed, {}), ("thresholds as inputs", [f"--early-exit={h}" for h in reversed(HEADS)], {f"{h}_threshold": np.array(t, np.float32) for h, t in zip(HEADS, thresholds)})):
        exported, library = suite.path("exit.onnx"), suite.path("exit.so")
        done = suite.tool("burin-compile", suite.path("net.onnx"), *flags, "--emit=onnx", "-o", exported)
        if done.returncode:
            suite.report(name, done.stderr.strip())
            continue
        built = suite.tool("burin-compile", suite.path("net.onnx"), *flags, "--emit=shared", "-o", library)
        other = session(exported)
        taken, wrong = collections.Counter(), None
        for feed, wanted in zip(feeds, outputs):
            index, scores = decide(wanted, thresholds)
            taken[index] += 1
            got, at = other.run(["scores", "exit_index"], {**feed, **extra})
            if int(at) != index or difference([got], [scores]) > 1e-4:
                wrong = wrong or f"ONNX Runtime takes exit {int(at)}, numpy {index}"
            np.savez(suite.path("in.npz"), **feed, **extra)
            ran = suite.tool("burin-run", library, "--inputs", suite.path("in.npz"), "--outputs", suite.path("out.npz"))
            if built.returncode or ran.returncode:
                wrong = wrong or "compiled: " + (built.stderr + ran.stderr).strip().splitlines()[0]
                continue
            own = np.load(suite.path("out.npz"))
            if int(own["exit_index"]) != index or difference([own["scores"]], [scores]) > 1e-4:
                wrong = wrong or f"compiled takes exit {int(own['exit_index'])}, numpy {index}"
        if len(taken) < 4:
            wrong = wrong or f"the case proves little: exits taken {dict(taken)}"
        if branches(onnx.load(exported).graph) != 3:
            wrong = wrong or "expected three nested Ifs"
        suite.report(name, wrong, f"exits taken {[taken[i] for i in range(4)]} of {len(feeds)}")

    # Only what an exit needs is computed before it: the multiplications that stand outside the branches.
    metadata = {p.key: p.value for p in onnx.load(suite.path("exit.onnx")).metadata_props}
    sys.path.insert(0, os.path.join(os.path.dirname(suite.tools), "python"))
    try:
        import burin.early_exit
    except ImportError as problem:
        return suite.report("the report", None, f"skipped: {problem}")
    result = burin.early_exit.report(suite.path("net.onnx"), HEADS, feeds, threshold=thresholds[0])
    want = collections.Counter(decide(o, [thresholds[0]] * 3)[0] for o in outputs)
    problem = None
    if [e["macs"] for e in result["exits"]] != macs.tolist():
        problem = f"multiplications {[e['macs'] for e in result['exits']]}, expected {macs.tolist()}"
    elif [e["share"] for e in result["exits"]] != [want[i] / len(feeds) for i in range(4)]:
        problem = f"shares {result['exits']}, expected {want}"
    elif result["curve"][0]["macs"] != macs[0] or any(a["macs"] > b["macs"] + 1e-6 for a, b in zip(result["curve"], result["curve"][1:])):
        problem = "the cost does not rise with the threshold"
    elif "burin.early_exit" not in metadata:
        problem = "the exported model says nothing of its exits"
    suite.report("the report: shares, multiplications, curve", problem, f"{result['macs']:,.0f} of {macs[-1]:,} MACs at {thresholds[0]:.3f}")
    for i, feed in enumerate(feeds[:6]):
        np.savez(suite.path(f"s{i}.npz"), **feed)
    page = suite.path("exits.html")
    burin.early_exit.main([suite.path("net.onnx"), *[f"--head={h}" for h in HEADS], "--samples", *[suite.path(f"s{i}.npz") for i in range(6)], "--html", page])
    suite.report("the report as a page", None if "<polyline" in open(page).read() and "head1" in open(page).read() else "no curve")

    suite.refused("a head that is no output", model, ["--early-exit=nothing"], "--early-exit: expected the name of an output (head0, head1, head2, scores), got 'nothing'")
    suite.refused("two outputs beside the heads", model, ["--early-exit=head0", "--early-exit=head1"], "expected one output beside the heads")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.path.join(os.environ.get("BURIN_BUILD", os.path.join(ROOT, "build")), "bin"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        suite = Suite(folder, arguments.bin)
        cases(suite)
    print(f"{suite.good} passed, {suite.bad} failed")
    return suite.bad != 0


if __name__ == "__main__":
    sys.exit(main())
