// RUN: burin-opt %s --split-input-file --graph-raise-attention | FileCheck %s
// RUN: burin-opt %s --split-input-file --graph-raise-attention --remarks-filter='RaiseAttention' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// Two heads of keys and values for four of queries, a division, a mask whose lowest number moves up one step.
// CHECK-LABEL: @grouped
// CHECK-DAG: %[[L:.*]] = onnx.Constant dense<-3.40282326E+38> : tensor<f32>
// CHECK: %[[M:.*]] = onnx.Where(%arg3, %{{.*}}, %[[L]])
// CHECK: %[[Y:.*]], %{{.*}}, %{{.*}}, %{{.*}} = onnx.Attention(%arg0, %arg1, %arg2, %[[M]], %{{.*}}, %{{.*}}, %{{.*}}) {scale = 5.000000e-01 : f32}
// CHECK-NEXT: return %[[Y]] : tensor<1x4x3x8xf32>
// REMARK: [Passed] Attention
func.func @grouped(%q: tensor<1x4x3x8xf32>, %k: tensor<1x2x5x8xf32>, %v: tensor<1x2x5x8xf32>, %m: tensor<1x1x3x5xi1>) -> tensor<1x4x3x8xf32> {
  %axis = onnx.Constant dense<2> : tensor<1xi64>
  %wide = onnx.Constant dense<[1, 2, 2, 5, 8]> : tensor<5xi64>
  %merged = onnx.Constant dense<[1, 4, 5, 8]> : tensor<4xi64>
  %two = onnx.Constant dense<2.0> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32>
  %lowest = onnx.Constant dense<0xFF7FFFFF> : tensor<f32>
  %mask = onnx.Where(%m, %zero, %lowest) : (tensor<1x1x3x5xi1>, tensor<f32>, tensor<f32>) -> tensor<1x1x3x5xf32>
  %0 = onnx.Unsqueeze(%k, %axis) : (tensor<1x2x5x8xf32>, tensor<1xi64>) -> tensor<1x2x1x5x8xf32>
  %1 = onnx.Expand(%0, %wide) : (tensor<1x2x1x5x8xf32>, tensor<5xi64>) -> tensor<1x2x2x5x8xf32>
  %2 = onnx.Reshape(%1, %merged) : (tensor<1x2x2x5x8xf32>, tensor<4xi64>) -> tensor<1x4x5x8xf32>
  %3 = onnx.Unsqueeze(%v, %axis) : (tensor<1x2x5x8xf32>, tensor<1xi64>) -> tensor<1x2x1x5x8xf32>
  %4 = onnx.Expand(%3, %wide) : (tensor<1x2x1x5x8xf32>, tensor<5xi64>) -> tensor<1x2x2x5x8xf32>
  %5 = onnx.Reshape(%4, %merged) : (tensor<1x2x2x5x8xf32>, tensor<4xi64>) -> tensor<1x4x5x8xf32>
  %6 = onnx.Transpose(%2) {perm = array<i64: 0, 1, 3, 2>} : (tensor<1x4x5x8xf32>) -> tensor<1x4x8x5xf32>
  %7 = onnx.MatMul(%q, %6) : (tensor<1x4x3x8xf32>, tensor<1x4x8x5xf32>) -> tensor<1x4x3x5xf32>
  %8 = onnx.Div(%7, %two) : (tensor<1x4x3x5xf32>, tensor<f32>) -> tensor<1x4x3x5xf32>
  %9 = onnx.Add(%8, %mask) : (tensor<1x4x3x5xf32>, tensor<1x1x3x5xf32>) -> tensor<1x4x3x5xf32>
  %10 = onnx.Softmax(%9) : (tensor<1x4x3x5xf32>) -> tensor<1x4x3x5xf32>
  %11 = onnx.MatMul(%10, %5) : (tensor<1x4x3x5xf32>, tensor<1x4x5x8xf32>) -> tensor<1x4x3x8xf32>
  return %11 : tensor<1x4x3x8xf32>
}

// -----

// Scales on queries and keys, no mask, keys transposed straight from [batch, sequence, heads, dim].
// CHECK-LABEL: @prescaled
// CHECK: %[[K:.*]] = onnx.Transpose(%arg1) {perm = array<i64: 0, 2, 1, 3>}
// CHECK: onnx.Attention(%arg0, %[[K]], %arg2, {{.*}}) {scale = 2.500000e-01 : f32}
func.func @prescaled(%q: tensor<1x2x3x8xf32>, %k: tensor<1x5x2x8xf32>, %v: tensor<1x2x5x6xf32>) -> tensor<1x2x3x6xf32> {
  %half = onnx.Constant dense<0.5> : tensor<f32>
  %0 = onnx.Mul(%q, %half) : (tensor<1x2x3x8xf32>, tensor<f32>) -> tensor<1x2x3x8xf32>
  %1 = onnx.Transpose(%k) {perm = array<i64: 0, 2, 3, 1>} : (tensor<1x5x2x8xf32>) -> tensor<1x2x8x5xf32>
  %2 = onnx.Mul(%half, %1) : (tensor<f32>, tensor<1x2x8x5xf32>) -> tensor<1x2x8x5xf32>
  %3 = onnx.MatMul(%0, %2) : (tensor<1x2x3x8xf32>, tensor<1x2x8x5xf32>) -> tensor<1x2x3x5xf32>
  %4 = onnx.Softmax(%3) : (tensor<1x2x3x5xf32>) -> tensor<1x2x3x5xf32>
  %5 = onnx.MatMul(%4, %v) : (tensor<1x2x3x5xf32>, tensor<1x2x5x6xf32>) -> tensor<1x2x3x6xf32>
  return %5 : tensor<1x2x3x6xf32>
}

