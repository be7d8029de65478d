// RUN: burin-opt %s --split-input-file --lower-onnx | FileCheck %s

// Case conv: the bias is an epilogue, auto_pad becomes numbers (one odd row and column at the end).
// CHECK-DAG: #[[CHANNEL:.*]] = affine_map<(d0, d1, d2, d3) -> (d3)>
// CHECK: nn.conv ins(%{{.*}}, %{{.*}} : tensor<1x8x8x3xf32>, tensor<3x3x3x5xf32>) extras(%{{.*}} : tensor<5xf32>) outs(%{{.*}} : tensor<1x4x4x5xf32>)
// CHECK-SAME: dilations = array<i64: 1, 1>, extra_maps = [#[[CHANNEL]]]
// CHECK-SAME: pads = array<i64: 0, 0, 1, 1>, strides = array<i64: 2, 2>
// CHECK: ^bb0(%[[ACC:.*]]: f32, %[[BIAS:.*]]: f32):
// CHECK: %[[Y:.*]] = arith.addf %[[ACC]], %[[BIAS]]
// CHECK: nn.yield %[[Y]]
func.func @main(%x: tensor<1x3x8x8xf32>, %w: tensor<5x3x3x3xf32>, %b: tensor<5xf32>) -> tensor<1x5x4x4xf32> {
  %y = onnx.Conv(%x, %w, %b) {auto_pad = "SAME_UPPER", strides = array<i64: 2, 2>} : (tensor<1x3x8x8xf32>, tensor<5x3x3x3xf32>, tensor<5xf32>) -> tensor<1x5x4x4xf32>
  return %y : tensor<1x5x4x4xf32>
}

// -----

// Case depthwise: one filter a channel; with a multiplier it is a grouped convolution.
// CHECK: nn.depthwise_conv ins(%{{.*}}, %{{.*}} : tensor<1x8x8x4xf32>, tensor<3x3x4xf32>)
// CHECK: nn.conv ins(%{{.*}}, %{{.*}} : tensor<1x6x6x4xf32>, tensor<3x3x1x8xf32>)
// CHECK-SAME: groups = 4
func.func @main(%x: tensor<1x4x8x8xf32>) -> tensor<1x8x4x4xf32> {
  %none = onnx.NoValue
  %w = onnx.Constant dense<1.0> : tensor<4x1x3x3xf32>
  %v = onnx.Constant dense<1.0> : tensor<8x1x3x3xf32>
  %y = onnx.Conv(%x, %w, %none) {group = 4 : i64} : (tensor<1x4x8x8xf32>, tensor<4x1x3x3xf32>, none) -> tensor<1x4x6x6xf32>
  %z = onnx.Conv(%y, %v, %none) {group = 4 : i64} : (tensor<1x4x6x6xf32>, tensor<8x1x3x3xf32>, none) -> tensor<1x8x4x4xf32>
  return %z : tensor<1x8x4x4xf32>
}

// -----

// Case one_and_three_dims
// CHECK: nn.conv ins(%{{.*}}, %{{.*}} : tensor<1x8x4xf32>, tensor<3x4x2xf32>)
// CHECK: nn.conv ins(%{{.*}}, %{{.*}} : tensor<1x3x3x3x2xf32>, tensor<2x2x2x2x5xf32>)
func.func @main(%x: tensor<1x4x8xf32>, %y: tensor<1x2x3x3x3xf32>) -> (tensor<1x2x6xf32>, tensor<1x5x2x2x2xf32>) {
  %none = onnx.NoValue
  %w = onnx.Constant dense<1.0> : tensor<2x4x3xf32>
  %v = onnx.Constant dense<1.0> : tensor<5x2x2x2x2xf32>
  %a = onnx.Conv(%x, %w, %none) : (tensor<1x4x8xf32>, tensor<2x4x3xf32>, none) -> tensor<1x2x6xf32>
  %b = onnx.Conv(%y, %v, %none) : (tensor<1x2x3x3x3xf32>, tensor<5x2x2x2x2xf32>, none) -> tensor<1x5x2x2x2xf32>
  return %a, %b : tensor<1x2x6xf32>, tensor<1x5x2x2x2xf32>
}

// -----

// Case transposed: filter [k..., ic, oc], pads crop.
// CHECK: nn.conv_transpose ins(%{{.*}}, %{{.*}} : tensor<1x4x4x6xf32>, tensor<3x3x6x2xf32>) outs(%{{.*}} : tensor<1x8x8x2xf32>)
// CHECK-SAME: pads = array<i64: 1, 1, 1, 1>, strides = array<i64: 2, 2>
func.func @main(%x: tensor<1x6x4x4xf32>) -> tensor<1x2x8x8xf32> {
  %none = onnx.NoValue
  %w = onnx.Constant dense<1.0> : tensor<6x2x3x3xf32>
  %y = onnx.ConvTranspose(%x, %w, %none) {strides = array<i64: 2, 2>, pads = array<i64: 1, 1, 1, 1>, output_padding = array<i64: 1, 1>} : (tensor<1x6x4x4xf32>, tensor<6x2x3x3xf32>, none) -> tensor<1x2x8x8xf32>
  return %y : tensor<1x2x8x8xf32>
}

// -----

// Case pools: unsigned bytes stay unsigned; a mean over an image's pixels is a pool.
// CHECK: nn.pool ins(%{{.*}} : tensor<1x4x4x2xi8>) {{.*}} {dilations = array<i64: 1, 1>, input_unsigned, kernel = array<i64: 2, 2>, kind = #nn.pool_kind<max>
// CHECK: nn.pool {{.*}} {count_padding, {{.*}} kind = #nn.pool_kind<average>
// CHECK: %[[P:.*]] = nn.pool {{.*}} kernel = array<i64: 3, 3>, kind = #nn.pool_kind<average>
// CHECK: tensor.collapse_shape %[[P]] {{.*}} into tensor<1x2xf32>
func.func @main(%x: tensor<1x2x4x4xui8>, %f: tensor<1x2x4x4xf32>) -> (tensor<1x2x2x2xui8>, tensor<1x2xf32>) {
  %axes = onnx.Constant dense<[2, 3]> : tensor<2xi64>
  %y, %i = onnx.MaxPool(%x) {kernel_shape = array<i64: 2, 2>, strides = array<i64: 2, 2>} : (tensor<1x2x4x4xui8>) -> (tensor<1x2x2x2xui8>, none)
  %a = onnx.AveragePool(%f) {kernel_shape = array<i64: 2, 2>, strides = array<i64: 2, 2>, pads = array<i64: 1, 1, 1, 1>, count_include_pad = 1 : i64} : (tensor<1x2x4x4xf32>) -> tensor<1x2x3x3xf32>
  %m = onnx.ReduceMean(%a, %axes) {keepdims = 0 : i64} : (tensor<1x2x3x3xf32>, tensor<2xi64>) -> tensor<1x2xf32>
  return %y, %m : tensor<1x2x2x2xui8>, tensor<1x2xf32>
}
