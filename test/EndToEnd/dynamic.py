"""One compiled program for all sizes: small graphs with free dims, each compiled once and run at many sizes against the ONNX definition.

usage: dynamic.py [--bin DIR] [--only NAME] [--keep DIR]     prints "N passed, N failed, 0 skipped"; a pass is one graph at one size;
of operands whose sizes do not fit one another, a pass is an error
"""
import argparse
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnx.parser
from onnx.reference import ReferenceEvaluator

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
HEADER = '<ir_version: 10, opset_import: ["" : 21]>\n'

# name: (graph, sizes); the symbols in the sizes are the free dims. Integer inputs named n... hold sizes and come from the sizes too.
CASES = {}


def case(name, graph, *sizes):
    CASES[name] = (graph, sizes)


EDGES = [dict(N=n) for n in (1, 2, 3, 7, 8, 15, 16, 17, 33, 64, 100)]
PAIRS = [dict(N=n, M=m) for n, m in ((1, 1), (1, 5), (4, 1), (3, 16), (17, 9), (16, 33), (64, 65))]

case("elementwise", "g (float[N] x, float[N] z) => (float[N] y) { a = Mul(x, z) b = Sigmoid(a) y = Add(b, x) }", dict(N=0), *EDGES)
case("broadcast", "g (float[N, 1, M] x, float[N, 3, 1] z, float[M] w) => (float[N, 3, M] y) { a = Add(x, z) y = Mul(a, w) }", *PAIRS)
case("scalar_broadcast", "g (float[N, M] x) => (float[N, M] y) <float c = {2.5}> { a = Mul(x, c) y = Relu(a) }", *PAIRS)
case("matmul_rows", "g (float[N, 24] x, float[24, 40] w) => (float[N, 40] y) { y = MatMul(x, w) }", *EDGES)
case("matmul_inner", "g (float[4, N] x, float[N, 8] w) => (float[4, 8] y) { y = MatMul(x, w) }", *EDGES)
case("matmul_scores", """g (float[2, N, 16] q, float[2, M, 16] k, float[2, M, 16] v) => (float[2, N, 16] y) {
  t = Transpose<perm = [0, 2, 1]>(k) s = MatMul(q, t) p = Softmax(s) y = MatMul(p, v) }""", *PAIRS)
case("gemm_bias", "g (float[N, 12] x, float[20, 12] w, float[20] c) => (float[N, 20] y) { y = Gemm<transB = 1>(x, w, c) }", *EDGES)
case("softmax", "g (float[N, M] x) => (float[N, M] y, float[N, M] z) { y = Softmax<axis = 1>(x) z = Softmax<axis = 0>(x) }", *PAIRS)
case("log_softmax", "g (float[N, M] x) => (float[N, M] y) { y = LogSoftmax<axis = -1>(x) }", *PAIRS)
case("layer_norm", "g (float[N, 24] x, float[24] s, float[24] b) => (float[N, 24] y) { y = LayerNormalization(x, s, b) }", *EDGES)
case("norm_over_free", "g (float[3, N] x) => (float[3, N] y) { m = ReduceMean<keepdims = 1>(x) d = Sub(x, m) q = ReduceL2<keepdims = 1>(d) y = Div(d, q) }",
     *[s for s in EDGES if s["N"] > 1])
case("reduce", "g (float[N, M] x) => (float[M] a, float[N] b, float c) <int64[1] zero = {0}, int64[1] one = {1}> "
     "{ a = ReduceSum<keepdims = 0>(x, zero) b = ReduceMax<keepdims = 0>(x, one) c = ReduceMean<keepdims = 0>(x) }", *PAIRS)
case("argmax", "g (float[N, M] x) => (int64[N] a, int64[M] b) { a = ArgMax<axis = 1, keepdims = 0>(x) b = ArgMin<axis = 0, keepdims = 0>(x) }", *PAIRS)
case("concat", "g (float[N, 4] x, float[M, 4] z) => (float[K, 4] y) { a = Exp(x) y = Concat<axis = 0>(a, z, x) }", dict(N=0, M=3), *PAIRS)
case("concat_inner", "g (float[2, N] x, float[2, M] z) => (float[2, K] y) { y = Concat<axis = 1>(x, z) }", *PAIRS)
case("concat_past", """g (float[8, N, 64] p, float[8, M, 64] x, float[8, M, 64] q) => (float[8, K, 64] y, float[8, M, L] s)
  { y = Concat<axis = 1>(p, x) t = Transpose<perm = [0, 2, 1]>(y) s = MatMul(q, t) }""", *[dict(N=n, M=m) for n, m in ((0, 5), (0, 300), (300, 1), (129, 0))])
