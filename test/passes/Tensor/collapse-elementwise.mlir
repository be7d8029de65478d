// RUN: burin-opt %s --tensor-collapse-elementwise --split-input-file | FileCheck %s
// RUN: burin-opt %s --tensor-collapse-elementwise --tensor-fuse-elementwise --tensor-fuse-epilogue --split-input-file | FileCheck %s --check-prefix=FUSED

#id = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#last = affine_map<(d0, d1, d2) -> (d2)>

// Bias, then a residual: both over [8, 32], so both become the epilogue.
// CHECK-LABEL: func.func @bias
// CHECK: %[[P:.*]] = nn.matmul
// CHECK: %[[S:.*]] = linalg.generic {{.*}} ins(%[[P]], %{{.*}} : tensor<8x32xf32>, tensor<32xf32>)
// CHECK: %[[R:.*]] = tensor.collapse_shape %{{.*}} : tensor<1x8x32xf32> into tensor<8x32xf32>
// CHECK: linalg.generic {{.*}} ins(%[[S]], %[[R]] : tensor<8x32xf32>, tensor<8x32xf32>)
// CHECK: tensor.expand_shape
// FUSED-LABEL: func.func @bias
// FUSED-NOT: linalg.generic
// FUSED: nn.matmul {{.*}} extras(
// FUSED: arith.addf
// FUSED: arith.addf
// FUSED-NOT: linalg.generic
// FUSED: return
func.func @bias(%x: tensor<8x16xf32>, %w: tensor<16x32xf32>, %b: tensor<32xf32>, %r: tensor<1x8x32xf32>) -> tensor<1x8x32xf32> {
  %e = tensor.empty() : tensor<8x32xf32>
  %p = nn.matmul ins(%x, %w : tensor<8x16xf32>, tensor<16x32xf32>) outs(%e : tensor<8x32xf32>) -> tensor<8x32xf32>
  %q = tensor.expand_shape %p [[0, 1], [2]] output_shape [1, 8, 32] : tensor<8x32xf32> into tensor<1x8x32xf32>
  %f = tensor.empty() : tensor<1x8x32xf32>
  %s = linalg.generic {indexing_maps = [#id, #last, #id], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%q, %b : tensor<1x8x32xf32>, tensor<32xf32>) outs(%f : tensor<1x8x32xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %t = arith.addf %a, %c : f32
    linalg.yield %t : f32
  } -> tensor<1x8x32xf32>
  %y = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%s, %r : tensor<1x8x32xf32>, tensor<1x8x32xf32>) outs(%f : tensor<1x8x32xf32>) {
  ^bb0(%a: f32, %c: f32, %o: f32):
    %t = arith.addf %a, %c : f32
    linalg.yield %t : f32
  } -> tensor<1x8x32xf32>
  return %y : tensor<1x8x32xf32>
}

// -----

#id = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
#turned = affine_map<(d0, d1, d2) -> (d1, d0, d2)>

// Near miss: the result has the dims in another order.
// CHECK-LABEL: func.func @turned
// CHECK: tensor.expand_shape
// CHECK: linalg.generic {{.*}} ins(%{{.*}} : tensor<2x4x32xf32>)
func.func @turned(%x: tensor<8x16xf32>, %w: tensor<16x32xf32>) -> tensor<4x2x32xf32> {
  %e = tensor.empty() : tensor<8x32xf32>
  %p = nn.matmul ins(%x, %w : tensor<8x16xf32>, tensor<16x32xf32>) outs(%e : tensor<8x32xf32>) -> tensor<8x32xf32>
  %q = tensor.expand_shape %p [[0, 1], [2]] output_shape [2, 4, 32] : tensor<8x32xf32> into tensor<2x4x32xf32>
  %f = tensor.empty() : tensor<4x2x32xf32>
  %s = linalg.generic {indexing_maps = [#id, #turned], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%q : tensor<2x4x32xf32>) outs(%f : tensor<4x2x32xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = arith.negf %a : f32
    linalg.yield %t : f32
  } -> tensor<4x2x32xf32>
  return %s : tensor<4x2x32xf32>
}

// -----

#id = affine_map<(d0, d1, d2) -> (d0, d1, d2)>

// A length known at run time only, and two users of the product.
// CHECK-LABEL: func.func @dynamic
// CHECK-COUNT-2: linalg.generic {{.*}} ins(%{{.*}} : tensor<?x32xf32>)
func.func @dynamic(%x: tensor<?x16xf32>, %w: tensor<16x32xf32>, %n: index) -> (tensor<1x?x32xf32>, tensor<1x?x32xf32>) {
  %e = tensor.empty(%n) : tensor<?x32xf32>
  %p = nn.matmul ins(%x, %w : tensor<?x16xf32>, tensor<16x32xf32>) outs(%e : tensor<?x32xf32>) -> tensor<?x32xf32>
  %q = tensor.expand_shape %p [[0, 1], [2]] output_shape [1, %n, 32] : tensor<?x32xf32> into tensor<1x?x32xf32>
  %f = tensor.empty(%n) : tensor<1x?x32xf32>
  %s = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%q : tensor<1x?x32xf32>) outs(%f : tensor<1x?x32xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = arith.negf %a : f32
    linalg.yield %t : f32
  } -> tensor<1x?x32xf32>
  %u = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%q : tensor<1x?x32xf32>) outs(%f : tensor<1x?x32xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = math.absf %a : f32
    linalg.yield %t : f32
  } -> tensor<1x?x32xf32>
  return %s, %u : tensor<1x?x32xf32>, tensor<1x?x32xf32>
}

// -----

#id = affine_map<(d0, d1, d2) -> (d0, d1, d2)>

// Case residual: what widens the other operand runs over the merged dims too, and so can join.
// CHECK-LABEL: func.func @residual
// CHECK: %[[BYTES:.*]] = tensor.collapse_shape %{{.*}} : tensor<2x4x32xi8> into tensor<8x32xi8>
// CHECK: linalg.generic {{.*}} ins(%[[BYTES]] : tensor<8x32xi8>)
// CHECK: linalg.generic {{.*}} ins(%{{.*}}, %{{.*}} : tensor<8x32xf32>, tensor<8x32xf32>)
func.func @residual(%x: tensor<8x16xf32>, %w: tensor<16x32xf32>, %r: tensor<2x4x32xi8>) -> tensor<2x4x32xf32> {
  %e = tensor.empty() : tensor<8x32xf32>
  %p = nn.matmul ins(%x, %w : tensor<8x16xf32>, tensor<16x32xf32>) outs(%e : tensor<8x32xf32>) -> tensor<8x32xf32>
  %q = tensor.expand_shape %p [[0, 1], [2]] output_shape [2, 4, 32] : tensor<8x32xf32> into tensor<2x4x32xf32>
  %f = tensor.empty() : tensor<2x4x32xf32>
  %d = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%r : tensor<2x4x32xi8>) outs(%f : tensor<2x4x32xf32>) {
  ^bb0(%a: i8, %o: f32):
    %t = arith.sitofp %a : i8 to f32
    linalg.yield %t : f32
  } -> tensor<2x4x32xf32>
  %s = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%q, %d : tensor<2x4x32xf32>, tensor<2x4x32xf32>) outs(%f : tensor<2x4x32xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %t = arith.addf %a, %b : f32
    linalg.yield %t : f32
  } -> tensor<2x4x32xf32>
  return %s : tensor<2x4x32xf32>
}
