// RUN: burin-opt %s --split-input-file --graph-merge-lora 2>/dev/null | FileCheck %s
// RUN: burin-opt %s --split-input-file --graph-merge-lora -o /dev/null 2>&1 | FileCheck %s --check-prefix=REPORT

// W + 0.5 * 4 / 1 * B A, found by the scope in the node's name; MatMul holds its weight transposed.
// CHECK-LABEL: @peft
// CHECK: onnx.Constant dense<{{\[\[}}7.000000e+00, 0.000000e+00], [1.300000e+01, 1.000000e+00]]>
// CHECK-NOT: burin.adapters
// REPORT: remark: merged 1 adapters, scale 5.000000e-01
module attributes {burin.adapters = [{file = "a.safetensors", scale = 0.5 : f64, alpha = {"*" = 4.0 : f64}, tensors = {
    base_model.model.layers.0.q_proj.lora_A.weight = dense<[[1.0, 2.0]]> : tensor<1x2xf32>,
    base_model.model.layers.0.q_proj.lora_B.weight = dense<[[3.0], [0.0]]> : tensor<2x1xf32>}}]} {
  func.func @peft(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
    %w = onnx.Constant dense<[[1.0, 0.0], [1.0, 1.0]]> : tensor<2x2xf32> loc("onnx::MatMul_7")
    %0 = onnx.MatMul(%x, %w) : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32> loc("/layers.0/q_proj/MatMul"("MatMul, opset 17"("m.onnx":1:0)))
    return %0 : tensor<?x2xf32>
  }
}

// -----

// kohya's names, alpha a layer, and a Tucker core: down 1x1, core 1x1 here, up 1x1. The sibling's keys are skipped.
// CHECK-LABEL: @kohya
// CHECK: onnx.Constant dense<{{\[\[\[\[}}3.100000e+01]], {{\[\[}}6.000000e+01]]]]>
// REPORT: remark: skipped 2 keys of text_encoder, which this model is not
// REPORT: remark: merged 1 adapters, scale 1.000000e+00
module attributes {burin.adapters = [{file = "a.safetensors", scale = 1.0 : f64, tensors = {
    lora_te_text_model_encoder_layers_0_mlp_fc1.lora_down.weight = dense<1.0> : tensor<1x4xf32>,
    lora_te_text_model_encoder_layers_0_mlp_fc1.lora_up.weight = dense<1.0> : tensor<4x1xf32>,
    lora_unet_down_blocks_0_resnets_0_conv1.alpha = dense<1.0> : tensor<f32>,
    lora_unet_down_blocks_0_resnets_0_conv1.lora_down.weight = dense<[[[[1.0]], [[2.0]]], [[[3.0]], [[4.0]]]]> : tensor<2x2x1x1xf32>,
    lora_unet_down_blocks_0_resnets_0_conv1.lora_mid.weight = dense<[[[[1.0]], [[3.0]]], [[[2.0]], [[0.0]]]]> : tensor<2x2x1x1xf32>,
    lora_unet_down_blocks_0_resnets_0_conv1.lora_up.weight = dense<[[[[4.0]], [[10.0]]]]> : tensor<1x2x1x1xf32>}}]} {
  func.func @kohya(%x: tensor<1x2x4x4xf32>) -> tensor<1x1x4x4xf32> {
    %none = onnx.NoValue
    %w = onnx.Constant dense<[[[[1.0]], [[12.0]]]]> : tensor<1x2x1x1xf32> loc("down_blocks.0.resnets.0.conv1.weight")
    %0 = onnx.Conv(%x, %w, %none) : (tensor<1x2x4x4xf32>, tensor<1x2x1x1xf32>, none) -> tensor<1x1x4x4xf32>
    return %0 : tensor<1x1x4x4xf32>
  }
}

// -----

// Keys are the middle third of a fused projection; Gemm holds it as [out, in]. f16 behind a Cast: the sum stays f32.
// CHECK-LABEL: @fused
// CHECK: %[[W:.*]] = onnx.Constant dense<{{\[\[}}0.000000e+00], [1.000000e+00], [5.000000e+00]]> : tensor<3x1xf32>
// CHECK-NOT: onnx.Cast
// CHECK: onnx.Gemm(%arg0, %[[W]]
module attributes {burin.adapters = [{file = "a.safetensors", scale = 1.0 : f64, tensors = {
    unet.attn.to_k.lora.down.weight = dense<1.0> : tensor<1x1xf16>,
    unet.attn.to_k.lora.up.weight = dense<1.0> : tensor<1x1xf16>}}]} {
  func.func @fused(%x: tensor<2x1xf32>) -> tensor<2x3xf32> {
    %none = onnx.NoValue
    %w = onnx.Constant dense<[[0.0], [0.0], [5.0]]> : tensor<3x1xf16> loc("attn.to_qkv.weight")
    %c = onnx.Cast(%w) {to = 1 : i64} : (tensor<3x1xf16>) -> tensor<3x1xf32>
    %0 = onnx.Gemm(%x, %c, %none) {transB = 1 : i64} : (tensor<2x1xf32>, tensor<3x1xf32>, none) -> tensor<2x3xf32>
    return %0 : tensor<2x3xf32>
  }
}

// -----

// A weight with several users: the adapter of the output layer leaves the embedding that shares it alone.
// CHECK-LABEL: @tied
// CHECK-DAG: %[[OLD:.*]] = onnx.Constant dense<0.000000e+00> : tensor<3x2xf32>
// CHECK-DAG: %[[NEW:.*]] = onnx.Constant dense<{{\[\[}}1.000000e+00, 2.000000e+00], [1.000000e+00, 2.000000e+00], [1.000000e+00, 2.000000e+00]]> : tensor<3x2xf32>
// CHECK: onnx.Gather(%[[OLD]]
// CHECK: %[[T:.*]] = onnx.Transpose(%[[NEW]])
// CHECK: onnx.MatMul({{.*}}, %[[T]])
module attributes {burin.adapters = [{file = "a.safetensors", scale = 1.0 : f64, tensors = {
    base_model.model.lm_head.lora_A.weight = dense<[[1.0, 2.0]]> : tensor<1x2xf32>,
    base_model.model.lm_head.lora_B.weight = dense<1.0> : tensor<3x1xf32>}}]} {
  func.func @tied(%i: tensor<4xi64>) -> tensor<4x3xf32> {
    %w = onnx.Constant dense<0.0> : tensor<3x2xf32> loc("embed.weight")
    %0 = onnx.Gather(%w, %i) : (tensor<3x2xf32>, tensor<4xi64>) -> tensor<4x2xf32>
    %1 = onnx.Transpose(%w) {perm = array<i64: 1, 0>} : (tensor<3x2xf32>) -> tensor<2x3xf32>
    %2 = onnx.MatMul(%0, %1) : (tensor<4x2xf32>, tensor<2x3xf32>) -> tensor<4x3xf32> loc("/lm_head/MatMul"("MatMul, opset 17"("m.onnx":3:0)))
    return %2 : tensor<4x3xf32>
  }
}