case("slice_ends", """g (float[N, 6] x) => (float[A, 6] y, float[B, 6] z, float[C, 3] w)
  <int64[1] s1 = {1}, int64[1] far = {9223372036854775807}, int64[1] ax = {0}, int64[1] m2 = {-2}, int64[1] zero = {0}, int64[1] m1 = {-1},
   int64[1] one = {1}, int64[1] two = {2}>
  { y = Slice(x, s1, far, ax) z = Slice(x, m2, far, ax) w = Slice(x, one, far, one, two) }""", *EDGES)
case("slice_reverse", "g (float[N] x) => (float[N] y) <int64[1] s = {-1}, int64[1] e = {-9223372036854775807}, int64[1] ax = {0}> { y = Slice(x, s, e, ax, s) }", *EDGES)
case("slice_by_input", "g (float[100] x, int64[1] n) => (float[K] y) <int64[1] z = {0}> { y = Slice(x, z, n) }", *[dict(n=n) for n in (0, 1, 17, 100)])
case("split", "g (float[N, 12] x) => (float[N, 5] a, float[N, 7] b) <int64[2] s = {5, 7}> { a, b = Split<axis = 1>(x, s) }", *EDGES)
case("reshape_chain", """g (float[N, M, 12] x) => (float[N, 3, M, 4] y) <int64[1] i0 = {0}, int64[1] i1 = {1}, int64[2] tail = {3, 4}>
  { s = Shape(x) a = Gather(s, i0) b = Gather(s, i1) t = Concat<axis = 0>(a, b, tail) r = Reshape(x, t) y = Transpose<perm = [0, 2, 1, 3]>(r) }""", *PAIRS)
case("reshape_minus_one", "g (float[N, M, 6] x) => (float[K, 6] y) <int64[2] t = {-1, 6}> { a = Relu(x) y = Reshape(a, t) }", *PAIRS)
case("flatten", "g (float[N, 3, M] x) => (float[N, K] y) { y = Flatten(x) }", *PAIRS)
case("squeeze", "g (float[N, 1, M] x) => (float[M, N, 1] y) <int64[1] a = {1}, int64[1] b = {2}> { s = Squeeze(x, a) t = Transpose(s) y = Unsqueeze(t, b) }", *PAIRS)
case("gather_rows", "g (float[50, 8] w, int64[N] i) => (float[N, 8] y) { y = Gather(w, i) }", *EDGES)
case("gather_from_free", "g (float[N, 8] x) => (float[8] y) <int64 i = {-1}> { y = Gather<axis = 0>(x, i) }", *EDGES)
case("expand_like", "g (float[N, 1] x, float[N, M] z) => (float[N, M] y) { s = Shape(z) y = Expand(x, s) }", *PAIRS)
case("tile", "g (float[N, 3] x, int64[2] n) => (float[K, L] y) { y = Tile(x, n) }", *[dict(N=n, n=[2, 3]) for n in (1, 4, 17)])
case("range_mask", """g (float[N, N] x) => (float[N, N] y) <int64 zero = {0}, int64 one = {1}, int64[1] i1 = {1}, float low = {-1e9}>
  { s = Shape(x) n = Gather(s, zero) r = Range(zero, n, one) c = Unsqueeze(r, i1) m = Greater(r, c) y = Where(m, low, x) }""", *EDGES)
case("constant_of_shape", "g (float[N, M] x) => (float[N, M] y) { s = Shape(x) o = ConstantOfShape<value = float[1] {3.0}>(s) y = Sub(o, x) }", *PAIRS)
case("pad", "g (float[N, M] x) => (float[A, B] y) <int64[4] p = {1, 0, 2, 3}> { y = Pad(x, p) }", *PAIRS)
for mode in ("edge", "reflect", "wrap"):
    case("pad_" + mode, "g (float[N, 3, M] x) => (float[N, 3, B] y) <int64[6] p = {0, 0, 2, 0, 0, 3}> { y = Pad<mode = \"%s\">(x, p) }" % mode,
         *[dict(N=n, M=m) for n, m in ((1, 4), (2, 5), (3, 33))])
    case("pad_free_" + mode, "g (float[N, M] x, int64[4] p) => (float[A, B] y) { y = Pad<mode = \"%s\">(x, p) }" % mode,
         *[dict(N=n, M=m, p=[1, 0, 2, 3]) for n, m in ((3, 4), (7, 18))])
