// RUN: burin-opt %s --split-input-file --graph-raise-output-stage | FileCheck %s
// RUN: burin-opt %s --split-input-file --graph-raise-output-stage --explain=graph-raise-output-stage -o /dev/null 2>&1 | FileCheck %s --check-prefix=WHY

// Super-resolution: phases of pixels become bytes of one picture.
// CHECK: block = array<i64: 3>, layout = "NCHW", mode = "DCR", order = "NHWC", result = "picture", size = array<i64: 33, 42>
// CHECK-SAME: steps = [{by = array<f64: 2.550000e+02, 0.000000e+00>, op = "mul"}, {by = array<f64: 0.000000e+00, 0.000000e+00>, op = "round"}, {by = array<f64: 0.000000e+00, 2.550000e+02>, op = "clamp"}]
// CHECK-SAME: tensor = array<i64: 9, 14, 11>
// CHECK-LABEL: @main(
// CHECK-NEXT: %[[S:.*]] = onnx.Custom "burin" "ImageStage"(%arg0) {} : (tensor<1x9x14x11xf32>) -> tensor<1x42x33x1xui8>
// CHECK-NEXT: return %[[S]]
func.func @main(%x: tensor<1x9x14x11xf32> {onnx.name = "x"}) -> (tensor<1x42x33x1xui8> {onnx.name = "picture"}) {
  %by = onnx.Constant dense<255.0> : tensor<f32>
  %low = onnx.Constant dense<0.0> : tensor<f32>
  %0 = onnx.DepthToSpace(%x) {blocksize = 3 : i64} : (tensor<1x9x14x11xf32>) -> tensor<1x1x42x33xf32>
  %1 = onnx.Mul(%0, %by) : (tensor<1x1x42x33xf32>, tensor<f32>) -> tensor<1x1x42x33xf32>
  %2 = onnx.Round(%1) : (tensor<1x1x42x33xf32>) -> tensor<1x1x42x33xf32>
  %3 = onnx.Clip(%2, %low, %by) : (tensor<1x1x42x33xf32>, tensor<f32>, tensor<f32>) -> tensor<1x1x42x33xf32>
  %4 = onnx.Cast(%3) {to = 2 : i64} : (tensor<1x1x42x33xf32>) -> tensor<1x1x42x33xui8>
  %5 = onnx.Transpose(%4) {perm = array<i64: 0, 2, 3, 1>} : (tensor<1x1x42x33xui8>) -> tensor<1x42x33x1xui8>
  return %5 : tensor<1x42x33x1xui8>
}

// -----

// Behind a convolution the tensor is read as it lies there, channels last.
// CHECK: colors = array<i64: 0, 128>, layout = "NHWC", mode = "DCR", order = "NHWC", resize = "linear", result = "colors", size = array<i64: 24, 20>, tensor = array<i64: 2, 5, 6>
// CHECK-LABEL: @main(
// CHECK: %[[C:.*]] = onnx.Conv
// CHECK: %[[T:.*]] = onnx.Transpose(%[[C]]) {perm = array<i64: 0, 2, 3, 1>}
// CHECK: %[[S:.*]] = onnx.Custom "burin" "ImageStage"(%[[T]])
// CHECK-NEXT: return %[[S]] : tensor<1x20x24x3xui8>
func.func @main(%x: tensor<1x2x5x6xf32> {onnx.name = "x"}) -> (tensor<1x20x24x3xui8> {onnx.name = "colors"}) {
  %n = onnx.NoValue
  %w = onnx.Constant dense<1.0> : tensor<2x2x1x1xf32>
  %size = onnx.Constant dense<[1, 2, 20, 24]> : tensor<4xi64>
  %colors = onnx.Constant dense<[[0, 0, 0], [128, 0, 0]]> : tensor<2x3xui8>
  %0 = onnx.Conv(%x, %w, %n) : (tensor<1x2x5x6xf32>, tensor<2x2x1x1xf32>, none) -> tensor<1x2x5x6xf32>
  %1 = onnx.Resize(%0, %n, %n, %size) {mode = "linear"} : (tensor<1x2x5x6xf32>, none, none, tensor<4xi64>) -> tensor<1x2x20x24xf32>
  %2 = onnx.ArgMax(%1) {axis = 1 : i64, keepdims = 0 : i64} : (tensor<1x2x20x24xf32>) -> tensor<1x20x24xi64>
  %3 = onnx.Gather(%colors, %2) {axis = 0 : i64} : (tensor<2x3xui8>, tensor<1x20x24xi64>) -> tensor<1x20x24x3xui8>
  return %3 : tensor<1x20x24x3xui8>
}

// -----

