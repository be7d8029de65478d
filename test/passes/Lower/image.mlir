// RUN: burin-opt %s --split-input-file --lower-onnx | FileCheck %s

// Case upsample: an integer factor is a map, which fuses into consumers and leaves the channels contiguous.
// CHECK: affine_map<(d0, d1, d2, d3) -> (d0, d1 floordiv 2, d2 floordiv 2, d3)>
// CHECK-LABEL: func.func @main
// CHECK: linalg.generic
// CHECK-NOT: tensor.extract
func.func @main(%x: tensor<1x4x5x16xf32>) -> tensor<1x8x10x16xf32> {
  %none = onnx.NoValue
  %scales = onnx.Constant dense<[1.0, 1.0, 2.0, 2.0]> : tensor<4xf32>
  %a = onnx.Transpose(%x) {perm = array<i64: 0, 3, 1, 2>} : (tensor<1x4x5x16xf32>) -> tensor<1x16x4x5xf32>
  %b = onnx.Resize(%a, %none, %scales, %none) {coordinate_transformation_mode = "asymmetric", nearest_mode = "floor"} : (tensor<1x16x4x5xf32>, none, tensor<4xf32>, none) -> tensor<1x16x8x10xf32>
  %c = onnx.Transpose(%b) {perm = array<i64: 0, 2, 3, 1>} : (tensor<1x16x8x10xf32>) -> tensor<1x8x10x16xf32>
  return %c : tensor<1x8x10x16xf32>
}

// -----

// Case linear: four reads an element through tables of positions and weights, channels innermost.
// CHECK-LABEL: func.func @main
// CHECK-COUNT-4: arith.constant dense<{{.*}}> : tensor<7xi32>
// CHECK: linalg.generic
// CHECK-COUNT-4: tensor.extract %arg0
// CHECK-NOT: tensor.extract
func.func @main(%x: tensor<1x4x5x16xf32>) -> tensor<1x7x7x16xf32> {
  %none = onnx.NoValue
  %sizes = onnx.Constant dense<[1, 16, 7, 7]> : tensor<4xi64>
  %a = onnx.Transpose(%x) {perm = array<i64: 0, 3, 1, 2>} : (tensor<1x4x5x16xf32>) -> tensor<1x16x4x5xf32>
  %b = onnx.Resize(%a, %none, %none, %sizes) {mode = "linear"} : (tensor<1x16x4x5xf32>, none, none, tensor<4xi64>) -> tensor<1x16x7x7xf32>
  %c = onnx.Transpose(%b) {perm = array<i64: 0, 2, 3, 1>} : (tensor<1x16x7x7xf32>) -> tensor<1x7x7x16xf32>
  return %c : tensor<1x7x7x16xf32>
}

// -----

// Case cubic: one pass an axis.
// CHECK-LABEL: func.func @main
// CHECK-COUNT-2: linalg.generic
// CHECK-NOT: linalg.generic
func.func @main(%x: tensor<1x1x4x5xf32>) -> tensor<1x1x8x10xf32> {
  %none = onnx.NoValue
  %scales = onnx.Constant dense<[1.0, 1.0, 2.0, 2.0]> : tensor<4xf32>
  %y = onnx.Resize(%x, %none, %scales, %none) {mode = "cubic"} : (tensor<1x1x4x5xf32>, none, tensor<4xf32>, none) -> tensor<1x1x8x10xf32>
  return %y : tensor<1x1x8x10xf32>
}

// -----

// Case depth_to_space: a channels-last image is moved once, in rows of channels.
// CHECK-LABEL: func.func @main
// CHECK: linalg.transpose ins(%{{.*}} : tensor<2x3x4x2x2x3xf32>) outs(%{{.*}} : tensor<2x3x2x4x2x3xf32>)
// CHECK-NOT: linalg.transpose
func.func @main(%x: tensor<2x3x4x12xf32>) -> tensor<2x6x8x3xf32> {
  %a = onnx.Transpose(%x) {perm = array<i64: 0, 3, 1, 2>} : (tensor<2x3x4x12xf32>) -> tensor<2x12x3x4xf32>
  %b = onnx.DepthToSpace(%a) {blocksize = 2 : i64} : (tensor<2x12x3x4xf32>) -> tensor<2x3x6x8xf32>
  %c = onnx.Transpose(%b) {perm = array<i64: 0, 2, 3, 1>} : (tensor<2x3x6x8xf32>) -> tensor<2x6x8x3xf32>
  return %c : tensor<2x6x8x3xf32>
}

// -----

// Case grid_sample: coordinates are computed where the image is read.
// CHECK-LABEL: func.func @main
// CHECK: linalg.generic
// CHECK: math.floor
// CHECK-COUNT-4: tensor.extract %arg0
func.func @main(%x: tensor<2x3x4x5xf32>, %g: tensor<2x6x7x2xf32>) -> tensor<2x3x6x7xf32> {
  %y = onnx.GridSample(%x, %g) : (tensor<2x3x4x5xf32>, tensor<2x6x7x2xf32>) -> tensor<2x3x6x7xf32>
  return %y : tensor<2x3x6x7xf32>
}
