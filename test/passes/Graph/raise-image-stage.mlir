// RUN: burin-opt %s --split-input-file --graph-raise-image-stage | FileCheck %s
// RUN: burin-opt %s --split-input-file --graph-raise-image-stage --explain=graph-raise-image-stage -o /dev/null 2>&1 | FileCheck %s --check-prefix=WHY

// The way of most exports: convert, channels first, resize, normalize.
// CHECK: format = "RGB", frame = array<i64: 64, 48, 192>, input = "x", layout = "NCHW"
// CHECK-SAME: mean = array<f64: 1.275000e+02, 1.275000e+02, 1.275000e+02>, offset = array<i64: 0, 0>, order = "RGB", output = array<i64: 3, 24, 32>
// CHECK-SAME: region = array<i64: 0, 0, 64, 48>, resize = "linear", resized = array<i64: 32, 24>, scale = array<f64: 1.275000e+02, 1.275000e+02, 1.275000e+02>
// CHECK-LABEL: @main(%arg0: tensor<1x48x64x3xui8>
// CHECK-NEXT: %[[S:.*]] = onnx.Custom "burin" "ImageStage"(%arg0) {} : (tensor<1x48x64x3xui8>) -> tensor<1x3x24x32xf32>
// CHECK-NEXT: onnx.Relu(%[[S]])
func.func @main(%x: tensor<1x48x64x3xui8> {onnx.name = "x"}) -> (tensor<1x3x24x32xf32> {onnx.name = "picture"}) {
  %n = onnx.NoValue
  %size = onnx.Constant dense<[24, 32]> : tensor<2xi64>
  %half = onnx.Constant dense<1.275000e+02> : tensor<f32>
  %one = onnx.Constant dense<1.0> : tensor<3x1x1xf32>
  %0 = onnx.Cast(%x) {to = 1 : i64} : (tensor<1x48x64x3xui8>) -> tensor<1x48x64x3xf32>
  %1 = onnx.Transpose(%0) {perm = array<i64: 0, 3, 1, 2>} : (tensor<1x48x64x3xf32>) -> tensor<1x3x48x64xf32>
  %2 = onnx.Resize(%1, %n, %n, %size) {axes = array<i64: 2, 3>, mode = "linear"} : (tensor<1x3x48x64xf32>, none, none, tensor<2xi64>) -> tensor<1x3x24x32xf32>
  %3 = onnx.Div(%2, %half) : (tensor<1x3x24x32xf32>, tensor<f32>) -> tensor<1x3x24x32xf32>
  %4 = onnx.Sub(%3, %one) : (tensor<1x3x24x32xf32>, tensor<3x1x1xf32>) -> tensor<1x3x24x32xf32>
  %5 = onnx.Relu(%4) : (tensor<1x3x24x32xf32>) -> tensor<1x3x24x32xf32>
  return %5 : tensor<1x3x24x32xf32>
}

// -----

// A region, channels in reverse, a border; a stage ends where the first operator is none of its parts.
// CHECK: layout = "NHWC"
// CHECK-SAME: offset = array<i64: 2, 1>, order = "BGR", output = array<i64: 3, 12, 20>, pad = array<f64: 1.140000e+02>
// CHECK-SAME: region = array<i64: 8, 4, 40, 40>, resize = "nearest", resized = array<i64: 16, 10>
// CHECK-LABEL: @main(
// CHECK: %[[S:.*]] = onnx.Custom "burin" "ImageStage"(%arg0) {} : (tensor<48x64x3xui8>) -> tensor<1x12x20x3xf32>
// CHECK: onnx.Sqrt(%[[S]])
func.func @main(%x: tensor<48x64x3xui8> {onnx.name = "x"}) -> (tensor<1x12x20x3xf32> {onnx.name = "region"}) {
  %n = onnx.NoValue
  %from = onnx.Constant dense<[4, 8]> : tensor<2xi64>
  %to = onnx.Constant dense<[44, 48]> : tensor<2xi64>
  %axes = onnx.Constant dense<[0, 1]> : tensor<2xi64>
  %first = onnx.Constant dense<0> : tensor<1xi64>
  %backwards = onnx.Constant dense<[2, 1, 0]> : tensor<3xi64>
  %size = onnx.Constant dense<[10, 16]> : tensor<2xi64>
  %pads = onnx.Constant dense<[0, 1, 2, 0, 0, 1, 2, 0]> : tensor<8xi64>
  %grey = onnx.Constant dense<1.140000e+02> : tensor<f32>
  %0 = onnx.Slice(%x, %from, %to, %axes, %n) : (tensor<48x64x3xui8>, tensor<2xi64>, tensor<2xi64>, tensor<2xi64>, none) -> tensor<40x40x3xui8>
  %1 = onnx.Cast(%0) {to = 1 : i64} : (tensor<40x40x3xui8>) -> tensor<40x40x3xf32>
  %2 = onnx.Unsqueeze(%1, %first) : (tensor<40x40x3xf32>, tensor<1xi64>) -> tensor<1x40x40x3xf32>
  %3 = onnx.Gather(%2, %backwards) {axis = 3 : i64} : (tensor<1x40x40x3xf32>, tensor<3xi64>) -> tensor<1x40x40x3xf32>
  %4 = onnx.Resize(%3, %n, %n, %size) {axes = array<i64: 1, 2>, mode = "nearest"} : (tensor<1x40x40x3xf32>, none, none, tensor<2xi64>) -> tensor<1x10x16x3xf32>
  %5 = onnx.Pad(%4, %pads, %grey, %n) : (tensor<1x10x16x3xf32>, tensor<8xi64>, tensor<f32>, none) -> tensor<1x12x20x3xf32>
  %6 = onnx.Sqrt(%5) : (tensor<1x12x20x3xf32>) -> tensor<1x12x20x3xf32>
  return %6 : tensor<1x12x20x3xf32>
}

