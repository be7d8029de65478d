// RUN: burin-opt %s --split-input-file --lower-onnx | FileCheck %s

// Case transposes_once: a transposition costs nothing, a convolution asks for channels last, the graph's own order comes back at the end.
// CHECK-LABEL: func.func @main
// CHECK-SAME: (%[[X:.*]]: tensor<1x3x8x8xf32> {burin.dtype = 1 : i32, onnx.name = "image"})
// CHECK-SAME: -> (tensor<1x4x8x8xf32> {burin.dtype = 1 : i32, onnx.name = "output0"}, tensor<1x8x8x4xf32>
// CHECK: %[[T:.*]] = linalg.transpose ins(%[[X]] {{.*}} permutation = [0, 2, 3, 1]
// CHECK: %[[A:.*]] = nn.conv ins(%[[T]],
// CHECK: %[[B:.*]] = nn.conv ins(%[[T]],
// CHECK: %[[C:.*]] = linalg.generic {{.*}} ins(%[[A]], %[[B]] :
// CHECK: %[[R:.*]] = linalg.transpose ins(%[[C]] {{.*}} permutation = [0, 3, 1, 2]
// CHECK-NOT: linalg.transpose
// CHECK: return %[[R]], %[[C]]
func.func @main(%x: tensor<1x3x8x8xf32> {onnx.name = "image"}) -> (tensor<1x4x8x8xf32>, tensor<1x8x8x4xf32>) {
  %w = onnx.Constant dense<1.0> : tensor<4x3x1x1xf32>
  %none = onnx.NoValue
  %a = onnx.Conv(%x, %w, %none) : (tensor<1x3x8x8xf32>, tensor<4x3x1x1xf32>, none) -> tensor<1x4x8x8xf32>
  %b = onnx.Conv(%x, %w, %none) : (tensor<1x3x8x8xf32>, tensor<4x3x1x1xf32>, none) -> tensor<1x4x8x8xf32>
  %c = onnx.Add(%a, %b) : (tensor<1x4x8x8xf32>, tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  %t = onnx.Transpose(%c) {perm = array<i64: 0, 2, 3, 1>} : (tensor<1x4x8x8xf32>) -> tensor<1x8x8x4xf32>
  return %c, %t : tensor<1x4x8x8xf32>, tensor<1x8x8x4xf32>
}

// -----

// Case one_channel: an order that differs by dims of 1 alone is a reshape.
// CHECK-LABEL: func.func @main
// CHECK-NOT: linalg.transpose
// CHECK: tensor.expand_shape
// CHECK: nn.conv
// CHECK-NOT: linalg.transpose
func.func @main(%x: tensor<1x1x8x8xf32>) -> tensor<1x1x8x8xf32> {
  %w = onnx.Constant dense<1.0> : tensor<1x1x1x1xf32>
  %none = onnx.NoValue
  %a = onnx.Conv(%x, %w, %none) : (tensor<1x1x8x8xf32>, tensor<1x1x1x1xf32>, none) -> tensor<1x1x8x8xf32>
  return %a : tensor<1x1x8x8xf32>
}

// -----

// Case constants: moved at compile time, to where the convolution wants them.
// CHECK-LABEL: func.func @main
// CHECK: arith.constant dense<{{\[\[\[\[}}1.000000e+00, 3.000000e+00], [2.000000e+00, 4.000000e+00]]]]> : tensor<1x1x2x2xf32>
// CHECK-NOT: linalg.transpose
// CHECK: nn.conv
func.func @main(%x: tensor<1x2x1x1xf32>) -> tensor<1x2x1x1xf32> {
  %w = onnx.Constant dense<[[[[1.0]], [[2.0]]], [[[3.0]], [[4.0]]]]> : tensor<2x2x1x1xf32>
  %none = onnx.NoValue
  %a = onnx.Conv(%x, %w, %none) : (tensor<1x2x1x1xf32>, tensor<2x2x1x1xf32>, none) -> tensor<1x2x1x1xf32>
  return %a : tensor<1x2x1x1xf32>
}

// -----

// Case signless: unsigned types lose their sign, what they mean stays in burin.dtype and in the operations.
// CHECK-LABEL: func.func @main
// CHECK-SAME: tensor<4xi8> {burin.dtype = 2 : i32
// CHECK: arith.maxui
func.func @main(%x: tensor<4xui8>, %y: tensor<4xui8>) -> tensor<4xui8> {
  %a = onnx.Max(%x, %y) : (tensor<4xui8>, tensor<4xui8>) -> tensor<4xui8>
  return %a : tensor<4xui8>
}

// -----

// Case nothing: results without elements are made without their operator.
// CHECK-LABEL: func.func @main
// CHECK-NEXT: %[[E:.*]] = tensor.empty() : tensor<0x4xf32>
// CHECK-NEXT: return %[[E]]
func.func @main(%x: tensor<0x4xf32>) -> tensor<0x4xf32> {
  %a = onnx.Relu(%x) : (tensor<0x4xf32>) -> tensor<0x4xf32>
  return %a : tensor<0x4xf32>
}

// -----

// Case strips_names: names of dims are gone where the shape is bound.
// CHECK-LABEL: func.func @main
// CHECK-NOT: onnx.dims
func.func @main(%x: tensor<2x4xf32, #onnx.dims<["", ""]>>) -> tensor<2x4xf32> {
  %a = onnx.Relu(%x) : (tensor<2x4xf32, #onnx.dims<["", ""]>>) -> tensor<2x4xf32>
  return %a : tensor<2x4xf32>
}

// -----

// Case shuffle: dims that a reshape splits and merges stay in their place among the others, so a channel shuffle moves only channels.
// CHECK-LABEL: func.func @main
// CHECK: %[[T:.*]] = linalg.transpose ins(%{{.*}} : tensor<1x4x8x8xf32>)
// CHECK: nn.conv ins(%[[T]]
// CHECK: tensor.expand_shape %{{.*}} : tensor<1x8x8x4xf32> into tensor<1x8x8x2x2xf32>
// CHECK: linalg.transpose ins(%{{.*}} : tensor<1x8x8x2x2xf32>) {{.*}} permutation = [0, 1, 2, 4, 3]
// CHECK: tensor.collapse_shape %{{.*}} : tensor<1x8x8x2x2xf32> into tensor<1x8x8x4xf32>
// CHECK-NOT: linalg.transpose
// CHECK: nn.conv
func.func @main(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x1x1xf32> {
  %w = onnx.Constant dense<1.0> : tensor<4x4x1x1xf32>
  %none = onnx.NoValue
  %to5 = onnx.Constant dense<[1, 2, 2, 8, 8]> : tensor<5xi64>
  %to4 = onnx.Constant dense<[1, 4, 8, 8]> : tensor<4xi64>
  %a = onnx.Conv(%x, %w, %none) : (tensor<1x4x8x8xf32>, tensor<4x4x1x1xf32>, none) -> tensor<1x4x8x8xf32>
  %s = onnx.Reshape(%a, %to5) : (tensor<1x4x8x8xf32>, tensor<5xi64>) -> tensor<1x2x2x8x8xf32>
  %t = onnx.Transpose(%s) {perm = array<i64: 0, 2, 1, 3, 4>} : (tensor<1x2x2x8x8xf32>) -> tensor<1x2x2x8x8xf32>
  %m = onnx.Reshape(%t, %to4) : (tensor<1x2x2x8x8xf32>, tensor<4xi64>) -> tensor<1x4x8x8xf32>
  %b = onnx.Conv(%m, %w, %none) : (tensor<1x4x8x8xf32>, tensor<4x4x1x1xf32>, none) -> tensor<1x4x8x8xf32>
  %g = onnx.GlobalAveragePool(%b) : (tensor<1x4x8x8xf32>) -> tensor<1x4x1x1xf32>
  return %g : tensor<1x4x1x1xf32>
}
