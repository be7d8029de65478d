#!/usr/bin/env python3
"""Blocks as they are trained, and what the graph passes make of them: seeded, in numpy and onnx.helper alone.

usage: blocks.py --bin DIR [NAME...]

Each block goes ONNX -> passes -> ONNX, must hold exactly the operators that its case expects, and must compute the same in
ONNX Runtime (no optimizations; max|a-b| <= 2e-5 * max(1, max|b|)). Prints a line a failure and `N passed, N failed`.
"""
import argparse
import collections
import itertools
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from generated import Graph

CASES = []
STAGE = "--pipeline=graph"


def case(passes=STAGE, **expected):
    """Registers a builder; `expected` counts operators (Constant aside) that must be left."""
    def register(f):
        CASES.append((f.__name__, f, passes, expected))
        return f
    return register


def conv_bn(g, x, cin, cout, k, **attributes):
    kh, kw = k if isinstance(k, tuple) else (k, k)
    groups, stride, dilation = attributes.get("groups", 1), attributes.get("stride", 1), attributes.get("dilation", 1)
    pads = [(kh // 2) * dilation, (kw // 2) * dilation] * 2
    y = g.op("Conv", x, g.weight(cout, cin // groups, kh, kw), kernel_shape=[kh, kw], strides=[stride] * 2, pads=pads, group=groups, dilations=[dilation] * 2)
    return g.batch_norm(y, cout)


def image(g, c, h=12, w=10):
    return g.input("x", [2, c, h, w])


def rep_vgg_block(g, x, cin, cout, stride=1, groups=1):
    y = g.op("Add", conv_bn(g, x, cin, cout, 3, stride=stride, groups=groups), conv_bn(g, x, cin, cout, 1, stride=stride, groups=groups))
    return g.op("Add", y, g.batch_norm(x, cin)) if cin == cout and stride == 1 else y


@case(Conv=3, Relu=3)
def rep_vgg(g):
    x = image(g, 8)
    for cin, cout, stride in ((8, 8, 1), (8, 12, 2), (12, 12, 1)):
        x = g.op("Relu", rep_vgg_block(g, x, cin, cout, stride))
    return [x]


@case(Conv=1, Relu=1)
def rep_vgg_grouped(g):
    return [g.op("Relu", rep_vgg_block(g, image(g, 8), 8, 8, groups=4))]


def mobile_one_block(g, x, cin, cout, k, stride=1, groups=1, branches=4):
    """over-parameterized: several k x k branches, one 1x1 where k > 1, a normalized skip"""
    y = None
    if k > 1:
        y = conv_bn(g, x, cin, cout, 1, stride=stride, groups=groups)
    if cin == cout and stride == 1:
        skip = g.batch_norm(x, cin)
        y = g.op("Add", y, skip) if y else skip
    for _ in range(branches):
        b = conv_bn(g, x, cin, cout, k, stride=stride, groups=groups)
        y = g.op("Add", y, b) if y else b
    return y


@case(Conv=5, Relu=5)
def mobile_one(g):
    x = g.op("Relu", mobile_one_block(g, image(g, 3, 20, 24), 3, 16, 3, stride=2, branches=1))
    for cin, cout, stride in ((16, 16, 1), (16, 24, 2)):
        x = g.op("Relu", mobile_one_block(g, x, cin, cin, 3, stride, groups=cin))
        x = g.op("Relu", mobile_one_block(g, x, cin, cout, 1))
    return [x]


def repeat_mixer(g, x, c):
    """FastViT's token mixer: x + scale * (mixer(x) - norm(x))"""
    mixed = g.op("Sub", mobile_one_block(g, x, c, c, 3, groups=c, branches=1), g.batch_norm(x, c))
    return g.op("Add", x, g.op("Mul", g.weight(c, 1, 1), mixed))


@case(Conv=1)
def fast_vit_mixer(g):
    return [repeat_mixer(g, image(g, 12), 12)]


@case(Conv=1, Gelu=1)
def fast_vit_patch_embedding(g):
    """a large depthwise kernel with a small one beside it, stride 2"""
    x = image(g, 8)
    y = g.op("Add", conv_bn(g, x, 8, 8, 7, stride=2, groups=8), conv_bn(g, x, 8, 8, 3, stride=2, groups=8))
    h = g.op("Mul", y, g.op("Add", g.op("Erf", g.op("Div", y, g.constant(np.float32(2 ** 0.5)))), g.constant(np.float32(1))))
    return [g.op("Mul", h, g.constant(np.float32(0.5)))]


@case(Conv=1)
def fast_vit_positions(g):
    """conditional positional encoding: a depthwise 7x7 beside the input itself"""
    x = image(g, 8)
    return [g.op("Add", g.conv(x, 8, 8, 7, groups=8), x)]


@case(Conv=4, Add=1, Gelu=1)
def fast_vit_stage(g):
    x = repeat_mixer(g, image(g, 8), 8)
    h = conv_bn(g, x, 8, 8, 7, groups=8)
    h = g.conv(h, 8, 24, 1)
    e = g.op("Mul", h, g.op("Add", g.op("Erf", g.op("Div", h, g.constant(np.float32(2 ** 0.5)))), g.constant(np.float32(1))))
    h = g.conv(g.op("Mul", e, g.constant(np.float32(0.5))), 24, 8, 1)
    return [g.op("Add", x, g.op("Mul", g.weight(8, 1, 1), h))]


@case(Conv=1)
def asymmetric(g):
    """ACNet: a square, a row and a column"""
    x = image(g, 6)
    y = g.op("Add", conv_bn(g, x, 6, 8, 3), conv_bn(g, x, 6, 8, (1, 3)))
    return [g.op("Add", y, conv_bn(g, x, 6, 8, (3, 1)))]


@case(Conv=1)
def diverse_branches(g):
    """1x1, k x k, a mean, and 1x1 before k x k without a shift"""
    x = image(g, 6)
    y = g.op("Sum", conv_bn(g, x, 6, 8, 1), conv_bn(g, x, 6, 8, 3),
             g.batch_norm(g.op("AveragePool", g.conv(x, 6, 8, 1, bias=False), kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=1), 8),
             conv_bn(g, g.conv(x, 6, 6, 1, bias=False), 6, 8, 3))
    return [y]


@case(Conv=1)
def dilated_branches(g):
    """UniRepLKNet: dilated small kernels inside a large one"""
    x = image(g, 6, 16, 16)
    y = conv_bn(g, x, 6, 6, 9, groups=6)
    for k, d in ((5, 1), (5, 2), (3, 3), (3, 4)):
        y = g.op("Add", y, conv_bn(g, x, 6, 6, k, groups=6, dilation=d))
    return [y]


@case(Conv=1)
def mean_branch(g):
    """PoolFormer's mixer: mean(x) - x, beside a depthwise convolution"""
    x = image(g, 6)
    pool = g.op("Sub", g.op("AveragePool", x, kernel_shape=[3, 3], pads=[1] * 4, count_include_pad=1), x)
    return [g.op("Add", pool, g.conv(x, 6, 6, 3, groups=6))]


@case(Conv=2, Add=1)
def dear_branches(g):
    """a depthwise 3x3 beside a dense 1x1: one dense 3x3 would cost nine times as much"""
    x = image(g, 16)
    return [g.op("Add", g.conv(x, 16, 16, 3, groups=16), g.conv(x, 16, 16, 1))]


@case(Conv=1)
def stem_of_two(g):
    """3x3 of stride 2 from 3 to 32 channels, then 1x1 to 8"""
    return [g.conv(g.conv(image(g, 3, 21, 16), 3, 32, 3, stride=2), 32, 8, 1)]


@case(Conv=1)
def pointwise_before(g):
    """1x1 without bias to many channels, padded 3x3 behind; then, unpadded, with bias"""
    return [g.conv(g.conv(g.conv(image(g, 3), 3, 24, 1, bias=False), 24, 4, 3), 4, 4, 1)]


@case(Conv=1, Relu=1)
def scale_through_relu(g):
    positive = g.constant(g.random.uniform(0.5, 2, (6, 1, 1)).astype(np.float32))
    return [g.op("Mul", g.op("Relu", g.conv(image(g, 4), 4, 6, 3)), positive)]


@case(Conv=1, MaxPool=1, Relu=1)
def norm_behind_pool(g):
    x = g.op("MaxPool", g.conv(image(g, 4), 4, 6, 3), kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    return [g.op("Relu", g.batch_norm(x, 6))]


def positive_batch_norm(g, x, c):
    draw = lambda: g.constant(g.random.uniform(0.5, 1.5, c).astype(np.float32))
    return g.op("BatchNormalization", x, draw(), g.weight(c), g.weight(c), draw(), epsilon=1e-5)


@case(MaxPool=1, Conv=1, Relu=1)
def scale_before_conv(g):
    x = g.op("Mul", image(g, 4), g.constant(np.float32(0.25)))
    return [g.conv(g.op("MaxPool", g.op("Relu", x), kernel_shape=[2, 2], strides=[2, 2]), 4, 6, 3)]


@case("--graph-fuse-siblings", MatMul=1, Add=1, Split=1)
def projections(g):
    """queries, keys and values of different widths"""
    x = g.input("x", [2, 5, 16])
    return [g.op("Add", g.op("MatMul", x, g.constant(g.random.standard_normal((16, n)).astype(np.float32))), g.weight(n)) for n in (16, 8, 8)]


@case("--graph-fuse-siblings", MatMul=1, Split=1, Sigmoid=1)
def gate_and_up(g):
    x = g.input("x", [2, 5, 16])
    gate, up = (g.op("MatMul", x, g.constant(g.random.standard_normal((16, 24)).astype(np.float32))) for _ in range(2))
    return [g.op("Mul", g.op("Mul", gate, g.op("Sigmoid", gate)), up)]


@case("--graph-fuse-siblings=groups=true", Conv=2, Relu=1, Split=1)
def detector_towers(g):
    x = image(g, 8)
    return [g.conv(g.op("Relu", g.conv(x, 8, 8, 3)), 8, 8, 3) for _ in range(2)]


@case("--graph-fuse-siblings", Gemm=1, Split=1)
def gemm_heads(g):
    x = g.input("x", [3, 16])
    return [g.op("Gemm", x, g.weight(n, 16), g.weight(n), transB=1) for n in (2, 4, 10)]


def channel_shuffle(g, x, groups, c, h, w):
    y = g.op("Reshape", x, g.constant(np.array([2, groups, c // groups, h, w])))
    return g.op("Reshape", g.op("Transpose", y, perm=[0, 2, 1, 3, 4]), g.constant(np.array([2, c, h, w])))


@case(Conv=3, Relu=1)
def shuffle_folded(g):
    """ShuffleNet's grouped 1x1 and shuffle before a depthwise and a dense 1x1 convolution"""
    x = g.op("Relu", g.conv(image(g, 8), 8, 12, 1, groups=4))
    return [g.conv(g.conv(channel_shuffle(g, x, 4, 12, 12, 10), 12, 12, 3, groups=12), 12, 6, 1)]


@case(Conv=2, HardSwish=1)
def pruned(g):
    """channels chosen behind a convolution, an activation and a depthwise convolution"""
    x = g.op("HardSwish", g.conv(image(g, 4), 4, 12, 3))
    return [g.op("Gather", g.conv(x, 12, 12, 3, groups=12), g.constant(np.array([7, 0, 3, 11, 5])), axis=1)]


@case(Conv=1, Relu=1)
def pixel_unshuffle(g):
    x = g.op("Reshape", image(g, 3, 12, 8), g.constant(np.array([2, 3, 6, 2, 4, 2])))
    x = g.op("Reshape", g.op("Transpose", x, perm=[0, 1, 3, 5, 2, 4]), g.constant(np.array([2, 12, 6, 4])))
    return [g.op("Relu", g.conv(x, 12, 8, 3))]


def transposed(g, k, s, p, extra, d, group, spatial):
    cin, cout = 4, 6
    x = g.input("x", [2, cin] + [5, 4, 3][:spatial])
    return [g.op("ConvTranspose", x, g.weight(cin, cout // group, *k), g.weight(cout), strides=list(s), pads=list(p), output_padding=list(extra), dilations=list(d), group=group)]


def transposed_cases():
    yield from [((2, 2), (2, 2), (0,) * 4, (0, 0), (1, 1), 1), ((4, 4), (2, 2), (1,) * 4, (0, 0), (1, 1), 1), ((3, 3), (2, 2), (1,) * 4, (1, 1), (1, 1), 2),
                ((3, 3), (3, 3), (0,) * 4, (0, 0), (1, 1), 1), ((5, 3), (2, 3), (2, 1, 1, 0), (1, 2), (1, 1), 1), ((2, 2), (3, 3), (0,) * 4, (1, 0), (1, 1), 1),
                ((3, 3), (2, 2), (2,) * 4, (0, 1), (2, 2), 1), ((3, 2), (2, 2), (1, 0, 0, 1), (0, 0), (3, 1), 2), ((1, 1), (2, 2), (0,) * 4, (1, 1), (1, 1), 1),
                ((8,), (4,), (2, 2), (0,), (1,), 1), ((2, 2, 2), (2, 2, 2), (0,) * 6, (0, 0, 0), (1, 1, 1), 1)]
    random = np.random.default_rng(5)
    for _ in range(24):
        k, s, d = random.integers(1, 6, 2), random.integers(1, 5, 2), random.integers(1, 3, 2)
        p = [int(random.integers(0, min(3, (k[i % 2] - 1) * d[i % 2] + 1))) for i in range(4)]
        extra = [int(random.integers(0, s[i])) for i in range(2)]
        yield tuple(map(int, k)), tuple(map(int, s)), tuple(p), tuple(extra), tuple(map(int, d)), int(random.choice([1, 2]))


for number, arguments in enumerate(transposed_cases()):
    def build(g, arguments=arguments):
        return transposed(g, *arguments, len(arguments[0]))
    build.__name__ = f"transposed_{number}"
    # Where pads cut whole positions off, or without a stride, it stays.
    CASES.append((build.__name__, build, "--graph-lower-conv-transpose", None if number >= 11 else {"ConvTranspose": 0}))


def strided_cases():
    for k, s, p, d, size in itertools.product((1, 2, 3, 5, 7), (2, 3), (0, 1, 3), (1, 2), (14, 15)):
        if p < (k - 1) * d + 1:
            yield k, s, p, d, size


for number, arguments in enumerate(strided_cases()):
    def build(g, arguments=arguments):
        k, s, p, d, size = arguments
        return [g.conv(image(g, 3, size, size + 1), 3, 4, k, stride=s, pad=p, dilation=d)]
    build.__name__ = f"strided_{number}"
    CASES.append((build.__name__, build, "--graph-lower-strided-conv", None))


@case("--graph-fold-space-to-depth", Conv=1)
def focus_folded(g):
    return [g.conv(g.op("SpaceToDepth", image(g, 3), blocksize=2), 12, 8, 3)]


@case("--graph-fold-space-to-depth", Conv=1)
def focus_folded_strided(g):
    return [g.conv(g.op("SpaceToDepth", image(g, 3, 24, 24), blocksize=4), 48, 8, 3, stride=2)]


def run(model, feed):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"]).run(None, feed)


def check(arguments, build, passes, expected, folder):
    g = Graph(11)
    model, feed = g.done(*build(g))
    before, after = os.path.join(folder, "in.onnx"), os.path.join(folder, "out.onnx")
    onnx.save(model, before)
    done = subprocess.run([os.path.join(arguments.bin, "burin-opt"), before, *passes.split(), "-o", after], capture_output=True, text=True)
    if done.returncode:
        return (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[0]
    count = collections.Counter(node.op_type for node in onnx.load(after).graph.node)
    del count["Constant"]
    if expected is not None and passes == STAGE and dict(count) != expected:
        return f"left {dict(count)}, expected {expected}"
    if expected is not None and any(count[kind] != n for kind, n in expected.items()):
        return f"left {dict(count)}, expected {expected}"
    for got, want in zip(run(after, feed), run(before, feed)):
        if got.shape != want.shape:
            return f"shape {got.shape}, expected {want.shape}"
        error = float(np.abs(got - want).max() / max(1.0, np.abs(want).max()))
        if not error <= 2e-5:
            return f"error {error:.2g}"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    good = bad = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, build, passes, expected in CASES:
            if arguments.names and name not in arguments.names:
                continue
            why = check(arguments, build, passes, expected, folder)
            good, bad = good + (why is None), bad + (why is not None)
            if why:
                print(f"FAIL {name}: {why}", flush=True)
    print(f"{good} passed, {bad} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
