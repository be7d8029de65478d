"""Burin: a compiler from ONNX to native programs.

    session = burin.InferenceSession("model.onnx", threads=2)
    outputs = session.run(None, {"x": x})

    burin.compile("model.onnx", "model", emit="exe", shape={"x": (1, 3, 224, 224)})

`burin.backend` is the same as an ONNX Backend (it needs the `onnx` package; nothing else here does).
"""
from . import blob
from ._burin import Error, version as _version
from ._device import DeviceArray
from ._session import InferenceSession, IOBinding, OrtValue, compile, cost
from .quantize import quantize

Error.__module__ = "burin"
Error.__doc__ = "What the compiler or a run complains about; its text names the file, the node and what was expected."
__version__ = _version()
__all__ = ["DeviceArray", "Error", "IOBinding", "InferenceSession", "OrtValue", "blob", "compile", "cost", "quantize", "__version__"]
