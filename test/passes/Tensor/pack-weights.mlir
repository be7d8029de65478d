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
