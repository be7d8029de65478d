// RUN: burin-opt %s --split-input-file --quant-quantize-dynamic=keep=Gemm | FileCheck %s

// Two readers of a value share its range.
// CHECK-LABEL: @matmul
// CHECK: %[[Q:.*]], %[[S:.*]], %[[Z:.*]] = onnx.DynamicQuantizeLinear(%arg0)
// CHECK-NOT: onnx.DynamicQuantizeLinear
// CHECK: %[[W:.*]] = onnx.Constant dense<{{\[\[}}127, -64], [0, 127]]> : tensor<2x2xi8>
// CHECK: %[[I:.*]] = onnx.MatMulInteger(%[[Q]], %[[W]], %[[Z]], %{{.*}}) : {{.*}} -> tensor<?x2xi32>
// CHECK: %[[WS:.*]] = onnx.Constant dense<[0.0078740{{.*}}, 0.015748{{.*}}]> : tensor<2xf32>
// CHECK: %[[T:.*]] = onnx.Mul(%[[S]], %[[WS]])
// CHECK: %[[C:.*]] = onnx.Cast(%[[I]])
// CHECK: onnx.Mul(%[[C]], %[[T]])
// CHECK: onnx.MatMulInteger(%[[Q]]
func.func @matmul(%x: tensor<?x2xf32>) -> (tensor<?x2xf32>, tensor<?x2xf32>) {
  %w = onnx.Constant dense<[[1.0, -1.0], [0.0, 2.0]]> : tensor<2x2xf32>
  %0 = onnx.MatMul(%x, %w) : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %1 = onnx.MatMul(%x, %w) : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  return %0, %1 : tensor<?x2xf32>, tensor<?x2xf32>
}

// -----

// CHECK-LABEL: @conv
// CHECK: onnx.ConvInteger({{.*}}) {pads = array<i64: 1, 1, 1, 1>}
// CHECK: %[[WS:.*]] = onnx.Constant dense<{{.*}}> : tensor<2x1x1xf32>
// CHECK: onnx.Constant dense<1.000000e+00> : tensor<2x1x1xf32>
// CHECK: onnx.Add
// CHECK: onnx.Gemm
func.func @conv(%x: tensor<1x1x4x4xf32>, %y: tensor<2x2xf32>) -> (tensor<1x2x4x4xf32>, tensor<2x2xf32>) {
  %none = onnx.NoValue
  %w = onnx.Constant dense<1.0> : tensor<2x1x3x3xf32>
  %v = onnx.Constant dense<1.0> : tensor<2x2xf32>
  %b = onnx.Constant dense<1.0> : tensor<2xf32>
  %0 = onnx.Conv(%x, %w, %b) {pads = array<i64: 1, 1, 1, 1>} : (tensor<1x1x4x4xf32>, tensor<2x1x3x3xf32>, tensor<2xf32>) -> tensor<1x2x4x4xf32>
  %1 = onnx.Gemm(%y, %v, %none) : (tensor<2x2xf32>, tensor<2x2xf32>, none) -> tensor<2x2xf32>
  return %0, %1 : tensor<1x2x4x4xf32>, tensor<2x2xf32>
}
