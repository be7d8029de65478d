// RUN: burin-opt %s --split-input-file --lower-onnx | FileCheck %s

// Case one_matrix: a right operand of one matrix makes all rows one long left operand.
// CHECK: nn.matmul ins(%{{.*}}, %{{.*}} : tensor<12x8xf32>, tensor<8x5xf32>) outs(%{{.*}} : tensor<12x5xf32>)
func.func @main(%x: tensor<3x4x8xf32>, %w: tensor<8x5xf32>) -> tensor<3x4x5xf32> {
  %y = onnx.MatMul(%x, %w) : (tensor<3x4x8xf32>, tensor<8x5xf32>) -> tensor<3x4x5xf32>
  return %y : tensor<3x4x5xf32>
}

// -----

// Case transposed: a right operand that lies swapped is taken so.
// CHECK-NOT: linalg.transpose
// CHECK: nn.matmul ins(%{{.*}}, %{{.*}} : tensor<6x4x8xf32>, tensor<6x5x8xf32>) {{.*}} {transpose_rhs}
func.func @main(%x: tensor<2x3x4x8xf32>, %k: tensor<2x3x5x8xf32>) -> tensor<2x3x4x5xf32> {
  %t = onnx.Transpose(%k) {perm = array<i64: 0, 1, 3, 2>} : (tensor<2x3x5x8xf32>) -> tensor<2x3x8x5xf32>
  %y = onnx.MatMul(%x, %t) : (tensor<2x3x4x8xf32>, tensor<2x3x8x5xf32>) -> tensor<2x3x4x5xf32>
  return %y : tensor<2x3x4x5xf32>
}

// -----

// Case vectors: operands of rank 1 get a dim and lose it again.
// CHECK: nn.matmul ins(%{{.*}}, %{{.*}} : tensor<1x8xf32>, tensor<8x1xf32>)
// CHECK: tensor.collapse_shape %{{.*}} [] : tensor<1x1xf32> into tensor<f32>
func.func @main(%x: tensor<8xf32>, %y: tensor<8xf32>) -> tensor<f32> {
  %z = onnx.MatMul(%x, %y) : (tensor<8xf32>, tensor<8xf32>) -> tensor<f32>
  return %z : tensor<f32>
}

// -----

// Case batches: batches that repeat in part stay as they are.
// CHECK: nn.matmul ins(%{{.*}}, %{{.*}} : tensor<2x1x4x8xf32>, tensor<1x3x8x5xf32>) outs(%{{.*}} : tensor<2x3x4x5xf32>)
func.func @main(%x: tensor<2x1x4x8xf32>, %w: tensor<3x8x5xf32>) -> tensor<2x3x4x5xf32> {
  %y = onnx.MatMul(%x, %w) : (tensor<2x1x4x8xf32>, tensor<3x8x5xf32>) -> tensor<2x3x4x5xf32>
  return %y : tensor<2x3x4x5xf32>
}

// -----

