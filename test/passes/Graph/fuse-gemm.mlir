// RUN: burin-opt %s --split-input-file --graph-fuse-gemm | FileCheck %s
// RUN: burin-opt %s --split-input-file --graph-fuse-gemm --remarks-filter='FuseGemm' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// CHECK-LABEL: @bias
// CHECK: %[[Y:.*]] = onnx.Gemm(%arg0, %arg1, %arg2) : (tensor<?x3xf32>, tensor<3x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
// CHECK-NEXT: return %[[Y]]
// REMARK: [Passed] Gemm
func.func @bias(%x: tensor<?x3xf32>, %w: tensor<3x4xf32>, %b: tensor<4xf32>) -> tensor<?x4xf32> {
  %0 = onnx.MatMul(%x, %w) : (tensor<?x3xf32>, tensor<3x4xf32>) -> tensor<?x4xf32>
  %1 = onnx.Add(%b, %0) : (tensor<4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %1 : tensor<?x4xf32>
}

// -----

// A product that is used twice; a sum of unknown rows that one row might be broadcast by; integers; three dims.
// CHECK-LABEL: @near_misses
// CHECK-NOT: onnx.Gemm
// REMARK: [Missed] Gemm | {{.*}}the product has several uses
// REMARK: [Missed] Gemm | {{.*}}the sum could broadcast the product
// REMARK: [Missed] Gemm | {{.*}}the product is not one of two matrices
func.func @near_misses(%x: tensor<?x3xf32>, %w: tensor<3x4xf32>, %b: tensor<?x4xf32>, %i: tensor<2x3xi32>, %j: tensor<3x4xi32>, %c: tensor<4xi32>, %z: tensor<1x2x3xf32>) -> (tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<2x4xi32>, tensor<1x2x4xf32>) {
  %0 = onnx.MatMul(%x, %w) : (tensor<?x3xf32>, tensor<3x4xf32>) -> tensor<?x4xf32>
  %1 = onnx.Add(%0, %b) : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %2 = onnx.MatMul(%x, %w) : (tensor<?x3xf32>, tensor<3x4xf32>) -> tensor<?x4xf32>
  %3 = onnx.Add(%2, %b) : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %4 = onnx.MatMul(%i, %j) : (tensor<2x3xi32>, tensor<3x4xi32>) -> tensor<2x4xi32>
  %5 = onnx.Add(%4, %c) : (tensor<2x4xi32>, tensor<4xi32>) -> tensor<2x4xi32>
  %6 = onnx.MatMul(%z, %w) : (tensor<1x2x3xf32>, tensor<3x4xf32>) -> tensor<1x2x4xf32>
  %b1 = onnx.Constant dense<1.0> : tensor<4xf32>
  %7 = onnx.Add(%6, %b1) : (tensor<1x2x4xf32>, tensor<4xf32>) -> tensor<1x2x4xf32>
  return %0, %1, %3, %5, %7 : tensor<?x4xf32>, tensor<?x4xf32>, tensor<?x4xf32>, tensor<2x4xi32>, tensor<1x2x4xf32>
}
