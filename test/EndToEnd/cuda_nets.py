"""Small nets that meet every family of GPU kernels: for the emulator (cuda.py) and for memory checkers (test/Bench/cuda)."""
import numpy as np
import onnx
from onnx import helper

from generated import Graph, model


@model
def cuda_products():
    """Matrix products: tiles that fit and that do not, batches, transposed factors, one row, rows that are no multiple of 16 bytes, tiles shared by stretches."""
    g = Graph(201)
    outs = []
    for batch, m, k, n in [((), 64, 64, 64), ((), 33, 70, 45), ((3,), 17, 36, 128), ((2, 2), 8, 24, 16), ((), 1, 300, 130), ((), 130, 8, 257), ((), 160, 204, 32)]:
        x = g.input(f"x{len(outs)}", (*batch, m, k))
        outs.append(g.op("Relu", g.op("Add", g.op("MatMul", x, g.weight(k, n)), g.weight(n))))
    q, v = g.input("q", (2, 2, 40, 32)), g.input("v", (2, 2, 40, 32))
    scores = g.op("Softmax", g.op("MatMul", q, g.op("Transpose", v, perm=[0, 1, 3, 2])), axis=-1)
    token = g.op("MatMul", g.input("token", (2, 1, 1, 32)), g.op("Transpose", v, perm=[0, 1, 3, 2]))
    long = g.op("MatMul", g.input("long", (40, 640)), g.weight(640, 72))
    return g.done(*outs, g.op("MatMul", scores, v), token, long)


@model
def cuda_convolutions():
    """Convolutions: strides, dilation, groups, one tap, few channels, one dim, long sums, transposed, depthwise."""
    g = Graph(202)
    x = g.input("x", (2, 16, 19, 23))
    outs = [g.conv(x, 16, 24, 3), g.conv(x, 16, 40, 1), g.conv(x, 16, 8, 5, 2), g.conv(x, 16, 32, 3, groups=4), g.conv(x, 16, 20, 3, 1, dilation=2, pad=1),
            g.conv(x, 16, 16, 3, 2, groups=16), g.op("ConvTranspose", x, g.weight(16, 5, 2, 2), strides=[2, 2], kernel_shape=[2, 2])]
    image = g.input("image", (1, 3, 33, 31))
    outs.append(g.op("Relu", g.conv(image, 3, 21, 3, 2)))
    line = g.input("line", (1, 8, 50))
    outs.append(g.op("Conv", line, g.weight(12, 8, 7), kernel_shape=[7], pads=[3, 3], strides=[2]))
    deep = g.input("deep", (1, 96, 5, 6))
    outs.append(g.op("Relu", g.conv(deep, 96, 40, 3)))
    return g.done(*outs)


