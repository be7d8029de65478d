// RUN: burin-opt %s --split-input-file --graph-fold-scale | FileCheck %s
// RUN: burin-opt %s --split-input-file --graph-fold-scale --remarks-filter='FoldScale' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// A positive scale behind a pool and a Relu moves next to the convolution; the batch is dynamic.
// CHECK-LABEL: @relu
// CHECK: %[[C:.*]] = onnx.Conv
// CHECK-NEXT: %[[S:.*]] = onnx.Constant dense<{{\[\[\[}}2.000000e+00]], {{\[\[}}3.000000e+00]]]>
// CHECK-NEXT: %[[M:.*]] = onnx.Mul(%[[C]], %[[S]])
// CHECK-NEXT: %[[R:.*]] = onnx.Relu(%[[M]])
// CHECK-NEXT: %[[P:[^,]*]], %{{.*}} = onnx.MaxPool(%[[R]])
// CHECK-NEXT: return %[[P]]
// REMARK: [Passed] Mul
func.func @relu(%x: tensor<?x1x4x4xf32>) -> tensor<?x2x2x2xf32> {
  %none = onnx.NoValue
  %w = onnx.Constant dense<1.0> : tensor<2x1x1x1xf32>
  %s = onnx.Constant dense<[[[2.0]], [[3.0]]]> : tensor<2x1x1xf32>
  %0 = onnx.Conv(%x, %w, %none) : (tensor<?x1x4x4xf32>, tensor<2x1x1x1xf32>, none) -> tensor<?x2x4x4xf32>
  %1 = onnx.Relu(%0) : (tensor<?x2x4x4xf32>) -> tensor<?x2x4x4xf32>
  %2:2 = onnx.MaxPool(%1) {kernel_shape = array<i64: 2, 2>, strides = array<i64: 2, 2>} : (tensor<?x2x4x4xf32>) -> (tensor<?x2x2x2xf32>, none)
  %3 = onnx.Mul(%2#0, %s) : (tensor<?x2x2x2xf32>, tensor<2x1x1xf32>) -> tensor<?x2x2x2xf32>
  return %3 : tensor<?x2x2x2xf32>
}

// -----

// A normalization passes a pool whole; past a Relu its scale alone goes.
// CHECK-LABEL: @normalization
// CHECK: onnx.Conv
// CHECK: onnx.Mul
// CHECK: onnx.Add
// CHECK-NEXT: onnx.MaxPool
// CHECK: onnx.Conv
// CHECK: onnx.Mul
// CHECK-NEXT: %[[R:.*]] = onnx.Relu
// CHECK: onnx.Add(%[[R]]
// CHECK-NEXT: return
func.func @normalization(%x: tensor<1x1x4x4xf32>) -> (tensor<1x2x2x2xf32>, tensor<1x2x4x4xf32>) {
  %none = onnx.NoValue
  %w = onnx.Constant dense<1.0> : tensor<2x1x1x1xf32>
  %p = onnx.Constant dense<[4.0, 5.0]> : tensor<2xf32>
  %0 = onnx.Conv(%x, %w, %none) : (tensor<1x1x4x4xf32>, tensor<2x1x1x1xf32>, none) -> tensor<1x2x4x4xf32>
  %1:2 = onnx.MaxPool(%0) {kernel_shape = array<i64: 2, 2>, strides = array<i64: 2, 2>} : (tensor<1x2x4x4xf32>) -> (tensor<1x2x2x2xf32>, none)
  %2:3 = onnx.BatchNormalization(%1#0, %p, %p, %p, %p) : (tensor<1x2x2x2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> (tensor<1x2x2x2xf32>, none, none)
  %3 = onnx.Conv(%x, %w, %none) : (tensor<1x1x4x4xf32>, tensor<2x1x1x1xf32>, none) -> tensor<1x2x4x4xf32>
  %4 = onnx.Relu(%3) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %5:3 = onnx.BatchNormalization(%4, %p, %p, %p, %p) : (tensor<1x2x4x4xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> (tensor<1x2x4x4xf32>, none, none)
  return %2#0, %5#0 : tensor<1x2x2x2xf32>, tensor<1x2x4x4xf32>
}

// -----

// Without weights above, a scale goes down to the convolution behind the Relu.
// CHECK-LABEL: @before_conv
// CHECK: %[[R:.*]] = onnx.Relu(%arg0)
// CHECK: %[[M:.*]] = onnx.Mul(%[[R]]
// CHECK-NEXT: onnx.Conv(%[[M]]
// REMARK: [Passed] BeforeConv
func.func @before_conv(%x: tensor<?x2x?x?xf32>) -> tensor<?x3x?x?xf32> {
  %none = onnx.NoValue
  %w = onnx.Constant dense<1.0> : tensor<3x2x3x3xf32>
  %s = onnx.Constant dense<0.25> : tensor<f32>
  %0 = onnx.Mul(%x, %s) : (tensor<?x2x?x?xf32>, tensor<f32>) -> tensor<?x2x?x?xf32>
  %1 = onnx.Relu(%0) : (tensor<?x2x?x?xf32>) -> tensor<?x2x?x?xf32>
  %2 = onnx.Conv(%1, %w, %none) {pads = array<i64: 1, 1, 1, 1>} : (tensor<?x2x?x?xf32>, tensor<3x2x3x3xf32>, none) -> tensor<?x3x?x?xf32>
  return %2 : tensor<?x3x?x?xf32>
}

// -----

// Near misses: a negative scale and a shift behind a Relu, a mean that counts its padding before a shift, several uses.
// CHECK-LABEL: @near_misses
// CHECK: onnx.Relu
// CHECK-NEXT: onnx.Mul
// CHECK: onnx.Relu
// CHECK-NEXT: onnx.Add
// CHECK: onnx.AveragePool
// CHECK-NEXT: onnx.Add
// CHECK: onnx.Relu
// CHECK-NEXT: onnx.Mul
// REMARK: [Missed] Mul | {{.*}}a scale is not positive, and Relu lies before it
// REMARK: [Missed] Add | {{.*}}a shift cannot pass what lies before it
// REMARK: [Missed] Add | {{.*}}a shift cannot pass what lies before it
// REMARK: [Missed] Mul | {{.*}}a value on the way to the weights has several uses
func.func @near_misses(%x: tensor<1x1x4x4xf32>)
    -> (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) {
  %none = onnx.NoValue
  %w = onnx.Constant dense<1.0> : tensor<2x1x1x1xf32>
  %s = onnx.Constant dense<[[[2.0]], [[-3.0]]]> : tensor<2x1x1xf32>
  %two = onnx.Constant dense<2.0> : tensor<f32>
  %0 = onnx.Conv(%x, %w, %none) : (tensor<1x1x4x4xf32>, tensor<2x1x1x1xf32>, none) -> tensor<1x2x4x4xf32>
  %1 = onnx.Relu(%0) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %2 = onnx.Mul(%1, %s) : (tensor<1x2x4x4xf32>, tensor<2x1x1xf32>) -> tensor<1x2x4x4xf32>
  %3 = onnx.Conv(%x, %w, %none) : (tensor<1x1x4x4xf32>, tensor<2x1x1x1xf32>, none) -> tensor<1x2x4x4xf32>
  %4 = onnx.Relu(%3) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %5 = onnx.Add(%4, %s) : (tensor<1x2x4x4xf32>, tensor<2x1x1xf32>) -> tensor<1x2x4x4xf32>
  %6 = onnx.Conv(%x, %w, %none) : (tensor<1x1x4x4xf32>, tensor<2x1x1x1xf32>, none) -> tensor<1x2x4x4xf32>
  %7 = onnx.AveragePool(%6) {count_include_pad = 1 : i64, kernel_shape = array<i64: 3, 3>, pads = array<i64: 1, 1, 1, 1>} : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %8 = onnx.Add(%7, %s) : (tensor<1x2x4x4xf32>, tensor<2x1x1xf32>) -> tensor<1x2x4x4xf32>
  %9 = onnx.Conv(%x, %w, %none) : (tensor<1x1x4x4xf32>, tensor<2x1x1x1xf32>, none) -> tensor<1x2x4x4xf32>
  %10 = onnx.Relu(%9) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %11 = onnx.Mul(%10, %two) : (tensor<1x2x4x4xf32>, tensor<f32>) -> tensor<1x2x4x4xf32>
  return %2, %5, %8, %11, %10 : tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>
}
