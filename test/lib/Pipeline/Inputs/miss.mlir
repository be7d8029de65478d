func.func @main(%x: tensor<1x2x4x4xf32>) -> (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) {
  %none = onnx.NoValue
  %w = onnx.Constant dense<0.5> : tensor<2x2x1x1xf32>
  %s = onnx.Constant dense<[1.0, 2.0]> : tensor<2xf32>
  %b = onnx.Constant dense<[0.5, 0.25]> : tensor<2xf32>
  %0 = onnx.Conv(%x, %w, %none) : (tensor<1x2x4x4xf32>, tensor<2x2x1x1xf32>, none) -> tensor<1x2x4x4xf32> loc("conv1"("Conv, opset 11"("net.onnx":0:1)))
  %1:3 = onnx.BatchNormalization(%0, %s, %b, %b, %s) : (tensor<1x2x4x4xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> (tensor<1x2x4x4xf32>, none, none) loc("norm1"("BatchNormalization, opset 15"("net.onnx":1:1)))
  %2 = onnx.Conv(%x, %w, %none) : (tensor<1x2x4x4xf32>, tensor<2x2x1x1xf32>, none) -> tensor<1x2x4x4xf32> loc("conv2"("Conv, opset 11"("net.onnx":2:1)))
  %3:3 = onnx.BatchNormalization(%2, %s, %b, %b, %s) : (tensor<1x2x4x4xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> (tensor<1x2x4x4xf32>, none, none) loc("norm2"("BatchNormalization, opset 15"("net.onnx":3:1)))
  return %1#0, %2, %3#0 : tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>
}
