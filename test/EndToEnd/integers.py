#!/usr/bin/env python3
"""Integer convolutions, matrix products with constant weights, activations and averages against exact arithmetic, as programs for one --target or several; machines of another
architecture run under emulation. One model holds many nodes, each with an output of its own. A failure prints the case and the first wrong element.

  integers.py [--machine NAME]... [--filter TEXT] [--every N] [--keep DIR]
"""
import argparse, itertools, os, sys, tempfile
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from programs import Program

KINDS = {"u8": (np.uint8, TensorProto.UINT8, 0, 255), "s8": (np.int8, TensorProto.INT8, -128, 127)}


def requantized(sums, scale, zero, kind):
    """ONNX's rule: round the product with the scale to nearest even, add the zero point, saturate."""
    dtype, _, low, high = KINDS[kind]
    return np.clip(np.rint(sums.astype(np.float32) * np.float32(scale)).astype(np.float64) + zero, low, high).astype(dtype)


class Case:
    """Weights `w`, an input and what the node makes of it; `nodes` get the names of the input and the output."""

    def __init__(self, name, kind, shape, constants, nodes, out_type, reference, slack=0):
        self.name, self.kind, self.shape, self.constants, self.nodes, self.out_type, self.reference = name, kind, shape, constants, nodes, out_type, reference
        self.slack = slack  # how far a result may be off


def extreme(rng, kind, shape):
    """Many elements at the ends of the range, where sums of products saturate if anything does."""
    dtype, _, low, high = KINDS[kind]
    values = rng.integers(low, high + 1, shape)
    where = rng.random(shape)
    return np.where(where < 0.3, low, np.where(where < 0.6, high, values)).astype(dtype)


