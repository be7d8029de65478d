// RUN: burin-opt %s --split-input-file --pipeline=lower | FileCheck %s

// A find writes its place, and what is no find is overwritten by the next one; the count is checked against the shape.
// CHECK-LABEL: @main
// CHECK: scf.for
// CHECK: tensor.insert
// CHECK: cf.assert {{.*}}, "a result has another size than the model declares"
// CHECK: tensor.extract_slice
func.func @main(%x: tensor<2x2xf32> {onnx.name = "x"}) -> (tensor<2x3xi64> {onnx.name = "y"}) {
  %0 = onnx.NonZero(%x) : (tensor<2x2xf32>) -> tensor<2x3xi64>
  return %0 : tensor<2x3xi64>
}

// -----

// A constant condition moves elements and checks nothing.
// CHECK-LABEL: @main
// CHECK-NOT: cf.assert
// CHECK: return
func.func @main(%x: tensor<3x2xf32> {onnx.name = "x"}) -> (tensor<2x2xf32> {onnx.name = "y"}) {
  %c = onnx.Constant dense<[true, false, true]> : tensor<3xi1>
  %0 = onnx.Compress(%x, %c) {axis = 0 : i64} : (tensor<3x2xf32>, tensor<3xi1>) -> tensor<2x2xf32>
  return %0 : tensor<2x2xf32>
}

// -----

// Boxes are at most as many as are asked for, so one row more is all the room there is.
// CHECK-LABEL: @main
// CHECK: bufferization.alloc_tensor() : tensor<3x3xi64>
// CHECK: cf.assert
func.func @main(%boxes: tensor<1x9x4xf32> {onnx.name = "b"}, %scores: tensor<1x1x9xf32> {onnx.name = "s"}) -> (tensor<1x3xi64> {onnx.name = "y"}) {
  %most = onnx.Constant dense<2> : tensor<i64>
  %iou = onnx.Constant dense<5.0e-01> : tensor<f32>
  %n = onnx.NoValue
  %0 = onnx.NonMaxSuppression(%boxes, %scores, %most, %iou, %n) : (tensor<1x9x4xf32>, tensor<1x1x9xf32>, tensor<i64>, tensor<f32>, none) -> tensor<1x3xi64>
  return %0 : tensor<1x3xi64>
}
