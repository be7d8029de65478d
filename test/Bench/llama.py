"""A LLaMA-shaped decoder with seeded random weights, as exporters write one: RMS normalization, rotary positions, grouped keys, SwiGLU, the cache as inputs
`past_key_values.N.key|value` [1, kv heads, past, head] and outputs `present.N.key|value`. No embedding is tied.

  llama.py OUT.onnx [--layers 12 --dim 768 --heads 12 --kv-heads 4 --hidden 1536 --vocab 32000 --seed 1]      some 110 million weights
"""
import argparse

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Builder:
    def __init__(self, dim, heads, kv_heads, hidden, vocab, seed):
        self.dim, self.heads, self.kv_heads, self.hidden, self.vocab = dim, heads, kv_heads, hidden, vocab
        self.head = dim // heads
        self.rng = np.random.default_rng(seed)
        self.nodes, self.weights, self.made = [], [], {}

    def op(self, kind, *inputs, **attributes):
        outputs = attributes.pop("outputs", 1)
        name = "%s_%d" % (kind, len(self.nodes))
        results = [name] if outputs == 1 else ["%s_%d" % (name, i) for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), results, name=name, **attributes))
        return results[0] if outputs == 1 else results

    def constant(self, value):
        key = (value.dtype.str, value.shape, value.tobytes()) if value.size < 64 else None
        if key is None or key not in self.made:
            name = "c%d" % len(self.weights)
            self.weights.append(numpy_helper.from_array(value, name))
            if key is None:
                return name
            self.made[key] = name
        return self.made[key]

    def ints(self, *values):
        return self.constant(np.array(values, np.int64))

    def weight(self, rows, columns, scale=1.0):
        return self.constant(self.rng.standard_normal((rows, columns), np.float32) * np.float32(scale / np.sqrt(rows)))

    def norm(self, x):
        mean = self.op("ReduceMean", self.op("Mul", x, x), self.ints(-1), keepdims=1)
        root = self.op("Sqrt", self.op("Add", mean, self.constant(np.array(1e-5, np.float32))))
        gain = self.constant((1 + 0.1 * self.rng.standard_normal(self.dim)).astype(np.float32))
        return self.op("Mul", self.op("Div", x, root), gain)

    def split_heads(self, x, heads):
        return self.op("Transpose", self.op("Reshape", x, self.ints(1, -1, heads, self.head)), perm=[0, 2, 1, 3])

    def rotated(self, x, cos, sin):
        half = self.head // 2
        low = self.op("Slice", x, self.ints(0), self.ints(half), self.ints(3))
        high = self.op("Slice", x, self.ints(half), self.ints(self.head), self.ints(3))
        turned = self.op("Concat", self.op("Neg", high), low, axis=3)
        return self.op("Add", self.op("Mul", x, cos), self.op("Mul", turned, sin))

    def repeated(self, x):
        """Keys or values of a group, once for each of its heads."""
        times = self.heads // self.kv_heads
        wide = self.op("Expand", self.op("Unsqueeze", x, self.ints(2)), self.ints(1, 1, times, 1, 1))
        return self.op("Reshape", wide, self.ints(1, self.heads, -1, self.head))

    def layer(self, x, past, cos, sin, mask):
        h = self.norm(x)
        kv = self.kv_heads * self.head
        q = self.rotated(self.split_heads(self.op("MatMul", h, self.weight(self.dim, self.dim)), self.heads), cos, sin)
        k = self.rotated(self.split_heads(self.op("MatMul", h, self.weight(self.dim, kv)), self.kv_heads), cos, sin)
        v = self.split_heads(self.op("MatMul", h, self.weight(self.dim, kv)), self.kv_heads)
        k, v = (self.op("Concat", p, new, axis=2) for p, new in zip(past, (k, v)))
        scores = self.op("MatMul", q, self.op("Transpose", self.repeated(k), perm=[0, 1, 3, 2]))
        scores = self.op("Mul", scores, self.constant(np.array(self.head**-0.5, np.float32)))
        mixed = self.op("MatMul", self.op("Softmax", self.op("Add", scores, mask), axis=-1), self.repeated(v))
        mixed = self.op("Reshape", self.op("Transpose", mixed, perm=[0, 2, 1, 3]), self.ints(1, -1, self.dim))
        x = self.op("Add", x, self.op("MatMul", mixed, self.weight(self.dim, self.dim, 0.5)))
        h = self.norm(x)
        gate = self.op("MatMul", h, self.weight(self.dim, self.hidden))
        gate = self.op("Mul", gate, self.op("Sigmoid", gate))
        up = self.op("Mul", gate, self.op("MatMul", h, self.weight(self.dim, self.hidden)))
        return self.op("Add", x, self.op("MatMul", up, self.weight(self.hidden, self.dim, 0.5))), k, v


