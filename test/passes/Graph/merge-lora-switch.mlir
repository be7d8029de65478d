// RUN: burin-opt %s --graph-merge-lora="mode=switch" 2>/dev/null | FileCheck %s
// RUN: not burin-opt %s --graph-merge-lora="mode=both" -o /dev/null 2>&1 | FileCheck %s --check-prefix=MODE

// Ranks 1 and 2 share inputs of rank 2; 0.5 * 2 / 2 is in B; the last values are those of no adapter. Several users of one weight
// take the same path beside it.
// CHECK: burin.lora_values = [
// CHECK-SAME: {file = "a", tensors = {lora_scale = dense<1.000000e+00> : tensor<f32>, q.lora_A = dense<{{\[\[}}1.000000e+00, 0.000000e+00], [2.000000e+00, 0.000000e+00]]> : tensor<2x2xf32>, q.lora_B = dense<{{\[\[}}3.000000e+00, 4.000000e+00], [0.000000e+00, 0.000000e+00]]> : tensor<2x2xf32>}}
// CHECK-SAME: {file = "b", {{.*}}q.lora_B = dense<5.000000e-01> : tensor<2x2xf32>}}
// CHECK-SAME: {file = "none", {{.*}}q.lora_B = dense<0.000000e+00> : tensor<2x2xf32>}}
// CHECK-LABEL: func.func @main(%arg0: tensor<?x2xf32>, %arg1: tensor<2x2xf32> {onnx.name = "q.lora_A"}, %arg2: tensor<2x2xf32> {onnx.name = "q.lora_B"}, %arg3: tensor<f32> {onnx.name = "lora_scale"})
// CHECK: %[[Y:.*]] = onnx.MatMul(%arg0, %{{.*}})
// CHECK: %[[N:.*]] = onnx.MatMul(%arg0, %arg1)
// CHECK: %[[S:.*]] = onnx.Mul(%[[N]], %arg3)
// CHECK: %[[D:.*]] = onnx.MatMul(%[[S]], %arg2)
// CHECK: %[[R:.*]] = onnx.Add(%[[Y]], %[[D]])
// CHECK: onnx.MatMul(%[[R]], %{{.*}})
// CHECK: onnx.MatMul(%[[R]], %arg1)
// MODE: error: expected mode merge or switch, got 'both'
module attributes {burin.adapters = [
    {file = "a", scale = 1.0 : f64, tensors = {
      q.lora_A.weight = dense<[[1.0, 2.0]]> : tensor<1x2xf32>, q.lora_B.weight = dense<[[3.0], [4.0]]> : tensor<2x1xf32>}},
    {file = "b", scale = 0.5 : f64, alpha = {"*" = 2.0 : f64}, tensors = {
      q.lora_A.weight = dense<1.0> : tensor<2x2xf32>, q.lora_B.weight = dense<1.0> : tensor<2x2xf32>}}]} {
  func.func @main(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
    %w = onnx.Constant dense<[[1.0, 0.0], [1.0, 1.0]]> : tensor<2x2xf32> loc("q.weight")
    %0 = onnx.MatMul(%x, %w) : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
    %1 = onnx.MatMul(%0, %w) : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
    return %1 : tensor<?x2xf32>
  }
}