// A mask; arithmetic behind it stays.
// CHECK: resize = "linear", result = "floats"
// CHECK-LABEL: @main(
// CHECK-NEXT: %[[S:.*]] = onnx.Custom "burin" "ImageStage"(%arg0)
// CHECK-NEXT: onnx.Sigmoid(%[[S]])
func.func @main(%x: tensor<1x1x5x6xf32> {onnx.name = "x"}) -> (tensor<1x1x20x24xf32> {onnx.name = "mask"}) {
  %n = onnx.NoValue
  %size = onnx.Constant dense<[1, 1, 20, 24]> : tensor<4xi64>
  %1 = onnx.Resize(%x, %n, %n, %size) {mode = "linear"} : (tensor<1x1x5x6xf32>, none, none, tensor<4xi64>) -> tensor<1x1x20x24xf32>
  %2 = onnx.Sigmoid(%1) : (tensor<1x1x20x24xf32>) -> tensor<1x1x20x24xf32>
  return %2 : tensor<1x1x20x24xf32>
}

// -----

// near_miss: what is cast may be no byte.
// CHECK-LABEL: @main(
// CHECK-NOT: ImageStage
// WHY: it has more than four channels, many steps, or numbers of no byte
func.func @main(%x: tensor<1x4x5x6xf32> {onnx.name = "x"}) -> (tensor<1x1x10x12xui8> {onnx.name = "bytes"}) {
  %0 = onnx.DepthToSpace(%x) {blocksize = 2 : i64} : (tensor<1x4x5x6xf32>) -> tensor<1x1x10x12xf32>
  %1 = onnx.Cast(%0) {to = 2 : i64} : (tensor<1x1x10x12xf32>) -> tensor<1x1x10x12xui8>
  return %1 : tensor<1x1x10x12xui8>
}

// -----

// near_miss: a convolution stores the phases as bytes itself.
// CHECK-LABEL: @main(
// CHECK-NOT: ImageStage
// WHY: what makes the phases stores them as bytes
func.func @main(%x: tensor<1x4x5x6xf32> {onnx.name = "x"}) -> (tensor<1x1x10x12xui8> {onnx.name = "conv"}) {
  %n = onnx.NoValue
  %w = onnx.Constant dense<1.0> : tensor<4x4x1x1xf32>
  %low = onnx.Constant dense<0.0> : tensor<f32>
  %high = onnx.Constant dense<255.0> : tensor<f32>
  %0 = onnx.Conv(%x, %w, %n) : (tensor<1x4x5x6xf32>, tensor<4x4x1x1xf32>, none) -> tensor<1x4x5x6xf32>
  %1 = onnx.Clip(%0, %low, %high) : (tensor<1x4x5x6xf32>, tensor<f32>, tensor<f32>) -> tensor<1x4x5x6xf32>
  %2 = onnx.Cast(%1) {to = 2 : i64} : (tensor<1x4x5x6xf32>) -> tensor<1x4x5x6xui8>
  %3 = onnx.DepthToSpace(%2) {blocksize = 2 : i64} : (tensor<1x4x5x6xui8>) -> tensor<1x1x10x12xui8>
  return %3 : tensor<1x1x10x12xui8>
}

// -----

// near_miss: classes of the tensor as it is: the code of any tensor is faster.
// CHECK-LABEL: @main(
// CHECK-NOT: ImageStage
// WHY: nothing is resized before the largest channel is looked for
func.func @main(%x: tensor<1x2x5x6xf32> {onnx.name = "x"}) -> (tensor<1x5x6xi64> {onnx.name = "labels"}) {
  %0 = onnx.ArgMax(%x) {axis = 1 : i64, keepdims = 0 : i64} : (tensor<1x2x5x6xf32>) -> tensor<1x5x6xi64>
  return %0 : tensor<1x5x6xi64>
}

// -----

// near_miss: the resized tensor is read twice.
// CHECK-LABEL: @main(
// CHECK-NOT: ImageStage
func.func @main(%x: tensor<1x1x5x6xf32> {onnx.name = "x"}) -> (tensor<1x1x20x24xf32> {onnx.name = "mask"}, tensor<1x1x20x24xf32> {onnx.name = "other"}) {
  %n = onnx.NoValue
  %size = onnx.Constant dense<[1, 1, 20, 24]> : tensor<4xi64>
  %1 = onnx.Resize(%x, %n, %n, %size) {mode = "linear"} : (tensor<1x1x5x6xf32>, none, none, tensor<4xi64>) -> tensor<1x1x20x24xf32>
  %2 = onnx.Sigmoid(%1) : (tensor<1x1x20x24xf32>) -> tensor<1x1x20x24xf32>
  return %1, %2 : tensor<1x1x20x24xf32>, tensor<1x1x20x24xf32>
}

// -----

// Free dims: a stage is made for one size.
// CHECK-LABEL: @main(
// CHECK-NOT: ImageStage
func.func @main(%x: tensor<1x1x?x?xf32> {onnx.name = "x"}) -> (tensor<1x1x?x?xf32> {onnx.name = "free"}) {
  %n = onnx.NoValue
  %scales = onnx.Constant dense<[1.0, 1.0, 4.0, 4.0]> : tensor<4xf32>
  %1 = onnx.Resize(%x, %n, %scales, %n) {mode = "linear"} : (tensor<1x1x?x?xf32>, none, tensor<4xf32>, none) -> tensor<1x1x?x?xf32>
  return %1 : tensor<1x1x?x?xf32>
}
