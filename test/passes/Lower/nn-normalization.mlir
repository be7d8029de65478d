// RUN: burin-opt %s --split-input-file --lower-onnx | FileCheck %s

// Case batch: constant parameters fold to a factor and an offset a channel.
// CHECK: arith.constant dense<[1.000000e+00, 5.000000e-01]> : tensor<2xf32>
// CHECK: arith.constant dense<[0.000000e+00, 5.000000e-01]> : tensor<2xf32>
// CHECK: linalg.generic
// CHECK: arith.mulf
// CHECK-NEXT: arith.addf
func.func @main(%x: tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32> {
  %scale = onnx.Constant dense<[1.0, 1.0]> : tensor<2xf32>
  %b = onnx.Constant dense<[0.0, 1.0]> : tensor<2xf32>
  %mean = onnx.Constant dense<[0.0, 1.0]> : tensor<2xf32>
  %var = onnx.Constant dense<[1.0, 4.0]> : tensor<2xf32>
  %y, %m, %v = onnx.BatchNormalization(%x, %scale, %b, %mean, %var) {epsilon = 0.0 : f32} : (tensor<1x2x4x4xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> (tensor<1x2x4x4xf32>, none, none)
  return %y : tensor<1x2x4x4xf32>
}

// -----

// Case layer: the mean, then the squares of what differs from it, then one step; statistics of f16 are f32.
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]} ins(%{{.*}} : tensor<2x8xf16>) outs(%{{.*}} : tensor<2xf32>)
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "reduction"]} ins(%{{.*}}, %{{.*}} : tensor<2x8xf16>, tensor<2xf32>)
// CHECK: math.sqrt
// CHECK: linalg.generic {{.*}} iterator_types = ["parallel", "parallel"]
func.func @main(%x: tensor<2x8xf16>, %s: tensor<8xf16>) -> tensor<2x8xf16> {
  %none = onnx.NoValue
  %y, %m, %i = onnx.LayerNormalization(%x, %s, %none) : (tensor<2x8xf16>, tensor<8xf16>, none) -> (tensor<2x8xf16>, none, none)
  return %y : tensor<2x8xf16>
}

// -----

// Case group: channels split in memory, no data moves.
// CHECK: nn.conv
// CHECK-NOT: linalg.transpose
// CHECK: tensor.expand_shape %{{.*}} : tensor<1x4x4x6xf32> into tensor<1x4x4x2x3xf32>
// CHECK: iterator_types = ["parallel", "reduction", "reduction", "parallel", "reduction"]
func.func @main(%x: tensor<1x6x4x4xf32>, %s: tensor<6xf32>, %b: tensor<6xf32>) -> tensor<1x6x4x4xf32> {
  %none = onnx.NoValue
  %w = onnx.Constant dense<1.0> : tensor<6x6x1x1xf32>
  %c = onnx.Conv(%x, %w, %none) : (tensor<1x6x4x4xf32>, tensor<6x6x1x1xf32>, none) -> tensor<1x6x4x4xf32>
  %y = onnx.GroupNormalization(%c, %s, %b) {num_groups = 2 : i64} : (tensor<1x6x4x4xf32>, tensor<6xf32>, tensor<6xf32>) -> tensor<1x6x4x4xf32>
  return %y : tensor<1x6x4x4xf32>
}

// -----

// Case softmax: over the dim where it lies.
// CHECK: nn.softmax ins(%{{.*}} : tensor<2x5x4xf32>) {{.*}} {dim = 1 : i64}
func.func @main(%x: tensor<2x5x4xf32>) -> tensor<2x4x5xf32> {
  %t = onnx.Transpose(%x) {perm = array<i64: 0, 2, 1>} : (tensor<2x5x4xf32>) -> tensor<2x4x5xf32>
  %y = onnx.Softmax(%t) : (tensor<2x4x5xf32>) -> tensor<2x4x5xf32>
  return %y : tensor<2x4x5xf32>
}