case("trilu", "g (float[N, N] x) => (float[N, N] y) { y = Trilu<upper = 0>(x) }", *EDGES)
case("one_hot", "g (int64[N] i, float[2] v) => (float[N, 50] y) <int64 d = {50}> { y = OneHot(i, d, v) }", *EDGES)
case("cast_where", "g (float[N] x) => (float[N] y) <float z = {0}> { b = Greater(x, z) i = Cast<to = 7>(b) f = Cast<to = 1>(i) y = Mul(f, x) }", *EDGES)
case("conv", "g (float[N, 3, H, W] x, float[8, 3, 3, 3] w, float[8] b) => (float[N, 8, A, B] y) { a = Conv<pads = [1, 1, 1, 1], strides = [2, 2]>(x, w, b) y = Relu(a) }",
     *[dict(N=n, H=h, W=w) for n, h, w in ((1, 8, 8), (2, 9, 17), (1, 1, 1), (3, 16, 5))])
case("conv_chain", """g (float[1, 3, H, W] x, float[8, 3, 3, 3] w, float[8, 1, 3, 3] d, float[4, 8, 1, 1] p) => (float[1, 4, A, B] y)
  { a = Conv<pads = [1, 1, 1, 1]>(x, w) b = Relu(a) c = Conv<group = 8, pads = [1, 1, 1, 1], strides = [2, 2]>(b, d) e = Conv(c, p) y = MaxPool<kernel_shape = [2, 2]>(e) }""",
     *[dict(H=h, W=w) for h, w in ((8, 8), (9, 17), (16, 30))])
case("ghost", """g (float[N, 4, H, W] x, float[8, 4, 1, 1] p, float[8, 1, 3, 3] d, float[5, 16, 1, 1] q) => (float[N, 5, H, W] y)
  { a = Conv(x, p) b = Relu(a) c = Conv<group = 8, pads = [1, 1, 1, 1]>(b, d) e = Relu(c) f = Concat<axis = 1>(b, e) y = Conv(f, q) }""",
     *[dict(N=n, H=h, W=w) for n, h, w in ((1, 1, 1), (1, 2, 1), (2, 3, 2), (1, 8, 9), (3, 17, 16))])
case("partial_conv", """g (float[N, 16, H, W] x, float[16, 16, 1, 1] p, float[4, 4, 3, 3] w, float[6, 16, 1, 1] q) => (float[N, 6, H, W] y) <int64[2] s = {4, 12}>
  { z = Conv(x, p) a, b = Split<axis = 1>(z, s) c = Conv<pads = [1, 1, 1, 1]>(a, w) d = Concat<axis = 1>(c, b) e = Conv(d, q) y = Relu(e) }""",
     *[dict(N=n, H=h, W=w) for n, h, w in ((1, 1, 1), (1, 2, 1), (2, 3, 2), (1, 8, 9), (3, 17, 16))])
case("pools", "g (float[N, 4, H, W] x) => (float[N, 4, A, B] y, float[N, 4, 1, 1] z) { y = AveragePool<kernel_shape = [2, 2], strides = [2, 2]>(x) z = GlobalAveragePool(x) }",
     *[dict(N=n, H=h, W=w) for n, h, w in ((1, 4, 4), (2, 5, 9), (1, 2, 2))])
case("resize", "g (float[1, 4, H, W] x) => (float[1, 4, A, B] y, float[1, 4, C, D] z) <float[0] r = {}, float[4] s = {1, 1, 2, 2}> "
     "{ y = Resize<mode = \"nearest\", coordinate_transformation_mode = \"asymmetric\", nearest_mode = \"floor\">(x, r, s) z = Resize<mode = \"linear\">(x, r, s) }",
     *[dict(H=h, W=w) for h, w in ((1, 1), (3, 5), (8, 8))])
case("conv_transpose", "g (float[1, 4, H, W] x, float[4, 3, 2, 2] w) => (float[1, 3, A, B] y) { y = ConvTranspose<strides = [2, 2]>(x, w) }", *[dict(H=h, W=w) for h, w in ((1, 1), (3, 5))])
case("lstm", "g (float[N, B, 5] x, float[1, 16, 5] w, float[1, 16, 4] r) => (float[N, 1, B, 4] y, float[1, B, 4] h) { y, h = LSTM<hidden_size = 4>(x, w, r) }",
     *[dict(N=n, B=b) for n, b in ((1, 1), (3, 2), (40, 1), (7, 5))])
