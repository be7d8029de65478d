// RUN: burin-opt %s --split-input-file --graph-lower-conv-transpose | FileCheck %s
// RUN: burin-opt %s --split-input-file --graph-lower-conv-transpose --remarks-filter='LowerConvTranspose' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK
// RUN: burin-opt %s --split-input-file --graph-lower-conv-transpose='lanes=16' --remarks-filter='LowerConvTranspose' -o /dev/null 2>&1 | FileCheck %s --check-prefix=LANES

// Kernel and stride 2: a 1x1 convolution to four phases, which DepthToSpace spreads.
// CHECK-LABEL: @stride
// CHECK: %[[W:.*]] = onnx.Constant dense<{{\[\[\[\[}}1.000000e+00]]], {{\[\[\[}}2.000000e+00]]], {{\[\[\[}}3.000000e+00]]], {{\[\[\[}}4.000000e+00]]]]> : tensor<4x1x1x1xf32>
// CHECK: %[[C:.*]] = onnx.Conv(%arg0, %[[W]], %{{.*}}) {kernel_shape = array<i64: 1, 1>}
// CHECK-NEXT: %[[Y:.*]] = onnx.DepthToSpace(%[[C]]) {blocksize = 2 : i64} :
// CHECK-NEXT: return %[[Y]]
// REMARK: [Passed] SubPixel
func.func @stride(%x: tensor<1x1x3x3xf32>) -> tensor<1x1x6x6xf32> {
  %none = onnx.NoValue
  %w = onnx.Constant dense<[[[[1.0, 2.0], [3.0, 4.0]]]]> : tensor<1x1x2x2xf32>
  %0 = onnx.ConvTranspose(%x, %w, %none) {strides = array<i64: 2, 2>} : (tensor<1x1x3x3xf32>, tensor<1x1x2x2xf32>, none) -> tensor<1x1x6x6xf32>
  return %0 : tensor<1x1x6x6xf32>
}

// -----

// Kernel 4, stride 2, pads 1: two taps a phase and a crop, or three taps without: so few channels are not worth a crop. Groups keep
// their channels together.
// CHECK-LABEL: @general
// CHECK: %[[C:.*]] = onnx.Conv(%arg0, {{.*}}) {group = 2 : i64, kernel_shape = array<i64: 3, 3>, pads = array<i64: 1, 1, 1, 1>}
// CHECK: onnx.DepthToSpace(%[[C]]) {blocksize = 2 : i64, mode = "CRD"}
func.func @general(%x: tensor<1x2x3x3xf32>) -> tensor<1x4x6x6xf32> {
  %w = onnx.Constant dense<1.0> : tensor<2x2x4x4xf32>
  %b = onnx.Constant dense<1.0> : tensor<4xf32>
  %0 = onnx.ConvTranspose(%x, %w, %b) {group = 2 : i64, pads = array<i64: 1, 1, 1, 1>, strides = array<i64: 2, 2>} : (tensor<1x2x3x3xf32>, tensor<2x2x4x4xf32>, tensor<4xf32>) -> tensor<1x4x6x6xf32>
  return %0 : tensor<1x4x6x6xf32>
}

// -----

// One dim: Reshape and Transpose spread the phases.
// CHECK-LABEL: @one_dim
// CHECK: %[[C:.*]] = onnx.Conv(%arg0
// CHECK: onnx.Reshape(%[[C]]
// CHECK: onnx.Transpose
// CHECK: onnx.Reshape
func.func @one_dim(%x: tensor<1x1x3xf32>) -> tensor<1x2x9xf32> {
  %none = onnx.NoValue
  %w = onnx.Constant dense<1.0> : tensor<1x2x3xf32>
  %0 = onnx.ConvTranspose(%x, %w, %none) {strides = array<i64: 3>} : (tensor<1x1x3xf32>, tensor<1x2x3xf32>, none) -> tensor<1x2x9xf32>
  return %0 : tensor<1x2x9xf32>
}

