// RUN: burin-opt %s | burin-opt | FileCheck %s

// CHECK-LABEL: func.func @conv
// CHECK: nn.conv ins(%{{.*}}, %{{.*}} : tensor<1x8x8x3xf32>, tensor<3x3x3x16xf32>) outs(%{{.*}} : tensor<1x4x4x16xf32>)
// CHECK-SAME: pads = array<i64: 1, 1, 1, 1>
func.func @conv(%x: tensor<1x8x8x3xf32>, %w: tensor<3x3x3x16xf32>, %e: tensor<1x4x4x16xf32>) -> tensor<1x4x4x16xf32> {
  %0 = nn.conv ins(%x, %w : tensor<1x8x8x3xf32>, tensor<3x3x3x16xf32>) outs(%e : tensor<1x4x4x16xf32>)
    {strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>} -> tensor<1x4x4x16xf32>
  return %0 : tensor<1x4x4x16xf32>
}

// CHECK-LABEL: func.func @winograd
// CHECK: packed = 32
// CHECK-SAME: winograd = 4
func.func @winograd(%x: memref<1x8x8x3xf32>, %w: memref<2x36x3x32xf32>, %e: memref<1x6x6x40xf32>) {
  nn.conv ins(%x, %w : memref<1x8x8x3xf32>, memref<2x36x3x32xf32>) outs(%e : memref<1x6x6x40xf32>)
    {packed = 32 : i64, winograd = 4 : i64, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>}
  return
}

// CHECK-LABEL: func.func @packed
// CHECK: packed = 32
func.func @packed(%x: memref<1x8x8x3xf32>, %w: memref<2x3x3x3x32xf32>, %e: memref<1x6x6x40xf32>) {
  nn.conv ins(%x, %w : memref<1x8x8x3xf32>, memref<2x3x3x3x32xf32>) outs(%e : memref<1x6x6x40xf32>)
    {packed = 32 : i64, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>}
  return
}

// Integers: signless types, signs and zero points on the op, requantization as an epilogue.
// CHECK-LABEL: func.func @quantized
// CHECK: nn.matmul
// CHECK-SAME: lhs_unsigned
// CHECK-SAME: epilogue
// CHECK: ^bb0(%[[ACC:.*]]: i32, %{{.*}}: f32):
func.func @quantized(%x: tensor<4x8xi8>, %w: tensor<8x16xi8>, %scale: tensor<16xf32>, %e: tensor<4x16xi8>) -> tensor<4x16xi8> {
  %0 = nn.matmul ins(%x, %w : tensor<4x8xi8>, tensor<8x16xi8>) extras(%scale : tensor<16xf32>) outs(%e : tensor<4x16xi8>)
    {lhs_unsigned, lhs_zero_point = 128 : i64, extra_maps = [affine_map<(m, n) -> (n)>]} epilogue {
  ^bb0(%acc: i32, %s: f32):
    %f = arith.sitofp %acc : i32 to f32
    %y = arith.mulf %f, %s : f32
    %r = math.roundeven %y : f32
    %lo = arith.constant -128.0 : f32
    %hi = arith.constant 127.0 : f32
    %a = arith.maximumf %r, %lo : f32
    %b = arith.minimumf %a, %hi : f32
    %i = arith.fptosi %b : f32 to i8
    nn.yield %i : i8
  } -> tensor<4x16xi8>
  return %0 : tensor<4x16xi8>
}

// CHECK-LABEL: func.func @others
// CHECK: nn.depthwise_conv
// CHECK: nn.conv_transpose
// CHECK: nn.pool
// CHECK-SAME: kind = #nn.pool_kind<max>
// CHECK: nn.softmax
func.func @others(%x: tensor<1x8x8x4xf32>, %d: tensor<3x3x4xf32>, %t: tensor<2x2x4x4xf32>) -> tensor<1x8x8x4xf32> {
  %e = tensor.empty() : tensor<1x8x8x4xf32>
  %f = tensor.empty() : tensor<1x16x16x4xf32>
  %0 = nn.depthwise_conv ins(%x, %d : tensor<1x8x8x4xf32>, tensor<3x3x4xf32>) outs(%e : tensor<1x8x8x4xf32>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>} -> tensor<1x8x8x4xf32>
  %1 = nn.conv_transpose ins(%0, %t : tensor<1x8x8x4xf32>, tensor<2x2x4x4xf32>) outs(%f : tensor<1x16x16x4xf32>)
    {strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} -> tensor<1x16x16x4xf32>
  %2 = nn.pool ins(%1 : tensor<1x16x16x4xf32>) outs(%e : tensor<1x8x8x4xf32>)
    {kind = #nn.pool_kind<max>, kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} -> tensor<1x8x8x4xf32>
  %3 = nn.softmax ins(%2 : tensor<1x8x8x4xf32>) outs(%e : tensor<1x8x8x4xf32>) {dim = 3 : i64} -> tensor<1x8x8x4xf32>
  return %3 : tensor<1x8x8x4xf32>
}

// CHECK-LABEL: func.func @stored
// CHECK: nn.matmul ins(%{{.*}}, %{{.*}} : tensor<?x40xf32>, tensor<360xi8>) outs(%{{.*}} : tensor<?x12xf32>)
// CHECK-SAME: {packed = 8 : i64, stored = #nn.stored<bits = 4, run = 32, scale = f32, zeros = true>}
func.func @stored(%x: tensor<?x40xf32>, %w: tensor<360xi8>, %e: tensor<?x12xf32>) -> tensor<?x12xf32> {
  %0 = nn.matmul ins(%x, %w : tensor<?x40xf32>, tensor<360xi8>) outs(%e : tensor<?x12xf32>)
    {packed = 8 : i64, stored = #nn.stored<bits = 4, run = 32, scale = f32, zeros = true>} -> tensor<?x12xf32>
  return %0 : tensor<?x12xf32>
}