case("loop", """g (float[N] x, int64 n) => (float[N] y, float[K, N] z) <bool t = {1}> {
  y, z = Loop(n, t, x) <body = b (int64 i, bool c, float[N] s) => (bool c2, float[N] s2, float[N] o) { c2 = Identity(c) s2 = Add(s, s) o = Neg(s2) }> }""",
     *[dict(N=n, n=k) for n, k in ((1, 1), (5, 3), (17, 8))])
case("early_exit_loop", """g (float[N] x, float limit) => (float[N] y, float[K, N] z) <bool t = {1}, int64 most = {50}> {
  y, z = Loop(most, t, x) <body = b (int64 i, bool c, float[N] s) => (bool c2, float[N] s2, float[N] o) {
    s2 = Add(s, s) o = Identity(s2) a = Abs(s2) m = ReduceMax<keepdims = 0>(a) c2 = Less(m, limit) }> }""", *[dict(N=n, limit=v) for n, v in ((1, 1.0), (5, 30.0), (17, 1e5))])
case("branch", """g (float[N, 4] x) => (float[N, 4] y) <float zero = {0}> { s = ReduceSum<keepdims = 0>(x) c = Greater(s, zero)
  y = If(c) <then_branch = t () => (float[N, 4] p) { p = Relu(x) }, else_branch = e () => (float[N, 4] q) { q = Neg(x) }> }""", *EDGES)
case("branch_lengths", """g (float[N, 4] x) => (float[K, 4] y, float[L, 4] z) <float zero = {0}, int64[1] ax = {0}, int64[1] two = {2}>
  { s = ReduceSum<keepdims = 0>(x) c = Greater(s, zero)
  y = If(c) <then_branch = t () => (float[A, 4] p) { p = Slice(x, ax, two, ax) }, else_branch = e () => (float[B, 4] q) { q = Concat<axis = 0>(x, x) }>
  z = Neg(y) }""", *EDGES)
case("branch_counts", """g (float[N] x, float limit) => (int64[K] y, float[L] z) <float zero = {0}, int64[1] ax = {0}>
  { s = ReduceSum<keepdims = 0>(x) c = Greater(s, limit)
  y = If(c) <then_branch = t () => (int64[A] p) { b = Greater(x, zero) i = NonZero(b) p = Squeeze(i, ax) },
             else_branch = e () => (int64[B] q) <int64[0] none = {}> { q = Identity(none) }>
  z = Gather<axis = 0>(x, y) }""", *[dict(N=n, limit=v) for n in (1, 5, 17) for v in (-1e5, 1e5)])
case("nms", """g (float[1, N, 4] x, float[1, 2, N] scores) => (int64[K, 3] y) <int64[1] most = {3}, float[1] iou = {0.3}, float[1] least = {0.2}>
  { y = NonMaxSuppression(x, scores, most, iou, least) }""", *EDGES)
case("nms_all", """g (float[1, N, 4] x, float[1, 1, N] scores) => (float[K, 4] y) <int64[1] most = {9223372036854775807}, float[1] iou = {0.3}, int64[1] two = {2}, int64[1] one = {1}, int64[1] zero = {0}>
  { i = NonMaxSuppression(x, scores, most, iou) j = Gather<axis = 1>(i, two) k = Squeeze(j, one) b = Squeeze(x, zero) y = Gather<axis = 0>(b, k) }""", *EDGES)
case("roi_align", """g (float[1, 2, 8, 9] x, float[N, 4] rois) => (float[N, 2, 3, 2] y) <int64[1] zero = {0}>
  { s = Shape(rois) n = Gather(s, zero) i = ConstantOfShape<value = int64[1] v = {0}>(n) y = RoiAlign<output_height = 3, output_width = 2, sampling_ratio = 2>(x, rois, i) }""", *EDGES)
case("kv_cache", """g (float[1, 2, P, 8] past, float[1, 2, N, 8] x) => (float[1, 2, T, 8] present, float[1, 2, N, 8] y) <float c = {0.3}>
  { present = Concat<axis = 2>(past, x) t = Transpose<perm = [0, 1, 3, 2]>(present) s = MatMul(x, t) q = Mul(s, c) p = Softmax(q) y = MatMul(p, present) }""",
     *[dict(P=p, N=n) for p, n in ((0, 5), (5, 1), (6, 1), (31, 1), (16, 16))])