// -----

// The activation goes before DepthToSpace. Sixteen channels fill vectors as they are: with `lanes` it stays.
// CHECK-LABEL: @activation
// CHECK: %[[C:.*]] = onnx.Conv(%arg0
// CHECK-NEXT: %[[R:.*]] = onnx.Relu(%[[C]])
// CHECK-NEXT: onnx.DepthToSpace(%[[R]])
// LANES: [Missed] SubPixel | {{.*}}the phases would cost more than they fill vectors better
func.func @activation(%x: tensor<1x4x3x3xf32>) -> tensor<1x16x6x6xf32> {
  %none = onnx.NoValue
  %w = onnx.Constant dense<1.0> : tensor<4x16x2x2xf32>
  %0 = onnx.ConvTranspose(%x, %w, %none) {strides = array<i64: 2, 2>} : (tensor<1x4x3x3xf32>, tensor<4x16x2x2xf32>, none) -> tensor<1x16x6x6xf32>
  %1 = onnx.Relu(%0) : (tensor<1x16x6x6xf32>) -> tensor<1x16x6x6xf32>
  return %1 : tensor<1x16x6x6xf32>
}

// -----

// Near misses: no stride, dynamic sizes, weights that are no constant.
// CHECK-LABEL: @near_misses
// CHECK-COUNT-3: onnx.ConvTranspose
// REMARK: [Missed] SubPixel | {{.*}}the sizes are not known
// REMARK: [Missed] SubPixel | {{.*}}the weights are no float constant
func.func @near_misses(%x: tensor<1x1x3x3xf32>, %y: tensor<1x1x?x?xf32>, %v: tensor<1x1x2x2xf32>) -> (tensor<1x1x4x4xf32>, tensor<1x1x?x?xf32>, tensor<1x1x6x6xf32>) {
  %none = onnx.NoValue
  %w = onnx.Constant dense<1.0> : tensor<1x1x2x2xf32>
  %0 = onnx.ConvTranspose(%x, %w, %none) : (tensor<1x1x3x3xf32>, tensor<1x1x2x2xf32>, none) -> tensor<1x1x4x4xf32>
  %1 = onnx.ConvTranspose(%y, %w, %none) {strides = array<i64: 2, 2>} : (tensor<1x1x?x?xf32>, tensor<1x1x2x2xf32>, none) -> tensor<1x1x?x?xf32>
  %2 = onnx.ConvTranspose(%x, %v, %none) {strides = array<i64: 2, 2>} : (tensor<1x1x3x3xf32>, tensor<1x1x2x2xf32>, none) -> tensor<1x1x6x6xf32>
  return %0, %1, %2 : tensor<1x1x4x4xf32>, tensor<1x1x?x?xf32>, tensor<1x1x6x6xf32>
}

// -----

// Several uses: an activation of the result that others read too stays where it is.
// CHECK-LABEL: @several_uses
// CHECK: %[[D:.*]] = onnx.DepthToSpace
// CHECK-NEXT: %[[R:.*]] = onnx.Relu(%[[D]])
// CHECK-NEXT: return %[[R]], %[[D]]
func.func @several_uses(%x: tensor<1x1x3x3xf32>) -> (tensor<1x1x6x6xf32>, tensor<1x1x6x6xf32>) {
  %none = onnx.NoValue
  %w = onnx.Constant dense<[[[[1.0, 2.0], [3.0, 4.0]]]]> : tensor<1x1x2x2xf32>
  %0 = onnx.ConvTranspose(%x, %w, %none) {strides = array<i64: 2, 2>} : (tensor<1x1x3x3xf32>, tensor<1x1x2x2xf32>, none) -> tensor<1x1x6x6xf32>
  %1 = onnx.Relu(%0) : (tensor<1x1x6x6xf32>) -> tensor<1x1x6x6xf32>
  return %1, %0 : tensor<1x1x6x6xf32>, tensor<1x1x6x6xf32>
}
