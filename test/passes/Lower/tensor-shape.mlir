// RUN: burin-opt %s --split-input-file --lower-onnx | FileCheck %s

// Case free_transpose: a transposition and its inverse leave nothing behind.
// CHECK-LABEL: func.func @main
// CHECK-NEXT: return %arg0
func.func @main(%x: tensor<1x2x3x4xf32>) -> tensor<1x2x3x4xf32> {
  %a = onnx.Transpose(%x) {perm = array<i64: 0, 2, 3, 1>} : (tensor<1x2x3x4xf32>) -> tensor<1x3x4x2xf32>
  %b = onnx.Transpose(%a) {perm = array<i64: 0, 3, 1, 2>} : (tensor<1x3x4x2xf32>) -> tensor<1x2x3x4xf32>
  return %b : tensor<1x2x3x4xf32>
}

// -----

// Case split_where_it_lies: channels are split in the channels-last image; the pixels that are merged lie together.
// CHECK-LABEL: func.func @main
// CHECK-NOT: linalg
// CHECK: tensor.collapse_shape %arg0 {{.*}} : tensor<1x4x5x6xf32> into tensor<1x20x6xf32>
// CHECK-NEXT: return
func.func @main(%x: tensor<1x4x5x6xf32>) -> tensor<1x20x6xf32> {
  %shape = onnx.Constant dense<[1, 6, 20]> : tensor<3xi64>
  %a = onnx.Transpose(%x) {perm = array<i64: 0, 3, 1, 2>} : (tensor<1x4x5x6xf32>) -> tensor<1x6x4x5xf32>
  %b = onnx.Reshape(%a, %shape) : (tensor<1x6x4x5xf32>, tensor<3xi64>) -> tensor<1x6x20xf32>
  %c = onnx.Transpose(%b) {perm = array<i64: 0, 2, 1>} : (tensor<1x6x20xf32>) -> tensor<1x20x6xf32>
  return %c : tensor<1x20x6xf32>
}

// -----

// Case shuffle: the channel shuffle of a channels-last image moves channels once and stays channels last.
// CHECK-LABEL: func.func @main
// CHECK: tensor.expand_shape
// CHECK: linalg.transpose {{.*}} permutation =
// CHECK-NOT: linalg.transpose
// CHECK: return
func.func @main(%x: tensor<2x4x5x6xf32>) -> tensor<2x4x5x6xf32> {
  %s0 = onnx.Constant dense<[2, 2, 3, 4, 5]> : tensor<5xi64>
  %s1 = onnx.Constant dense<[2, 6, 4, 5]> : tensor<4xi64>
  %a = onnx.Transpose(%x) {perm = array<i64: 0, 3, 1, 2>} : (tensor<2x4x5x6xf32>) -> tensor<2x6x4x5xf32>
  %b = onnx.Reshape(%a, %s0) : (tensor<2x6x4x5xf32>, tensor<5xi64>) -> tensor<2x2x3x4x5xf32>
  %c = onnx.Transpose(%b) {perm = array<i64: 0, 2, 1, 3, 4>} : (tensor<2x2x3x4x5xf32>) -> tensor<2x3x2x4x5xf32>
  %d = onnx.Reshape(%c, %s1) : (tensor<2x3x2x4x5xf32>, tensor<4xi64>) -> tensor<2x6x4x5xf32>
  %e = onnx.Transpose(%d) {perm = array<i64: 0, 2, 3, 1>} : (tensor<2x6x4x5xf32>) -> tensor<2x4x5x6xf32>
  return %e : tensor<2x4x5x6xf32>
}

// -----

// Case flatten_moves: dims that are merged but do not lie in order are brought together first.
// CHECK-LABEL: func.func @main
// CHECK: linalg.transpose
// CHECK: tensor.collapse_shape
func.func @main(%x: tensor<2x4x5x6xf32>) -> tensor<2x120xf32> {
  %a = onnx.Transpose(%x) {perm = array<i64: 0, 3, 1, 2>} : (tensor<2x4x5x6xf32>) -> tensor<2x6x4x5xf32>
  %b = onnx.Flatten(%a) : (tensor<2x6x4x5xf32>) -> tensor<2x120xf32>
  return %b : tensor<2x120xf32>
}

// -----

// Case expand: dims that repeat are dropped, so that the map is a projected permutation.
// CHECK: affine_map<(d0, d1, d2) -> (d1)>
// CHECK-LABEL: func.func @main
// CHECK: tensor.collapse_shape
func.func @main(%x: tensor<3x1xf32>) -> tensor<2x3x6xf32> {
  %shape = onnx.Constant dense<[2, 1, 6]> : tensor<3xi64>
  %y = onnx.Expand(%x, %shape) : (tensor<3x1xf32>, tensor<3xi64>) -> tensor<2x3x6xf32>
  return %y : tensor<2x3x6xf32>
}

// -----

// Case tile: repeats are loops that the map ignores.
// CHECK: affine_map<(d0, d1, d2) -> (d0, d2)>
// CHECK-LABEL: func.func @main
// CHECK: tensor.collapse_shape {{.*}} into tensor<2x9xf32>
func.func @main(%x: tensor<2x3xf32>) -> tensor<2x9xf32> {
  %repeats = onnx.Constant dense<[1, 3]> : tensor<2xi64>
  %y = onnx.Tile(%x, %repeats) : (tensor<2x3xf32>, tensor<2xi64>) -> tensor<2x9xf32>
  return %y : tensor<2x9xf32>
}

// -----

// Case constants: what depends on shapes alone.
// CHECK-LABEL: func.func @main
// CHECK-DAG: arith.constant dense<[2, 3]> : tensor<2xi64>
// CHECK-DAG: arith.constant dense<6> : tensor<i64>
// CHECK-DAG: arith.constant dense<7> : tensor<2x2xi8>
func.func @main(%x: tensor<2x3xf32>) -> (tensor<2xi64>, tensor<i64>, tensor<2x2xui8>) {
  %s = onnx.Constant dense<2> : tensor<2xi64>
  %a = onnx.Shape(%x) : (tensor<2x3xf32>) -> tensor<2xi64>
  %b = onnx.Size(%x) : (tensor<2x3xf32>) -> tensor<i64>
  %c = onnx.ConstantOfShape(%s) {value = dense<7> : tensor<1xui8>} : (tensor<2xi64>) -> tensor<2x2xui8>
  return %a, %b, %c : tensor<2xi64>, tensor<i64>, tensor<2x2xui8>
}
