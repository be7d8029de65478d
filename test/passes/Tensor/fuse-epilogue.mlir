// RUN: burin-opt %s --tensor-fuse-epilogue --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @bias_relu_residual
// CHECK-SAME: (%[[X:.*]]: tensor<1x4x4x8xf32>, %[[W:.*]]: tensor<1x1x8x16xf32>, %[[B:.*]]: tensor<16xf32>, %[[R:.*]]: tensor<1x4x4x16xf32>)
// CHECK: nn.conv ins(%[[X]], %[[W]]
// CHECK-SAME: extras(%[[B]], %[[R]]
// CHECK: ^bb0(%[[ACC:.*]]: f32, %[[BIAS:.*]]: f32, %[[RES:.*]]: f32):
// CHECK: %[[S:.*]] = arith.addf %[[ACC]], %[[BIAS]]
// CHECK: %[[T:.*]] = arith.maximumf %[[S]]
// CHECK: %[[U:.*]] = arith.addf %[[T]], %[[RES]]
// CHECK: nn.yield %[[U]]
// CHECK-NOT: linalg.generic
#id = affine_map<(n, h, w, c) -> (n, h, w, c)>
#channel = affine_map<(n, h, w, c) -> (c)>
func.func @bias_relu_residual(%x: tensor<1x4x4x8xf32>, %w: tensor<1x1x8x16xf32>, %b: tensor<16xf32>, %r: tensor<1x4x4x16xf32>) -> tensor<1x4x4x16xf32> {
  %e = tensor.empty() : tensor<1x4x4x16xf32>
  %0 = nn.conv ins(%x, %w : tensor<1x4x4x8xf32>, tensor<1x1x8x16xf32>) outs(%e : tensor<1x4x4x16xf32>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} -> tensor<1x4x4x16xf32>
  %1 = linalg.generic {indexing_maps = [#id, #channel, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
    ins(%0, %b : tensor<1x4x4x16xf32>, tensor<16xf32>) outs(%e : tensor<1x4x4x16xf32>) {
  ^bb0(%in: f32, %bias: f32, %out: f32):
    %zero = arith.constant 0.0 : f32
    %s = arith.addf %in, %bias : f32
    %m = arith.maximumf %s, %zero : f32
    linalg.yield %m : f32
  } -> tensor<1x4x4x16xf32>
  %2 = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel", "parallel", "parallel"]}
    ins(%1, %r : tensor<1x4x4x16xf32>, tensor<1x4x4x16xf32>) outs(%e : tensor<1x4x4x16xf32>) {
  ^bb0(%in: f32, %res: f32, %out: f32):
    %s = arith.addf %in, %res : f32
    linalg.yield %s : f32
  } -> tensor<1x4x4x16xf32>
  return %2 : tensor<1x4x4x16xf32>
}

// -----

// Near miss: the raw result is also returned.
// CHECK-LABEL: func.func @several_users
// CHECK: nn.matmul
// CHECK-NOT: epilogue
// CHECK: linalg.generic
#id = affine_map<(m, n) -> (m, n)>
func.func @several_users(%a: tensor<4x8xf32>, %b: tensor<8x4xf32>) -> (tensor<4x4xf32>, tensor<4x4xf32>) {
  %e = tensor.empty() : tensor<4x4xf32>
  %0 = nn.matmul ins(%a, %b : tensor<4x8xf32>, tensor<8x4xf32>) outs(%e : tensor<4x4xf32>) -> tensor<4x4xf32>
  %1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%0 : tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) {
  ^bb0(%in: f32, %out: f32):
    %n = arith.negf %in : f32
    linalg.yield %n : f32
  } -> tensor<4x4xf32>
  return %0, %1 : tensor<4x4xf32>, tensor<4x4xf32>
}

// -----

// Dynamic shapes fuse as well; an extra that is read as the result is written keeps that order relative to the result.
// CHECK: #[[ID:.*]] = affine_map<(d0, d1) -> (d0, d1)>
// CHECK-LABEL: func.func @dynamic
// CHECK: nn.matmul
// CHECK-SAME: extras(%{{.*}} : tensor<?x?xf32>)
// CHECK-SAME: extra_maps = [#[[ID]]]
#t = affine_map<(m, n) -> (n, m)>
func.func @dynamic(%a: tensor<?x8xf32>, %b: tensor<8x?xf32>, %r: tensor<?x?xf32>, %e: tensor<?x?xf32>) -> tensor<?x?xf32> {
  %0 = nn.matmul ins(%a, %b : tensor<?x8xf32>, tensor<8x?xf32>) outs(%e : tensor<?x?xf32>) -> tensor<?x?xf32>
  %1 = linalg.generic {indexing_maps = [#t, #t, #t], iterator_types = ["parallel", "parallel"]} ins(%0, %r : tensor<?x?xf32>, tensor<?x?xf32>) outs(%e : tensor<?x?xf32>) {
  ^bb0(%in: f32, %other: f32, %out: f32):
    %n = arith.addf %in, %other : f32
    linalg.yield %n : f32
  } -> tensor<?x?xf32>
  return %1 : tensor<?x?xf32>
}

// -----

// Near miss: the other operand lies across the runs of the result.
// CHECK-LABEL: func.func @transposed
// CHECK: nn.matmul
// CHECK-NOT: epilogue
// CHECK: linalg.generic
#id = affine_map<(m, n) -> (m, n)>
#t = affine_map<(m, n) -> (n, m)>
func.func @transposed(%a: tensor<4x8xf32>, %b: tensor<8x4xf32>, %r: tensor<4x4xf32>) -> tensor<4x4xf32> {
  %e = tensor.empty() : tensor<4x4xf32>
  %0 = nn.matmul ins(%a, %b : tensor<4x8xf32>, tensor<8x4xf32>) outs(%e : tensor<4x4xf32>) -> tensor<4x4xf32>
  %1 = linalg.generic {indexing_maps = [#id, #t, #id], iterator_types = ["parallel", "parallel"]} ins(%0, %r : tensor<4x4xf32>, tensor<4x4xf32>) outs(%e : tensor<4x4xf32>) {
  ^bb0(%in: f32, %other: f32, %out: f32):
    %n = arith.addf %in, %other : f32
    linalg.yield %n : f32
  } -> tensor<4x4xf32>
  return %1 : tensor<4x4xf32>
}

// -----

// Near miss: what a feature pyramid adds, a nearest upsampling, is read at quotients.
// CHECK-LABEL: func.func @upsampled
// CHECK: nn.matmul
// CHECK-NOT: epilogue
// CHECK: linalg.generic
#id = affine_map<(m, n) -> (m, n)>
#half = affine_map<(m, n) -> (m floordiv 2, n)>
func.func @upsampled(%a: tensor<4x8xf32>, %b: tensor<8x4xf32>, %r: tensor<2x4xf32>) -> tensor<4x4xf32> {
  %e = tensor.empty() : tensor<4x4xf32>
  %0 = nn.matmul ins(%a, %b : tensor<4x8xf32>, tensor<8x4xf32>) outs(%e : tensor<4x4xf32>) -> tensor<4x4xf32>
  %1 = linalg.generic {indexing_maps = [#id, #half, #id], iterator_types = ["parallel", "parallel"]} ins(%0, %r : tensor<4x4xf32>, tensor<2x4xf32>) outs(%e : tensor<4x4xf32>) {
  ^bb0(%in: f32, %other: f32, %out: f32):
    %n = arith.addf %in, %other : f32
    linalg.yield %n : f32
  } -> tensor<4x4xf32>
  return %1 : tensor<4x4xf32>
}

// -----

// A column of values, one a row of the result, is read as one value a run.
// CHECK-LABEL: func.func @column
// CHECK: nn.matmul
// CHECK-SAME: extras(%{{.*}} : tensor<4x1xf32>)
#id = affine_map<(m, n) -> (m, n)>
#col = affine_map<(m, n) -> (m, 0)>
func.func @column(%a: tensor<4x8xf32>, %b: tensor<8x4xf32>, %r: tensor<4x1xf32>) -> tensor<4x4xf32> {
  %e = tensor.empty() : tensor<4x4xf32>
  %0 = nn.matmul ins(%a, %b : tensor<4x8xf32>, tensor<8x4xf32>) outs(%e : tensor<4x4xf32>) -> tensor<4x4xf32>
  %1 = linalg.generic {indexing_maps = [#id, #col, #id], iterator_types = ["parallel", "parallel"]} ins(%0, %r : tensor<4x4xf32>, tensor<4x1xf32>) outs(%e : tensor<4x4xf32>) {
  ^bb0(%in: f32, %other: f32, %out: f32):
    %n = arith.addf %in, %other : f32
    linalg.yield %n : f32
  } -> tensor<4x4xf32>
  return %1 : tensor<4x4xf32>
}
