// Lowered IR, which has no ONNX form.
module {
  func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> {
    %y = onnx.Relu(%x) : (tensor<2xf32>) -> tensor<2xf32>
    %z = arith.addf %y, %y : tensor<2xf32>
    return %z : tensor<2xf32>
  }
}
