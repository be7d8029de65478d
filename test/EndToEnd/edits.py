#!/usr/bin/env python3
"""Options that change the model: pre- and postprocessing, precision, extraction, batch. Each is exported and run in ONNX Runtime, and
compiled and run, against numpy and the untouched model.

usage: edits.py [--bin DIR] [--models DIR]
A line a case; last, `N passed, N failed`.
"""
import argparse
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx import helper

from generated import MODELS, Graph

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def session(model, off=True):
    options = onnxruntime.SessionOptions()
    if off:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model if isinstance(model, str) else model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run(model, feed):
    return session(model).run(None, feed)


def difference(got, want):
    worst = 0.0
    for g, w in zip(got, want):
        g, w = np.asarray(g, np.float64), np.asarray(w, np.float64)
        if g.shape != w.shape:
            return f"shape {list(g.shape)}, expected {list(w.shape)}"
        if w.size:
            worst = max(worst, float(np.abs(g - w).max() / max(0.01, np.abs(w).max())))
    return worst if len(got) == len(want) else f"{len(got)} outputs, expected {len(want)}"


class Suite:
    def __init__(self, folder, tools):
        self.folder, self.tools, self.good, self.bad = folder, tools, 0, 0

    def report(self, name, problem, what=""):
        self.good += problem is None
        self.bad += problem is not None
        print(f"{'FAIL' if problem else 'ok  '} {name:50s} {problem or what}", flush=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def tool(self, tool, *arguments):
        return subprocess.run([os.path.join(self.tools, tool), *arguments], capture_output=True, text=True)

    def check(self, name, model, flags, feed, want, limit=1e-4, compiled=True, ort=True, see=None):
        """The edited model on `feed` gives `want`, exported and compiled. `see`: a question asked of the exported graph."""
        try:
            source, out = self.path("model.onnx"), self.path("edited.onnx")
            onnx.save(model, source) if not isinstance(model, str) else None
            source = model if isinstance(model, str) else source
            done = self.tool("burin-compile", source, *flags, "--emit=onnx", "-o", out)
            if done.returncode:
                return self.report(name, done.stderr.strip().splitlines()[0])
            edited = onnx.load(out)
            worst = difference(session(out).run(None, feed), want) if ort else 0.0
            if isinstance(worst, str) or worst > limit:
                return self.report(name, f"in ONNX Runtime: {worst}")
            problem = see(edited.graph) if see else None
            if problem:
                return self.report(name, problem)
            own = 0.0
            if compiled:
                np.savez(self.path("in.npz"), **feed)
                done = self.tool("burin-run", source, *flags, "--inputs", self.path("in.npz"), "--outputs", self.path("out.npz"), "--cache-dir", self.path("cache"))
                if done.returncode:
                    return self.report(name, "compiled: " + done.stderr.strip().splitlines()[0])
                got = np.load(self.path("out.npz"))
                own = difference([got[o.name] for o in edited.graph.output], want)
                if isinstance(own, str) or own > limit:
                    return self.report(name, f"compiled: {own}")
            self.report(name, None, f"{worst:.1e} {own:.1e}, {len(edited.graph.node)} nodes")
        except Exception as problem:
            self.report(name, repr(problem)[:300])

    def refused(self, name, model, flags, text):
        onnx.save(model, self.path("model.onnx"))
        done = self.tool("burin-compile", self.path("model.onnx"), *flags, "--emit=onnx", "-o", self.path("refused.onnx"))
        self.report(name, None if done.returncode == 1 and text in done.stderr else f"expected an error with '{text}', got {done.stderr.strip()[:200]!r}")


def kinds(graph):
    return [n.op_type for n in graph.node]


def image_net(pad=1, stride=2, size=(16, 12), normalized=True):
    g = Graph(21)
    x = g.input("image", [1, 3, *size])
    y = g.op("Relu", g.batch_norm(g.conv(x, 3, 8, 3, stride=stride, pad=pad), 8))
    y = g.op("Flatten", g.op("GlobalAveragePool", g.op("Relu", g.conv(y, 8, 6, 3))))
    return g.done(g.op("Gemm", y, g.weight(5, 6), g.weight(5), transB=1))[0]


def preprocessing(suite):
    rng = np.random.default_rng(3)
    mean, scale = np.array([123.7, 116.3, 103.5], np.float32), np.array([58.4, 57.1, 57.4], np.float32)
    shown = lambda v: ",".join(f"{x:g}" for x in v)
    for pad in (0, 1):
        net = image_net(pad)
        photo = rng.integers(0, 256, (1, 16, 12, 3), dtype=np.uint8)
        x = photo.astype(np.float32).transpose(0, 3, 1, 2)
        normal = lambda x: (x - mean.reshape(3, 1, 1)) / scale.reshape(3, 1, 1)
        flags = ["--input-type=u8", "--layout=NHWC", f"--mean={shown(mean)}", f"--scale={shown(scale)}"]
        # Without padding all of it goes into the weights; with padding a subtraction stays, because 0 is not the mean.
        left = lambda graph: None if pad or not {"Sub", "Div", "Mul"} & set(kinds(graph)) else f"left: {kinds(graph)}"
        suite.check(f"u8, NHWC, mean, scale, pad {pad}", net, flags, {"image": photo}, run(net, {"image": normal(x)}), see=left)
        bgr = lambda graph: None if "Gather" not in kinds(graph) else "a Gather is left"
        suite.check(f"the same in BGR, pad {pad}", net, flags + ["--reverse-channels"], {"image": photo}, run(net, {"image": normal(x[:, ::-1])}), see=bgr)
    net = image_net()
    half = x.astype(np.float16)
    suite.check("f16 input, one mean for all", net, ["--input-type=f16", "--mean=127.5", "--scale=127.5"], {"image": half}, run(net, {"image": (half.astype(np.float32) - 127.5) / 127.5}))
    suite.check("mean only", net, ["--mean=1,2,3"], {"image": x / 50}, run(net, {"image": x / 50 - np.array([1, 2, 3], np.float32).reshape(3, 1, 1)}))

    # Resizing: ONNX Runtime's Resize and numpy's padding are the reference.
    def resized(x, h, w, mode):
        g = Graph(1)
        g.input("x", x.shape)
        sizes = g.constant(np.array([*x.shape[:2], h, w]))
        extra = {"cubic_coeff_a": -0.5} if mode == "cubic" else {}
        m = helper.make_model(helper.make_graph([helper.make_node("Resize", ["x", "", "", sizes], ["y"], mode=mode, coordinate_transformation_mode="half_pixel", **extra)], "g", g.inputs,
                              [helper.make_tensor_value_info("y", 1, None)], g.initializers), opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
        return run(m, {"x": x})[0]

    big = rng.integers(0, 256, (1, 25, 40, 3), dtype=np.uint8)
    y = big.astype(np.float32).transpose(0, 3, 1, 2)
    common = ["--input-type=u8", "--layout=NHWC", "--source-size=25x40", "--scale=255"]
    for mode in ("linear", "cubic", "nearest"):
        suite.check(f"resize, {mode}", net, common + [f"--resize-mode={mode}"], {"image": big}, run(net, {"image": resized(y, 16, 12, mode) / 255}))
    # Each pixel is the mean of what it covers, parts of pixels by their share.
    def covered(n, to):
        edges = np.arange(to + 1) * n / to
        return np.array([[max(0, min(k + 1, b) - max(k, a)) / (b - a) for k in range(n)] for a, b in zip(edges, edges[1:])])

    for h, w in ((25, 40), (32, 36), (16, 40)):
        photo = rng.integers(0, 256, (1, h, w, 3), dtype=np.uint8)
        means = np.einsum("ah,nchw,bw->ncab", covered(h, 16), photo.astype(np.float64).transpose(0, 3, 1, 2), covered(w, 12)).astype(np.float32)
        suite.check(f"resize, area, from {h}x{w}", net, ["--input-type=u8", "--layout=NHWC", f"--source-size={h}x{w}", "--scale=255", "--resize-mode=area"], {"image": photo}, run(net, {"image": means / 255}))
    # 16x12 holds 25x40 at 0.3: 8 rows of 12, four rows of padding above and below.
    boxed = np.full((1, 3, 16, 12), 114, np.float32)
    boxed[:, :, 4:12] = resized(y, 8, 12, "linear")
    suite.check("letterbox", net, common + ["--fit=letterbox", "--pad-value=114"], {"image": big}, run(net, {"image": boxed / 255}))
    cropped = resized(y, 16, 26, "linear")[:, :, :, 7:19]
    suite.check("crop", net, common + ["--fit=crop"], {"image": big}, run(net, {"image": cropped / 255}))
    suite.refused("a wrong number of means", net, ["--mean=1,2"], "expected 1 value or one a channel (3)")
    suite.refused("a wrong layout", net, ["--layout=HWC"], "--layout: expected NHWC, NCHW, got 'HWC'")
    suite.refused("no image", MODELS["integers"]()[0], ["--mean=1"], "expected one image input to preprocess, got 0")


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def postprocessing(suite):
    net = image_net()
    x = np.random.default_rng(4).standard_normal((1, 3, 16, 12)).astype(np.float32)
    feed, (raw,) = {"image": x}, run(net, {"image": x})
    suite.check("append softmax", net, ["--append=softmax"], feed, [softmax(raw)])
    suite.check("append sigmoid", net, ["--append=sigmoid"], feed, [1 / (1 + np.exp(-raw))])
    suite.check("append argmax", net, ["--append=argmax"], feed, [raw.argmax(-1)])
    order = np.argsort(-raw, axis=-1)[:, :3]
    suite.check("append softmax, then topk", net, ["--append=softmax", "--append=topk,k=3"], feed, [np.take_along_axis(softmax(raw), order, -1), order])

    g = Graph(9)
    g.input("boxes", [1, 30, 4]), g.input("scores", [1, 30, 2])
    corner = g.random.uniform(0, 60, (1, 30, 2)).astype(np.float32)
    feed = {"boxes": np.concatenate([corner, corner + g.random.uniform(10, 40, (1, 30, 2)).astype(np.float32)], -1), "scores": g.random.uniform(0, 1, (1, 30, 2)).astype(np.float32)}
    net, _ = g.done(g.op("Identity", "boxes"), g.op("Identity", "scores"))
    b, s = (o.name for o in net.graph.output)
    chosen = nms(feed["boxes"], feed["scores"].transpose(0, 2, 1), 0.4, 0.3, 5)
    want = [chosen, feed["boxes"][chosen[:, 0], chosen[:, 2]], feed["scores"][chosen[:, 0], chosen[:, 2], chosen[:, 1]]]
    # How many boxes are left is known only at run time: compiled, it takes a target that supports such outputs.
    suite.check("append nms", net, [f"--append=nms,boxes={b},scores={s},iou=0.4,score=0.3,max=5"], feed, want, compiled=False)
    suite.refused("append to an unknown output", net, ["--append=softmax:nothing"], f"expected the name of an output ({b}, {s})")


def nms(boxes, scores, iou, least, most):
    chosen = []
    area = lambda b: (b[2] - b[0]) * (b[3] - b[1])
    for n in range(scores.shape[0]):
        for c in range(scores.shape[1]):
            kept = []
            for i in np.argsort(-scores[n, c], kind="stable"):
                if scores[n, c, i] <= least or len(kept) == most:
                    break
                overlap = lambda j: np.prod(np.maximum(0, np.minimum(boxes[n, i, 2:], boxes[n, j, 2:]) - np.maximum(boxes[n, i, :2], boxes[n, j, :2])))
                if all(overlap(j) <= iou * (area(boxes[n, i]) + area(boxes[n, j]) - overlap(j)) for j in kept):
                    kept.append(i)
            chosen += [(n, c, i) for i in kept]
    return np.array(chosen, np.int64)


def precision(suite):
    for name in ("residual_net", "inverted_residual", "unet", "transformer_block", "audio"):
        model, feed = MODELS[name]()
        want = run(model, feed)
        narrow = lambda graph: None if any(i.data_type == onnx.TensorProto.FLOAT16 for i in graph.initializer) else "no f16 weight"
        suite.check(f"f16 {name}", model, ["--precision=f16"], feed, want, limit=2e-2, see=narrow)
        suite.check(f"bf16 {name}", model, ["--precision=bf16"], feed, want, limit=1e-1, ort=False)
    model, feed = MODELS["residual_net"]()
    want = run(model, feed)
    half = {k: v.astype(np.float16) for k, v in feed.items()}
    types = lambda graph: None if {v.type.tensor_type.elem_type for v in [*graph.input, *graph.output]} == {onnx.TensorProto.FLOAT16} and "Cast" not in kinds(graph) else "f32 is left"
    suite.check("f16, inputs and outputs too", model, ["--precision=f16", "--convert-io"], half, want, limit=2e-2, see=types)
    kept = lambda graph: None if sum(i.data_type == onnx.TensorProto.FLOAT for i in graph.initializer) >= 2 else "Gemm has no f32 weights"
    suite.check("f16 but for one operator", model, ["--precision=f16", "--keep-f32=Gemm"], feed, want, limit=2e-2, see=kept)
    suite.refused("an unknown node to keep", model, ["--precision=f16", "--keep-f32=nobody"], "expected the name of a node or of an operator to keep in f32, got 'nobody'")


def parts(suite):
    model, feed = MODELS["residual_net"]()
    middle = next(n.output[0] for n in model.graph.node if n.op_type == "Add")
    last = next(n.output[0] for n in model.graph.node if n.op_type == "Gemm")
    wider = onnx.ModelProto()
    wider.CopyFrom(model)
    wider.graph.output.extend([helper.make_tensor_value_info(middle, 1, None), helper.make_tensor_value_info(last, 1, None)])
    _, m, l = run(wider, feed)
    suite.check("extract the tail", model, [f"--extract={middle}:{last}"], {middle: m}, [l])
    suite.check("extract the head", model, [f"--extract=:{middle}"], feed, [m])
    suite.check("extract, both named, with ->", model, [f"--extract=x->{middle},{last}"], feed, [m, l])
    suite.refused("extract an unknown tensor", model, ["--extract=:nothing"], "expected the name of a tensor or of a node to extract, got 'nothing'")
    model, feed = MODELS["free_dims"]()
    more = {"x": np.concatenate([feed["x"]] * 2)}
    batch = lambda graph: None if graph.input[0].type.tensor_type.shape.dim[0].dim_value == 4 else "the batch is not 4"
    suite.check("batch 4", model, ["--batch=4"], more, run(model, more), see=batch, compiled=True)
    suite.refused("a batch that is fixed", MODELS["residual_net"]()[0], ["--batch=2"], "expected inputs that leave their first dim open, got 'x' with 1")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.path.join(os.environ.get("BURIN_BUILD", os.path.join(ROOT, "build")), "bin"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        suite = Suite(folder, arguments.bin)
        for part in (preprocessing, postprocessing, precision, parts):
            part(suite)
    print(f"{suite.good} passed, {suite.bad} failed")
    return suite.bad != 0


if __name__ == "__main__":
    sys.exit(main())
