// RUN: not burin-opt %s --split-input-file --graph-merge-lora -o /dev/null 2>&1 | FileCheck %s

// A near miss of a name is an error, not silence.
// CHECK: error: key 'layers.1.q_proj.lora_A.weight': no weight of the graph bears its name
// CHECK: note: weights of this graph have names such as 'layers_0_q_proj'
module attributes {burin.adapters = [{file = "a.safetensors", scale = 1.0 : f64, tensors = {
    layers.1.q_proj.lora_A.weight = dense<1.0> : tensor<1x2xf32>, layers.1.q_proj.lora_B.weight = dense<1.0> : tensor<2x1xf32>}}]} {
  func.func @homeless(%x: tensor<2x2xf32>) -> tensor<2x2xf32> {
    %w = onnx.Constant dense<1.0> : tensor<2x2xf32>
    %0 = onnx.MatMul(%x, %w) : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32> loc("/layers.0/q_proj/MatMul"("MatMul, opset 17"("m.onnx":1:0)))
    return %0 : tensor<2x2xf32>
  }
}

// -----

// CHECK: error: key 'q_proj.lora_A.weight': expected one weight of that name, got '/a/q_proj/MatMul' and '/b/q_proj/MatMul'
module attributes {burin.adapters = [{file = "a.safetensors", scale = 1.0 : f64, tensors = {
    q_proj.lora_A.weight = dense<1.0> : tensor<1x2xf32>, q_proj.lora_B.weight = dense<1.0> : tensor<2x1xf32>}}]} {
  func.func @two(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
    %w = onnx.Constant dense<1.0> : tensor<2x2xf32>
    %v = onnx.Constant dense<2.0> : tensor<2x2xf32>
    %0 = onnx.MatMul(%x, %w) : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32> loc("/a/q_proj/MatMul"("MatMul, opset 17"("m.onnx":1:0)))
    %1 = onnx.MatMul(%0, %v) : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32> loc("/b/q_proj/MatMul"("MatMul, opset 17"("m.onnx":2:0)))
    return %1 : tensor<?x2xf32>
  }
}

// -----

// CHECK: error: key 'c.lora_A.weight': expected a float weight in node '/c/MatMul', got a quantized one; merge into the float model before quantizing it
module attributes {burin.adapters = [{file = "a.safetensors", scale = 1.0 : f64, tensors = {
    c.lora_A.weight = dense<1.0> : tensor<1x2xf32>, c.lora_B.weight = dense<1.0> : tensor<2x1xf32>}}]} {
  func.func @quantized(%x: tensor<2x2xf32>) -> tensor<2x2xf32> {
    %w = onnx.Constant dense<1> : tensor<2x2xi8>
    %s = onnx.Constant dense<1.0> : tensor<f32>
    %none = onnx.NoValue
    %d = onnx.DequantizeLinear(%w, %s, %none) : (tensor<2x2xi8>, tensor<f32>, none) -> tensor<2x2xf32>
    %0 = onnx.MatMul(%x, %d) : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32> loc("/c/MatMul"("MatMul, opset 17"("m.onnx":1:0)))
    return %0 : tensor<2x2xf32>
  }
}

// -----

// CHECK: error: key 'c.lora_A.weight': expected factors of one rank, got 1 and 2
module attributes {burin.adapters = [{file = "a.safetensors", scale = 1.0 : f64, tensors = {
    c.lora_A.weight = dense<1.0> : tensor<1x2xf32>, c.lora_B.weight = dense<1.0> : tensor<2x2xf32>}}]} {
}

// -----

// CHECK: error: key 'c.weight': expected a LoRA key such as NAME.lora_A.weight or NAME.lora_down.weight, got another
module attributes {burin.adapters = [{file = "a.safetensors", scale = 1.0 : f64, tensors = {c.weight = dense<1.0> : tensor<1x2xf32>}}]} {
}

// -----

// f16 ends at 65504.
// CHECK: error: MatMul: expected merged weights within the range of 'f16', got 7.000100e+04; a smaller scale helps
module attributes {burin.adapters = [{file = "a.safetensors", scale = 1.0 : f64, tensors = {
    c.lora_A.weight = dense<70000.0> : tensor<1x2xf32>, c.lora_B.weight = dense<1.0> : tensor<2x1xf32>}}]} {
  func.func @range(%x: tensor<2x2xf16>) -> tensor<2x2xf16> {
    %w = onnx.Constant dense<1.0> : tensor<2x2xf16> loc("c.weight")
    %0 = onnx.MatMul(%x, %w) : (tensor<2x2xf16>, tensor<2x2xf16>) -> tensor<2x2xf16>
    return %0 : tensor<2x2xf16>
  }
}

// -----

// CHECK: error: key 'c.lora_A.second.weight': expected one adapter in a file, got a second tensor for 'c'; save each adapter to a file of its own and name both
module attributes {burin.adapters = [{file = "a.safetensors", scale = 1.0 : f64, tensors = {
    c.lora_A.first.weight = dense<1.0> : tensor<1x2xf32>, c.lora_A.second.weight = dense<1.0> : tensor<1x2xf32>, c.lora_B.first.weight = dense<1.0> : tensor<2x1xf32>}}]} {
}