def build(layers=12, dim=768, heads=12, kv_heads=4, hidden=1536, vocab=32000, seed=1):
    b = Builder(dim, heads, kv_heads, hidden, vocab, seed)
    tensor = helper.make_tensor_value_info
    cache = lambda prefix, length: [tensor("%s.%d.%s" % (prefix, i, kind), TensorProto.FLOAT, [1, kv_heads, length, b.head])
                                    for i in range(layers) for kind in ("key", "value")]
    inputs = [tensor("input_ids", TensorProto.INT64, [1, "sequence"]), tensor("position_ids", TensorProto.INT64, [1, "sequence"])] + cache("past_key_values", "past")
    outputs = [tensor("logits", TensorProto.FLOAT, [1, "sequence", vocab])] + cache("present", "total")
    x = b.op("Gather", b.constant(b.rng.standard_normal((vocab, dim), np.float32)), "input_ids", axis=0)
    rates = (10000.0 ** (-np.arange(0, b.head, 2) / b.head)).astype(np.float32)
    angles = b.op("Mul", b.op("Unsqueeze", b.op("Cast", "position_ids", to=TensorProto.FLOAT), b.ints(2)), b.constant(rates.reshape(1, 1, -1)))
    angles = b.op("Unsqueeze", b.op("Concat", angles, angles, axis=2), b.ints(1))
    cos, sin = b.op("Cos", angles), b.op("Sin", angles)
    # Key t counts for the query at position p where t <= p.
    size = lambda name, dim: b.op("Gather", b.op("Shape", name), b.constant(np.array(dim, np.int64)), axis=0)
    total = b.op("Add", size("past_key_values.0.key", 2), size("input_ids", 1))
    zero, one = (b.constant(np.array(v, np.int64)) for v in (0, 1))
    keys = b.op("Range", zero, total, one)
    seen = b.op("LessOrEqual", b.op("Unsqueeze", keys, b.ints(0, 1, 2)), b.op("Unsqueeze", "position_ids", b.ints(1, 3)))
    mask = b.op("Where", seen, b.constant(np.array(0, np.float32)), b.constant(np.array(-1e9, np.float32)))
    for i in range(layers):
        x, *present = b.layer(x, ["past_key_values.%d.%s" % (i, kind) for kind in ("key", "value")], cos, sin, mask)
        for kind, value in zip(("key", "value"), present):
            b.nodes[[n.output[0] for n in b.nodes].index(value)].output[0] = "present.%d.%s" % (i, kind)
            for node in b.nodes:
                for at, name in enumerate(node.input):
                    if name == value:
                        node.input[at] = "present.%d.%s" % (i, kind)
    logits = b.op("MatMul", b.norm(x), b.weight(dim, vocab))
    b.nodes[-1].output[0] = "logits"
    graph = helper.make_graph(b.nodes, "llama", inputs, outputs, b.weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    for name, value in dict(layers=12, dim=768, heads=12, kv_heads=4, hidden=1536, vocab=32000, seed=1).items():
        parser.add_argument("--" + name.replace("_", "-"), type=int, default=value)
    arguments = vars(parser.parse_args())
    out = arguments.pop("out")
    onnx.save(build(**arguments), out)
