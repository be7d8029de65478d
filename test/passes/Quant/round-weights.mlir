// RUN: burin-opt %s --split-input-file --quant-round-weights="type=f16 least=2" | FileCheck %s
// RUN: burin-opt %s --split-input-file --quant-round-weights="type=bf16 least=2" | FileCheck %s --check-prefix=BRAIN
// RUN: not burin-opt %s --split-input-file --quant-round-weights="type=f8" 2>&1 | FileCheck %s --check-prefix=ERROR
// ERROR: expected the type f16 or bf16, got 'f8'

// Case cast: rounded to nearest even and cast back; a bias of one number stays.
// CHECK-LABEL: @cast
// CHECK: %[[W:.*]] = onnx.Constant dense<{{.*}}1.000980e+00{{.*}}> : tensor<1x2xf16>
// CHECK: %[[C:.*]] = onnx.Cast(%[[W]])
// CHECK: onnx.Gemm(%arg0, %[[C]], %{{.*}}) : (tensor<3x1xf32>, tensor<1x2xf32>, tensor<1xf32>)
// BRAIN-LABEL: @cast
// BRAIN: onnx.Constant dense<{{.*}}1.000000e+00, 5.000000e+00{{.*}}> : tensor<1x2xbf16>
func.func @cast(%x: tensor<3x1xf32>) -> tensor<3x2xf32> {
  %w = onnx.Constant dense<[[1.001, 5.0]]> : tensor<1x2xf32>
  %b = onnx.Constant dense<[0.1]> : tensor<1xf32>
  %0 = onnx.Gemm(%x, %w, %b) : (tensor<3x1xf32>, tensor<1x2xf32>, tensor<1xf32>) -> tensor<3x2xf32>
  return %0 : tensor<3x2xf32>
}

// -----

// Near miss: beyond f16.
// CHECK-LABEL: @large
// CHECK-NOT: onnx.Cast
func.func @large(%x: tensor<2xf32>) -> tensor<2xf32> {
  %w = onnx.Constant dense<[1.0e+05, 1.0]> : tensor<2xf32>
  %0 = onnx.Add(%x, %w) : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  return %0 : tensor<2xf32>
}
