// RUN: burin-opt %s --tensor-pack-weights=machine=x86-64-v3 | FileCheck %s

// CHECK-LABEL: func.func @conv
// CHECK: %[[P:.*]] = arith.constant dense_resource<packed{{.*}}> : tensor<{{[0-9]+}}x1x1x8x{{[0-9]+}}xf32>
// CHECK: nn.conv ins(%{{.*}}, %[[P]]
// CHECK-SAME: packed = {{[0-9]+}}
func.func @conv(%x: tensor<1x4x4x8xf32>) -> tensor<1x4x4x40xf32> {
  %w = arith.constant dense<1.5> : tensor<1x1x8x40xf32>
  %e = tensor.empty() : tensor<1x4x4x40xf32>
  %0 = nn.conv ins(%x, %w : tensor<1x4x4x8xf32>, tensor<1x1x8x40xf32>) outs(%e : tensor<1x4x4x40xf32>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} -> tensor<1x4x4x40xf32>
  return %0 : tensor<1x4x4x40xf32>
}

// Near miss: the filter is computed.
// CHECK-LABEL: func.func @computed
// CHECK-NOT: packed =
// CHECK: return
func.func @computed(%x: tensor<1x4x4x8xf32>, %w: tensor<1x1x8x16xf32>) -> tensor<1x4x4x16xf32> {
  %e = tensor.empty() : tensor<1x4x4x16xf32>
  %0 = nn.conv ins(%x, %w : tensor<1x4x4x8xf32>, tensor<1x1x8x16xf32>) outs(%e : tensor<1x4x4x16xf32>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} -> tensor<1x4x4x16xf32>
  return %0 : tensor<1x4x4x16xf32>
}

// Integers: in groups of four; the filter becomes signed, and zero points part of the sums' first values.
// CHECK-LABEL: func.func @bytes
// CHECK: %[[P:.*]] = arith.constant dense_resource<packed{{.*}}> : tensor<{{[0-9]+}}x{{[0-9]+}}xi8>
// CHECK: nn.conv ins(%{{.*}}, %[[P]]
// CHECK-SAME: input_zero_point = 3 : i64, kernel = array<i64: 3, 3>, packed = {{[0-9]+}}
// CHECK-NOT: filter_unsigned
func.func @bytes(%x: tensor<1x4x4x8xi8>) -> tensor<1x2x2x40xi32> {
  %w = arith.constant dense<-125> : tensor<3x3x8x40xi8>
  %e = tensor.empty() : tensor<1x2x2x40xi32>
  %0 = nn.conv ins(%x, %w : tensor<1x4x4x8xi8>, tensor<3x3x8x40xi8>) outs(%e : tensor<1x2x2x40xi32>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, input_zero_point = 3 : i64, filter_unsigned,
     filter_zero_point = 128 : i64} -> tensor<1x2x2x40xi32>
  return %0 : tensor<1x2x2x40xi32>
}

// Near miss: less their zero point, these need nine bits.
// CHECK-LABEL: func.func @nine_bits
// CHECK-NOT: packed =
// CHECK: return
func.func @nine_bits(%x: tensor<5x8xi8>) -> tensor<5x16xi32> {
  %w = arith.constant dense<-100> : tensor<8x16xi8>
  %e = tensor.empty() : tensor<5x16xi32>
  %0 = nn.matmul ins(%x, %w : tensor<5x8xi8>, tensor<8x16xi8>) outs(%e : tensor<5x16xi32>) {rhs_zero_point = 100 : i64} -> tensor<5x16xi32>
  return %0 : tensor<5x16xi32>
}

// Weights that stay integers: blocks of four registers; the bytes are as many as before.
// CHECK-LABEL: func.func @stored
// CHECK: %[[P:.*]] = arith.constant dense_resource<packed{{.*}}> : tensor<360xi8>
// CHECK: nn.matmul ins(%{{.*}}, %[[P]]
// CHECK-SAME: packed = 32 : i64
func.func @stored(%x: tensor<5x8xf32>) -> tensor<5x45xf32> {
  %w = arith.constant dense_resource<stored> : tensor<360xi8>
  %e = tensor.empty() : tensor<5x45xf32>
  %0 = nn.matmul ins(%x, %w : tensor<5x8xf32>, tensor<360xi8>) outs(%e : tensor<5x45xf32>)
    {packed = 45 : i64, stored = #nn.stored<bits = 4, run = 8, scale = f32, zeros = false>} -> tensor<5x45xf32>
  return %0 : tensor<5x45xf32>
}

{-# dialect_resources: {builtin: {stored: "0x04000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"}} #-}

// Three of four blocks of 16 output channels are zero: two entries are left, each 16 weights and a channel, and the first of each of two
// lists, with their end.
// CHECK-LABEL: func.func @zeros
// CHECK: %[[P:.*]] = arith.constant dense_resource<sparse{{.*}}> : tensor<148xi8>
// CHECK: nn.matmul ins(%{{.*}}, %[[P]]
// CHECK-SAME: packed = 16
func.func @zeros(%x: tensor<5x4xf32>) -> tensor<5x20xf32> {
  %w = arith.constant dense<[
    [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    [0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3.0]]> : tensor<4x20xf32>
  %e = tensor.empty() : tensor<5x20xf32>
  %0 = nn.matmul ins(%x, %w : tensor<5x4xf32>, tensor<4x20xf32>) outs(%e : tensor<5x20xf32>) -> tensor<5x20xf32>
  return %0 : tensor<5x20xf32>
}
