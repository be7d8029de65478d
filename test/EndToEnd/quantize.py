#!/usr/bin/env python3
"""burin-quantize on seeded networks: what it writes is standard ONNX that ONNX Runtime (optimizations off and on) and Burin run alike,
near the float model; every method and type; what is wrong with the data is one clear error.

usage: quantize.py [--bin DIR] [name...]      a line a case; last, `N passed, N failed`
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
rng = np.random.default_rng(7)


def weight(name, *shape, spread=False):
    w = (rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)
    if spread:  # channels of very different size
        w *= np.exp2(rng.uniform(-4, 4, (shape[0],) + (1,) * (len(shape) - 1))).astype(np.float32)
    return numpy_helper.from_array(w, name)


def model(nodes, weights, shape, out, name="x"):
    info = lambda n, s: helper.make_tensor_value_info(n, TensorProto.FLOAT, s)
    graph = helper.make_graph(nodes, "g", [info(name, shape)], [info("y", out)], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def convolutional():
    """Residual, depthwise, concatenation, pools, resize, a transposed convolution, hard activations."""
    n = lambda op, i, o, **a: helper.make_node(op, i, [o], name=o, **a)
    clip = [numpy_helper.from_array(np.float32(v), k) for k, v in (("zero", 0), ("six", 6))]
    scales = numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales")
    nodes = [
        n("Conv", ["x", "w1", "b1"], "c1", pads=[1, 1, 1, 1], strides=[2, 2]), n("Relu", ["c1"], "r1"),
        n("Conv", ["r1", "w2", "b1"], "c2", pads=[1, 1, 1, 1], group=16), n("Clip", ["c2", "zero", "six"], "k2"),
        n("Conv", ["k2", "w3"], "c3"), n("Add", ["c3", "r1"], "a3"), n("HardSwish", ["a3"], "h3"),
        n("MaxPool", ["h3"], "m3", kernel_shape=[2, 2], strides=[2, 2]), n("Resize", ["m3", "", "scales"], "u3", mode="nearest"),
        n("Concat", ["u3", "r1"], "j3", axis=1), n("Conv", ["j3", "w4"], "c4"), n("Sigmoid", ["c4"], "s4"), n("Mul", ["c4", "s4"], "g4"),
        n("ConvTranspose", ["g4", "w5"], "t5", strides=[2, 2]), n("GlobalAveragePool", ["t5"], "p5"), n("Flatten", ["p5"], "f5"),
        n("Gemm", ["f5", "w6", "b6"], "y", transB=1)]
    weights = [weight("w1", 16, 3, 3, 3), weight("b1", 16), weight("w2", 16, 1, 3, 3, spread=True), weight("w3", 16, 16, 1, 1), weight("w4", 8, 32, 1, 1),
               weight("w5", 8, 6, 2, 2), weight("w6", 10, 6), weight("b6", 10), *clip, scales]
    return model(nodes, weights, [1, 3, 16, 16], [1, 10])


def transformer():
    """Three-dim products with bias, normalization and attention between them."""
    n = lambda op, i, o, **a: helper.make_node(op, i, [o], name=o, **a)
    nodes = [
        n("MatMul", ["x", "q"], "mq"), n("Add", ["mq", "qb"], "aq"), n("MatMul", ["x", "k"], "mk"), n("MatMul", ["x", "v"], "mv"),
        n("Transpose", ["mk"], "kt", perm=[0, 2, 1]), n("MatMul", ["aq", "kt"], "s"), n("Softmax", ["s"], "p", axis=-1), n("MatMul", ["p", "mv"], "o"),
        n("MatMul", ["o", "ow"], "mo"), n("Add", ["mo", "x"], "r"), n("LayerNormalization", ["r", "g", "be"], "l", axis=-1),
        n("MatMul", ["l", "f1"], "m1"), n("Add", ["m1", "fb"], "a1"), n("Gelu", ["a1"], "e1"), n("MatMul", ["e1", "f2"], "m2"), n("Add", ["m2", "l"], "y")]
    weights = [weight(k, 32, 32) for k in ("q", "k", "v", "ow")] + [weight("qb", 32), weight("f1", 32, 64), weight("fb", 64), weight("f2", 64, 32)]
    weights += [numpy_helper.from_array(np.ones(32, np.float32), "g"), numpy_helper.from_array(np.zeros(32, np.float32), "be")]
    m = model(nodes, weights, ["batch", 12, 32], ["batch", 12, 32])
    m.opset_import[0].version = 20
    return m


def plain():
    """Integers from end to end: what a device without floats can take."""
    n = lambda op, i, o, **a: helper.make_node(op, i, [o], name=o, **a)
    nodes = [n("Conv", ["x", "w", "b"], "c", pads=[1, 1, 1, 1]), n("Relu", ["c"], "r"), n("Conv", ["r", "d"], "k", group=8, pads=[1, 1, 1, 1]), n("Add", ["k", "r"], "a"),
             n("MaxPool", ["a"], "m", kernel_shape=[2, 2], strides=[2, 2]), n("Conv", ["m", "v"], "y")]
    weights = [weight("w", 8, 3, 3, 3), weight("b", 8), weight("d", 8, 1, 3, 3), weight("v", 10, 8, 1, 1)]
    return model(nodes, weights, [1, 3, 16, 16], [1, 10, 8, 8])


NETWORKS = {"convolutional": (convolutional, (1, 3, 16, 16)), "transformer": (transformer, (2, 12, 32)), "plain": (plain, (1, 3, 16, 16))}


def run_reference(path, feed, optimized):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    level = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimized else level.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return dict(zip([o.name for o in session.get_outputs()], session.run(None, feed)))


def sqnr(want, got):
    signal = sum(float((np.asarray(w, np.float64) ** 2).sum()) for w in want.values())
    noise = sum(float(((np.asarray(w, np.float64) - got[k]) ** 2).sum()) for k, w in want.items())
    return np.inf if noise == 0 else 10 * np.log10(signal / noise)


class Suite:
    def __init__(self, bin, folder, only):
        self.bin, self.folder, self.only, self.passed, self.failed = bin, folder, only, 0, 0
        self.data = {}
        for name, (make, shape) in NETWORKS.items():
            onnx.save(make(), self.path(name + ".onnx"))
            for i in range(4):
                np.savez(self.path(f"{name}.{i}.npz"), x=rng.standard_normal(shape).astype(np.float32))
            self.data[name] = rng.standard_normal(shape).astype(np.float32)

    def path(self, name):
        return os.path.join(self.folder, name)

    def case(self, name, body):
        if self.only and not any(o in name for o in self.only):
            return
        try:
            text = body() or ""
            self.passed += 1
            print(f"ok   {name} {text}")
        except Exception as e:
            self.failed += 1
            print(f"FAIL {name}: {type(e).__name__}: {str(e)[:400]}")

    def call(self, *words):
        return subprocess.run([os.path.join(self.bin, words[0]), *words[1:]], capture_output=True, text=True, timeout=300)

    def quantize(self, name, *flags):
        out = self.path("out.onnx")
        done = self.call("burin-quantize", self.path(name + ".onnx"), *(f"--calibrate={self.path(f'{name}.{i}.npz')}" for i in range(4)), "-o", out, *flags)
        assert done.returncode == 0, done.stderr
        return out, done

    def numbers(self, name, *flags, least=28.0):
        """The quantized model in three runtimes against one another and the float model."""
        out, done = self.quantize(name, *flags)
        onnx.checker.check_model(onnx.load(out), full_check=True)
        feed = {"x": self.data[name]}
        want = run_reference(self.path(name + ".onnx"), feed, False)
        plain, fast = run_reference(out, feed, False), run_reference(out, feed, True)
        np.savez(self.path("x.npz"), **feed)
        ran = self.call("burin-run", out, "--inputs", self.path("x.npz"), "--outputs", self.path("y.npz"), "--no-cache")
        assert ran.returncode == 0, ran.stderr
        got = dict(np.load(self.path("y.npz")))
        # One step of an activation may fall on the other side in another order of sums.
        agree, fused, near = sqnr(plain, got), sqnr(plain, fast), sqnr(want, got)
        assert agree > 38 and fused > 30, f"Burin against ONNX Runtime {agree:.1f} dB, optimized against plain {fused:.1f} dB"
        assert near > least, f"{near:.1f} dB against float, expected {least}"
        return f"{near:.1f} dB against float, {agree:.1f} dB between runtimes"

    def refused(self, text, *words):
        done = self.call("burin-quantize", *words)
        assert done.returncode == 1 and text in done.stderr, f"exit {done.returncode}: {done.stderr}"
        assert len([l for l in done.stderr.splitlines() if l.startswith("error: ")]) == 1, done.stderr
        assert not os.path.exists(self.path("none.onnx"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", default=os.path.join(ROOT, "build", "bin"))
    parser.add_argument("only", nargs="*")
    args = parser.parse_args()
    os.environ["BURIN_PYTHON"] = sys.executable  # what the tool runs --evaluate with
    with tempfile.TemporaryDirectory() as folder:
        s = Suite(args.bin, folder, args.only)
        for name in NETWORKS:
            s.case(name, lambda: s.numbers(name))
        for method in ("percentile", "mse", "entropy", "average"):
            s.case(f"method-{method}", lambda: s.numbers("convolutional", f"--method={method}", least=20))
        for flags in (["--activations=s8"], ["--activations=s8", "--symmetric"], ["--activations=u16"], ["--power-of-two"], ["--per-tensor"], ["--weights=u8"],
                      ["--reduce-range"], ["--keep-biases"], ["--keep-float=c2,HardSwish"], ["--only=Conv"]):
            s.case("flags" + "".join(flags), lambda: s.numbers("convolutional", *flags, least=12))
        for name in NETWORKS:
            s.case(f"dynamic-{name}", lambda: s.numbers(name, "--dynamic", least=25))
            for bits in ("s16", "u16"):
                s.case(f"16x8-{bits}-{name}", lambda: s.numbers(name, f"--activations={bits}", least=30))
            s.case(f"power-of-two-{name}", lambda: s.numbers(name, "--power-of-two", least=20))
            s.case(f"better-{name}", lambda: s.numbers(name, "--equalize", "--smooth=0.5", least=25))
        for flags, least in ((["--weights-only=int8"], 40), (["--weights-only=int8", "--asymmetric", "--block=16"], 40), (["--weights-only=int4", "--block=32"], 14),
                             (["--weights-only=int4", "--block=16", "--asymmetric"], 17), (["--weights-only=int4", "--block=32", "--matmul-nbits"], 14),
                             (["--weights-only=f16"], 60), (["--weights-only=bf16"], 40)):
            s.case("flags" + "".join(flags), lambda: s.numbers("transformer", *flags, least=least))
        for flags in (["--rounding=nearest"], ["--rounding=nearest", "--keep-biases"]):
            s.case("flags" + "".join(flags), lambda: s.numbers("convolutional", *flags, least=25))
        for flags, least in ((["--prune=0.2"], 8), (["--prune=0.1", "--prune-by=fisher", "--prune-scope=global"], 10),
                             (["--prune=0.2", "--prune-by=gradient", "--float"], 8), (["--prune=2:4", "--float"], 3), (["--prune=0.1", "--prune-unit=filter", "--float"], 0),
                             (["--prune=0.3", "--share=5", "--prune-by=variance"], 5)):
            s.case("compress" + "".join(flags), lambda: s.numbers("convolutional", *flags, least=least))
        for flags, least in ((["--share=6"], 18), (["--share=4", "--share-group=8"], 8)):
            s.case("compress" + "".join(flags), lambda: s.numbers("transformer", *flags, least=least))
        s.case("compress-transformer", lambda: s.numbers("transformer", "--prune=0.2", "--share=5", least=10))
        smaller(s)
        choices(s)
        errors(s)
    print(f"{s.passed} passed, {s.failed} failed")
    sys.exit(s.failed > 0)


def smaller(s):
    """Channels leave through the residual sum, the depthwise convolution, the concatenation and Flatten; zeros and shared values stay what they are."""
    def channels():
        out, done = s.quantize("convolutional", "--prune-channels=0.5", "--float")
        count = lambda path: sum(np.prod(t.dims) for t in onnx.load(path).graph.initializer)
        assert count(out) < 0.75 * count(s.path("convolutional.onnx")), "no smaller"
        onnx.checker.check_model(onnx.load(out), full_check=True)
        feed = {"x": s.data["convolutional"]}
        np.savez(s.path("x.npz"), **feed)
        ran = s.call("burin-run", out, "--inputs", s.path("x.npz"), "--outputs", s.path("y.npz"), "--no-cache")
        assert ran.returncode == 0, ran.stderr
        agree = sqnr(run_reference(out, feed, False), dict(np.load(s.path("y.npz"))))
        assert agree > 80, f"{agree:.1f} dB"
    s.case("compress-channels", channels)

    def zeros():
        out, done = s.quantize("transformer", "--prune=2:4", "--share=3")
        for t in onnx.load(out).graph.initializer:
            w = numpy_helper.to_array(t)
            if w.size >= 1024:
                assert len(np.unique(w)) <= 8 and (w != 0).mean() <= 0.5, (t.name, len(np.unique(w)))
                assert ((w.reshape(-1, 4, w.shape[1]) != 0).sum(1) <= 2).all(), "not two of four along the inputs"
        assert "R = raw bits / (indices + codebooks) = " in done.stdout, done.stdout
    s.case("compress-zeros", zeros)

    def fisher():
        """Of one output each weight's squared gradient is exact: pruning by it takes the weights that differences of the float model say."""
        n = lambda op, i, o, **a: helper.make_node(op, i, [o], name=o, **a)
        nodes = [n("Conv", ["x", "w1", "b1"], "c1", pads=[1, 1, 1, 1], strides=[2, 2]), n("HardSwish", ["c1"], "h1"),
                 n("Conv", ["h1", "w2"], "c2", pads=[1, 1, 1, 1], group=16), n("Sigmoid", ["c2"], "s2"), n("Mul", ["c2", "s2"], "g2"), n("Conv", ["g2", "w3"], "c3"),
                 n("Add", ["c3", "h1"], "a3"), n("AveragePool", ["a3"], "p3", kernel_shape=[2, 2], strides=[2, 2]), n("Conv", ["p3", "w4"], "c4", strides=[2, 2]),
                 n("Relu", ["c4"], "r4"), n("GlobalAveragePool", ["r4"], "p4"), n("Flatten", ["p4"], "f4"), n("Gemm", ["f4", "w5"], "y", transB=1)]
        shapes = dict(w1=(16, 3, 3, 3), w2=(16, 1, 3, 3), w3=(16, 16, 1, 1), w4=(24, 16, 3, 3), w5=(1, 24), b1=(16,))
        own = np.random.default_rng(3)
        w = {name: (own.standard_normal(s) * (np.prod(s[1:]) or 1) ** -0.5).astype(np.float32) for name, s in shapes.items()}
        x = own.standard_normal((2, 3, 14, 14)).astype(np.float32)
        info = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        make = lambda inputs, rest: helper.make_model(helper.make_graph(nodes, "g", [info("x", [1, 3, 14, 14])] + [info(k, shapes[k]) for k in inputs], [info("y", [1, 1])],
                                                                        [numpy_helper.from_array(w[k], k) for k in rest]), opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        onnx.save(make([], w), s.path("fisher.onnx"))
        np.savez(s.path("fisher.npz"), x=x)
        done = s.call("burin-quantize", s.path("fisher.onnx"), "--calibrate=" + s.path("fisher.npz"), "--prune=0.3", "--prune-by=fisher", "--float", "-o", s.path("fisher.out.onnx"))
        assert done.returncode == 0, done.stderr
        assert "gradients of each weight in 5 of 5 layers" in done.stdout, done.stdout
        pruned = [numpy_helper.to_array(t) for t in onnx.load(s.path("fisher.out.onnx")).graph.initializer]
        session = onnxruntime.InferenceSession(make(list(w), []).SerializeToString(), providers=["CPUExecutionProvider"])
        for name in ("w1", "w3", "w4"):
            score, step = np.zeros(w[name].size), 3e-3
            for at in range(w[name].size):
                ends = []
                for d in (step, -step):
                    moved = w[name].copy()
                    moved.reshape(-1)[at] += d
                    ends.append([session.run(None, {**w, name: moved, "x": x[i:i + 1]})[0].item() for i in range(2)])
                score[at] = w[name].reshape(-1)[at] ** 2 * np.sum(((np.array(ends[0]) - ends[1]) / (2 * step)) ** 2)
            gone = {i for t in pruned if t.shape == w[name].shape for i in np.flatnonzero(t.reshape(-1) == 0)}
            least = set(np.argsort(score)[:int(0.3 * len(score))])
            assert len(gone & least) >= 0.95 * len(least) and len(gone) == len(least), (name, len(gone & least), len(gone), len(least))
    s.case("compress-fisher", fisher)

    def blocks():
        """Blocks of zeros are left out of the program, and it computes the same."""
        out, done = s.quantize("transformer", "--prune=0.6", "--prune-unit=block", "--float")
        made = s.call("burin-compile", out, "--shape", "x=2x12x32", "-o", s.path("sparse"))
        assert made.returncode == 0, made.stderr
        weights = 4 * (4 * 32 * 32 + 2 * 32 * 64)
        feed = {"x": s.data["transformer"]}
        np.savez(s.path("x.npz"), **feed)
        for words in (["--outputs", s.path("y.npz")], ["--bench=0.01"]):
            ran = subprocess.run([s.path("sparse"), "--inputs", s.path("x.npz"), *words], capture_output=True, text=True)
            assert ran.returncode == 0, ran.stderr
        assert json.loads(ran.stdout.splitlines()[-1])["weights_bytes"] < 0.6 * weights
        agree = sqnr(run_reference(out, feed, False), dict(np.load(s.path("y.npz"))))
        assert agree > 80, f"{agree:.1f} dB"
    s.case("compress-blocks", blocks)

    def program():
        out, done = s.quantize("transformer", "--prune=0.5", "--share=4")
        sizes = {}
        np.savez(s.path("x.npz"), x=s.data["transformer"])
        for name, flags in (("plain", []), ("small", ["--compress-weights"])):
            made = s.call("burin-compile", out, "--shape", "x=2x12x32", "-o", s.path(name), *flags)
            assert made.returncode == 0, made.stderr
            sizes[name] = os.path.getsize(s.path(name))
        for words in ((s.path("plain"), "--outputs", s.path("y.npz")), (s.path("small"), "--expect", s.path("y.npz"), "--rtol=0", "--atol=0")):
            ran = subprocess.run([*words, "--inputs", s.path("x.npz")], capture_output=True, text=True)
            assert ran.returncode == 0, ran.stderr
        weights = 4 * (4 * 32 * 32 + 2 * 32 * 64)
        saved = sizes["plain"] - sizes["small"]
        assert saved > 0.6 * weights, (sizes, weights)
        return f"{saved} of {weights} bytes saved"
    s.case("compress-program", program)


def choices(s):
    def bound():
        out, done = s.quantize("convolutional", "--min-sqnr=62")
        near = float(done.stdout.split("SQNR")[1].split()[0])
        assert near >= 61.9 and "layers stay float" in done.stdout, done.stdout
        assert open(s.path("out.svg")).read().startswith("<svg"), "no picture"
        kept = int(done.stdout.split(" layers stay float")[0].split("\n")[-1].split()[0])
        assert 0 < kept < 6, done.stdout
        return f"{near:.1f} dB with {kept} layers in float"
    s.case("min-sqnr", bound)

    def script():
        with open(s.path("score.py"), "w") as f:
            f.write(f"""import numpy as np
x = np.load({s.path('convolutional.0.npz')!r})["x"]
want = None
def evaluate(session):
    global want
    got = session.run(None, {{"x": x}})[0]
    want = got if want is None else want  # the float model comes first
    return 1 - float(np.abs(got - want).max() / np.abs(want).max())
""")
        out, done = s.quantize("convolutional", "--max-drop=0.005", "--evaluate", s.path("score.py"))
        assert "bound 0.995" in done.stdout, done.stdout
        return done.stdout.splitlines()[1]
    s.case("max-drop", script)

    def integers():
        for name, flags in (("plain", []), ("convolutional", []), ("plain", ["--power-of-two", "--activations=s8"])):
            out, done = s.quantize(name, "--integer-only", *flags)
            made = onnx.load(out)
            kind = TensorProto.INT8 if flags else TensorProto.UINT8
            assert {v.type.tensor_type.elem_type for v in [*made.graph.input, *made.graph.output]} == {kind}
            feed = {"x": rng.integers(-128 if flags else 0, 128 if flags else 256, (1, 3, 16, 16)).astype(np.int8 if flags else np.uint8)}
            np.savez(s.path("x.npz"), **feed)
            ran = s.call("burin-run", out, "--inputs", s.path("x.npz"), "--outputs", s.path("y.npz"), "--no-cache")
            assert ran.returncode == 0, ran.stderr
            got, want = np.load(s.path("y.npz"))["y"].astype(int), run_reference(out, feed, False)["y"].astype(int)
            assert np.abs(got - want).max() <= 2, np.abs(got - want).max()
        done = s.call("burin-quantize", s.path("transformer.onnx"), "--calibrate", s.path("transformer.0.npz"), "--integer-only", "-o", s.path("none.onnx"))
        assert done.returncode == 1 and "expected integers alone, got an operator on floats" in done.stderr, done.stderr
        for node in ("'p' (Softmax", "'l' (LayerNormalization"):
            assert f"node {node}" in done.stderr, done.stderr
    s.case("integer-only", integers)

    def python():
        code = f"""import burin, numpy as np
report = burin.quantize({s.path('convolutional.onnx')!r}, {s.path('py.onnx')!r}, calibrate=[dict(np.load({s.path('convolutional.0.npz')!r}))], method="mse", keep_float=["c2"])
assert report["samples"] == 1 and report["outputs"][0]["sqnr_db"] > 20, report
try:
    burin.quantize({s.path('convolutional.onnx')!r}, {s.path('py.onnx')!r}, calibrate="none.npz")
except burin.Error as e:
    assert "none.npz: no such file" in str(e), e
else:
    raise AssertionError("no error")
"""
        env = dict(os.environ, PYTHONPATH=os.path.join(os.path.dirname(s.bin), "python"))
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
        assert done.returncode == 0, done.stderr
    s.case("python", python)

    def pictures():
        os.mkdir(s.path("pictures"))
        for i, (h, w) in enumerate(((20, 30), (16, 16))):
            pixels = rng.integers(0, 256, (h, w, 3)).astype(np.uint8)
            open(s.path(f"pictures/{i}.ppm"), "wb").write(b"P6\n%d %d\n255\n" % (w, h) + pixels.tobytes())
        done = s.call("burin-quantize", s.path("convolutional.onnx"), "--calibrate", s.path("pictures"), "--mean=127", "--scale=60", "--fit=letterbox", "-o", s.path("pic.onnx"))
        assert done.returncode == 0 and "2 samples" in done.stdout, done.stdout + done.stderr
        # The scale of the input: 255 / 60 in 255 steps.
        graph = onnx.load(s.path("pic.onnx")).graph
        name = next(n.input[1] for n in graph.node if n.op_type == "QuantizeLinear" and n.input[0] == "x")
        scale = next(float(numpy_helper.to_array(t)) for t in graph.initializer if t.name == name)
        assert abs(scale - 1 / 60) < 1e-3, scale
    s.case("pictures", pictures)


def errors(s):
    model, good, out = s.path("convolutional.onnx"), s.path("convolutional.0.npz"), s.path("none.onnx")
    os.mkdir(s.path("empty"))
    x = np.load(good)["x"]
    bad = x.copy()
    bad[0, 1, 2, 3] = np.nan
    np.savez(s.path("nan.npz"), x=bad)
    np.savez(s.path("other.npz"), z=x)
    np.savez(s.path("shape.npz"), x=x[:, :2])
    np.savez(s.path("type.npz"), x=x.astype(np.float64))
    open(s.path("broken.npz"), "wb").write(b"PK\x03\x04 not a zip")
    refused = lambda text, *words: lambda: s.refused(text, *words)
    give = lambda place: (model, "--calibrate", s.path(place), "-o", out)
    s.case("error-input", refused("other.npz: expected an array for input 'x', got z", *give("other.npz")))
    s.case("error-nan", refused("nan.npz: expected finite numbers, got NaN in input 'x' at element 291", *give("nan.npz")))
    s.case("error-shape", refused("shape.npz: expected float32[1,3,16,16] for input 'x', got float32[1,2,16,16]", *give("shape.npz")))
    s.case("error-type", refused("type.npz: expected float32[1,3,16,16] for input 'x', got float64[1,3,16,16]", *give("type.npz")))
    s.case("error-empty", refused("expected a folder with pictures", *give("empty")))
    s.case("error-broken", refused("broken.npz", *give("broken.npz")))
    s.case("error-missing", refused("no such file", *give("missing.npz")))
    s.case("error-model", refused("no such file", s.path("no.onnx"), "--calibrate", good, "-o", out))
    s.case("error-method", refused("--method: expected minmax, percentile, mse, entropy, average, got 'best'", *give("convolutional.0.npz"), "--method=best"))
    s.case("error-place", refused("cannot write", model, "--calibrate", good, "-o", s.path("no/such/out.onnx")))

    def constant():
        flat = x.copy()
        flat[:, 1] = 0.5
        np.savez(s.path("flat.npz"), x=flat)
        done = s.call("burin-quantize", model, "--calibrate", s.path("flat.npz"), "-o", s.path("flat.onnx"))
        assert done.returncode == 0 and "warning: " in done.stderr and "channel 1 of input 'x' is 0.500000 in all samples" in done.stderr, done.stderr
    s.case("constant-channel", constant)

    def batch():
        np.savez(s.path("many.npz"), x=np.concatenate([x] * 5))
        done = s.call("burin-quantize", model, "--calibrate", s.path("many.npz"), "-o", s.path("many.onnx"))
        assert done.returncode == 0 and "5 samples" in done.stdout, done.stdout + done.stderr
    s.case("stacked-samples", batch)

    def same():
        outs = []
        for i in range(2):
            s.quantize("convolutional", "--method=mse")
            outs.append(open(s.path("out.onnx"), "rb").read())
        assert outs[0] == outs[1], "two runs wrote different files"
    s.case("deterministic", same)


if __name__ == "__main__":
    main()
