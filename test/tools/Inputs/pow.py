"""Writes a model of powers: y = x^2, z = (x^2 + 1)^0.5."""
import sys

import onnx
import onnx.parser

model = onnx.parser.parse_model("""<ir_version: 8, opset_import: ["" : 20]>
g (float[2, 3] x) => (float[2, 3] y, float[2, 3] z) {
  two = Constant<value = float {2.0}>() half = Constant<value = float {0.5}>() one = Constant<value = float {1.0}>()
  y = Pow(x, two) s = Add(y, one) z = Pow(s, half) }""")
onnx.save(model, sys.argv[1])
