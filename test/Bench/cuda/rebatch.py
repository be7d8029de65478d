"""Gives a model of batch 1 another batch: the first dim of its inputs, and of what reshapes and expands to 1 first. Checked by running both."""
import numpy as np
import onnx
from onnx import numpy_helper


def rebatch(model, batch):
    """A copy for `batch`; the caller has to compare it with the original (see `check`)."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    graph = model.graph
    constants = {t.name: t for t in graph.initializer}
    for value in graph.input:
        dims = value.type.tensor_type.shape.dim
        if value.name not in constants and dims:
            dims[0].ClearField("dim_param")
            dims[0].dim_value = batch
    del graph.value_info[:]
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")
    made = {n.output[0]: n for n in graph.node if n.op_type == "Constant"}
    for i, node in enumerate(graph.node):
        if node.op_type not in ("Reshape", "Expand") or len(node.input) < 2:
            continue
        tensor = constants.get(node.input[1]) or next((a.t for n in [made.get(node.input[1])] if n for a in n.attribute if a.name == "value"), None)
        if tensor is None or not tensor.dims:
            continue
        target = numpy_helper.to_array(tensor).copy()
        if target.size and target[0] == 1:
            target[0] = -1 if node.op_type == "Reshape" and -1 not in target else batch
            graph.initializer.append(numpy_helper.from_array(target, f"rebatched_{i}"))
            node.input[1] = f"rebatched_{i}"
    return model


def tile(arrays, batch):
    """The same sample `batch` times, each a little different."""
    random = np.random.default_rng(0)
    result = {}
    for name, value in arrays.items():
        many = np.concatenate([value] * batch) if value.ndim else value
        result[name] = (many * random.uniform(0.9, 1.1, (len(many), *[1] * (many.ndim - 1)))).astype(value.dtype) if value.ndim and value.dtype.kind == "f" else many
    return result


def check(original, batched, feed, batch, run):
    """Whether every sample comes out as alone; the outputs. run(model, feed) -> list of arrays."""
    together = run(batched, feed)
    for i in {0, batch - 1}:
        alone = run(original, {k: v[i:i + 1] for k, v in feed.items()})
        for a, b in zip(alone, together):
            part = b[i * len(a):(i + 1) * len(a)] if a.ndim else b
            if part.shape != a.shape or not np.allclose(a, part, rtol=1e-3, atol=1e-3 * max(1.0, float(np.abs(a).max(initial=0)))):
                return None
    return together