case("non_zero", "g (float[N, M] x) => (int64[2, K] y) <float z = {0}> { b = Greater(x, z) y = NonZero(b) }", *PAIRS)
case("compress", "g (float[N, 3] x, bool[N] c) => (float[K, 3] y) { y = Compress<axis = 0>(x, c) }", *EDGES)
case("top_k", "g (float[N, M] x) => (float[N, 2] v, int64[N, 2] i) <int64[1] k = {2}> { v, i = TopK(x, k) }", *[s for s in PAIRS if s["M"] > 1])
case("depth_to_space", "g (float[N, 8, H, W] x) => (float[N, 2, A, B] y) { y = DepthToSpace<blocksize = 2>(x) }", *[dict(N=1, H=3, W=5), dict(N=2, H=1, W=1)])
case("scatter_nd", "g (float[N, 4] x, float[2, 4] u) => (float[N, 4] y) <int64[2, 1] i = {0, 1}> { y = ScatterND(x, i, u) }", *[s for s in EDGES if s["N"] > 1])
case("instance_norm", "g (float[N, 4, H, W] x, float[4] s, float[4] b) => (float[N, 4, H, W] y) { y = InstanceNormalization(x, s, b) }", *[dict(N=1, H=3, W=5), dict(N=2, H=8, W=8)])
case("half", "g (float16[N, 16] x, float16[16, 8] w) => (float16[N, 8] y) { y = MatMul(x, w) }", *EDGES)

# Operands that must agree and do not: the program says so and reads nothing outside.
MISFITS = {}


def misfit(name, graph, *sizes):
    MISFITS[name] = (graph, sizes)


misfit("matmul", "g (float[4, N] x, float[M, 8] w) => (float[4, 8] y) { y = MatMul(x, w) }", dict(N=64, M=8), dict(N=8, M=64))
misfit("gemm", "g (float[4, N] x, float[8, M] w, float[K] c) => (float[4, 8] y) { y = Gemm<transB = 1>(x, w, c) }", dict(N=64, M=8, K=8), dict(N=8, M=8, K=4))
misfit("add", "g (float[N] x, float[M] w) => (float[K] y) { y = Add(x, w) }", dict(N=64, M=8))
misfit("conv", "g (float[1, N, 8, 8] x, float[4, M, 3, 3] w, float[K] b) => (float[1, 4, 6, 6] y) { y = Conv(x, w, b) }", dict(N=3, M=64, K=4), dict(N=3, M=3, K=2))
misfit("conv_transpose", "g (float[1, N, 8, 8] x, float[M, 4, 2, 2] w) => (float[1, 4, A, B] y) { y = ConvTranspose<strides = [2, 2]>(x, w) }", dict(N=3, M=64))
misfit("batch_norm", "g (float[2, N, 4] x, float[M] s, float[M] b, float[M] m, float[M] v) => (float[2, N, 4] y) { y = BatchNormalization(x, s, b, m, v) }", dict(N=64, M=3))
misfit("instance_norm", "g (float[2, N, 4] x, float[M] s, float[M] b) => (float[2, N, 4] y) { y = InstanceNormalization(x, s, b) }", dict(N=64, M=3))
misfit("layer_norm", "g (float[2, N] x, float[M] s) => (float[2, N] y) { y = LayerNormalization(x, s) }", dict(N=64, M=3))
misfit("quantize", "g (float[4, N] x, float[M] s, uint8[K] z) => (uint8[4, N] y) { y = QuantizeLinear<axis = 1>(x, s, z) }", dict(N=64, M=3, K=3), dict(N=64, M=64, K=3))
misfit("gather_elements", "g (float[N, 4] x, int64[2, M] i) => (float[2, M] y) { y = GatherElements<axis = 0>(x, i) }", dict(N=50, M=9))
misfit("scatter_elements", "g (float[N, 4] x, int64[2, M] i, float[2, K] u) => (float[N, 4] y) { y = ScatterElements<axis = 0>(x, i, u) }", dict(N=50, M=9, K=9), dict(N=50, M=4, K=2))
misfit("scatter_nd", "g (float[N, 4] x, int64[M, 1] i, float[K, 4] u) => (float[N, 4] y) { y = ScatterND(x, i, u) }", dict(N=50, M=9, K=2))
misfit("lstm", """g (float[5, N, 3] x, float[1, 16, 3] w, float[1, 16, 4] r, float[1, B, 4] h) => (float[5, 1, N, 4] y)
  { y = LSTM<hidden_size = 4>(x, w, r, , , h) }""", dict(N=9, B=2))
