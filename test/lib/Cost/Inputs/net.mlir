func.func @main(%x: tensor<1x3x32x32xf32>) -> tensor<1x16x32x32xf32> {
  %none = onnx.NoValue
  %w0 = onnx.Constant dense<0.5> : tensor<16x3x3x3xf32>
  %w1 = onnx.Constant dense<0.5> : tensor<16x16x3x3xf32>
  %0 = onnx.Conv(%x, %w0, %none) {pads = array<i64: 1, 1, 1, 1>} : (tensor<1x3x32x32xf32>, tensor<16x3x3x3xf32>, none) -> tensor<1x16x32x32xf32>
  %1 = onnx.Relu(%0) : (tensor<1x16x32x32xf32>) -> tensor<1x16x32x32xf32>
  %2 = onnx.Conv(%1, %w1, %none) {pads = array<i64: 1, 1, 1, 1>} : (tensor<1x16x32x32xf32>, tensor<16x16x3x3xf32>, none) -> tensor<1x16x32x32xf32>
  return %2 : tensor<1x16x32x32xf32>
}
