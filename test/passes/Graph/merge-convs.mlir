// RUN: burin-opt %s --split-input-file --graph-merge-convs | FileCheck %s
// RUN: burin-opt %s --split-input-file --graph-merge-convs --remarks-filter='MergeConvs' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// Eight channels in the middle between one and one: weights 8 * 3 * 2, bias 8 * 1 * 2 + 5. The first one's padding stays.
// CHECK-LABEL: @stem
// CHECK-DAG: %[[W:.*]] = onnx.Constant dense<4.800000e+01> : tensor<1x1x3x3xf32>
// CHECK-DAG: %[[B:.*]] = onnx.Constant dense<2.100000e+01> : tensor<1xf32>
// CHECK: %[[Y:.*]] = onnx.Conv(%arg0, %[[W]], %[[B]]) {kernel_shape = array<i64: 3, 3>, pads = array<i64: 1, 1, 1, 1>, strides = array<i64: 2, 2>}
// CHECK-NEXT: return %[[Y]]
// REMARK: [Passed] Convs
func.func @stem(%x: tensor<?x1x8x8xf32>) -> tensor<?x1x4x4xf32> {
  %w = onnx.Constant dense<3.0> : tensor<8x1x3x3xf32>
  %a = onnx.Constant dense<1.0> : tensor<8xf32>
  %v = onnx.Constant dense<2.0> : tensor<1x8x1x1xf32>
  %b = onnx.Constant dense<5.0> : tensor<1xf32>
  %0 = onnx.Conv(%x, %w, %a) {pads = array<i64: 1, 1, 1, 1>, strides = array<i64: 2, 2>} : (tensor<?x1x8x8xf32>, tensor<8x1x3x3xf32>, tensor<8xf32>) -> tensor<?x8x4x4xf32>
  %1 = onnx.Conv(%0, %v, %b) : (tensor<?x8x4x4xf32>, tensor<1x8x1x1xf32>, tensor<1xf32>) -> tensor<?x1x4x4xf32>
  return %1 : tensor<?x1x4x4xf32>
}

// -----

// A 1x1 without bias leaves zeros at zero, so the padding behind it may move in front; sizes are dynamic.
// CHECK-LABEL: @pointwise_first
// CHECK: onnx.Conv(%arg0, {{.*}}) {kernel_shape = array<i64: 3, 3>, pads = array<i64: 1, 1, 1, 1>} : (tensor<1x2x?x?xf32>, tensor<2x2x3x3xf32>, none)
// CHECK-NEXT: return
func.func @pointwise_first(%x: tensor<1x2x?x?xf32>) -> tensor<1x2x?x?xf32> {
  %none = onnx.NoValue
  %w = onnx.Constant dense<3.0> : tensor<8x2x1x1xf32>
  %v = onnx.Constant dense<2.0> : tensor<2x8x3x3xf32>
  %0 = onnx.Conv(%x, %w, %none) : (tensor<1x2x?x?xf32>, tensor<8x2x1x1xf32>, none) -> tensor<1x8x?x?xf32>
  %1 = onnx.Conv(%0, %v, %none) {pads = array<i64: 1, 1, 1, 1>} : (tensor<1x8x?x?xf32>, tensor<2x8x3x3xf32>, none) -> tensor<1x2x?x?xf32>
  return %1 : tensor<1x2x?x?xf32>
}

// -----

// Two products and the bias between them: [1, 2] by way of eight columns.
// CHECK-LABEL: @products
// CHECK: %[[W:.*]] = onnx.Constant dense<4.800000e+01> : tensor<1x2xf32>
// CHECK: %[[P:.*]] = onnx.MatMul(%arg0, %[[W]])
// CHECK: %[[B:.*]] = onnx.Constant dense<1.600000e+01> : tensor<2xf32>
// CHECK: onnx.Add(%[[P]], %[[B]])
// CHECK-NEXT: return
// REMARK: [Passed] Products
func.func @products(%x: tensor<?x5x1xf32>) -> tensor<?x5x2xf32> {
  %w = onnx.Constant dense<3.0> : tensor<1x8xf32>
  %a = onnx.Constant dense<1.0> : tensor<8xf32>
  %v = onnx.Constant dense<2.0> : tensor<8x2xf32>
  %0 = onnx.MatMul(%x, %w) : (tensor<?x5x1xf32>, tensor<1x8xf32>) -> tensor<?x5x8xf32>
  %1 = onnx.Add(%0, %a) : (tensor<?x5x8xf32>, tensor<8xf32>) -> tensor<?x5x8xf32>
  %2 = onnx.MatMul(%1, %v) : (tensor<?x5x8xf32>, tensor<8x2xf32>) -> tensor<?x5x2xf32>
  return %2 : tensor<?x5x2xf32>
}

