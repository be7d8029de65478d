"""Burin as an ONNX Backend: prepare, run_model and run_node of onnx.backend.base.

    import burin.backend
    outputs = burin.backend.run_model(model, [x])
"""
import onnx
import onnx.helper
from onnx.backend.base import Backend, BackendRep, Device, DeviceType

from ._session import InferenceSession


class BurinBackendRep(BackendRep):
    def __init__(self, session):
        self._session = session

    def run(self, inputs, **kwargs):
        """inputs: a list in the order of the model's inputs, a dict by name, or the one input. Returns a tuple."""
        names = [i.name for i in self._session.get_inputs()]
        if not isinstance(inputs, (dict, list, tuple)):
            inputs = [inputs]
        feed = dict(inputs) if isinstance(inputs, dict) else dict(zip(names, inputs))
        return tuple(self._session.run(None, feed))


class BurinBackend(Backend):
    @classmethod
    def prepare(cls, model, device="CPU", **kwargs):
        """kwargs: threads and compile options of burin.InferenceSession."""
        if not cls.supports_device(device):
            raise ValueError("unsupported device %r, expected CPU" % device)
        return BurinBackendRep(InferenceSession(model, **kwargs))

    @classmethod
    def run_model(cls, model, inputs, device="CPU", **kwargs):
        return cls.prepare(model, device, **kwargs).run(inputs)

    @classmethod
    def run_node(cls, node, inputs, device="CPU", outputs_info=None, **kwargs):
        """The node as a model of its own. outputs_info: (dtype, shape) of each output; else inferred."""
        import numpy as np
        opset = kwargs.pop("opset_version", None) or onnx.defs.onnx_opset_version()
        named = [n for n in dict.fromkeys(node.input) if n]
        feed = dict(inputs) if isinstance(inputs, dict) else dict(zip((n for n in node.input if n), map(np.asarray, inputs)))
        info = lambda name, dtype, shape: onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)
        outputs = [n for n in node.output if n]
        graph = onnx.helper.make_graph([node], "node", [info(n, feed[n].dtype, feed[n].shape) for n in named], [])
        if outputs_info is not None:
            graph.output.extend(info(n, *o) for n, o in zip(outputs, outputs_info))
        else:
            graph.output.extend(onnx.ValueInfoProto(name=n) for n in outputs)
        imports = [onnx.helper.make_opsetid("", opset)] + ([onnx.helper.make_opsetid(node.domain, 1)] if node.domain else [])
        model = onnx.helper.make_model(graph, opset_imports=imports)
        if outputs_info is None:
            known = {v.name: v for v in onnx.shape_inference.infer_shapes(model, data_prop=True).graph.output}
            for v in model.graph.output:
                v.CopyFrom(known[v.name])
        return cls.prepare(model, device, **kwargs).run(feed)

    @classmethod
    def supports_device(cls, device):
        return Device(device).type == DeviceType.CPU


is_compatible = BurinBackend.is_compatible
prepare = BurinBackend.prepare
run_model = BurinBackend.run_model
run_node = BurinBackend.run_node
supports_device = BurinBackend.supports_device
