// Operators that would compute on bits refuse narrow elements.
// RUN: burin-opt %s --split-input-file --lower-onnx --verify-diagnostics

func.func @main(%x: tensor<3xf8E4M3FN> {onnx.name = "x"}) -> (tensor<3xf8E4M3FN> {onnx.name = "y"}) {
  // expected-error @+1 {{operator is not supported by the CPU target yet: elements of type 'f8E4M3FN'; cast to a wider type before it}}
  %y = onnx.Relu(%x) : (tensor<3xf8E4M3FN>) -> tensor<3xf8E4M3FN>
  return %y : tensor<3xf8E4M3FN>
}

// -----
func.func @main(%x: tensor<3xf32> {onnx.name = "x"}) -> (tensor<3xf8E8M0FNU> {onnx.name = "y"}) {
  // expected-error @+1 {{expected attribute 'round_mode' to be up, down or nearest, got 'odd'}}
  %y = onnx.Cast(%x) {to = 24 : i64, round_mode = "odd"} : (tensor<3xf32>) -> tensor<3xf8E8M0FNU>
  return %y : tensor<3xf8E8M0FNU>
}