misfit("group_norm", "g (float[2, N, 4] x, float[N] s, float[N] b) => (float[2, N, 4] y) { y = GroupNormalization<num_groups = 3>(x, s, b) }", dict(N=4))
misfit("space_to_depth", "g (float[1, 2, N, 4] x) => (float[1, 8, K, 2] y) { y = SpaceToDepth<blocksize = 2>(x) }", dict(N=5))
misfit("reshape", "g (float[N, 4] x) => (float[3, 8] y) <int64[2] t = {3, 8}> { y = Reshape(x, t) }", dict(N=5))


def feeds(model, sizes, random):
    result = {}
    for value in model.graph.input:
        tensor = value.type.tensor_type
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        if value.name in sizes:
            result[value.name] = np.asarray(sizes[value.name], dtype).reshape([d.dim_value for d in tensor.shape.dim])
            continue
        shape = [sizes[d.dim_param] if d.dim_param else d.dim_value for d in tensor.shape.dim]
        if dtype == np.int64:
            result[value.name] = random.integers(0, 50, shape)
        elif dtype == bool:
            result[value.name] = random.random(shape) < 0.5
        else:
            result[value.name] = random.standard_normal(shape).astype(dtype)
    return result


def run_case(name, args, folder):
    graph, all_sizes = CASES[name]
    model = onnx.parser.parse_model(HEADER + graph)
    path, program = f"{folder}/{name}.onnx", f"{folder}/{name}"
    onnx.save(model, path)
    made = subprocess.run([f"{args.bin}/burin-compile", path, "-o", program], capture_output=True, text=True)
    if made.returncode:
        print(f"FAIL {name}: {made.stderr.strip()[:300]}")
        return 0, len(all_sizes)
    reference, random, passed = ReferenceEvaluator(model), np.random.default_rng(7), 0
    for sizes in all_sizes:
        feed = feeds(model, sizes, random)
        expected = reference.run(None, feed)
        np.savez(f"{folder}/in.npz", **feed)
        ran = subprocess.run([program, "--inputs", f"{folder}/in.npz", "--outputs", f"{folder}/out.npz"], capture_output=True, text=True, timeout=60)
        if ran.returncode:
            print(f"FAIL {name} {sizes}: exit {ran.returncode} {ran.stderr.strip()[:200]}")
            continue
        with np.load(f"{folder}/out.npz") as got:
            try:
                for info, want in zip(model.graph.output, expected):
                    assert got[info.name].shape == want.shape, f"{info.name}: shape {got[info.name].shape}, expected {want.shape}"
                    loose = want.dtype == np.float16
                    np.testing.assert_allclose(got[info.name], want, rtol=1e-2 if loose else 1e-4, atol=1e-2 if loose else 1e-5)
                passed += 1
            except AssertionError as error:
                print(f"FAIL {name} {sizes}: {' '.join(str(error).split())[:200]}")
    return passed, len(all_sizes) - passed


def run_misfit(name, args, folder):
    graph, all_sizes = MISFITS[name]
    model = onnx.parser.parse_model(HEADER + graph)
    path, program = f"{folder}/misfit_{name}.onnx", f"{folder}/misfit_{name}"
    onnx.save(model, path)
    made = subprocess.run([f"{args.bin}/burin-compile", path, "-o", program], capture_output=True, text=True)
    if made.returncode:
        print(f"FAIL misfit {name}: {made.stderr.strip()[:300]}")
        return 0, len(all_sizes)
    random, passed = np.random.default_rng(7), 0
    for sizes in all_sizes:
        np.savez(f"{folder}/in.npz", **feeds(model, sizes, random))
        ran = subprocess.run([program, "--inputs", f"{folder}/in.npz"], capture_output=True, text=True, timeout=60)
        if ran.returncode == 1 and "error: " in ran.stderr:
            passed += 1
        else:
            print(f"FAIL misfit {name} {sizes}: exit {ran.returncode}, expected 1 with an error {ran.stderr.strip()[:200]}")
    return passed, len(all_sizes) - passed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.environ.get("BURIN_BIN", f"{ROOT}/build/bin"))
    parser.add_argument("--only")
    parser.add_argument("--keep", help="folder for the models and programs")
    args = parser.parse_args()
    passed = failed = 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep or temporary
        os.makedirs(folder, exist_ok=True)
        for name in CASES:
            if not args.only or args.only in name:
                good, bad = run_case(name, args, folder)
                passed, failed = passed + good, failed + bad
        for name in MISFITS:
            if not args.only or args.only in f"misfit_{name}":
                good, bad = run_misfit(name, args, folder)
                passed, failed = passed + good, failed + bad
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