def conv(rng, size, ic, oc, k, stride=1, dilation=1, pad=0, groups=1, x="u8", w="s8", x_zero=0, w_zero=0, out=None, bias=False):
    weights = extreme(rng, w, [oc, ic // groups] + k)
    rank = len(size)
    shape = [2, ic] + size

    def sums(data):
        a = np.pad(data.astype(np.int64) - x_zero, [(0, 0), (0, 0)] + [(pad, pad)] * rank)
        f = weights.astype(np.int64) - w_zero
        outs = [(a.shape[2 + i] - dilation * (k[i] - 1) - 1) // stride + 1 for i in range(rank)]
        total = np.zeros([2, oc] + outs, np.int64)
        for at in itertools.product(*[range(n) for n in k]):
            t = a[(slice(None), slice(None)) + tuple(slice(at[i] * dilation, at[i] * dilation + (outs[i] - 1) * stride + 1, stride) for i in range(rank))]
            for g in range(groups):
                part = np.einsum("nc...,oc->no...", t[:, g * ic // groups:(g + 1) * ic // groups], f[(slice(g * oc // groups, (g + 1) * oc // groups), slice(None)) + at])
                total[:, g * oc // groups:(g + 1) * oc // groups] += part
        return total
    attributes = dict(strides=[stride] * rank, dilations=[dilation] * rank, pads=[pad] * (2 * rank), group=groups)
    constants = {"w": weights, "xz": np.array(x_zero, KINDS[x][0]), "wz": np.array(w_zero, KINDS[w][0])}
    name = ("depthwise conv %s" if groups == ic else "conv %s") % dict(size=size, ic=ic, oc=oc, k=k, stride=stride, dilation=dilation, pad=pad, groups=groups, x=x, w=w, xz=x_zero, wz=w_zero, out=out)
    if out is None:
        return Case(name, x, shape, constants, lambda n, i, o: [helper.make_node("ConvInteger", [i, n("w"), n("xz"), n("wz")], [o], **attributes)],
                    TensorProto.INT32, lambda data: sums(data).astype(np.int32))
    b = rng.integers(-3000, 3000, oc).astype(np.int32)
    scales = (rng.random(oc) * 0.01 + 0.001).astype(np.float32)
    xs, ys, zero = np.float32(0.02), np.float32(0.5 * 0.02), 11
    constants.update({"b": b, "ws": scales, "xs": np.array(xs), "ys": np.array(ys), "yz": np.array(zero, KINDS[out][0])})

    def reference(data):
        total = sums(data) + (b.reshape([1, oc] + [1] * rank) if bias else 0)
        return requantized(total, (xs * scales / ys).reshape([1, oc] + [1] * rank), zero, out)
    inputs = ["xs", "xz", "w", "ws", "wz", "ys", "yz"] + (["b"] if bias else [])
    return Case(name, x, shape, constants, lambda n, i, o: [helper.make_node("QLinearConv", [i] + [n(c) for c in inputs], [o], **attributes)], KINDS[out][1], reference)


def matmul(rng, batch, m, k, n, x="u8", w="s8", x_zero=0, w_zero=0):
    weights = extreme(rng, w, [k, n])
    constants = {"w": weights, "xz": np.array(x_zero, KINDS[x][0]), "wz": np.array(w_zero, KINDS[w][0])}
    name = "matmul %s" % dict(batch=batch, m=m, k=k, n=n, x=x, w=w, xz=x_zero, wz=w_zero)
    return Case(name, x, batch + [m, k], constants, lambda c, i, o: [helper.make_node("MatMulInteger", [i, c("w"), c("xz"), c("wz")], [o])], TensorProto.INT32,
                lambda data: ((data.astype(np.int64) - x_zero) @ (weights.astype(np.int64) - w_zero)).astype(np.int32))


def qlinear_matmul(rng, m, k, n, x="u8", w="s8", out="u8", x_zero=0, w_zero=0):
    weights, scales = extreme(rng, w, [k, n]), np.float32(0.003)
    constants = {"w": weights, "xz": np.array(x_zero, KINDS[x][0]), "wz": np.array(w_zero, KINDS[w][0]), "xs": np.array(0.02, np.float32), "ws": np.array(scales),
                 "ys": np.array(0.05, np.float32), "yz": np.array(-7 if out == "s8" else 200, KINDS[out][0])}
    names = ["xs", "xz", "w", "ws", "wz", "ys", "yz"]
    scale = np.float32(0.02) * scales / np.float32(0.05)
    return Case("qlinear matmul %s" % dict(m=m, k=k, n=n, x=x, w=w, out=out, xz=x_zero, wz=w_zero), x, [m, k], constants,
                lambda c, i, o: [helper.make_node("QLinearMatMul", [i] + [c(v) for v in names], [o])], KINDS[out][1],
                lambda data: requantized((data.astype(np.int64) - x_zero) @ (weights.astype(np.int64) - w_zero), scale, int(constants["yz"]), out))


def between(rng, name, kind, shape, zero, compute, nodes, out_zero=None, in_scale=0.05, out_scale=0.04):
    """DequantizeLinear, `nodes`, QuantizeLinear; `compute` in floats. Where a sum or function is rounded once more or less, half way between two bytes may go either way."""
    in_scale, out_scale, out_zero = np.float32(in_scale), np.float32(out_scale), zero if out_zero is None else out_zero
    constants = {"xs": np.array(in_scale), "xz": np.array(zero, KINDS[kind][0]), "ys": np.array(out_scale), "yz": np.array(out_zero, KINDS[kind][0])}

    def all_nodes(n, i, o):
        return [helper.make_node("DequantizeLinear", [i, n("xs"), n("xz")], [n("a")]), *nodes(n, n("a"), n("b")),
                helper.make_node("QuantizeLinear", [n("b"), n("ys"), n("yz")], [o])]
    return Case("%s %s" % (name, dict(kind=kind, shape=shape, zero=zero)), kind, shape, constants, all_nodes, KINDS[kind][1],
                lambda data: requantized(compute((data.astype(np.float64) - zero) * in_scale) / out_scale, 1, out_zero, kind), slack=1)


def integer_operators(rng):
    one = lambda op, **a: lambda n, i, o: [helper.make_node(op, [i], [o], **a)]
    sigmoid = lambda v: 1 / (1 + np.exp(-v))
    silu = lambda n, i, o: [helper.make_node("Sigmoid", [i], [n("s")]), helper.make_node("Mul", [i, n("s")], [o])]
    for kind, zero in [("u8", 128), ("s8", -5)]:
        for name, nodes, compute in [("Sigmoid", one("Sigmoid"), sigmoid), ("Tanh", one("Tanh"), np.tanh), ("silu", silu, lambda v: v * sigmoid(v)),
                                     ("HardSwish", one("HardSwish"), lambda v: v * np.clip(v / 6 + 0.5, 0, 1)), ("Exp", one("Exp"), np.exp),
                                     ("Elu", one("Elu", alpha=1.0), lambda v: np.where(v > 0, v, np.exp(np.minimum(v, 0)) - 1)),
                                     ("LeakyRelu", one("LeakyRelu", alpha=0.1), lambda v: np.where(v > 0, v, 0.1 * v))]:
            for shape in [[3, 301], [7]]:
                yield between(rng, "activation " + name, kind, shape, zero, compute, nodes)
        yield between(rng, "average over all", kind, [2, 19, 7, 6], zero, lambda v: v.mean((2, 3), keepdims=True), one("GlobalAveragePool"))
        yield between(rng, "average pool", kind, [1, 20, 8, 9], zero, lambda v: sum(v[:, :, y:y + 7, x:x + 8] for y in (0, 1) for x in (0, 1)) / 4,
                      one("AveragePool", kernel_shape=[2, 2]))

        def padded(v):
            a, count = np.pad(v, [(0, 0), (0, 0), (1, 1), (1, 1)]), np.pad(np.ones(v.shape), [(0, 0), (0, 0), (1, 1), (1, 1)])
            taps = lambda t: sum(t[:, :, y:y + 8, x:x + 9] for y in range(3) for x in range(3))
            return taps(a) / taps(count)
        yield between(rng, "average pool with padding", kind, [1, 20, 8, 9], zero, padded, one("AveragePool", kernel_shape=[3, 3], pads=[1, 1, 1, 1]))


def cases():
    rng = np.random.default_rng(5)
    for ic in list(range(1, 10)) + [12, 16, 19, 33, 64]:
        yield conv(rng, [5, 6], ic, 8, [1, 1], x_zero=3)
        yield conv(rng, [7, 6], ic, 17, [3, 3], pad=1, x_zero=128)
    for oc in list(range(1, 20)) + [24, 31, 32, 33, 40, 48, 64, 72, 100]:
        yield conv(rng, [5, 6], 20, oc, [1, 1], x_zero=7, out="u8", bias=True)
        yield conv(rng, [5, 6], 6, oc, [3, 3], x="s8", x_zero=-3, out="s8")
    for x, w, x_zero, w_zero in [("u8", "s8", 0, 0), ("u8", "s8", 255, 0), ("s8", "s8", 0, 0), ("s8", "s8", -128, 0), ("u8", "u8", 128, 128), ("s8", "u8", 5, 128),
                                 ("u8", "u8", 3, 100)]:
        yield conv(rng, [6, 6], 24, 20, [3, 3], pad=1, x=x, w=w, x_zero=x_zero, w_zero=w_zero)
        yield conv(rng, [6, 6], 24, 24, [3, 3], pad=1, groups=24, x=x, w=w, x_zero=x_zero, w_zero=w_zero, out="u8", bias=True)
        yield conv(rng, [6, 6], 24, 32, [3, 3], pad=1, groups=2, x=x, w=w, x_zero=x_zero, w_zero=w_zero, out="s8", bias=True)
        yield matmul(rng, [2], 5, 37, 21, x, w, x_zero, w_zero)
        yield matmul(rng, [], 1, 260, 70, x, w, x_zero, w_zero)
    for stride, dilation, pad, k in itertools.product([1, 2], [1, 2], [0, 1], [[3, 3], [5, 5], [2, 3], [1, 4]]):
        for ic in [3, 8]:
            yield conv(rng, [11, 12], ic, 16, k, stride, dilation, pad, x_zero=9)
        yield conv(rng, [11, 12], 40, 40, k, stride, dilation, pad, groups=40, x_zero=9, out="u8")
    for c in list(range(1, 20)) + [24, 32, 48, 63, 64, 65, 96, 130]:
        yield conv(rng, [9, 10], c, c, [3, 3], pad=1, groups=c, x_zero=130, out="u8", bias=True)
    for groups, ic, oc in [(2, 8, 8), (4, 8, 16), (3, 9, 6), (2, 34, 66), (6, 12, 6)]:
        yield conv(rng, [6, 7], ic, oc, [3, 3], pad=1, groups=groups, x_zero=2, out="u8")
        yield conv(rng, [6, 7], ic, oc, [1, 1], groups=groups, x="s8", x_zero=2)
    yield conv(rng, [30], 6, 10, [5], 2, 1, 2, x_zero=1)
    yield conv(rng, [5, 6, 7], 3, 8, [3, 3, 3], 1, 1, 1, x_zero=1)
    yield from integer_operators(rng)
    for x, w, out in itertools.product(["u8", "s8"], repeat=3):
        yield qlinear_matmul(rng, 9, 40, 37, x, w, out, 100 if x == "u8" else -100, 128 if w == "u8" else 0)
    for m, k, n in [(1, 1, 1), (1, 3, 5), (1, 4, 4), (2, 5, 9), (7, 13, 17), (14, 64, 32), (33, 384, 48), (40, 31, 100), (64, 256, 64)]:
        yield matmul(rng, [], m, k, n, x_zero=77)
        yield matmul(rng, [3], m, k, n, x="s8", x_zero=-5)


def build(chosen, rng):
    nodes, inputs, outputs, initializers, feed, want = [], [], [], [], {}, {}
    for index, case in enumerate(chosen):
        name = lambda c, index=index: "c%d_%s" % (index, c)
        data = extreme(rng, case.kind, case.shape)
        feed["x%d" % index], want["y%d" % index] = data, case.reference(data)
        inputs.append(helper.make_tensor_value_info("x%d" % index, KINDS[case.kind][1], case.shape))
        outputs.append(helper.make_tensor_value_info("y%d" % index, case.out_type, want["y%d" % index].shape))
        initializers += [numpy_helper.from_array(v, name(c)) for c, v in case.constants.items()]
        nodes += case.nodes(name, "x%d" % index, "y%d" % index)
    graph = helper.make_graph(nodes, "integers", inputs, outputs, initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), feed, want


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machine", action="append")
    parser.add_argument("--filter", default="")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--keep")
    args = parser.parse_args()
    chosen = [c for c in cases() if args.filter in c.name][::args.every]
    model, feed, want = build(chosen, np.random.default_rng(11))
    failed = 0
    with tempfile.TemporaryDirectory() as directory:
        directory = args.keep or directory
        os.makedirs(directory, exist_ok=True)
        for machine in args.machine or ["host"]:
            got, wrong = Program(directory, model, feed, machine).outputs(), 0
            for index, case in enumerate(chosen):
                y, expected = got["y%d" % index], want["y%d" % index]
                off = np.abs(y.astype(np.int64) - expected) if y.shape == expected.shape else None
                if off is None or off.max() > case.slack:
                    where = tuple(np.argwhere(off > case.slack)[0]) if y.shape == expected.shape else "shape"
                    print("%s: %s: first wrong at %s: %s, expected %s" % (machine, case.name, where, y[where] if where != "shape" else y.shape,
                                                                         expected[where] if where != "shape" else expected.shape))
                    wrong += 1
            print("%s: %d of %d cases agree" % (machine, len(chosen) - wrong, len(chosen)))
            failed += wrong
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