// Case gemm: constants are turned at compile time; alpha, beta and C are the epilogue.
// CHECK: nn.matmul ins(%{{.*}}, %{{.*}} : tensor<2x8xf32>, tensor<8x3xf32>) extras(%{{.*}} : tensor<3xf32>)
// CHECK-NOT: transpose_rhs
// CHECK: arith.mulf %{{.*}}, %{{.*}}
// CHECK: arith.addf
func.func @main(%x: tensor<2x8xf32>, %c: tensor<1x3xf32>) -> tensor<2x3xf32> {
  %w = onnx.Constant dense<1.0> : tensor<3x8xf32>
  %y = onnx.Gemm(%x, %w, %c) {transB = 1 : i64, alpha = 0.5 : f32} : (tensor<2x8xf32>, tensor<3x8xf32>, tensor<1x3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

// -----

// Case integers: a plain contraction in their own type.
// CHECK-NOT: nn.matmul
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel", "parallel", "reduction"]
// CHECK: arith.muli
func.func @main(%x: tensor<2x8xi32>, %w: tensor<8x3xi32>) -> tensor<2x3xi32> {
  %y = onnx.MatMul(%x, %w) : (tensor<2x8xi32>, tensor<8x3xi32>) -> tensor<2x3xi32>
  return %y : tensor<2x3xi32>
}

// -----

// Case einsum: loops are the result's letters, then the summed ones.
// CHECK-DAG: #[[A:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d1, d3)>
// CHECK-DAG: #[[B:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d2, d3)>
// CHECK: linalg.generic {indexing_maps = [#[[A]], #[[B]],
func.func @main(%x: tensor<2x3x4xf32>, %y: tensor<2x5x4xf32>) -> tensor<2x3x5xf32> {
  %z = onnx.Einsum(%x, %y) {equation = "bik,bjk->bij"} : (tensor<2x3x4xf32>, tensor<2x5x4xf32>) -> tensor<2x3x5xf32>
  return %z : tensor<2x3x5xf32>
}

// -----

// Case stored: dequantized constants stay integers, also through a transposition; of 12 columns each has two scales and 40 rows in 5 words.
// CHECK-NOT: linalg.generic
// CHECK: %[[W:.*]] = arith.constant dense_resource<stored{{.*}}> : tensor<288xi8>
// CHECK: nn.matmul ins(%{{.*}}, %[[W]] : tensor<6x40xf32>, tensor<288xi8>)
// CHECK-SAME: {packed = 12 : i64, stored = #nn.stored<bits = 4, run = 32, scale = f16, zeros = false>}
func.func @main(%x: tensor<2x3x40xf32>) -> tensor<2x3x12xf32> {
  %q = onnx.Constant dense<3> : tensor<12x40xi4>
  %s = onnx.Constant dense<0.5> : tensor<12x2xf32>
  %n = onnx.NoValue
  %d = onnx.DequantizeLinear(%q, %s, %n) {axis = 1 : i64, block_size = 32 : i64} : (tensor<12x40xi4>, tensor<12x2xf32>, none) -> tensor<12x40xf32>
  %t = onnx.Transpose(%d) {perm = array<i64: 1, 0>} : (tensor<12x40xf32>) -> tensor<40x12xf32>
  %y = onnx.MatMul(%x, %t) : (tensor<2x3x40xf32>, tensor<40x12xf32>) -> tensor<2x3x12xf32>
  return %y : tensor<2x3x12xf32>
}

// -----

// Case wanted_elsewhere: something else reads the floats, so they are made.
// CHECK: linalg.generic
// CHECK: nn.matmul
// CHECK-NOT: stored
// CHECK: return
func.func @main(%x: tensor<3x40xf32>) -> (tensor<3x12xf32>, tensor<40x12xf32>) {
  %q = onnx.Constant dense<3> : tensor<40x12xi8>
  %s = onnx.Constant dense<0.5> : tensor<12xf32>
  %n = onnx.NoValue
  %d = onnx.DequantizeLinear(%q, %s, %n) {axis = 1 : i64} : (tensor<40x12xi8>, tensor<12xf32>, none) -> tensor<40x12xf32>
  %y = onnx.MatMul(%x, %d) : (tensor<3x40xf32>, tensor<40x12xf32>) -> tensor<3x12xf32>
  %z = onnx.Neg(%d) : (tensor<40x12xf32>) -> tensor<40x12xf32>
  return %y, %z : tensor<3x12xf32>, tensor<40x12xf32>
}

// -----

// Case groups: heads that an Expand repeats for groups are not repeated; the rows of a group are those of one product.
// CHECK: nn.matmul ins(%{{.*}}, %{{.*}} : tensor<6x28x8xf32>, tensor<6x5x8xf32>) outs(%{{.*}} : tensor<6x28x5xf32>) {transpose_rhs}
func.func @main(%q: tensor<2x12x7x8xf32>, %k: tensor<2x3x5x8xf32>) -> tensor<2x12x7x5xf32> {
  %two = onnx.Constant dense<2> : tensor<1xi64>
  %wide = onnx.Constant dense<[2, 3, 4, 5, 8]> : tensor<5xi64>
  %merged = onnx.Constant dense<[2, 12, 5, 8]> : tensor<4xi64>
  %a = onnx.Unsqueeze(%k, %two) : (tensor<2x3x5x8xf32>, tensor<1xi64>) -> tensor<2x3x1x5x8xf32>
  %b = onnx.Expand(%a, %wide) : (tensor<2x3x1x5x8xf32>, tensor<5xi64>) -> tensor<2x3x4x5x8xf32>
  %c = onnx.Reshape(%b, %merged) : (tensor<2x3x4x5x8xf32>, tensor<4xi64>) -> tensor<2x12x5x8xf32>
  %t = onnx.Transpose(%c) {perm = array<i64: 0, 1, 3, 2>} : (tensor<2x12x5x8xf32>) -> tensor<2x12x8x5xf32>
  %y = onnx.MatMul(%q, %t) : (tensor<2x12x7x8xf32>, tensor<2x12x8x5xf32>) -> tensor<2x12x7x5xf32>
  return %y : tensor<2x12x7x5xf32>
}
