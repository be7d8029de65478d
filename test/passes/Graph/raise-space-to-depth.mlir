// RUN: burin-opt %s --split-input-file --graph-raise-space-to-depth | FileCheck %s
// RUN: burin-opt %s --split-input-file --graph-raise-space-to-depth --remarks-filter='RaiseSpaceToDepth' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// CHECK-LABEL: @depth_to_space
// CHECK: %[[A:.*]] = onnx.DepthToSpace(%arg0) {blocksize = 2 : i64, mode = "CRD"}
// CHECK: %[[B:.*]] = onnx.DepthToSpace(%arg0) {blocksize = 2 : i64} :
// CHECK: return %[[A]], %[[B]]
// REMARK: [Passed] DepthToSpace
func.func @depth_to_space(%x: tensor<1x8x3x4xf32>) -> (tensor<1x2x6x8xf32>, tensor<1x2x6x8xf32>) {
  %crd = onnx.Constant dense<[1, 2, 2, 2, 3, 4]> : tensor<6xi64>
  %dcr = onnx.Constant dense<[1, 2, 2, 2, 3, 4]> : tensor<6xi64>
  %out = onnx.Constant dense<[1, 2, 6, 8]> : tensor<4xi64>
  %0 = onnx.Reshape(%x, %crd) : (tensor<1x8x3x4xf32>, tensor<6xi64>) -> tensor<1x2x2x2x3x4xf32>
  %1 = onnx.Transpose(%0) {perm = array<i64: 0, 1, 4, 2, 5, 3>} : (tensor<1x2x2x2x3x4xf32>) -> tensor<1x2x3x2x4x2xf32>
  %2 = onnx.Reshape(%1, %out) : (tensor<1x2x3x2x4x2xf32>, tensor<4xi64>) -> tensor<1x2x6x8xf32>
  %3 = onnx.Reshape(%x, %dcr) : (tensor<1x8x3x4xf32>, tensor<6xi64>) -> tensor<1x2x2x2x3x4xf32>
  %4 = onnx.Transpose(%3) {perm = array<i64: 0, 3, 4, 1, 5, 2>} : (tensor<1x2x2x2x3x4xf32>) -> tensor<1x2x3x2x4x2xf32>
  %5 = onnx.Reshape(%4, %out) : (tensor<1x2x3x2x4x2xf32>, tensor<4xi64>) -> tensor<1x2x6x8xf32>
  return %2, %5 : tensor<1x2x6x8xf32>, tensor<1x2x6x8xf32>
}

// -----

// CHECK-LABEL: @space_to_depth
// CHECK: onnx.SpaceToDepth(%arg0) {blocksize = 2 : i64} : (tensor<1x3x4x6xf32>) -> tensor<1x12x2x3xf32>
func.func @space_to_depth(%x: tensor<1x3x4x6xf32>) -> tensor<1x12x2x3xf32> {
  %six = onnx.Constant dense<[1, 3, 2, 2, 3, 2]> : tensor<6xi64>
  %out = onnx.Constant dense<[1, 12, 2, 3]> : tensor<4xi64>
  %0 = onnx.Reshape(%x, %six) : (tensor<1x3x4x6xf32>, tensor<6xi64>) -> tensor<1x3x2x2x3x2xf32>
  %1 = onnx.Transpose(%0) {perm = array<i64: 0, 3, 5, 1, 2, 4>} : (tensor<1x3x2x2x3x2xf32>) -> tensor<1x2x2x3x2x3xf32>
  %2 = onnx.Reshape(%1, %out) : (tensor<1x2x2x3x2x3xf32>, tensor<4xi64>) -> tensor<1x12x2x3xf32>
  return %2 : tensor<1x12x2x3xf32>
}

// -----

