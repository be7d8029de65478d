// A convolution that several tiles and blocks fit.
func.func @main(%x: tensor<1x8x12x12xf32> {onnx.name = "x"}) -> (tensor<1x48x12x12xf32> {onnx.name = "y"}) {
  %none = onnx.NoValue
  %w = onnx.Constant dense<0.5> : tensor<48x8x3x3xf32>
  %0 = onnx.Conv(%x, %w, %none) {pads = array<i64: 1, 1, 1, 1>} : (tensor<1x8x12x12xf32>, tensor<48x8x3x3xf32>, none) -> tensor<1x48x12x12xf32> loc("conv"("Conv, opset 11"("net.onnx":0:1)))
  %1 = onnx.Relu(%0) : (tensor<1x48x12x12xf32>) -> tensor<1x48x12x12xf32> loc("relu"("Relu, opset 14"("net.onnx":1:1)))
  return %1 : tensor<1x48x12x12xf32>
}
