"""What helps a network through half precision, as rewrites of its ONNX graph that change no number but by rounding."""
import math

import numpy as np
import onnx
from onnx import helper, numpy_helper

LAYERS = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
# f(c x) = c f(x) for c > 0: a factor passes through.
_THROUGH = {"Relu", "LeakyRelu", "PRelu", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Reshape", "Transpose", "Flatten", "Squeeze",
            "Unsqueeze", "Slice", "Split", "Identity", "Dropout", "ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "Expand", "Tile", "Resize",
            "DepthToSpace", "SpaceToDepth", "Gather", "Abs", "Neg"}
# All that is added up or laid side by side has one factor; constants among it are multiplied.
_TOGETHER = {"Add", "Sub", "Sum", "Concat", "Max", "Min", "Mean", "Clip"}
_LARGE, _SMALL, _WANTED = 2.0 ** 15, 2.0 ** -9, 2.0 ** 9  # beyond these a group gets a factor, that brings its largest number to the third


class _Graph:
    """A copy of a model, its constants and who reads what."""

    def __init__(self, model):
        self.model = onnx.ModelProto.FromString(model.SerializeToString())
        self.graph = self.model.graph
        self.constants = {t.name: t for t in self.graph.initializer}
        for node in self.graph.node:
            if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
                self.constants[node.output[0]] = node.attribute[0].t
        self.names = {n for node in self.graph.node for n in node.output} | set(self.constants)

    def fresh(self, name):
        while name in self.names:
            name += "_"
        self.names.add(name)
        return name

    def constant(self, name, value):
        made = self.fresh(name)
        self.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), made))
        return made

    def is_float(self, name):
        return name in self.constants and self.constants[name].data_type == onnx.TensorProto.FLOAT

    def scaled(self, name, factor):
        """A constant times `factor`."""
        return self.constant(name + "_scaled", (numpy_helper.to_array(self.constants[name]).astype(np.float64) * factor).astype(np.float32))

    def dynamic(self, node):
        return [i for i in node.input if i and i not in self.constants]


def _is_linear(g, node):
    """A layer whose result may have another factor than its input: constants take the difference."""
    if node.op_type in LAYERS:
        return len(g.dynamic(node)) == 1 and node.input[0] not in g.constants and all(g.is_float(i) for i in node.input[1:] if i)
    if node.op_type in ("Mul", "Div"):
        return len(g.dynamic(node)) == 1 and node.input[0] not in g.constants and g.is_float(node.input[1])
    return False


def _passes(g, node):
    if node.op_type in _THROUGH:
        zero_pad = node.op_type != "Pad"
        return zero_pad and node.input[0] not in g.constants
    return node.op_type in _TOGETHER and all(i not in g.constants or g.is_float(i) for i in node.input if i)


def fold_scales(model, largest):
    """Powers of two that bring each group of tensors with one factor into the range of halves. `largest`: the largest magnitude of tensors, by name.
    (model, what was done), or None where nothing is out of range."""
    g = _Graph(model)
    parent = {}

    def root(name):
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    fixed = {i.name for i in g.graph.input} | {o.name for o in g.graph.output}
    for node in g.graph.node:
        if _is_linear(g, node):
            continue
        if _passes(g, node):
            names = [node.input[0]] if node.op_type in _THROUGH else g.dynamic(node)
            for name in names + [o for o in node.output if o]:
                parent[root(name)] = root(node.output[0])
        else:  # its results are what they are; what it reads is multiplied back before it
            fixed.update(o for o in node.output if o)
    groups = {}
    for node in g.graph.node:
        for name in node.output:
            if name:
                groups.setdefault(root(name), []).append(name)
    anchored = {root(n) for n in fixed}
    exponent = {}
    for group, names in groups.items():
        top = max((largest.get(n, 0.0) for n in names), default=0.0)
        if group not in anchored and math.isfinite(top) and (top > _LARGE or 0 < top < _SMALL):
            exponent[group] = round(math.log2(top / _WANTED))
    if not exponent:
        return None
    k = lambda name: exponent.get(root(name), 0) if name not in g.constants else 0
    said = ["numbers of '%s'%s are held divided by 2^%d" % (names[0], " and %d more" % (len(names) - 1) if len(names) > 1 else "", exponent[r])
            for r, names in groups.items() if r in exponent]
    nodes = []
    for node in list(g.graph.node):
        if _is_linear(g, node):
            into, out = k(node.input[0]), k(node.output[0])
            if into != out or into:
                _scale_layer(g, node, into, out)
        elif _passes(g, node):
            if node.op_type in _TOGETHER and k(node.output[0]):
                for i, name in enumerate(node.input):
                    if name and name in g.constants:
                        node.input[i] = g.scaled(name, 2.0 ** -k(node.output[0]))
        else:
            for i, name in enumerate(node.input):
                if name and k(name):
                    node.input[i] = _multiplied_back(g, node, name, k(name), nodes)
        nodes.append(node)
    del g.graph.node[:]
    g.graph.node.extend(nodes)
    return g.model, said


