// RUN: burin-opt %s --split-input-file --graph-insert-image-stage="inputs=x=NV12:1920x1080:stride=2048:matrix=709 mean=127 scale=1,2,3 fit=letterbox pad-value=114" | FileCheck %s
// RUN: burin-opt %s --split-input-file --graph-insert-image-stage="inputs=x=RGGB:64x48:region=run fit=letterbox" | FileCheck %s --check-prefix=GIVEN
// RUN: burin-opt %s --split-input-file --graph-insert-image-stage="inputs=x=BGR:64x48:region=40x40+8+4 fit=crop resize-mode=area reverse-channels" | FileCheck %s --check-prefix=CROP

// CHECK: burin.image_stages = {image_stage_0 = {
// CHECK-SAME: format = "NV12", frame = array<i64: 1920, 1080, 2048>, input = "x", layout = "NCHW", matrix = "709", mean = array<f64: 1.270000e+02, 1.270000e+02, 1.270000e+02>, offset = array<i64: 0, 10>
// CHECK-SAME: order = "RGB", output = array<i64: 3, 56, 64>
// CHECK-SAME: range = "limited", region = array<i64: 0, 0, 1920, 1080>, resize = "linear", resized = array<i64: 64, 36>
// CHECK-SAME: scale = array<f64: 1.000000e+00, 2.000000e+00, 3.000000e+00>, turn = array<i64: 0, 0, 0>, type = "f32"
// CHECK-LABEL: @main(%arg0: tensor<1620x2048xui8>
// CHECK: %[[S:.*]] = onnx.Custom "burin" "ImageStage"(%arg0) {} : (tensor<1620x2048xui8>) -> tensor<1x3x56x64xf32>
// CHECK-SAME: burin.callee = "image_stage_0"
// CHECK: onnx.Relu(%[[S]])
// CROP: format = "BGR", frame = array<i64: 64, 48, 192>
// CROP-SAME: offset = array<i64: 0, -4>, order = "BGR"
// CROP-SAME: region = array<i64: 8, 4, 40, 40>, resize = "area", resized = array<i64: 64, 64>
// CROP-LABEL: @main(%arg0: tensor<48x64x3xui8>
// Each run says the region: one more input.
// GIVEN: fit = "letterbox", format = "RGGB"
// GIVEN-SAME: region = array<i64: 0, 0, 64, 48>
// GIVEN-LABEL: @main(%arg0: tensor<48x64xui8> {onnx.name = "x"}, %arg1: tensor<4xi32> {onnx.name = "x_region"})
// GIVEN: onnx.Custom "burin" "ImageStage"(%arg0, %arg1) {} : (tensor<48x64xui8>, tensor<4xi32>) -> tensor<1x3x56x64xf32>
func.func @main(%x: tensor<1x3x56x64xf32> {onnx.name = "x"}) -> (tensor<1x3x56x64xf32> {onnx.name = "letterbox"}) {
  %y = onnx.Relu(%x) : (tensor<1x3x56x64xf32>) -> tensor<1x3x56x64xf32>
  return %y : tensor<1x3x56x64xf32>
}

// -----

// Channels last, as the dims say, and whole numbers.
// CHECK: layout = "NHWC"
// CHECK-SAME: type = "i8"
// CHECK-LABEL: @main(
// CROP: layout = "NHWC"
func.func @main(%x: tensor<1x8x8x3xi8> {onnx.name = "x"}) -> (tensor<1x8x8x3xi8> {onnx.name = "y"}) {
  return %x : tensor<1x8x8x3xi8>
}

// -----

// All that the network does with its input is to quantize it: the stage gives the bytes.
// CHECK: mean = array<f64: 1.260000e+02, 1.250000e+02, 1.240000e+02>
// CHECK-SAME: scale = array<f64: 5.000000e-01, 1.000000e+00, 1.500000e+00>, turn = array<i64: 0, 0, 0>, type = "i8"
// CHECK-LABEL: @main(
// CHECK: %[[S:.*]] = onnx.Custom "burin" "ImageStage"(%arg0) {{.*}} -> tensor<1x3x8x8xi8>
// CHECK-NOT: QuantizeLinear
// CHECK: return %[[S]]
func.func @main(%x: tensor<1x3x8x8xf32> {onnx.name = "x"}) -> (tensor<1x3x8x8xi8> {onnx.name = "quantized"}) {
  %scale = onnx.Constant dense<5.000000e-01> : tensor<f32>
  %zero = onnx.Constant dense<2> : tensor<i8>
  %y = onnx.QuantizeLinear(%x, %scale, %zero) : (tensor<1x3x8x8xf32>, tensor<f32>, tensor<i8>) -> tensor<1x3x8x8xi8>
  return %y : tensor<1x3x8x8xi8>
}

// -----

// One reader wants the numbers.
// CHECK: type = "f32"
// CHECK-LABEL: @main(
// CHECK: QuantizeLinear
func.func @main(%x: tensor<1x3x8x8xf32> {onnx.name = "x"}) -> (tensor<1x3x8x8xi8> {onnx.name = "both"}, tensor<1x3x8x8xf32> {onnx.name = "r"}) {
  %scale = onnx.Constant dense<5.000000e-01> : tensor<f32>
  %zero = onnx.Constant dense<2> : tensor<i8>
  %y = onnx.QuantizeLinear(%x, %scale, %zero) : (tensor<1x3x8x8xf32>, tensor<f32>, tensor<i8>) -> tensor<1x3x8x8xi8>
  %r = onnx.Relu(%x) : (tensor<1x3x8x8xf32>) -> tensor<1x3x8x8xf32>
  return %y, %r : tensor<1x3x8x8xi8>, tensor<1x3x8x8xf32>
}