@model
def cuda_loops():
    """Elementwise chains with every approximated function, reductions, data movement, pools, normalization."""
    g = Graph(203)
    x = g.input("x", (2, 12, 14, 18))
    outs = [g.op(kind, x) for kind in ("Exp", "Tanh", "Erf", "Sigmoid", "Sin", "Floor", "Softplus")]
    outs += [g.op("ReduceMean", x, axes=[2, 3]), g.op("ReduceMax", x, axes=[1]), g.op("ReduceSum", x, keepdims=0), g.op("ArgMax", x, axis=1),
             g.op("Transpose", x, perm=[0, 2, 3, 1]), g.op("Concat", x, g.op("Abs", x), axis=1), g.op("Softmax", x, axis=1), g.op("GlobalAveragePool", x),
             g.op("MaxPool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]), g.op("AveragePool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
             g.op("Resize", x, "", g.constant(np.array([1, 1, 2, 2], np.float32)), mode="linear"),
             g.op("LayerNormalization", x, g.weight(18), g.weight(18), axis=-1),
             g.op("Gather", x, g.constant(np.array([3, 1, 1])), axis=1), g.op("Cast", x, to=onnx.TensorProto.INT32),
             g.op("Exp", g.op("Cast", x, to=onnx.TensorProto.DOUBLE))]
    bigger = g.op("Greater", x, g.op("ReduceMean", x, axes=[1]))
    outs += [bigger, g.op("Where", bigger, x, g.op("Sqrt", g.op("Abs", x)))]
    return g.done(*outs)


@model
def cuda_halves():
    """Products and chains in f16."""
    g = Graph(204)
    x = g.input("x", (48, 64), dtype=np.float16)
    half = lambda *shape: g.constant((g.random.standard_normal(shape) / 8).astype(np.float16))
    y = g.op("Relu", g.op("MatMul", x, half(64, 40)))
    return g.done(g.op("Softmax", g.op("MatMul", y, half(40, 72)), axis=-1), g.op("Exp", y))


@model
def cuda_bytes():
    """Products of bytes, signed and not, with zero points on either side; one row; long sums; softmax of a step of them."""
    g = Graph(206)
    byte = lambda kind, *shape: g.random.integers(np.iinfo(kind).min, np.iinfo(kind).max, shape, dtype=kind, endpoint=True)
    outs = []
    for m, k, n, left, right, za, zb in [(40, 96, 64, np.uint8, np.int8, 113, 0), (33, 68, 36, np.int8, np.int8, 0, 0), (64, 64, 32, np.uint8, np.uint8, 7, 200),
                                         (1, 128, 40, np.int8, np.int8, 3, 0), (16, 1200, 32, np.int8, np.uint8, -5, 9), (160, 832, 32, np.uint8, np.int8, 113, 5)]:
        x = g.input(f"x{len(outs)}", (m, k))
        g.feed[x] = byte(left, m, k)
        g.inputs[-1] = helper.make_tensor_value_info(x, helper.np_dtype_to_tensor_dtype(g.feed[x].dtype), (m, k))
        outs.append(g.op("MatMulInteger", x, g.constant(byte(right, k, n)), g.constant(np.array(za, left)), g.constant(np.array(zb, right))))
    scores = g.op("DequantizeLinear", "x0", g.constant(np.float32(0.05)), g.constant(np.uint8(113)))
    return g.done(*outs, g.op("Softmax", scores, axis=-1), opset=21)


@model
def cuda_warpgroups():
    """Products and convolutions that warpgroups of sm_90a take in 16-bit floats: tails, batches, transposed factors, long sums, wide tiles; strides, padding, dilation, groups, parts of 64 channels."""
    g = Graph(208)
    linear = lambda m, k, n: g.op("MatMul", g.input(f"x{len(g.inputs)}", (m, k)), g.weight(k, n))
    outs = [g.op("Relu", g.op("Add", linear(200, 72, 104), g.weight(104))), linear(128, 2048, 64), g.op("ReduceMax", linear(640, 64, 5888), axes=[1])]
    q, k = g.input("q", (2, 3, 128, 64)), g.input("k", (2, 3, 96, 64))
    outs.append(g.op("MatMul", q, g.op("Transpose", k, perm=[0, 1, 3, 2])))
    outs.append(g.op("MatMul", q, g.input("v", (1, 3, 64, 48))))
    x = g.input("x", (2, 64, 20, 12))
    y = g.op("Relu", g.conv(x, 64, 64, 3))
    outs += [g.op("Add", y, x), g.conv(x, 64, 40, 1), g.conv(x, 64, 72, 3, 2), g.conv(x, 64, 48, 3, dilation=2, pad=2)]
    outs.append(g.conv(g.input("parts", (1, 48, 19, 23)), 48, 32, 5, 2))
    outs.append(g.conv(g.input("groups", (1, 128, 16, 16)), 128, 128, 3, groups=2))
    return g.done(*outs)


@model
def cuda_attention():
    """Attention in one pass: tiles and tails of queries and keys, masks with -infinity, shared heads, one query, a long cache, halves, odd sizes."""
    g = Graph(207)
    outs = []

    def attend(heads, shared, queries, keys, depth, columns, mask=None, turned=False, kind=np.float32, batch=1):
        at = len(outs)
        q, k = g.input(f"q{at}", (batch, heads, queries, depth), dtype=kind), g.input(f"k{at}", (batch, shared, keys, depth), dtype=kind)
        v = g.input(f"v{at}", (batch, keys, shared, columns) if turned else (batch, shared, keys, columns), dtype=kind)
        v = g.op("Transpose", v, perm=[0, 2, 1, 3]) if turned else v
        if shared != heads:
            repeat = lambda x, size: g.op("Reshape", g.op("Expand", g.op("Unsqueeze", x, g.constant(np.array([2]))), g.constant(np.array([batch, shared, heads // shared, keys, size]))),
                                          g.constant(np.array([batch, heads, keys, size])))
            k, v = repeat(k, depth), repeat(v, columns)
        s = g.op("Div", g.op("MatMul", q, g.op("Transpose", k, perm=[0, 1, 3, 2])), g.constant(np.array(np.sqrt(depth), kind)))
        if mask is not None:
            s = g.op("Add", s, g.constant(mask.astype(kind)))
        y = g.op("MatMul", g.op("Softmax", s, axis=-1), v)
        outs.append(g.op("Reshape", g.op("Transpose", y, perm=[0, 2, 1, 3]), g.constant(np.array([batch, queries, heads * columns]))))

    causal = lambda queries, keys: np.triu(np.full((queries, keys), -np.inf), keys - queries + 1)[None, None]
    attend(2, 2, 70, 70, 32, 32, causal(70, 70))
    attend(4, 2, 33, 100, 24, 40, g.random.standard_normal((1, 4, 33, 100)), turned=True, batch=2)
    attend(2, 1, 1, 3000, 16, 24)
    attend(4, 2, 1, 45, 8, 8, np.where(np.arange(45) < 9, -np.inf, 0)[None, None, None])
    attend(2, 2, 65, 33, 64, 48, g.random.standard_normal((65, 33))[None, None], kind=np.float16)
    attend(4, 1, 20, 20, 16, 16, causal(20, 20), kind=np.float16)
    attend(1, 1, 12, 17, 5, 7)
    return g.done(*outs)


@model
def cuda_host_between():
    """A loop in the middle, which the host runs: bytes go there and back."""
    g = Graph(205)
    x = g.input("x", (4, 8))
    y = g.op("MatMul", x, g.weight(8, 8))
    body = helper.make_graph([helper.make_node("Mul", ["s_in", "two"], ["s_out"]), helper.make_node("Identity", ["c_in"], ["c_out"])], "body",
                             [helper.make_tensor_value_info("i", onnx.TensorProto.INT64, []), helper.make_tensor_value_info("c_in", onnx.TensorProto.BOOL, []),
                              helper.make_tensor_value_info("s_in", onnx.TensorProto.FLOAT, [4, 8])],
                             [helper.make_tensor_value_info("c_out", onnx.TensorProto.BOOL, []), helper.make_tensor_value_info("s_out", onnx.TensorProto.FLOAT, [4, 8])],
                             [helper.make_tensor("two", onnx.TensorProto.FLOAT, [], [2.0])])
    z = g.op("Loop", g.constant(np.array(3)), g.constant(np.array(True)), y, body=body)
    z = g.op("Reshape", z, g.constant(np.array([4, 8])))
    return g.done(g.op("Relu", g.op("MatMul", z, g.weight(8, 6))), y)


FAMILIES = ["cuda_attention", "cuda_products", "cuda_convolutions", "cuda_loops", "cuda_halves", "cuda_bytes", "cuda_host_between", "cuda_warpgroups"]