// -----

// Near misses: a bias that the padding between would hide, a narrow middle, several uses, a strided first one of dynamic
// sizes, and low-rank factors.
// CHECK-LABEL: @near_misses
// CHECK-COUNT-8: onnx.Conv
// CHECK-COUNT-2: onnx.MatMul
// REMARK: [Missed] Convs | {{.*}}the second one's padding lies between them
// REMARK: [Missed] Convs | {{.*}}one convolution would take more multiplications
// REMARK: [Missed] Convs | {{.*}}the first convolution has several uses
// REMARK: [Missed] Convs | {{.*}}the strides leave a rest
// REMARK: [Missed] Products | {{.*}}one product would take more multiplications
func.func @near_misses(%x: tensor<1x2x8x8xf32>, %y: tensor<1x2x?x?xf32>, %m: tensor<4x64xf32>)
    -> (tensor<1x2x8x8xf32>, tensor<1x64x8x8xf32>, tensor<1x2x8x8xf32>, tensor<1x8x8x8xf32>, tensor<1x2x?x?xf32>, tensor<4x64xf32>) {
  %none = onnx.NoValue
  %w = onnx.Constant dense<3.0> : tensor<8x2x1x1xf32>
  %a = onnx.Constant dense<1.0> : tensor<8xf32>
  %v = onnx.Constant dense<2.0> : tensor<2x8x3x3xf32>
  %v1 = onnx.Constant dense<2.0> : tensor<2x8x1x1xf32>
  %n = onnx.Constant dense<2.0> : tensor<1x2x3x3xf32>
  %u = onnx.Constant dense<2.0> : tensor<64x1x1x1xf32>
  %down = onnx.Constant dense<2.0> : tensor<64x4xf32>
  %up = onnx.Constant dense<2.0> : tensor<4x64xf32>
  %0 = onnx.Conv(%x, %w, %a) : (tensor<1x2x8x8xf32>, tensor<8x2x1x1xf32>, tensor<8xf32>) -> tensor<1x8x8x8xf32>
  %1 = onnx.Conv(%0, %v, %none) {pads = array<i64: 1, 1, 1, 1>} : (tensor<1x8x8x8xf32>, tensor<2x8x3x3xf32>, none) -> tensor<1x2x8x8xf32>
  %2 = onnx.Conv(%x, %n, %none) {pads = array<i64: 1, 1, 1, 1>} : (tensor<1x2x8x8xf32>, tensor<1x2x3x3xf32>, none) -> tensor<1x1x8x8xf32>
  %3 = onnx.Conv(%2, %u, %none) : (tensor<1x1x8x8xf32>, tensor<64x1x1x1xf32>, none) -> tensor<1x64x8x8xf32>
  %4 = onnx.Conv(%x, %w, %a) : (tensor<1x2x8x8xf32>, tensor<8x2x1x1xf32>, tensor<8xf32>) -> tensor<1x8x8x8xf32>
  %5 = onnx.Conv(%4, %v1, %none) : (tensor<1x8x8x8xf32>, tensor<2x8x1x1xf32>, none) -> tensor<1x2x8x8xf32>
  %6 = onnx.Conv(%y, %w, %a) {strides = array<i64: 2, 2>} : (tensor<1x2x?x?xf32>, tensor<8x2x1x1xf32>, tensor<8xf32>) -> tensor<1x8x?x?xf32>
  %7 = onnx.Conv(%6, %v1, %none) : (tensor<1x8x?x?xf32>, tensor<2x8x1x1xf32>, none) -> tensor<1x2x?x?xf32>
  %8 = onnx.MatMul(%m, %down) : (tensor<4x64xf32>, tensor<64x4xf32>) -> tensor<4x4xf32>
  %9 = onnx.MatMul(%8, %up) : (tensor<4x4xf32>, tensor<4x64xf32>) -> tensor<4x64xf32>
  return %1, %3, %5, %4, %7, %9 : tensor<1x2x8x8xf32>, tensor<1x64x8x8xf32>, tensor<1x2x8x8xf32>, tensor<1x8x8x8xf32>, tensor<1x2x?x?xf32>, tensor<4x64xf32>
}