// The Focus order (top left, bottom left, top right, bottom right): the weights' input channels follow.
// CHECK-LABEL: @focus
// CHECK-DAG: %[[W:.*]] = onnx.Constant dense<{{\[\[\[\[}}1.000000e+00]], {{\[\[}}3.000000e+00]], {{\[\[}}2.000000e+00]], {{\[\[}}4.000000e+00]]]]> : tensor<1x4x1x1xf32>
// CHECK-DAG: %[[S:.*]] = onnx.SpaceToDepth(%arg0) {blocksize = 2 : i64}
// CHECK: onnx.Conv(%[[S]], %[[W]], %{{.*}})
// REMARK: [Passed] Focus
func.func @focus(%x: tensor<1x1x4x4xf32>) -> tensor<1x1x2x2xf32> {
  %none = onnx.NoValue
  %s0 = onnx.Constant dense<0> : tensor<1xi64>
  %s1 = onnx.Constant dense<1> : tensor<1xi64>
  %s2 = onnx.Constant dense<2> : tensor<1xi64>
  %s3 = onnx.Constant dense<3> : tensor<1xi64>
  %end = onnx.Constant dense<9223372036854775807> : tensor<1xi64>
  %w = onnx.Constant dense<[[[[1.0]], [[2.0]], [[3.0]], [[4.0]]]]> : tensor<1x4x1x1xf32>
  %e = onnx.Slice(%x, %s0, %end, %s2, %s2) : (tensor<1x1x4x4xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<1x1x2x4xf32>
  %o = onnx.Slice(%x, %s1, %end, %s2, %s2) : (tensor<1x1x4x4xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<1x1x2x4xf32>
  %tl = onnx.Slice(%e, %s0, %end, %s3, %s2) : (tensor<1x1x2x4xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<1x1x2x2xf32>
  %bl = onnx.Slice(%o, %s0, %end, %s3, %s2) : (tensor<1x1x2x4xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<1x1x2x2xf32>
  %tr = onnx.Slice(%e, %s1, %end, %s3, %s2) : (tensor<1x1x2x4xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<1x1x2x2xf32>
  %br = onnx.Slice(%o, %s1, %end, %s3, %s2) : (tensor<1x1x2x4xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<1x1x2x2xf32>
  %c = onnx.Concat(%tl, %bl, %tr, %br) {axis = 1 : i64} : (tensor<1x1x2x2xf32>, tensor<1x1x2x2xf32>, tensor<1x1x2x2xf32>, tensor<1x1x2x2xf32>) -> tensor<1x4x2x2xf32>
  %y = onnx.Conv(%c, %w, %none) : (tensor<1x4x2x2xf32>, tensor<1x4x1x1xf32>, none) -> tensor<1x1x2x2xf32>
  return %y : tensor<1x1x2x2xf32>
}

// -----

// The pixel unshuffle of PyTorch keeps channels outside: a convolution behind takes its columns in another order, also
// of a dynamic batch. Channel 2 of four (offset 1 of the first channel) is channel 4 of SpaceToDepth.
// CHECK-LABEL: @pixel_unshuffle
// CHECK-DAG: %[[W:.*]] = onnx.Constant dense<{{\[\[\[\[}}0.000000e+00]], {{\[\[}}4.000000e+00]], {{\[\[}}1.000000e+00]], {{\[\[}}5.000000e+00]], {{\[\[}}2.000000e+00]], {{\[\[}}6.000000e+00]], {{\[\[}}3.000000e+00]], {{\[\[}}7.000000e+00]]]]>
// CHECK-DAG: %[[S:.*]] = onnx.SpaceToDepth(%arg0) {blocksize = 2 : i64} : (tensor<?x2x4x6xf32>) -> tensor<?x8x2x3xf32>
// CHECK: onnx.Conv(%[[S]], %[[W]], %{{.*}})
func.func @pixel_unshuffle(%x: tensor<?x2x4x6xf32>) -> tensor<?x1x2x3xf32> {
  %none = onnx.NoValue
  %six = onnx.Constant dense<[-1, 2, 2, 2, 3, 2]> : tensor<6xi64>
  %out = onnx.Constant dense<[-1, 8, 2, 3]> : tensor<4xi64>
  %w = onnx.Constant dense<[[[[0.0]], [[1.0]], [[2.0]], [[3.0]], [[4.0]], [[5.0]], [[6.0]], [[7.0]]]]> : tensor<1x8x1x1xf32>
  %0 = onnx.Reshape(%x, %six) : (tensor<?x2x4x6xf32>, tensor<6xi64>) -> tensor<?x2x2x2x3x2xf32>
  %1 = onnx.Transpose(%0) {perm = array<i64: 0, 1, 3, 5, 2, 4>} : (tensor<?x2x2x2x3x2xf32>) -> tensor<?x2x2x2x2x3xf32>
  %2 = onnx.Reshape(%1, %out) : (tensor<?x2x2x2x2x3xf32>, tensor<4xi64>) -> tensor<?x8x2x3xf32>
  %3 = onnx.Conv(%2, %w, %none) : (tensor<?x8x2x3xf32>, tensor<1x8x1x1xf32>, none) -> tensor<?x1x2x3xf32>
  return %3 : tensor<?x1x2x3xf32>
}

// -----

// Unequal blocks, an unshuffle without a convolution behind, and six dims with an unknown height.
// CHECK-LABEL: @near_misses
// CHECK-NOT: onnx.DepthToSpace
// CHECK-NOT: onnx.SpaceToDepth
// REMARK: [Missed] SpaceToDepth | {{.*}}no convolution alone behind takes their order
// REMARK: [Missed] DepthToSpace | {{.*}}the shapes do not split into square blocks
func.func @near_misses(%x: tensor<1x8x3x4xf32>, %y: tensor<1x8x?x4xf32>, %z: tensor<1x2x4x6xf32>)
    -> (tensor<1x1x6x16xf32>, tensor<1x2x?x8xf32>, tensor<1x8x2x3xf32>) {
  %six = onnx.Constant dense<[1, 1, 2, 4, 3, 4]> : tensor<6xi64>
  %out = onnx.Constant dense<[1, 1, 6, 16]> : tensor<4xi64>
  %open = onnx.Constant dense<[1, 2, 2, 2, -1, 4]> : tensor<6xi64>
  %un = onnx.Constant dense<[1, 2, 2, 2, 3, 2]> : tensor<6xi64>
  %shuffled = onnx.Constant dense<[1, 8, 2, 3]> : tensor<4xi64>
  %6 = onnx.Reshape(%z, %un) : (tensor<1x2x4x6xf32>, tensor<6xi64>) -> tensor<1x2x2x2x3x2xf32>
  %7 = onnx.Transpose(%6) {perm = array<i64: 0, 1, 3, 5, 2, 4>} : (tensor<1x2x2x2x3x2xf32>) -> tensor<1x2x2x2x2x3xf32>
  %8 = onnx.Reshape(%7, %shuffled) : (tensor<1x2x2x2x2x3xf32>, tensor<4xi64>) -> tensor<1x8x2x3xf32>
  %last = onnx.Constant dense<[1, 2, -1, 8]> : tensor<4xi64>
  %0 = onnx.Reshape(%x, %six) : (tensor<1x8x3x4xf32>, tensor<6xi64>) -> tensor<1x1x2x4x3x4xf32>
  %1 = onnx.Transpose(%0) {perm = array<i64: 0, 1, 4, 2, 5, 3>} : (tensor<1x1x2x4x3x4xf32>) -> tensor<1x1x3x2x4x4xf32>
  %2 = onnx.Reshape(%1, %out) : (tensor<1x1x3x2x4x4xf32>, tensor<4xi64>) -> tensor<1x1x6x16xf32>
  %3 = onnx.Reshape(%y, %open) : (tensor<1x8x?x4xf32>, tensor<6xi64>) -> tensor<1x2x2x2x?x4xf32>
  %4 = onnx.Transpose(%3) {perm = array<i64: 0, 1, 4, 2, 5, 3>} : (tensor<1x2x2x2x?x4xf32>) -> tensor<1x2x?x2x4x2xf32>
  %5 = onnx.Reshape(%4, %last) : (tensor<1x2x?x2x4x2xf32>, tensor<4xi64>) -> tensor<1x2x?x8xf32>
  return %2, %5, %8 : tensor<1x1x6x16xf32>, tensor<1x2x?x8xf32>, tensor<1x8x2x3xf32>
}

// -----

// Channels last, as Keras writes it, of free size; and one whose parts are used elsewhere too.
// CHECK-LABEL: @channels_last
// CHECK: %[[T:.*]] = onnx.Transpose(%arg0) {perm = array<i64: 0, 3, 1, 2>}
// CHECK: %[[D:.*]] = onnx.DepthToSpace(%[[T]]) {blocksize = 2 : i64} :
// CHECK: %[[Y:.*]] = onnx.Transpose(%[[D]]) {perm = array<i64: 0, 2, 3, 1>}
// CHECK: %[[S:.*]] = onnx.Transpose(%{{.*}}) {perm = array<i64: 0, 1, 4, 2, 5, 3>}
// CHECK: return %[[Y]], %{{.*}}, %[[S]]
// REMARK: [Missed] DepthToSpace | {{.*}}a part has several uses
func.func @channels_last(%x: tensor<?x3x5x8xf32>, %y: tensor<1x8x3x5xf32>) -> (tensor<?x6x10x2xf32>, tensor<1x2x6x10xf32>, tensor<1x2x3x2x5x2xf32>) {
  %six = onnx.Constant dense<[-1, 3, 5, 2, 2, 2]> : tensor<6xi64>
  %out = onnx.Constant dense<[-1, 6, 10, 2]> : tensor<4xi64>
  %0 = onnx.Reshape(%x, %six) : (tensor<?x3x5x8xf32>, tensor<6xi64>) -> tensor<?x3x5x2x2x2xf32>
  %1 = onnx.Transpose(%0) {perm = array<i64: 0, 1, 3, 2, 4, 5>} : (tensor<?x3x5x2x2x2xf32>) -> tensor<?x3x2x5x2x2xf32>
  %2 = onnx.Reshape(%1, %out) : (tensor<?x3x2x5x2x2xf32>, tensor<4xi64>) -> tensor<?x6x10x2xf32>
  %six1 = onnx.Constant dense<[1, 2, 2, 2, 3, 5]> : tensor<6xi64>
  %out1 = onnx.Constant dense<[1, 2, 6, 10]> : tensor<4xi64>
  %3 = onnx.Reshape(%y, %six1) : (tensor<1x8x3x5xf32>, tensor<6xi64>) -> tensor<1x2x2x2x3x5xf32>
  %4 = onnx.Transpose(%3) {perm = array<i64: 0, 1, 4, 2, 5, 3>} : (tensor<1x2x2x2x3x5xf32>) -> tensor<1x2x3x2x5x2xf32>
  %5 = onnx.Reshape(%4, %out1) : (tensor<1x2x3x2x5x2xf32>, tensor<4xi64>) -> tensor<1x2x6x10xf32>
  return %2, %5, %4 : tensor<?x6x10x2xf32>, tensor<1x2x6x10xf32>, tensor<1x2x3x2x5x2xf32>
}

// -----

// Sizes of names: the image is known to be twice as high and wide.
// CHECK-LABEL: @named
// CHECK: onnx.DepthToSpace(%arg0) {blocksize = 2 : i64, mode = "CRD"}
func.func @named(%x: tensor<?x8x?x?xf32, #onnx.dims<["n", "", "h", "w"]>>, %s: tensor<6xi64>, %t: tensor<4xi64>) -> tensor<?x2x?x?xf32, #onnx.dims<["n", "", "2*h", "2*w"]>> {
  %0 = onnx.Reshape(%x, %s) : (tensor<?x8x?x?xf32, #onnx.dims<["n", "", "h", "w"]>>, tensor<6xi64>) -> tensor<?x2x2x2x?x?xf32, #onnx.dims<["n", "", "", "", "h", "w"]>>
  %1 = onnx.Transpose(%0) {perm = array<i64: 0, 1, 4, 2, 5, 3>} : (tensor<?x2x2x2x?x?xf32, #onnx.dims<["n", "", "", "", "h", "w"]>>) -> tensor<?x2x?x2x?x2xf32, #onnx.dims<["n", "", "h", "", "w", ""]>>
  %2 = onnx.Reshape(%1, %t) : (tensor<?x2x?x2x?x2xf32, #onnx.dims<["n", "", "h", "", "w", ""]>>, tensor<4xi64>) -> tensor<?x2x?x?xf32, #onnx.dims<["n", "", "2*h", "2*w"]>>
  return %2 : tensor<?x2x?x?xf32, #onnx.dims<["n", "", "2*h", "2*w"]>>
}
