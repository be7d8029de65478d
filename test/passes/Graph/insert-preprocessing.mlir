// RUN: burin-opt %s --split-input-file --graph-insert-preprocessing="input-type=u8 layout=NHWC reverse-channels mean=1,2,3 scale=2" | FileCheck %s
// RUN: burin-opt %s --split-input-file --graph-insert-preprocessing="source=8x4 fit=letterbox pad-value=114" | FileCheck %s --check-prefix=LETTERBOX
// RUN: burin-opt %s --split-input-file --graph-insert-preprocessing="source=4x8 fit=crop resize-mode=nearest" | FileCheck %s --check-prefix=CROP

// Only the convolution reads the image: the order of channels goes into its weights, and mean with it.
// CHECK-LABEL: @image(%arg0: tensor<?x6x6x3xui8, #onnx.dims<["batch", "", "", ""]>>
// CHECK: %[[C:.*]] = onnx.Cast(%arg0) {to = 1 : i64}
// CHECK: %[[T:.*]] = onnx.Transpose(%[[C]]) {perm = array<i64: 0, 3, 1, 2>}
// CHECK: dense<{{\[\[\[}}3.000000e+00]], {{\[\[}}2.000000e+00]], {{\[\[}}1.000000e+00]]]>
// CHECK: %[[S:.*]] = onnx.Sub(%[[T]]
// CHECK: %[[D:.*]] = onnx.Div(%[[S]]
// CHECK: %[[W:.*]] = onnx.Constant dense<{{\[\[\[\[}}3.000000e+00]], {{\[\[}}2.000000e+00]], {{\[\[}}1.000000e+00]]]]>
// CHECK: onnx.Conv(%[[D]], %[[W]]
// Half the size fits: 3 columns, 1 and 2 of padding.
// LETTERBOX-LABEL: @image(%arg0: tensor<?x3x8x4xf32
// LETTERBOX: dense<[6, 3]>
// LETTERBOX: %[[R:.*]] = onnx.Resize({{.*}} {axes = array<i64: 2, 3>, mode = "linear"}
// LETTERBOX: dense<[0, 1, 0, 2]>
// LETTERBOX: dense<1.140000e+02>
// LETTERBOX: onnx.Pad(%[[R]]
// Twelve columns, the middle six.
// CROP-LABEL: @image(%arg0: tensor<?x3x4x8xf32
// CROP: dense<[6, 12]>
// CROP: onnx.Resize({{.*}}) {axes = array<i64: 2, 3>}
// CROP: dense<[0, 3]>
// CROP: dense<[6, 9]>
// CROP: onnx.Slice
func.func @image(%x: tensor<?x3x6x6xf32, #onnx.dims<["batch", "", "", ""]>> {onnx.name = "x"}) -> tensor<?x1x6x6xf32> {
  %none = onnx.NoValue
  %w = onnx.Constant dense<[[[[1.0]], [[2.0]], [[3.0]]]]> : tensor<1x3x1x1xf32>
  %0 = onnx.Conv(%x, %w, %none) : (tensor<?x3x6x6xf32, #onnx.dims<["batch", "", "", ""]>>, tensor<1x3x1x1xf32>, none) -> tensor<?x1x6x6xf32>
  return %0 : tensor<?x1x6x6xf32>
}

// -----

// Several readers: a Gather reverses.
// CHECK-LABEL: @several(%arg0: tensor<1x6x6x3xui8>
// CHECK: %[[I:.*]] = onnx.Constant dense<[2, 1, 0]>
// CHECK: onnx.Gather({{.*}}, %[[I]]) {axis = 1 : i64}
// CHECK: dense<{{\[\[\[}}1.000000e+00]], {{\[\[}}2.000000e+00]], {{\[\[}}3.000000e+00]]]>
func.func @several(%x: tensor<1x3x6x6xf32>) -> (tensor<1x1x6x6xf32>, tensor<1x3x6x6xf32>) {
  %none = onnx.NoValue
  %w = onnx.Constant dense<[[[[1.0]], [[2.0]], [[3.0]]]]> : tensor<1x3x1x1xf32>
  %0 = onnx.Conv(%x, %w, %none) : (tensor<1x3x6x6xf32>, tensor<1x3x1x1xf32>, none) -> tensor<1x1x6x6xf32>
  %1 = onnx.Relu(%x) : (tensor<1x3x6x6xf32>) -> tensor<1x3x6x6xf32>
  return %0, %1 : tensor<1x1x6x6xf32>, tensor<1x3x6x6xf32>
}