// -----

// near_miss: nothing is resized: conversion and scale join what reads them.
// CHECK-LABEL: @main(
// CHECK-NOT: ImageStage
// WHY: nothing is resized up to here: it is no operator of a stage
func.func @main(%x: tensor<1x48x64x3xui8> {onnx.name = "x"}) -> (tensor<1x48x64x3xf32> {onnx.name = "same"}) {
  %0 = onnx.Cast(%x) {to = 1 : i64} : (tensor<1x48x64x3xui8>) -> tensor<1x48x64x3xf32>
  %1 = onnx.Relu(%0) : (tensor<1x48x64x3xf32>) -> tensor<1x48x64x3xf32>
  return %1 : tensor<1x48x64x3xf32>
}

// -----

// near_miss: several uses of what is converted.
// CHECK-LABEL: @main(
// CHECK-NOT: ImageStage
// WHY: nothing is resized up to here: more than one operator reads it
func.func @main(%x: tensor<1x48x64x3xui8> {onnx.name = "x"}) -> (tensor<1x24x32x3xf32> {onnx.name = "several"}, tensor<1x48x64x3xf32> {onnx.name = "f"}) {
  %n = onnx.NoValue
  %size = onnx.Constant dense<[24, 32]> : tensor<2xi64>
  %0 = onnx.Cast(%x) {to = 1 : i64} : (tensor<1x48x64x3xui8>) -> tensor<1x48x64x3xf32>
  %1 = onnx.Resize(%0, %n, %n, %size) {axes = array<i64: 1, 2>, mode = "linear"} : (tensor<1x48x64x3xf32>, none, none, tensor<2xi64>) -> tensor<1x24x32x3xf32>
  return %1, %0 : tensor<1x24x32x3xf32>, tensor<1x48x64x3xf32>
}

// -----

// Other coordinates than half-pixel ones; near misses: a size that is not known, and a picture that grows.
// CHECK: axes = array<f64: 0.000000e+00, {{2.032258.*}}, 0.000000e+00, 2.000000e+00, 0.000000e+00, {{2.043478.*}}, 0.000000e+00, 2.000000e+00>
// CHECK-LABEL: @main(
// CHECK: onnx.Custom "burin" "ImageStage"(%arg0)
// CHECK-NOT: ImageStage
// WHY: it hardly shrinks
func.func @main(%x: tensor<1x48x64x3xui8> {onnx.name = "x"}, %y: tensor<1x?x64x3xui8> {onnx.name = "y"}, %z: tensor<1x12x16x3xui8> {onnx.name = "z"}) -> (tensor<1x24x32x3xf32> {onnx.name = "corners"}, tensor<1x?x64x3xf32> {onnx.name = "dynamic"}, tensor<1x24x32x3xf32> {onnx.name = "grown"}) {
  %n = onnx.NoValue
  %size = onnx.Constant dense<[24, 32]> : tensor<2xi64>
  %0 = onnx.Cast(%x) {to = 1 : i64} : (tensor<1x48x64x3xui8>) -> tensor<1x48x64x3xf32>
  %1 = onnx.Resize(%0, %n, %n, %size) {axes = array<i64: 1, 2>, mode = "linear", coordinate_transformation_mode = "align_corners"} : (tensor<1x48x64x3xf32>, none, none, tensor<2xi64>) -> tensor<1x24x32x3xf32>
  %2 = onnx.Cast(%y) {to = 1 : i64} : (tensor<1x?x64x3xui8>) -> tensor<1x?x64x3xf32>
  %3 = onnx.Cast(%z) {to = 1 : i64} : (tensor<1x12x16x3xui8>) -> tensor<1x12x16x3xf32>
  %4 = onnx.Resize(%3, %n, %n, %size) {axes = array<i64: 1, 2>, mode = "linear"} : (tensor<1x12x16x3xf32>, none, none, tensor<2xi64>) -> tensor<1x24x32x3xf32>
  return %1, %2, %4 : tensor<1x24x32x3xf32>, tensor<1x?x64x3xf32>, tensor<1x24x32x3xf32>
}
