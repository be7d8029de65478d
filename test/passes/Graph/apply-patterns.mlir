// RUN: burin-opt %s --split-input-file --patterns=%root/tools/example-plugin/rewrites.pdll | FileCheck %s
// RUN: burin-opt %s --split-input-file --patterns=%root/tools/example-plugin/rewrites.pdll --remarks-filter='ApplyPatterns' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK
// RUN: burin-opt %s --split-input-file --patterns=%p/Inputs/relu.pdll | FileCheck %s --check-prefix=RELU

// RELU-LABEL: @relu_of_relu
// RELU: %[[R:.*]] = onnx.Relu(%arg0)
// RELU-NEXT: return %[[R]]
func.func @relu_of_relu(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %0 = onnx.Relu(%x) : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %1 = onnx.Relu(%0) : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %2 = onnx.Relu(%1) : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return %2 : tensor<?x4xf32>
}

// -----

// CHECK-LABEL: @clip
// CHECK: %[[R:.*]] = onnx.Relu(%arg0)
// CHECK: %[[C:.*]] = onnx.Clip(%arg0
// CHECK: return %[[R]], %[[C]]
// REMARK: [Passed] ClipIsRelu
// REMARK: [Missed] Absent {{.*}}"Absent does not hold
func.func @clip(%x: tensor<?x4xf32>) -> (tensor<?x4xf32>, tensor<?x4xf32>) {
  %none = onnx.NoValue
  %zero = onnx.Constant dense<0.0> : tensor<f32>
  %six = onnx.Constant dense<6.0> : tensor<f32>
  %0 = onnx.Clip(%x, %zero, %none) : (tensor<?x4xf32>, tensor<f32>, none) -> tensor<?x4xf32>
  %1 = onnx.Clip(%x, %zero, %six) : (tensor<?x4xf32>, tensor<f32>, tensor<f32>) -> tensor<?x4xf32>
  return %0, %1 : tensor<?x4xf32>, tensor<?x4xf32>
}

// -----

// CHECK-LABEL: @scales
// CHECK-DAG: %[[C:.*]] = onnx.Constant dense<[2.000000e+00, 6.000000e+00]> : tensor<2xf32>
// CHECK: onnx.Mul(%arg0, %[[C]]) : (tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
func.func @scales(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %a = onnx.Constant dense<[1.0, 3.0]> : tensor<2xf32>
  %b = onnx.Constant dense<2.0> : tensor<f32>
  %0 = onnx.Mul(%x, %a) : (tensor<?x2xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  %1 = onnx.Mul(%0, %b) : (tensor<?x2xf32>, tensor<f32>) -> tensor<?x2xf32>
  return %1 : tensor<?x2xf32>
}

// -----

// The inner product is used twice.
// CHECK-LABEL: @scales_used
// CHECK-COUNT-2: onnx.Mul
// REMARK: [Missed] OneUse
func.func @scales_used(%x: tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>) {
  %a = onnx.Constant dense<[1.0, 3.0]> : tensor<2xf32>
  %b = onnx.Constant dense<2.0> : tensor<f32>
  %0 = onnx.Mul(%x, %a) : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  %1 = onnx.Mul(%0, %b) : (tensor<2xf32>, tensor<f32>) -> tensor<2xf32>
  return %0, %1 : tensor<2xf32>, tensor<2xf32>
}

// -----

// CHECK-LABEL: @sqrt
// CHECK: onnx.Sqrt(%arg0)
// CHECK: onnx.Pow
func.func @sqrt(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %half = onnx.Constant dense<0.5> : tensor<f32>
  %third = onnx.Constant dense<0.3> : tensor<f32>
  %0 = onnx.Pow(%x, %half) : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %1 = onnx.Pow(%x, %third) : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return %0, %1 : tensor<4xf32>, tensor<4xf32>
}

// -----

// CHECK-LABEL: @gemm
// CHECK: onnx.Gemm(%arg0, %arg1, %arg2)
// CHECK-NOT: onnx.Add
func.func @gemm(%x: tensor<3x4xf32>, %w: tensor<4x5xf32>, %b: tensor<5xf32>) -> tensor<3x5xf32> {
  %0 = onnx.MatMul(%x, %w) : (tensor<3x4xf32>, tensor<4x5xf32>) -> tensor<3x5xf32>
  %1 = onnx.Add(%0, %b) : (tensor<3x5xf32>, tensor<5xf32>) -> tensor<3x5xf32>
  return %1 : tensor<3x5xf32>
}

// -----

// The sum is larger than the product.
// CHECK-LABEL: @gemm_broadcast
// CHECK: onnx.MatMul
func.func @gemm_broadcast(%x: tensor<3x4xf32>, %w: tensor<4x1xf32>, %b: tensor<5xf32>) -> tensor<3x5xf32> {
  %0 = onnx.MatMul(%x, %w) : (tensor<3x4xf32>, tensor<4x1xf32>) -> tensor<3x1xf32>
  %1 = onnx.Add(%0, %b) : (tensor<3x1xf32>, tensor<5xf32>) -> tensor<3x5xf32>
  return %1 : tensor<3x5xf32>
}

// -----

// CHECK-LABEL: @softmax
// CHECK: onnx.Softmax(%arg0)
// CHECK-NOT: onnx.Exp
func.func @softmax(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %axes = onnx.Constant dense<-1> : tensor<1xi64>
  %0 = onnx.Exp(%x) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  %1 = onnx.ReduceSum(%0, %axes) : (tensor<?x8xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %2 = onnx.Div(%0, %1) : (tensor<?x8xf32>, tensor<?x1xf32>) -> tensor<?x8xf32>
  return %2 : tensor<?x8xf32>
}

// -----

// CHECK-LABEL: @pool
// CHECK: onnx.GlobalAveragePool(%arg0)
// CHECK: onnx.ReduceMean
func.func @pool(%x: tensor<1x3x?x?xf32>) -> (tensor<1x3x1x1xf32>, tensor<1x1x1x?xf32>) {
  %hw = onnx.Constant dense<[2, 3]> : tensor<2xi64>
  %ch = onnx.Constant dense<[1, 2]> : tensor<2xi64>
  %0 = onnx.ReduceMean(%x, %hw) : (tensor<1x3x?x?xf32>, tensor<2xi64>) -> tensor<1x3x1x1xf32>
  %1 = onnx.ReduceMean(%x, %ch) : (tensor<1x3x?x?xf32>, tensor<2xi64>) -> tensor<1x1x1x?xf32>
  return %0, %1 : tensor<1x3x1x1xf32>, tensor<1x1x1x?xf32>
}
