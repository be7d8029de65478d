"""An ONNX network as a PyTorch module, for a peer's times: the operators of the networks that prepare.py names, no more."""
import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import helper, numpy_helper

UNARY = {"Relu": F.relu, "Sigmoid": torch.sigmoid, "Tanh": torch.tanh, "Sqrt": torch.sqrt, "Erf": torch.erf, "Exp": torch.exp, "Identity": lambda x: x,
         "HardSwish": F.hardswish, "HardSigmoid": F.hardsigmoid, "Flatten": lambda x: torch.flatten(x, 1), "GlobalAveragePool": lambda x: x.mean((2, 3), keepdim=True)}
BINARY = {"Add": torch.add, "Sub": torch.sub, "Mul": torch.mul, "Div": torch.div, "Pow": torch.pow, "MatMul": torch.matmul}


class Net(torch.nn.Module):
    """forward takes and gives tensors in the order of the graph. Integers that say shapes stay on the host."""

    def __init__(self, path, dtype):
        super().__init__()
        graph = onnx.load(path).graph
        self.inputs, self.outputs = [i.name for i in graph.input], [o.name for o in graph.output]
        self.host, self.steps, known = {}, [], {}
        for tensor in graph.initializer:
            known[tensor.name] = numpy_helper.to_array(tensor)
        for node in graph.node:
            attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            if node.op_type == "Constant":
                known[node.output[0]] = numpy_helper.to_array(attributes["value"])
            else:
                self.steps.append((node.op_type, list(node.input), list(node.output), attributes))
        self.names = {}
        for name, array in known.items():
            if array.dtype.kind == "f":
                self.names[name] = f"weight{len(self.names)}"
                self.register_buffer(self.names[name], torch.from_numpy(array.copy()).to(dtype))
            else:
                self.host[name] = array.tolist()
        self.inputs = [n for n in self.inputs if n not in known]

    def forward(self, *arguments):
        values = {name: getattr(self, buffer) for name, buffer in self.names.items()}
        values.update(self.host)
        values.update(zip(self.inputs, arguments))
        for kind, inputs, outputs, attributes in self.steps:
            found = self.step(kind, [values.get(i) for i in inputs], attributes, len(outputs))
            for name, value in zip(outputs, found if isinstance(found, (tuple, list)) else [found]):
                values[name] = value
        return [values[name] for name in self.outputs]

    @staticmethod
    def padded(x, pads, value=0.0):
        half = len(pads) // 2
        return F.pad(x, [p for d in reversed(range(half)) for p in (pads[d], pads[half + d])], value=value) if any(pads) else x

    def step(self, kind, x, a, count):
        if kind in UNARY:
            return UNARY[kind](x[0])
        if kind in BINARY:
            return BINARY[kind](x[0], x[1])
        if kind == "Conv":
            pads = a.get("pads", [0, 0, 0, 0])
            same = pads[:2] == pads[2:]
            return F.conv2d(x[0] if same else self.padded(x[0], pads), x[1], x[2] if len(x) > 2 else None, a.get("strides", [1, 1]), pads[:2] if same else 0,
                            a.get("dilations", [1, 1]), a.get("group", 1))
        if kind == "MaxPool":
            image = self.padded(x[0], a.get("pads", [0, 0, 0, 0]), float("-inf"))
            return F.max_pool2d(image, a["kernel_shape"], a.get("strides", [1, 1]), ceil_mode=bool(a.get("ceil_mode", 0)))
        if kind == "AveragePool":
            return F.avg_pool2d(self.padded(x[0], a.get("pads", [0, 0, 0, 0])), a["kernel_shape"], a.get("strides", [1, 1]))
        if kind == "BatchNormalization":
            return F.batch_norm(x[0], x[3], x[4], x[1], x[2], eps=a.get("epsilon", 1e-5))
        if kind == "LayerNormalization":
            return F.layer_norm(x[0], x[1].shape, x[1], x[2] if len(x) > 2 else None, a.get("epsilon", 1e-5))
        if kind == "Gemm":
            y = (x[0].t() if a.get("transA") else x[0]) @ (x[1].t() if a.get("transB") else x[1]) * a.get("alpha", 1.0)
            return y + x[2] * a.get("beta", 1.0) if len(x) > 2 else y
        if kind == "Clip":
            return torch.clamp(x[0], a.get("min", x[1] if len(x) > 1 else None), a.get("max", x[2] if len(x) > 2 else None))
        if kind == "Softmax":
            return torch.softmax(x[0], a.get("axis", -1))
        if kind == "Transpose":
            return x[0].permute(a["perm"])
        if kind == "Reshape":
            return x[0].reshape([x[0].shape[i] if size == 0 else size for i, size in enumerate(x[1])])
        if kind == "Concat":
            return torch.cat(x, a["axis"])
        if kind == "Split":
            sizes = x[1] if len(x) > 1 else a.get("split", x[0].shape[a.get("axis", 0)] // count)
            return torch.split(x[0], sizes, a.get("axis", 0))
        if kind == "ReduceMean":
            return x[0].mean(a.get("axes", x[1] if len(x) > 1 else None), keepdim=bool(a.get("keepdims", 1)))
        if kind in ("Unsqueeze", "Squeeze"):
            for axis in sorted(a.get("axes", x[1] if len(x) > 1 else []), reverse=kind == "Squeeze"):
                x[0] = getattr(x[0], kind.lower())(axis)
            return x[0]
        if kind == "Slice":
            at = [slice(None)] * x[0].ndim
            for i, (begin, end) in enumerate(zip(x[1], x[2])):
                at[x[3][i] if len(x) > 3 and x[3] is not None else i] = slice(begin, min(end, 2**31), x[4][i] if len(x) > 4 else 1)
            return x[0][tuple(at)]
        if kind == "Gather":
            return x[0].select(a.get("axis", 0), x[1]) if isinstance(x[1], int) else x[0].index_select(a.get("axis", 0), torch.tensor(x[1], device=x[0].device))
        if kind == "Dropout":
            return x[0]
        raise NotImplementedError(kind)


def load(path, feed, dtype, device="cuda"):
    """(module, its inputs) on the device."""
    net = Net(path, dtype).to(device).eval()
    return net, [torch.from_numpy(np.ascontiguousarray(feed[n])).to(device, dtype if feed[n].dtype.kind == "f" else None) for n in net.inputs]
