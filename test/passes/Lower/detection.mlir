// RUN: burin-opt %s --split-input-file --lower-onnx | FileCheck %s

// Case adaptive: the sampling grid of a region is two loops inside the body, channels stay innermost.
// CHECK-LABEL: func.func @main
// CHECK: linalg.generic
// CHECK: scf.for
// CHECK: scf.for
// CHECK-COUNT-4: tensor.extract %arg0
func.func @main(%x: tensor<1x10x10x8xf32>, %rois: tensor<3x4xf32>, %batch: tensor<3xi64>) -> tensor<3x2x2x8xf32> {
  %a = onnx.Transpose(%x) {perm = array<i64: 0, 3, 1, 2>} : (tensor<1x10x10x8xf32>) -> tensor<1x8x10x10xf32>
  %b = onnx.RoiAlign(%a, %rois, %batch) {output_height = 2 : i64, output_width = 2 : i64} : (tensor<1x8x10x10xf32>, tensor<3x4xf32>, tensor<3xi64>) -> tensor<3x8x2x2xf32>
  %c = onnx.Transpose(%b) {perm = array<i64: 0, 2, 3, 1>} : (tensor<3x8x2x2xf32>) -> tensor<3x2x2x8xf32>
  return %c : tensor<3x2x2x8xf32>
}

// -----

// Case deformed: columns are sampled once, then one product.
// CHECK-LABEL: func.func @main
// CHECK: linalg.generic {{.*}} outs(%{{.*}} : tensor<1x1x3x3x4x2xf32>)
// CHECK: nn.matmul
// CHECK-NOT: nn.matmul
func.func @main(%x: tensor<1x2x4x4xf32>, %w: tensor<5x2x2x2xf32>, %o: tensor<1x8x3x3xf32>) -> tensor<1x5x3x3xf32> {
  %none = onnx.NoValue
  %y = onnx.DeformConv(%x, %w, %o, %none, %none) : (tensor<1x2x4x4xf32>, tensor<5x2x2x2xf32>, tensor<1x8x3x3xf32>, none, none) -> tensor<1x5x3x3xf32>
  return %y : tensor<1x5x3x3xf32>
}

// -----

// Case indices: beside the pool, the position of the first maximum.
// CHECK-LABEL: func.func @main
// CHECK: linalg.generic
// CHECK: linalg.yield %{{.*}}, %{{.*}} : f32, i64
// CHECK: nn.pool
func.func @main(%x: tensor<1x2x4x4xf32>) -> (tensor<1x2x2x2xf32>, tensor<1x2x2x2xi64>) {
  %y, %i = onnx.MaxPool(%x) {kernel_shape = array<i64: 2, 2>, strides = array<i64: 2, 2>} : (tensor<1x2x4x4xf32>) -> (tensor<1x2x2x2xf32>, tensor<1x2x2x2xi64>)
  return %y, %i : tensor<1x2x2x2xf32>, tensor<1x2x2x2xi64>
}
