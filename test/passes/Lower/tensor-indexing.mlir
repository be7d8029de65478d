// RUN: burin-opt %s --split-input-file --lower-onnx | FileCheck %s

// Case gather_rows: rows are copied along a plain innermost loop, indices clamped into the data.
// CHECK-LABEL: func.func @main
// CHECK: linalg.generic
// CHECK: linalg.index 1
// CHECK: arith.maxsi
// CHECK: arith.minsi
// CHECK: tensor.extract %arg0[
// CHECK: tensor.expand_shape {{.*}} into tensor<2x3x6xf32>
func.func @main(%x: tensor<5x6xf32>, %i: tensor<2x3xi64>) -> tensor<2x3x6xf32> {
  %y = onnx.Gather(%x, %i) : (tensor<5x6xf32>, tensor<2x3xi64>) -> tensor<2x3x6xf32>
  return %y : tensor<2x3x6xf32>
}

// -----

// Case gather_constant: indices in step are a slice.
// CHECK-LABEL: func.func @main
// CHECK: tensor.extract_slice %arg0[0, 1] [5, 3] [1, 2]
// CHECK-NOT: linalg
func.func @main(%x: tensor<5x6xf32>) -> tensor<5x3xf32> {
  %i = onnx.Constant dense<[1, 3, -1]> : tensor<3xi64>
  %y = onnx.Gather(%x, %i) {axis = 1 : i64} : (tensor<5x6xf32>, tensor<3xi64>) -> tensor<5x3xf32>
  return %y : tensor<5x3xf32>
}

// -----

// Case scatter_box: constant indices that describe a box are one write of a slice.
// CHECK-LABEL: func.func @main
// CHECK-NOT: scf.for
// CHECK: tensor.insert_slice %arg1 into %arg0[1, 0] [2, 3] [1, 2]
func.func @main(%x: tensor<4x6xf32>, %u: tensor<2x3xf32>) -> tensor<4x6xf32> {
  %i = onnx.Constant dense<[[[1, 0], [1, 2], [1, 4]], [[2, 0], [2, 2], [2, 4]]]> : tensor<2x3x2xi64>
  %y = onnx.ScatterND(%x, %i, %u) : (tensor<4x6xf32>, tensor<2x3x2xi64>, tensor<2x3xf32>) -> tensor<4x6xf32>
  return %y : tensor<4x6xf32>
}

// -----

// Case scatter: updates land one after the other.
// CHECK-LABEL: func.func @main
// CHECK: scf.for
// CHECK: arith.addf
// CHECK: tensor.insert
func.func @main(%x: tensor<4xf32>, %i: tensor<3xi64>, %u: tensor<3xf32>) -> tensor<4xf32> {
  %y = onnx.ScatterElements(%x, %i, %u) {reduction = "add"} : (tensor<4xf32>, tensor<3xi64>, tensor<3xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

// Case topk: ranks by comparison, then places, then values; no sorting.
// CHECK-LABEL: func.func @main
// CHECK: iterator_types = ["parallel", "parallel", "reduction"]
// CHECK: arith.cmpf ugt
// CHECK: iterator_types = ["parallel", "parallel", "reduction"]
// CHECK: tensor.extract
func.func @main(%x: tensor<3x7xf32>) -> (tensor<3x2xf32>, tensor<3x2xi64>) {
  %k = onnx.Constant dense<2> : tensor<1xi64>
  %v, %i = onnx.TopK(%x, %k) : (tensor<3x7xf32>, tensor<1xi64>) -> (tensor<3x2xf32>, tensor<3x2xi64>)
  return %v, %i : tensor<3x2xf32>, tensor<3x2xi64>
}
