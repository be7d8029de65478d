"""A seeded UNet and a text encoder shaped like Stable Diffusion's, small, as an exporter writes them: node names carry scopes, weights of
linear layers are transposed and anonymous, those of convolutions keep their names. For the LoRA tests.

`unet()` and `text_encoder()` return a Net: `.model()` makes the onnx.ModelProto of its `.weights` (module -> [out, in...] array), so that
a test may change weights and have the reference; `.feed` are inputs.
"""
import numpy as np
import onnx
from onnx import helper, numpy_helper


class Net:
    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        self.nodes, self.inputs, self.feed, self.others, self.weights, self.stored = [], [], {}, {}, {}, {}
        self.outputs, self.count = [], 0

    def input(self, name, array):
        self.inputs.append(helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape))
        self.feed[name] = array
        return name

    def constant(self, array, name=None):
        self.count += 1
        name = name or f"const{self.count}"
        self.others[name] = np.asarray(array)
        return name

    def op(self, kind, *inputs, scope="", outputs=1, **attributes):
        self.count += 1
        names = [f"{scope}/{kind}_{self.count}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, name=f"{scope}/{kind}" if scope else f"/{kind}_{self.count}", **attributes))
        return names[0] if outputs == 1 else names

    @staticmethod
    def scope(module):
        """The exporter's: a number belongs to the list before it: down_blocks.0.to_out.0 -> /down_blocks.0/to_out.0"""
        parts = []
        for p in module.split("."):
            if p.isdigit() and parts:
                parts[-1] += "." + p
            else:
                parts.append(p)
        return "/" + "/".join(parts)

    def weight(self, module, *shape):
        fan = max(1, int(np.prod(shape[1:])))
        self.weights[module] = (self.random.standard_normal(shape) / np.sqrt(fan)).astype(np.float32)

    def linear(self, module, x, cin, cout, bias=True):
        """MatMul with an anonymous transposed weight, as torch exports Linear on three dims."""
        self.weight(module, cout, cin)
        self.count += 1
        name = f"onnx::MatMul_{self.count}"
        self.stored[name] = (module, True)
        y = self.op("MatMul", x, name, scope=self.scope(module))
        return self.op("Add", self.constant(self.random.standard_normal(cout).astype(np.float32) * 0.1, module + ".bias"), y, scope=self.scope(module)) if bias else y

    def gemm(self, module, x, cin, cout):
        self.weight(module, cout, cin)
        self.stored[module + ".weight"] = (module, False)
        bias = self.constant(self.random.standard_normal(cout).astype(np.float32) * 0.1, module + ".bias")
        return self.op("Gemm", x, module + ".weight", bias, scope=self.scope(module), transB=1)

    def conv(self, module, x, cin, cout, k=3, stride=1):
        self.weight(module, cout, cin, k, k)
        self.stored[module + ".weight"] = (module, False)
        bias = self.constant(self.random.standard_normal(cout).astype(np.float32) * 0.1, module + ".bias")
        return self.op("Conv", x, module + ".weight", bias, scope=self.scope(module), kernel_shape=[k, k], strides=[stride] * 2, pads=[k // 2] * 4)

    def group_norm(self, x, c):
        y = self.op("Reshape", x, self.constant(np.array([0, 4, -1])))
        y = self.op("InstanceNormalization", y, self.constant(np.ones(4, np.float32)), self.constant(np.zeros(4, np.float32)), epsilon=1e-5)
        y = self.op("Reshape", y, self.op("Shape", x))
        y = self.op("Mul", y, self.constant(self.random.uniform(0.5, 1.5, (c, 1, 1)).astype(np.float32)))
        return self.op("Add", y, self.constant(self.random.standard_normal((c, 1, 1)).astype(np.float32) * 0.1))

    def layer_norm(self, x, c):
        return self.op("LayerNormalization", x, self.constant(np.ones(c, np.float32)), self.constant(np.zeros(c, np.float32)), axis=-1)

    def silu(self, x):
        return self.op("Mul", x, self.op("Sigmoid", x))

    def gelu(self, x):
        y = self.op("Add", self.op("Erf", self.op("Div", x, self.constant(np.float32(2**0.5)))), self.constant(np.float32(1)))
        return self.op("Mul", self.op("Mul", x, y), self.constant(np.float32(0.5)))

    def attention(self, q, k, v, width, heads, causal=0):
        split = lambda t: self.op("Transpose", self.op("Reshape", t, self.constant(np.array([0, 0, heads, width // heads]))), perm=[0, 2, 1, 3])
        q, k, v = split(q), split(k), split(v)
        s = self.op("MatMul", q, self.op("Transpose", k, perm=[0, 1, 3, 2]))
        s = self.op("Mul", s, self.constant(np.float32((width // heads) ** -0.5)))
        if causal:
            s = self.op("Add", s, self.constant(np.triu(np.full((causal, causal), -1e9, np.float32), 1)))
        y = self.op("Transpose", self.op("MatMul", self.op("Softmax", s, axis=-1), v), perm=[0, 2, 1, 3])
        return self.op("Reshape", y, self.constant(np.array([0, 0, width])))

    def model(self):
        initializers = [numpy_helper.from_array(np.ascontiguousarray(a), n) for n, a in self.others.items()]
        for name, (module, swapped) in self.stored.items():
            w = self.weights[module]
            initializers.append(numpy_helper.from_array(np.ascontiguousarray(w.T if swapped else w), name))
        outputs = [helper.make_tensor_value_info(o, onnx.TensorProto.FLOAT, None) for o in self.outputs]
        graph = helper.make_graph(self.nodes, "g", self.inputs, outputs, initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        model = onnx.shape_inference.infer_shapes(model)
        onnx.checker.check_model(model)
        return model


def resnet(n, m, x, t, cin, cout):
    y = n.conv(m + ".conv1", n.silu(n.group_norm(x, cin)), cin, cout)
    e = n.gemm(m + ".time_emb_proj", n.silu(t), 64, cout)
    y = n.op("Add", y, n.op("Unsqueeze", e, n.constant(np.array([2, 3]))))
    y = n.conv(m + ".conv2", n.silu(n.group_norm(y, cout)), cout, cout)
    if cin != cout:
        x = n.conv(m + ".conv_shortcut", x, cin, cout, 1)
    return n.op("Add", x, y)


def transformer(n, m, x, text, c, size):
    y = n.conv(m + ".proj_in", n.group_norm(x, c), c, c, 1)
    y = n.op("Transpose", n.op("Reshape", y, n.constant(np.array([0, c, -1]))), perm=[0, 2, 1])
    b = m + ".transformer_blocks.0"
    for name, context, width in (("attn1", None, c), ("attn2", text, 32)):
        h = n.layer_norm(y, c)
        source = context or h
        parts = [n.linear(f"{b}.{name}.to_q", h, c, c, False)] + [n.linear(f"{b}.{name}.{p}", source, width, c, False) for p in ("to_k", "to_v")]
        y = n.op("Add", n.linear(f"{b}.{name}.to_out.0", n.attention(*parts, c, 4), c, c), y)
    a, gate = n.op("Split", n.linear(b + ".ff.net.0.proj", n.layer_norm(y, c), c, 8 * c), axis=-1, outputs=2)
    y = n.op("Add", n.linear(b + ".ff.net.2", n.op("Mul", a, n.gelu(gate)), 4 * c, c), y)
    y = n.op("Reshape", n.op("Transpose", y, perm=[0, 2, 1]), n.constant(np.array([1, c, size, size])))
    return n.op("Add", n.conv(m + ".proj_out", y, c, c, 1), x)


def unet(seed=11):
    n = Net(seed)
    size = 8
    x = n.input("sample", n.random.standard_normal((1, 4, size, size)).astype(np.float32))
    t = n.input("time", n.random.standard_normal((1, 16)).astype(np.float32))
    text = n.input("encoder_hidden_states", n.random.standard_normal((1, 7, 32)).astype(np.float32))
    t = n.gemm("time_embedding.linear_2", n.silu(n.gemm("time_embedding.linear_1", t, 16, 64)), 64, 64)
    x = n.conv("conv_in", x, 4, 16)
    skips = [x]
    x = transformer(n, "down_blocks.0.attentions.0", resnet(n, "down_blocks.0.resnets.0", x, t, 16, 16), text, 16, size)
    skips.append(x)
    x = n.conv("down_blocks.0.downsamplers.0.conv", x, 16, 16, 3, 2)
    x = transformer(n, "down_blocks.1.attentions.0", resnet(n, "down_blocks.1.resnets.0", x, t, 16, 32), text, 32, size // 2)
    x = resnet(n, "mid_block.resnets.0", x, t, 32, 32)
    x = resnet(n, "mid_block.resnets.1", transformer(n, "mid_block.attentions.0", x, text, 32, size // 2), t, 32, 32)
    x = n.op("Resize", x, "", n.constant(np.array([1, 1, 2, 2], np.float32)), mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    x = n.conv("up_blocks.0.upsamplers.0.conv", x, 32, 32)
    for i, skip in enumerate(reversed(skips)):
        x = resnet(n, f"up_blocks.0.resnets.{i}", n.op("Concat", x, skip, axis=1), t, 48 if i == 0 else 32, 16)
    x = transformer(n, "up_blocks.0.attentions.0", x, text, 16, size)
    n.outputs.append(n.conv("conv_out", n.silu(n.group_norm(x, 16)), 16, 4))
    return n


def text_encoder(seed=12):
    n = Net(seed)
    length, width = 7, 32
    ids = n.input("input_ids", n.random.integers(0, 50, (1, length)))
    n.weight("text_model.embeddings.token_embedding", 50, width)
    n.stored["text_model.embeddings.token_embedding.weight"] = ("text_model.embeddings.token_embedding", False)
    x = n.op("Gather", "text_model.embeddings.token_embedding.weight", ids, scope="/text_model/embeddings/token_embedding", axis=0)
    x = n.op("Add", x, n.constant(n.random.standard_normal((length, width)).astype(np.float32) * 0.1))
    for i in range(2):
        m = f"text_model.encoder.layers.{i}"
        h = n.layer_norm(x, width)
        q, k, v = (n.linear(f"{m}.self_attn.{p}_proj", h, width, width) for p in "qkv")
        x = n.op("Add", n.linear(f"{m}.self_attn.out_proj", n.attention(q, k, v, width, 4, length), width, width), x)
        h = n.linear(f"{m}.mlp.fc1", n.layer_norm(x, width), width, 4 * width)
        h = n.op("Mul", h, n.op("Sigmoid", n.op("Mul", h, n.constant(np.float32(1.702)))))
        x = n.op("Add", n.linear(f"{m}.mlp.fc2", h, 4 * width, width), x)
    n.outputs.append(n.layer_norm(x, width))
    return n
