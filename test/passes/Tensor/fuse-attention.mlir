// RUN: burin-opt %s --tensor-fuse-attention | FileCheck %s

#id4 = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2, d3)>
#id2 = affine_map<(d0, d1, d2) -> (d0, d1, d2)>

// Keys of two heads serve four, the values are turned, the mask is added, the result is turned back.
// CHECK: #[[MASK:.*]] = affine_map<(d0, d1, d2) -> (d1, d2)>
// CHECK-LABEL: func.func @masked
// CHECK-SAME: %[[Q:.*]]: tensor<4x6x8xf32>, %[[K:.*]]: tensor<2x5x8xf32>, %[[V:.*]]: tensor<5x4x16xf32>, %[[M:.*]]: tensor<6x5xf32>
// CHECK-NOT: nn.softmax
// CHECK: nn.attention ins(%[[Q]], %[[K]], %[[V]] : {{.*}}) extras(%[[M]] : tensor<6x5xf32>) outs(%{{.*}} : tensor<6x4x16xf32>)
// CHECK-SAME: extra_maps = [#[[MASK]]]
// CHECK-SAME: sizes = array<i64: 4, 6, 5, 8, 16>
// CHECK: ^bb0(%[[SUM:.*]]: f32, %[[X:.*]]: f32):
// CHECK-NEXT: %[[S:.*]] = arith.addf %[[SUM]], %[[X]]
// CHECK-NEXT: nn.yield %[[S]]
func.func @masked(%q: tensor<4x6x8xf32>, %k: tensor<2x5x8xf32>, %v: tensor<5x4x16xf32>, %m: tensor<6x5xf32>) -> tensor<6x4x16xf32> {
  %e0 = tensor.empty() : tensor<2x2x5x8xf32>
  %r = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2, d3) -> (d0, d2, d3)>, #id4], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
    ins(%k : tensor<2x5x8xf32>) outs(%e0 : tensor<2x2x5x8xf32>) {
  ^bb0(%in: f32, %out: f32):
    linalg.yield %in : f32
  } -> tensor<2x2x5x8xf32>
  %keys = tensor.collapse_shape %r [[0, 1], [2], [3]] : tensor<2x2x5x8xf32> into tensor<4x5x8xf32>
  %e1 = tensor.empty() : tensor<4x5x16xf32>
  %values = linalg.transpose ins(%v : tensor<5x4x16xf32>) outs(%e1 : tensor<4x5x16xf32>) permutation = [1, 0, 2]
  %e2 = tensor.empty() : tensor<4x6x5xf32>
  %s = nn.matmul ins(%q, %keys : tensor<4x6x8xf32>, tensor<4x5x8xf32>) outs(%e2 : tensor<4x6x5xf32>) {transpose_rhs} -> tensor<4x6x5xf32>
  %a = linalg.generic {indexing_maps = [#id2, affine_map<(d0, d1, d2) -> (d1, d2)>, #id2], iterator_types = ["parallel", "parallel", "parallel"]}
    ins(%s, %m : tensor<4x6x5xf32>, tensor<6x5xf32>) outs(%e2 : tensor<4x6x5xf32>) {
  ^bb0(%in: f32, %x: f32, %out: f32):
    %y = arith.addf %in, %x : f32
    linalg.yield %y : f32
  } -> tensor<4x6x5xf32>
  %p = nn.softmax ins(%a : tensor<4x6x5xf32>) outs(%e2 : tensor<4x6x5xf32>) {dim = 2 : i64} -> tensor<4x6x5xf32>
  %e3 = tensor.empty() : tensor<4x6x16xf32>
  %o = nn.matmul ins(%p, %values : tensor<4x6x5xf32>, tensor<4x5x16xf32>) outs(%e3 : tensor<4x6x16xf32>) -> tensor<4x6x16xf32>
  %e4 = tensor.empty() : tensor<6x4x16xf32>
  %t = linalg.transpose ins(%o : tensor<4x6x16xf32>) outs(%e4 : tensor<6x4x16xf32>) permutation = [1, 0, 2]
  return %t : tensor<6x4x16xf32>
}

// Somebody else reads the weights.
// CHECK-LABEL: func.func @several_users
// CHECK: nn.softmax
// CHECK-NOT: nn.attention
func.func @several_users(%q: tensor<2x6x8xf32>, %k: tensor<2x5x8xf32>, %v: tensor<2x5x4xf32>) -> (tensor<2x6x4xf32>, tensor<2x6x5xf32>) {
  %e = tensor.empty() : tensor<2x6x5xf32>
  %s = nn.matmul ins(%q, %k : tensor<2x6x8xf32>, tensor<2x5x8xf32>) outs(%e : tensor<2x6x5xf32>) {transpose_rhs} -> tensor<2x6x5xf32>
  %p = nn.softmax ins(%s : tensor<2x6x5xf32>) outs(%e : tensor<2x6x5xf32>) {dim = 2 : i64} -> tensor<2x6x5xf32>
  %e2 = tensor.empty() : tensor<2x6x4xf32>
  %o = nn.matmul ins(%p, %v : tensor<2x6x5xf32>, tensor<2x5x4xf32>) outs(%e2 : tensor<2x6x4xf32>) -> tensor<2x6x4xf32>
  return %o, %p : tensor<2x6x4xf32>, tensor<2x6x5xf32>
}

// Near miss: the softmax runs over queries.
// CHECK-LABEL: func.func @other_dim
// CHECK: nn.softmax
// CHECK-NOT: nn.attention
func.func @other_dim(%q: tensor<2x6x8xf32>, %k: tensor<2x5x8xf32>, %v: tensor<2x5x4xf32>) -> tensor<2x6x4xf32> {
  %e = tensor.empty() : tensor<2x6x5xf32>
  %s = nn.matmul ins(%q, %k : tensor<2x6x8xf32>, tensor<2x5x8xf32>) outs(%e : tensor<2x6x5xf32>) {transpose_rhs} -> tensor<2x6x5xf32>
  %p = nn.softmax ins(%s : tensor<2x6x5xf32>) outs(%e : tensor<2x6x5xf32>) {dim = 1 : i64} -> tensor<2x6x5xf32>
  %e2 = tensor.empty() : tensor<2x6x4xf32>
  %o = nn.matmul ins(%p, %v : tensor<2x6x5xf32>, tensor<2x5x4xf32>) outs(%e2 : tensor<2x6x4xf32>) -> tensor<2x6x4xf32>
  return %o : tensor<2x6x4xf32>
}

// Sizes of the run.
// CHECK-LABEL: func.func @dynamic
// CHECK: nn.softmax
// CHECK-NOT: nn.attention
func.func @dynamic(%q: tensor<2x?x8xf32>, %k: tensor<2x5x8xf32>, %v: tensor<2x5x4xf32>, %e: tensor<2x?x5xf32>, %e2: tensor<2x?x4xf32>) -> tensor<2x?x4xf32> {
  %s = nn.matmul ins(%q, %k : tensor<2x?x8xf32>, tensor<2x5x8xf32>) outs(%e : tensor<2x?x5xf32>) {transpose_rhs} -> tensor<2x?x5xf32>
  %p = nn.softmax ins(%s : tensor<2x?x5xf32>) outs(%e : tensor<2x?x5xf32>) {dim = 2 : i64} -> tensor<2x?x5xf32>
  %o = nn.matmul ins(%p, %v : tensor<2x?x5xf32>, tensor<2x5x4xf32>) outs(%e2 : tensor<2x?x4xf32>) -> tensor<2x?x4xf32>
  return %o : tensor<2x?x4xf32>
}