// -----

// A mask of one row, unknown numbers: limited, and given all rows.
// CHECK-LABEL: @row_mask
// CHECK: %[[A:.*]] = onnx.Max(%arg3, %{{.*}})
// CHECK: %[[M:.*]] = onnx.Expand(%[[A]], %{{.*}}) : (tensor<2x1x1x5xf32>, tensor<4xi64>) -> tensor<2x1x3x5xf32>
// CHECK: onnx.Attention(%arg0, %arg1, %arg2, %[[M]]
func.func @row_mask(%q: tensor<2x2x3x8xf32>, %k: tensor<2x2x5x8xf32>, %v: tensor<2x2x5x8xf32>, %m: tensor<2x1x1x5xf32>) -> tensor<2x2x3x8xf32> {
  %0 = onnx.Transpose(%k) {perm = array<i64: 0, 1, 3, 2>} : (tensor<2x2x5x8xf32>) -> tensor<2x2x8x5xf32>
  %1 = onnx.MatMul(%q, %0) : (tensor<2x2x3x8xf32>, tensor<2x2x8x5xf32>) -> tensor<2x2x3x5xf32>
  %2 = onnx.Add(%m, %1) : (tensor<2x1x1x5xf32>, tensor<2x2x3x5xf32>) -> tensor<2x2x3x5xf32>
  %3 = onnx.Softmax(%2) : (tensor<2x2x3x5xf32>) -> tensor<2x2x3x5xf32>
  %4 = onnx.MatMul(%3, %v) : (tensor<2x2x3x5xf32>, tensor<2x2x5x8xf32>) -> tensor<2x2x3x8xf32>
  return %4 : tensor<2x2x3x8xf32>
}

// -----

// Sizes known by name only.
// CHECK-LABEL: @named
// CHECK: onnx.Attention(%arg0, %{{.*}}, %arg2
func.func @named(%q: tensor<?x2x?x8xf32, #onnx.dims<["n", "", "s", ""]>>, %kt: tensor<?x2x8x?xf32, #onnx.dims<["n", "", "", "t"]>>, %v: tensor<?x2x?x8xf32, #onnx.dims<["n", "", "t", ""]>>) -> tensor<?x2x?x8xf32, #onnx.dims<["n", "", "s", ""]>> {
  %0 = onnx.MatMul(%q, %kt) : (tensor<?x2x?x8xf32, #onnx.dims<["n", "", "s", ""]>>, tensor<?x2x8x?xf32, #onnx.dims<["n", "", "", "t"]>>) -> tensor<?x2x?x?xf32, #onnx.dims<["n", "", "s", "t"]>>
  %1 = onnx.Softmax(%0) : (tensor<?x2x?x?xf32, #onnx.dims<["n", "", "s", "t"]>>) -> tensor<?x2x?x?xf32, #onnx.dims<["n", "", "s", "t"]>>
  %2 = onnx.MatMul(%1, %v) : (tensor<?x2x?x?xf32, #onnx.dims<["n", "", "s", "t"]>>, tensor<?x2x?x8xf32, #onnx.dims<["n", "", "t", ""]>>) -> tensor<?x2x?x8xf32, #onnx.dims<["n", "", "s", ""]>>
  return %2 : tensor<?x2x?x8xf32, #onnx.dims<["n", "", "s", ""]>>
}

// -----

// Weights that are a result too; a softmax over queries; heads that broadcast; a batch nobody knows.
// CHECK-LABEL: @near_misses
// CHECK-NOT: onnx.Attention
// REMARK: [Missed] Attention | {{.*}}the scores or weights have several uses
// REMARK: [Missed] Attention | {{.*}}the softmax is not over the keys
// REMARK: [Missed] Attention | {{.*}}batch and heads of queries, keys and values are not known to be equal
func.func @near_misses(%q: tensor<1x2x5x8xf32>, %kt: tensor<1x2x8x5xf32>, %v: tensor<1x2x5x8xf32>, %w: tensor<1x1x5x8xf32>) -> (tensor<1x2x5x5xf32>, tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32>) {
  %0 = onnx.MatMul(%q, %kt) : (tensor<1x2x5x8xf32>, tensor<1x2x8x5xf32>) -> tensor<1x2x5x5xf32>
  %1 = onnx.Softmax(%0) : (tensor<1x2x5x5xf32>) -> tensor<1x2x5x5xf32>
  %2 = onnx.MatMul(%1, %v) : (tensor<1x2x5x5xf32>, tensor<1x2x5x8xf32>) -> tensor<1x2x5x8xf32>
  %3 = onnx.MatMul(%q, %kt) : (tensor<1x2x5x8xf32>, tensor<1x2x8x5xf32>) -> tensor<1x2x5x5xf32>
  %4 = onnx.Softmax(%3) {axis = 2 : i64} : (tensor<1x2x5x5xf32>) -> tensor<1x2x5x5xf32>
  %5 = onnx.MatMul(%4, %v) : (tensor<1x2x5x5xf32>, tensor<1x2x5x8xf32>) -> tensor<1x2x5x8xf32>
  %6 = onnx.MatMul(%q, %kt) : (tensor<1x2x5x8xf32>, tensor<1x2x8x5xf32>) -> tensor<1x2x5x5xf32>
  %7 = onnx.Softmax(%6) : (tensor<1x2x5x5xf32>) -> tensor<1x2x5x5xf32>
  %8 = onnx.MatMul(%7, %w) : (tensor<1x2x5x5xf32>, tensor<1x1x5x8xf32>) -> tensor<1x2x5x8xf32>
  return %1, %2, %5, %8 : tensor<1x2x5x5xf32>, tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32>, tensor<1x2x5x8xf32>
}
