"""Passes given to burin.compile and burin.InferenceSession: session.py MODEL PASSES.py"""
import os
import sys
import tempfile

import burin
import numpy as np
import onnx
from burin import passes

model, (square,) = sys.argv[1], passes.load(sys.argv[2])
seen = []


@passes.transform(at="after-import")
def look(graph):
    seen.append([n.op_type for n in graph.nodes if n.op_type != "Constant"])


@passes.transform(at="after-graph-fuse-pad")
def later(graph):
    seen.append([n.op_type for n in graph.nodes if n.op_type != "Constant"])


x = np.linspace(-2, 2, 6, dtype=np.float32).reshape(2, 3)
session = burin.InferenceSession(model, passes=[look, passes.at("after-import", square), later])
y, z = session.run(None, {"x": x})
np.testing.assert_allclose(y, x * x, rtol=1e-6)
np.testing.assert_allclose(z, np.sqrt(x * x + 1), rtol=1e-6)
assert seen == [["Pow", "Add", "Pow"], ["Mul", "Add", "Pow"]], seen

with tempfile.TemporaryDirectory() as folder:
    out = os.path.join(folder, "out.onnx")
    burin.compile(model, out, passes=square)
    assert [n.op_type for n in onnx.load(out).graph.node if n.op_type != "Constant"] == ["Mul", "Add", "Pow"]
    burin.compile(model, out, passes=[sys.argv[2], "graph-eliminate-identities"])


    @passes.transform
    def fails(graph):
        raise ValueError("no such luck")

    for wrong, text in ((fails, "fails: ValueError: no such luck"), (passes.at("after-nowhere", square), "no graph pass runs at 'after-nowhere'"),
                        (passes.at("nowhere", square), "unknown point 'nowhere'")):
        try:
            burin.compile(model, out, passes=[wrong])
            raise AssertionError("not refused")
        except burin.Error as e:
            assert text in str(e), e
print("session: ok")
