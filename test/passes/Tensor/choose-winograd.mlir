// RUN: burin-opt %s --tensor-choose-winograd=machine=x86-64-v4 --split-input-file | FileCheck %s
// RUN: burin-opt %s "--tensor-choose-winograd=machine=x86-64-v4 mode=f2" --split-input-file | FileCheck %s --check-prefix=F2
// RUN: burin-opt %s "--tensor-choose-winograd=machine=x86-64-v4 mode=off" --split-input-file | FileCheck %s --check-prefix=OFF
// RUN: burin-opt %s "--tensor-choose-winograd=machine=x86-64-v4 max-error=2e-6" --split-input-file | FileCheck %s --check-prefix=BOUND
// RUN: burin-opt %s "--tensor-choose-winograd=machine=x86-64-v4" --split-input-file --tensor-pack-weights=machine=x86-64-v4 | FileCheck %s --check-prefix=PACK
// RUN: not burin-opt %s --tensor-choose-winograd=mode=f3 --split-input-file 2>&1 | FileCheck %s --check-prefix=BAD

// BAD: error: unknown winograd mode 'f3'; expected off, f2, f4 or auto
// OFF-NOT: winograd
// CHECK-LABEL: func.func @large
// CHECK: %[[U:.*]] = arith.constant dense_resource<winograd{{.*}}> : tensor<36x64x64xf32>
// CHECK: nn.conv ins(%{{.*}}, %[[U]]
// CHECK-SAME: winograd = 4
// F2-LABEL: func.func @large
// F2: tensor<16x64x64xf32>
// F2: winograd = 2
// BOUND-LABEL: func.func @large
// BOUND: winograd = 2
// PACK-LABEL: func.func @large
// PACK: dense_resource<packed{{.*}}> : tensor<2x36x64x32xf32>
// PACK: packed = 32
// PACK-SAME: winograd = 4
func.func @large(%x: tensor<1x58x58x64xf32>) -> tensor<1x56x56x64xf32> {
  %w = arith.constant dense<1.5> : tensor<3x3x64x64xf32>
  %e = tensor.empty() : tensor<1x56x56x64xf32>
  %0 = nn.conv ins(%x, %w : tensor<1x58x58x64xf32>, tensor<3x3x64x64xf32>) outs(%e : tensor<1x56x56x64xf32>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} -> tensor<1x56x56x64xf32>
  return %0 : tensor<1x56x56x64xf32>
}

// -----

// The filter [0 0 0; 0 1 0; 0 0 0] of one channel, transformed: the outer product of G's middle column with itself.
// F2-LABEL: func.func @values
// F2: nn.conv
// F2-SAME: winograd = 2
// F2: winograd: "0x{{40000000|10000000|08000000}}00000000000000000000000000000000000000000000803E000080BE0000000000000000000080BE0000803E0000000000000000000000000000000000000000"
func.func @values(%x: tensor<1x6x6x1xf32>) -> tensor<1x4x4x1xf32> {
  %w = arith.constant dense<[[[[0.0]], [[0.0]], [[0.0]]], [[[0.0]], [[1.0]], [[0.0]]], [[[0.0]], [[0.0]], [[0.0]]]]> : tensor<3x3x1x1xf32>
  %e = tensor.empty() : tensor<1x4x4x1xf32>
  %0 = nn.conv ins(%x, %w : tensor<1x6x6x1xf32>, tensor<3x3x1x1xf32>) outs(%e : tensor<1x4x4x1xf32>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} -> tensor<1x4x4x1xf32>
  return %0 : tensor<1x4x4x1xf32>
}

// -----

// One filter, two users: transformed once.
// CHECK-LABEL: func.func @shared
// CHECK: %[[U:.*]] = arith.constant dense_resource<winograd
// CHECK-NOT: dense_resource<winograd{{.*}}tensor<36
// CHECK: nn.conv ins(%{{.*}}, %[[U]]
// CHECK: nn.conv ins(%{{.*}}, %[[U]]
func.func @shared(%x: tensor<1x58x58x64xf32>, %y: tensor<1x58x58x64xf32>) -> (tensor<1x56x56x64xf32>, tensor<1x56x56x64xf32>) {
  %w = arith.constant dense<1.5> : tensor<3x3x64x64xf32>
  %e = tensor.empty() : tensor<1x56x56x64xf32>
  %0 = nn.conv ins(%x, %w : tensor<1x58x58x64xf32>, tensor<3x3x64x64xf32>) outs(%e : tensor<1x56x56x64xf32>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} -> tensor<1x56x56x64xf32>
  %1 = nn.conv ins(%y, %w : tensor<1x58x58x64xf32>, tensor<3x3x64x64xf32>) outs(%e : tensor<1x56x56x64xf32>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} -> tensor<1x56x56x64xf32>
  return %0, %1 : tensor<1x56x56x64xf32>, tensor<1x56x56x64xf32>
}

// -----

// Near misses: a step of 2, a filter that is computed, a size known at run time only, too few tiles for the weights.
// CHECK-LABEL: func.func @misses
// CHECK-NOT: winograd =
// CHECK: return
// F2-LABEL: func.func @misses
// F2-COUNT-1: winograd =
// F2-NOT: winograd =
// F2: return
func.func @misses(%x: tensor<1x57x57x64xf32>, %w: tensor<3x3x64x64xf32>, %d: tensor<1x?x58x64xf32>, %n: index, %s: tensor<1x6x6x512xf32>)
    -> (tensor<1x28x28x64xf32>, tensor<1x55x55x64xf32>, tensor<1x?x56x64xf32>, tensor<1x4x4x512xf32>) {
  %c = arith.constant dense<1.5> : tensor<3x3x64x64xf32>
  %e0 = tensor.empty() : tensor<1x28x28x64xf32>
  %0 = nn.conv ins(%x, %c : tensor<1x57x57x64xf32>, tensor<3x3x64x64xf32>) outs(%e0 : tensor<1x28x28x64xf32>)
    {strides = array<i64: 2, 2>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} -> tensor<1x28x28x64xf32>
  %e1 = tensor.empty() : tensor<1x55x55x64xf32>
  %1 = nn.conv ins(%x, %w : tensor<1x57x57x64xf32>, tensor<3x3x64x64xf32>) outs(%e1 : tensor<1x55x55x64xf32>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} -> tensor<1x55x55x64xf32>
  %e2 = tensor.empty(%n) : tensor<1x?x56x64xf32>
  %2 = nn.conv ins(%d, %c : tensor<1x?x58x64xf32>, tensor<3x3x64x64xf32>) outs(%e2 : tensor<1x?x56x64xf32>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} -> tensor<1x?x56x64xf32>
  %c512 = arith.constant dense<1.5> : tensor<3x3x512x512xf32>
  %e3 = tensor.empty() : tensor<1x4x4x512xf32>
  %3 = nn.conv ins(%s, %c512 : tensor<1x6x6x512xf32>, tensor<3x3x512x512xf32>) outs(%e3 : tensor<1x4x4x512xf32>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} -> tensor<1x4x4x512xf32>
  return %0, %1, %2, %3 : tensor<1x28x28x64xf32>, tensor<1x55x55x64xf32>, tensor<1x?x56x64xf32>, tensor<1x4x4x512xf32>
}
