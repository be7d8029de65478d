"""Small seeded ONNX models for the end-to-end tests, each with inputs. Structures that real exporters write, no real weights.

`MODELS` maps a name to a function returning (onnx.ModelProto, {input name: array}).
"""
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

MODELS = {}


def model(f):
    MODELS[f.__name__] = f
    return f


class Graph:
    """Collects nodes; weights are drawn from one seeded generator, scaled so that activations stay near one."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.nodes, self.initializers, self.inputs, self.feed, self.count = [], [], [], {}, 0

    def input(self, name, shape, dims=None, dtype=np.float32):
        x = self.random.standard_normal(shape).astype(dtype)
        self.inputs.append(helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), dims or shape))
        self.feed[name] = x
        return name

    def constant(self, array):
        self.count += 1
        name = f"const{self.count}"
        self.initializers.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def weight(self, *shape):
        fan = max(1, int(np.prod(shape[1:])))
        return self.constant((self.random.standard_normal(shape) / np.sqrt(fan)).astype(np.float32))

    def op(self, kind, *inputs, outputs=1, **attributes):
        self.count += 1
        names = [f"{kind.lower()}{self.count}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, name=f"/{kind.lower()}_{self.count}", **attributes))
        return names[0] if outputs == 1 else names

    def conv(self, x, cin, cout, k, stride=1, groups=1, pad=None, dilation=1, bias=True):
        p = (k // 2) * dilation if pad is None else pad
        extra = [self.weight(cout)] if bias else []
        return self.op("Conv", x, self.weight(cout, cin // groups, k, k), *extra, kernel_shape=[k, k], strides=[stride] * 2, pads=[p] * 4,
                       group=groups, dilations=[dilation] * 2)

    def batch_norm(self, x, c):
        positive = lambda: self.constant(self.random.uniform(0.5, 1.5, c).astype(np.float32))
        return self.op("BatchNormalization", x, positive(), self.weight(c), self.weight(c), positive(), epsilon=1e-5)

    def done(self, *outputs, opset=17):
        outs = [helper.make_empty_tensor_value_info(o) for o in outputs]
        g = helper.make_graph(self.nodes, "g", self.inputs, outs, self.initializers)
        m = helper.make_model(g, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        m = onnx.shape_inference.infer_shapes(m)
        types = {v.name: v for v in m.graph.value_info}
        for i, o in enumerate(outputs):
            if o in types:
                m.graph.output[i].CopyFrom(types[o])
        onnx.checker.check_model(m)
        return m, self.feed


@model
def residual_net():
    g = Graph(1)
    x = g.op("Relu", g.batch_norm(g.conv(g.input("x", [1, 3, 31, 33]), 3, 24, 3, stride=2, bias=False), 24))
    for _ in range(2):
        y = g.op("Relu", g.batch_norm(g.conv(x, 24, 12, 1), 12))
        y = g.op("Relu", g.batch_norm(g.conv(y, 12, 12, 3), 12))
        x = g.op("Relu", g.op("Add", g.batch_norm(g.conv(y, 12, 24, 1), 24), x))
    x = g.op("Flatten", g.op("GlobalAveragePool", g.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)))
    return g.done(g.op("Softmax", g.op("Gemm", x, g.weight(10, 24), g.weight(10), transB=1), axis=-1))


@model
def inverted_residual():
    g = Graph(2)
    x = g.input("x", [2, 16, 20, 20])
    y = g.op("Clip", g.conv(x, 16, 40, 1), g.constant(np.float32(0)), g.constant(np.float32(6)))
    y = g.op("Clip", g.conv(y, 40, 40, 3, groups=40), g.constant(np.float32(0)), g.constant(np.float32(6)))
    s = g.op("HardSigmoid", g.conv(g.op("Relu", g.conv(g.op("ReduceMean", y, axes=[2, 3], keepdims=1), 40, 10, 1)), 10, 40, 1))
    return g.done(g.op("Add", g.conv(g.op("Mul", y, s), 40, 16, 1), x))


@model
def unet():
    g = Graph(3)
    x = g.input("x", [1, 3, 24, 32])
    a = g.op("LeakyRelu", g.conv(x, 3, 10, 3), alpha=0.1)
    b = g.op("LeakyRelu", g.conv(g.op("MaxPool", a, kernel_shape=[2, 2], strides=[2, 2]), 10, 20, 3, dilation=2), alpha=0.1)
    up = g.op("ConvTranspose", b, g.weight(20, 10, 3, 3), g.weight(10), kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4, output_padding=[1, 1])
    y = g.conv(g.op("Concat", a, up, axis=1), 20, 5, 1)
    small = g.op("Resize", b, "", g.constant(np.array([1, 1, 2, 2], np.float32)), mode="linear", coordinate_transformation_mode="half_pixel")
    return g.done(g.op("Softmax", y, axis=1), g.op("AveragePool", small, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4))


@model
def shuffles():
    g = Graph(4)
    x = g.input("x", [1, 8, 12, 10])
    y = g.op("Reshape", x, g.constant(np.array([1, 2, 4, 12, 10])))
    y = g.op("Reshape", g.op("Transpose", y, perm=[0, 2, 1, 3, 4]), g.constant(np.array([1, 8, 12, 10])))
    a, b = g.op("Split", g.conv(y, 8, 8, 3, groups=2), axis=1, outputs=2)
    y = g.op("Concat", g.conv(a, 4, 4, 3), b, axis=1)
    return g.done(g.op("DepthToSpace", y, blocksize=2, mode="CRD"), g.op("SpaceToDepth", x, blocksize=2))


@model
def transformer_block():
    g = Graph(5)
    x = g.input("x", [2, 7, 32])
    n = g.op("LayerNormalization", x, g.weight(32), g.weight(32), axis=-1)
    heads = []
    for _ in range(3):
        h = g.op("Add", g.op("MatMul", n, g.weight(32, 32)), g.weight(32))
        heads.append(g.op("Transpose", g.op("Reshape", h, g.constant(np.array([0, 0, 4, 8]))), perm=[0, 2, 1, 3]))
    q, k, v = heads
    s = g.op("Mul", g.op("MatMul", q, g.op("Transpose", k, perm=[0, 1, 3, 2])), g.constant(np.float32(8 ** -0.5)))
    o = g.op("Transpose", g.op("MatMul", g.op("Softmax", s, axis=-1), v), perm=[0, 2, 1, 3])
    x = g.op("Add", x, g.op("MatMul", g.op("Reshape", o, g.constant(np.array([0, 0, 32]))), g.weight(32, 32)))
    f = g.op("MatMul", x, g.weight(32, 64))
    gelu = g.op("Mul", g.op("Mul", f, g.op("Add", g.op("Erf", g.op("Div", f, g.constant(np.float32(2 ** 0.5)))), g.constant(np.float32(1)))), g.constant(np.float32(0.5)))
    return g.done(g.op("Add", x, g.op("MatMul", gelu, g.weight(64, 32))))


@model
def audio():
    g = Graph(6)
    x = g.input("x", [1, 20, 50])
    y = g.op("Tanh", g.op("Conv", x, g.weight(24, 20, 5), g.weight(24), kernel_shape=[5], strides=[2], pads=[2, 2]))
    y = g.op("Sigmoid", g.op("InstanceNormalization", y, g.weight(24), g.weight(24)))
    return g.done(g.op("ReduceMax", y, axes=[2], keepdims=0), g.op("LogSoftmax", y, axis=1))


@model
def integers():
    g = Graph(7)
    ids = g.input("ids", [3, 5], dtype=np.int64)
    g.feed["ids"] = np.arange(15, dtype=np.int64).reshape(3, 5) - 7
    e = g.op("Gather", g.weight(16, 6), g.op("Mod", ids, g.constant(np.int64(16))), axis=0)
    mask = g.op("Cast", g.op("Greater", ids, g.constant(np.int64(0))), to=TensorProto.FLOAT)
    y = g.op("Mul", e, g.op("Unsqueeze", mask, g.constant(np.array([2]))))
    return g.done(g.op("ReduceSum", y, g.constant(np.array([1])), keepdims=0), g.op("ArgMax", y, axis=-1, keepdims=0), g.op("Neg", ids))


@model
def free_dims():
    g = Graph(8)
    x = g.input("x", [2, 3, 16, 16], dims=["batch", 3, "height", "width"])
    return g.done(g.op("Relu", g.conv(x, 3, 8, 3)), g.op("Shape", x))
