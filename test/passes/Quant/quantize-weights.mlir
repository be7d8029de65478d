// RUN: burin-opt %s --split-input-file --quant-quantize-weights="bits=4 block=16 least=1" | FileCheck %s
// RUN: burin-opt %s --split-input-file --quant-quantize-weights="bits=8 asymmetric=true least=1" | FileCheck %s --check-prefix=EIGHT
// RUN: burin-opt %s --split-input-file --quant-quantize-weights="bits=4 block=32 least=1 matmul-nbits=true" | FileCheck %s --check-prefix=NBITS
// RUN: burin-opt %s --split-input-file --quant-quantize-weights="bits=8 least=1" | FileCheck %s --check-prefix=ROWS
// RUN: not burin-opt %s --split-input-file --quant-quantize-weights="bits=5" 2>&1 | FileCheck %s --check-prefix=ERROR

// The side that reaches further takes -8: scale 1 / -8.
// CHECK-LABEL: @blocks
// CHECK: %[[W:.*]] = onnx.Constant {{.*}} : tensor<32x1xi4>
// CHECK: %[[S:.*]] = onnx.Constant dense<-1.250000e-01> : tensor<2x1xf32>
// CHECK: %[[D:.*]] = onnx.DequantizeLinear(%[[W]], %[[S]], %{{.*}}) {axis = 0 : i64, block_size = 16 : i64}
// CHECK: onnx.MatMul(%arg0, %[[D]])
// EIGHT-LABEL: @blocks
// EIGHT: onnx.Constant dense<255> : tensor<32x1xui8>
// EIGHT: onnx.Constant dense<0> : tensor<1xui8>
// NBITS-LABEL: @blocks
// NBITS: onnx.Custom "com.microsoft" "MatMulNBits"(%arg0, {{.*}}) {K = 32 : i64, N = 1 : i64, bits = 4 : i64, block_size = 32 : i64}
// ERROR: expected bits 8 or 4
func.func @blocks(%x: tensor<?x32xf32>) -> tensor<?x1xf32> {
  %w = onnx.Constant dense<1.0> : tensor<32x1xf32>
  %0 = onnx.MatMul(%x, %w) : (tensor<?x32xf32>, tensor<32x1xf32>) -> tensor<?x1xf32>
  return %0 : tensor<?x1xf32>
}

// -----

// NBITS-LABEL: @bias
// NBITS: onnx.Custom "com.microsoft" "MatMulNBits"(%arg0, %{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}}, %{{[^,]*}}, %[[B:[^,]*]]) {K = 32
func.func @bias(%x: tensor<?x32xf32>) -> tensor<?x2xf32> {
  %w = onnx.Constant dense<1.0> : tensor<2x32xf32>
  %b = onnx.Constant dense<[1.0, 2.0]> : tensor<2xf32>
  %0 = onnx.Gemm(%x, %w, %b) {transB = 1 : i64} : (tensor<?x32xf32>, tensor<2x32xf32>, tensor<2xf32>) -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}

// -----

// Integers below a byte: dequantized, then gathered. Bytes with a scale a row are gathered first.
// CHECK-LABEL: @embedding
// CHECK: %[[D:.*]] = onnx.DequantizeLinear({{.*}}) {axis = 0 : i64} : (tensor<4x2xi4>, tensor<4xf32>, none) -> tensor<4x2xf32>
// CHECK: onnx.Gather(%[[D]], %arg0)
// ROWS-LABEL: @embedding
// ROWS: %[[Q:.*]] = onnx.Gather({{.*}}) : (tensor<4x2xi8>, tensor<?xi64>) -> tensor<?x2xi8>
// ROWS: %[[S:.*]] = onnx.Gather({{.*}}) : (tensor<4x1xf32>, tensor<?xi64>) -> tensor<?x1xf32>
// ROWS: %[[C:.*]] = onnx.Cast(%[[Q]])
// ROWS: onnx.Mul(%[[C]], %[[S]])
func.func @embedding(%i: tensor<?xi64>) -> tensor<?x2xf32> {
  %t = onnx.Constant dense<[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [0.0, 0.0]]> : tensor<4x2xf32>
  %0 = onnx.Gather(%t, %i) : (tensor<4x2xf32>, tensor<?xi64>) -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}
