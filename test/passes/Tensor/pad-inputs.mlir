// RUN: burin-opt %s --tensor-pad-inputs | FileCheck %s

// One frame of four slabs, shared by two convolutions with the same pads.
// CHECK-LABEL: func.func @conv
// CHECK: tensor.empty() : tensor<1x6x7x8xf32>
// CHECK-COUNT-4: linalg.fill
// CHECK-NOT: linalg.fill
// CHECK: %[[P:.*]] = tensor.insert_slice %{{.*}} into %{{.*}}[0, 1, 1, 0] [1, 4, 4, 8] [1, 1, 1, 1]
// CHECK: nn.conv ins(%[[P]], {{.*}} pads = array<i64: 0, 0, 0, 0>
// CHECK: nn.depthwise_conv ins(%[[P]], {{.*}} pads = array<i64: 0, 0, 0, 0>
func.func @conv(%x: tensor<1x4x4x8xf32>, %w: tensor<3x3x8x16xf32>, %d: tensor<3x3x8xf32>) -> (tensor<1x4x5x16xf32>, tensor<1x4x5x8xf32>) {
  %e = tensor.empty() : tensor<1x4x5x16xf32>
  %f = tensor.empty() : tensor<1x4x5x8xf32>
  %0 = nn.conv ins(%x, %w : tensor<1x4x4x8xf32>, tensor<3x3x8x16xf32>) outs(%e : tensor<1x4x5x16xf32>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 2>} -> tensor<1x4x5x16xf32>
  %1 = nn.depthwise_conv ins(%x, %d : tensor<1x4x4x8xf32>, tensor<3x3x8xf32>) outs(%f : tensor<1x4x5x8xf32>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 2>} -> tensor<1x4x5x8xf32>
  return %0, %1 : tensor<1x4x5x16xf32>, tensor<1x4x5x8xf32>
}

// Near miss: nothing to pad.
// CHECK-LABEL: func.func @no_pads
// CHECK-NOT: tensor.insert_slice
func.func @no_pads(%x: tensor<1x4x4x8xf32>, %w: tensor<1x1x8x16xf32>) -> tensor<1x4x4x16xf32> {
  %e = tensor.empty() : tensor<1x4x4x16xf32>
  %0 = nn.conv ins(%x, %w : tensor<1x4x4x8xf32>, tensor<1x1x8x16xf32>) outs(%e : tensor<1x4x4x16xf32>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} -> tensor<1x4x4x16xf32>
  return %0 : tensor<1x4x4x16xf32>
}

// Free dims: the frame's places are computed.
// CHECK-LABEL: func.func @free_dims
// CHECK: %[[P:.*]] = tensor.empty(%{{.*}}, %{{.*}}) : tensor<?x?x6x8xf32>
// CHECK-COUNT-4: linalg.fill
// CHECK: tensor.insert_slice %{{.*}} into %{{.*}}[0, 1, 1, 0] [%{{.*}}, %{{.*}}, 4, 8] [1, 1, 1, 1]
// CHECK: nn.conv {{.*}} pads = array<i64: 0, 0, 0, 0>
func.func @free_dims(%x: tensor<?x?x4x8xf32>, %w: tensor<3x3x8x16xf32>, %e: tensor<?x?x4x16xf32>) -> tensor<?x?x4x16xf32> {
  %0 = nn.conv ins(%x, %w : tensor<?x?x4x8xf32>, tensor<3x3x8x16xf32>) outs(%e : tensor<?x?x4x16xf32>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 1, 1, 1, 1>} -> tensor<?x?x4x16xf32>
  return %0 : tensor<?x?x4x16xf32>
}

// Near miss: between taps 6 apart over 8 columns most products would be ones with the frame.
// CHECK-LABEL: func.func @dilated
// CHECK-NOT: tensor.insert_slice
// CHECK: nn.conv {{.*}} pads = array<i64: 6, 6, 6, 6>
func.func @dilated(%x: tensor<1x8x8x8xf32>, %w: tensor<3x3x8x16xf32>) -> tensor<1x8x8x16xf32> {
  %e = tensor.empty() : tensor<1x8x8x16xf32>
  %0 = nn.conv ins(%x, %w : tensor<1x8x8x8xf32>, tensor<3x3x8x16xf32>) outs(%e : tensor<1x8x8x16xf32>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 6, 6>, pads = array<i64: 6, 6, 6, 6>} -> tensor<1x8x8x16xf32>
  return %0 : tensor<1x8x8x16xf32>
}

// Few are where a large dilation meets a large image.
// CHECK-LABEL: func.func @dilated_over_many
// CHECK: tensor.insert_slice
// CHECK: nn.conv {{.*}} pads = array<i64: 0, 0, 0, 0>
func.func @dilated_over_many(%x: tensor<1x99x99x8xf32>, %w: tensor<3x3x8x16xf32>) -> tensor<1x99x99x16xf32> {
  %e = tensor.empty() : tensor<1x99x99x16xf32>
  %0 = nn.conv ins(%x, %w : tensor<1x99x99x8xf32>, tensor<3x3x8x16xf32>) outs(%e : tensor<1x99x99x16xf32>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 6, 6>, pads = array<i64: 6, 6, 6, 6>} -> tensor<1x99x99x16xf32>
  return %0 : tensor<1x99x99x16xf32>
}