def _scale_layer(g, node, into, out):
    if node.op_type == "Div":
        node.input[1] = g.scaled(node.input[1], 2.0 ** (out - into))
        return
    node.input[1] = g.scaled(node.input[1], 2.0 ** (into - out))
    if len(node.input) > 2 and node.input[2]:
        node.input[2] = g.scaled(node.input[2], 2.0 ** -out)


def _multiplied_back(g, node, name, k, nodes):
    """`name` * 2^k for a node that no factor passes through. A softmax sees differences to the largest alone, which cannot overflow upwards."""
    source = name
    if node.op_type == "Softmax":
        axis = next((a.i for a in node.attribute if a.name == "axis"), -1)
        axes = g.constant(name + "_axes", np.array([axis], np.int64))
        top, source = g.fresh(name + "_top"), g.fresh(name + "_below")
        nodes.append(helper.make_node("ReduceMax", [name, axes], [top], top, keepdims=1))
        nodes.append(helper.make_node("Sub", [name, top], [source], source))
    made = g.fresh(name + "_back")
    nodes.append(helper.make_node("Mul", [source, g.constant(name + "_factor", np.float32(2.0 ** k))], [made], made))
    return made


def can_split(model, node):
    """Can its weights stand in two halves? Convolutions of one group and products with a constant matrix."""
    constants = {t.name for t in model.graph.initializer}
    group = next((a.i for a in node.attribute if a.name == "group"), 1)
    plain = node.op_type == "Conv" and group == 1 or node.op_type in ("MatMul", "Gemm") and not any(a.name in ("transA", "alpha") for a in node.attribute)
    return plain and node.input[1] in constants and node.input[0] not in constants


def split_weights(model, tensors):
    """The layers that make these tensors read their input twice, against the weights' halves and against what those leave: the accumulator adds both up
    in f32, so that the weights have 22 bits, for twice the products."""
    g = _Graph(model)
    nodes = []
    for node in list(g.graph.node):
        if node.output and node.output[0] in tensors and can_split(model, node):
            weights = numpy_helper.to_array(g.constants[node.input[1]]).astype(np.float32)
            high = np.clip(weights, -65504, 65504).astype(np.float16).astype(np.float32)
            transposed = any(a.name == "transB" and a.i for a in node.attribute)
            axis = 1 if node.op_type == "Conv" or transposed else weights.ndim - 2
            twice = g.fresh(node.input[0] + "_twice")
            nodes.append(helper.make_node("Concat", [node.input[0], node.input[0]], [twice], twice, axis=1 if node.op_type == "Conv" else -1))
            node.input[0] = twice
            node.input[1] = g.constant(node.input[1] + "_halves", np.concatenate([high, weights - high], axis))
        nodes.append(node)
    del g.graph.node[:]
    g.graph.node.extend(nodes)
    return g.model


def split_sums(model, tensors, parts):
    """The layers that make these tensors in `parts` blocks of input channels, whose results are added in pairs: an accumulator of f16 loses what is small
    beside what it holds already."""
    g = _Graph(model)
    nodes = []
    for node in list(g.graph.node):
        wanted = node.output and node.output[0] in tensors and can_split(model, node)
        weights = numpy_helper.to_array(g.constants[node.input[1]]) if wanted else None
        transposed = any(a.name == "transB" and a.i for a in node.attribute)
        axis = 1 if node.op_type == "Conv" or transposed else (weights.ndim - 2 if wanted else 0)
        if not wanted or weights.shape[axis] < 2 * parts:
            nodes.append(node)
            continue
        blocks = np.array_split(weights, parts, axis)
        pieces = [g.fresh(node.input[0] + "_part") for _ in blocks]
        sizes = g.constant(node.input[0] + "_sizes", np.array([b.shape[axis] for b in blocks], np.int64))
        nodes.append(helper.make_node("Split", [node.input[0], sizes], pieces, pieces[0], axis=1 if node.op_type == "Conv" else -1))
        sums = []
        for i, (piece, block) in enumerate(zip(pieces, blocks)):
            part = onnx.NodeProto.FromString(node.SerializeToString())
            extra = list(node.input[2:]) if i == 0 else []  # the bias once
            del part.input[:]
            part.input.extend([piece, g.constant(node.input[1] + "_block", block), *extra])
            part.output[0] = g.fresh(node.output[0] + "_sum")
            part.name = part.output[0]
            nodes.append(part)
            sums.append(part.output[0])
        while len(sums) > 1:
            made = [node.output[0] if len(sums) == 2 else g.fresh(node.output[0] + "_sum") for _ in range(len(sums) // 2)]
            nodes += [helper.make_node("Add", sums[2 * i:2 * i + 2], [m], m) for i, m in enumerate(made)]
            sums = made + sums[2 * len(made):]
    del g.graph.node[:]
    g.graph.node.extend(nodes)
    return g.model
