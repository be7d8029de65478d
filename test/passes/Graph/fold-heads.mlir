// RUN: burin-opt %s --split-input-file --graph-fold-heads | FileCheck %s
// RUN: burin-opt %s --split-input-file --graph-fold-heads --remarks-filter='FoldHeads' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// Rotated queries, two heads of keys and values for four of queries, sizes known by name.
// CHECK-LABEL: @rotated
// CHECK: %[[Q:.*]] = onnx.RotaryEmbedding(%arg0, %arg3, %arg4, %{{.*}}) {num_heads = 4 : i64}
// CHECK: %[[Y:.*]], %{{.*}}, %{{.*}}, %{{.*}} = onnx.Attention(%[[Q]], %arg1, %arg2, {{.*}}) {kv_num_heads = 2 : i64, q_num_heads = 4 : i64, scale = 5.000000e-01 : f32}
// CHECK-NEXT: return %[[Y]]
// REMARK: [Passed] Heads
!x = tensor<?x?x16xf32, #onnx.dims<["n", "s", ""]>>
!y = tensor<?x?x8xf32, #onnx.dims<["n", "s", ""]>>
!x4 = tensor<?x?x4x4xf32, #onnx.dims<["n", "s", "", ""]>>
!y4 = tensor<?x?x2x4xf32, #onnx.dims<["n", "s", "", ""]>>
!q = tensor<?x4x?x4xf32, #onnx.dims<["n", "", "s", ""]>>
!k = tensor<?x2x?x4xf32, #onnx.dims<["n", "", "s", ""]>>
!c = tensor<?x?x2xf32, #onnx.dims<["n", "s", ""]>>
func.func @rotated(%q: !x, %k: !y, %v: !y, %c: !c, %s: !c) -> !x {
  %none = onnx.NoValue
  %four = onnx.Constant dense<[0, 0, 4, 4]> : tensor<4xi64>
  %two = onnx.Constant dense<[0, 0, 2, 4]> : tensor<4xi64>
  %merge = onnx.Constant dense<[0, 0, 16]> : tensor<3xi64>
  %0 = onnx.Reshape(%q, %four) : (!x, tensor<4xi64>) -> !x4
  %1 = onnx.Transpose(%0) {perm = array<i64: 0, 2, 1, 3>} : (!x4) -> !q
  %2 = onnx.RotaryEmbedding(%1, %c, %s, %none) : (!q, !c, !c, none) -> !q
  %3 = onnx.Reshape(%k, %two) : (!y, tensor<4xi64>) -> !y4
  %4 = onnx.Transpose(%3) {perm = array<i64: 0, 2, 1, 3>} : (!y4) -> !k
  %5 = onnx.Reshape(%v, %two) : (!y, tensor<4xi64>) -> !y4
  %6 = onnx.Transpose(%5) {perm = array<i64: 0, 2, 1, 3>} : (!y4) -> !k
  %7, %8, %9, %10 = onnx.Attention(%2, %4, %6, %none, %none, %none, %none) {scale = 0.5 : f32} : (!q, !k, !k, none, none, none, none) -> (!q, none, none, none)
  %11 = onnx.Transpose(%7) {perm = array<i64: 0, 2, 1, 3>} : (!q) -> !x4
  %12 = onnx.Reshape(%11, %merge) : (!x4, tensor<3xi64>) -> !x
  return %12 : !x
}

// -----

// One query: a Reshape alone moves the heads.
// CHECK-LABEL: @decode
// CHECK: onnx.Attention(%arg0, %arg1, %arg1, {{.*}}) {kv_num_heads = 2 : i64, q_num_heads = 2 : i64}
// CHECK-NEXT: return
func.func @decode(%q: tensor<1x1x8xf32>, %k: tensor<1x1x8xf32>) -> tensor<1x1x8xf32> {
  %none = onnx.NoValue
  %split = onnx.Constant dense<[1, 2, 1, 4]> : tensor<4xi64>
  %merge = onnx.Constant dense<[1, 1, 8]> : tensor<3xi64>
  %0 = onnx.Reshape(%q, %split) : (tensor<1x1x8xf32>, tensor<4xi64>) -> tensor<1x2x1x4xf32>
  %1 = onnx.Reshape(%k, %split) : (tensor<1x1x8xf32>, tensor<4xi64>) -> tensor<1x2x1x4xf32>
  %2 = onnx.Reshape(%k, %split) : (tensor<1x1x8xf32>, tensor<4xi64>) -> tensor<1x2x1x4xf32>
  %3, %4, %5, %6 = onnx.Attention(%0, %1, %2, %none, %none, %none, %none) : (tensor<1x2x1x4xf32>, tensor<1x2x1x4xf32>, tensor<1x2x1x4xf32>, none, none, none, none) -> (tensor<1x2x1x4xf32>, none, none, none)
  %7 = onnx.Reshape(%3, %merge) : (tensor<1x2x1x4xf32>, tensor<3xi64>) -> tensor<1x1x8xf32>
  return %7 : tensor<1x1x8xf32>
}

// -----

// Heads that are a result, queries that are used twice.
// CHECK-LABEL: @near_misses
// CHECK-NOT: q_num_heads
// REMARK: [Missed] Heads | {{.*}}queries, keys or values are not split
// REMARK: [Missed] Heads | {{.*}}the heads of the result are not merged
func.func @near_misses(%q: tensor<1x3x8xf32>, %k: tensor<1x2x3x4xf32>) -> (tensor<1x3x8xf32>, tensor<1x2x4x3xf32>) {
  %none = onnx.NoValue
  %split = onnx.Constant dense<[1, 3, 2, 4]> : tensor<4xi64>
  %merge = onnx.Constant dense<[1, 3, 8]> : tensor<3xi64>
  %0 = onnx.Reshape(%q, %split) : (tensor<1x3x8xf32>, tensor<4xi64>) -> tensor<1x3x2x4xf32>
  %1 = onnx.Transpose(%0) {perm = array<i64: 0, 2, 1, 3>} : (tensor<1x3x2x4xf32>) -> tensor<1x2x3x4xf32>
  %2, %3, %4, %5 = onnx.Attention(%1, %k, %k, %none, %none, %none, %none) : (tensor<1x2x3x4xf32>, tensor<1x2x3x4xf32>, tensor<1x2x3x4xf32>, none, none, none, none) -> (tensor<1x2x3x4xf32>, none, none, none)
  %6 = onnx.Transpose(%2) {perm = array<i64: 0, 2, 1, 3>} : (tensor<1x2x3x4xf32>) -> tensor<1x3x2x4xf32>
  %7 = onnx.Reshape(%6, %merge) : (tensor<1x3x2x4xf32>, tensor<3xi64>) -> tensor<1x3x8xf32>
  %8, %9, %10, %11 = onnx.Attention(%1, %1, %1, %none, %none, %none, %none) : (tensor<1x2x3x4xf32>, tensor<1x2x3x4xf32>, tensor<1x2x3x4xf32>, none, none, none, none) -> (tensor<1x2x3x4xf32>, none, none, none)
  %12 = onnx.Transpose(%8) {perm = array<i64: 0, 1, 3, 2>} : (tensor<1x2x3x4xf32>) -> tensor<1x2x4x3xf32>
  return %7, %12 : tensor<1x3x8xf32>, tensor<1x2x4x3xf32>
}
