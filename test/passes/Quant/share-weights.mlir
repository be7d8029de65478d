// RUN: burin-opt %s --split-input-file --quant-share-weights='bits=2 extra=0 least=9' | FileCheck %s
// RUN: burin-opt %s --split-input-file --quant-share-weights='bits=2 extra=0 least=9' --remarks-filter='ShareWeights' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK
// RUN: not burin-opt %s --split-input-file --quant-share-weights='bits=9' 2>&1 | FileCheck %s --check-prefix=BITS

// Nine weights of 32 bits in four clusters: 288 / (9 * 2 + 4 * 32) = 1.97.
// CHECK-LABEL: @nine
// CHECK: onnx.Constant dense<{{\[\[}}-1.000000e+00, -1.000000e+00, 1.000000e-01], [1.000000e-01, 5.000000e-01, 5.000000e-01], [2.000000e+00, 2.000000e+00, 2.000000e+00]]>
// REMARK: [Passed] Weights | {{.*}}R = 1.97
// BITS: error: {{.*}}expected 2 to 8 bits and groups of 0 or more channels, got 9 and 0
func.func @nine(%x: tensor<4x3xf32>) -> tensor<4x3xf32> {
  %w = onnx.Constant dense<[[-1.01, -0.99, 0.09], [0.11, 0.5, 0.5], [1.99, 2.01, 2.0]]> : tensor<3x3xf32>
  %0 = onnx.MatMul(%x, %w) : (tensor<4x3xf32>, tensor<3x3xf32>) -> tensor<4x3xf32>
  return %0 : tensor<4x3xf32>
}

// -----

// Zeros stay zeros beside three values of the others.
// CHECK-LABEL: @zeros
// CHECK: onnx.Constant dense<{{\[\[}}0.000000e+00, 0.000000e+00, 1.000000e+00], [1.000000e+00, 0.000000e+00, 3.000000e+00], [3.000000e+00, 5.000000e+00, 5.000000e+00]]>
func.func @zeros(%x: tensor<4x3xf32>) -> tensor<4x3xf32> {
  %w = onnx.Constant dense<[[0.0, 0.0, 0.99], [1.01, 0.0, 2.99], [3.01, 4.99, 5.01]]> : tensor<3x3xf32>
  %0 = onnx.MatMul(%x, %w) : (tensor<4x3xf32>, tensor<3x3xf32>) -> tensor<4x3xf32>
  return %0 : tensor<4x3xf32>
}

// -----

// Too small to be worth a codebook.
// CHECK-LABEL: @small
// CHECK: dense<{{\[\[}}1.2345
// REMARK: [Missed] Weights | {{.*}}its codebook would be as large as its weights
func.func @small(%x: tensor<4x2xf32>) -> tensor<4x1xf32> {
  %w = onnx.Constant dense<[[0.12345], [1.0]]> : tensor<2x1xf32>
  %0 = onnx.MatMul(%x, %w) : (tensor<4x2xf32>, tensor<2x1xf32>) -> tensor<4x1xf32>
  return %0 : tensor<4x1xf32>
}
