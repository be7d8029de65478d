// RUN: burin-opt %s --graph-expand-domains | FileCheck %s
// RUN: burin-opt %s --graph-expand-domains --remarks-filter='ExpandDomains' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK
// RUN: not burin-opt %s --graph-expand-domains=strict 2>&1 | FileCheck %s --check-prefix=STRICT

// CHECK-LABEL: @fused_matmul
// CHECK: %[[t:.*]] = onnx.Transpose(%arg1) {perm = array<i64: 1, 0>}
// CHECK: %[[p:.*]] = onnx.MatMul(%arg0, %[[t]]) : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2x4xf32>
// CHECK: %[[h:.*]] = onnx.Constant dense<5.000000e-01> : tensor<f32>
// CHECK: onnx.Mul(%[[p]], %[[h]])
func.func @fused_matmul(%a: tensor<2x3xf32>, %b: tensor<4x3xf32>) -> tensor<2x4xf32> {
  %0 = onnx.Custom "com.microsoft" "FusedMatMul"(%a, %b) {alpha = 5.000000e-01 : f32, transB = 1 : i64} : (tensor<2x3xf32>, tensor<4x3xf32>) -> tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}

// What follows gets its type from the expansion; a result with two uses is computed once.
// CHECK-LABEL: @dynamic
// CHECK: %[[s:.*]] = onnx.Add(%arg0, %arg1) : (tensor<?x8xf32>, tensor<?x8xf32>) -> tensor<?x8xf32>
// CHECK: %[[n:.*]] = onnx.RMSNormalization(%[[s]], %arg2)
// CHECK: %[[r:.*]] = onnx.Relu(%[[n]]) : (tensor<?x8xf32>) -> tensor<?x8xf32>
// CHECK: onnx.Gelu(%[[r]]) {approximate = "tanh"} : (tensor<?x8xf32>) -> tensor<?x8xf32>
// CHECK: onnx.Add(%[[n]], %[[s]])
func.func @dynamic(%a: tensor<?x8xf32>, %b: tensor<?x8xf32>, %g: tensor<8xf32>) -> (tensor<?x8xf32>, tensor<?x8xf32>) {
  %0:4 = onnx.Custom "com.microsoft" "SkipSimplifiedLayerNormalization"(%a, %b, %g) {} : (tensor<?x8xf32>, tensor<?x8xf32>, tensor<8xf32>) -> (!onnx.any, none, none, !onnx.any)
  %1 = onnx.Relu(%0#0) : (!onnx.any) -> !onnx.any
  %2 = onnx.Custom "com.microsoft" "FastGelu"(%1) {} : (!onnx.any) -> tensor<?x8xf32>
  %3 = onnx.Add(%0#0, %0#3) : (!onnx.any, !onnx.any) -> tensor<?x8xf32>
  return %2, %3 : tensor<?x8xf32>, tensor<?x8xf32>
}

// The packed query's width is unknown: no split, no change.
// CHECK-LABEL: @near_miss
// CHECK: onnx.Custom "com.microsoft" "GroupQueryAttention"
// REMARK: [Missed] Expand{{.*}}expected a packed query whose width is that of all heads, got another
// STRICT: error: {{.*}}expected a packed query whose width is that of all heads, got another
func.func @near_miss(%q: tensor<1x5x?xf32>, %l: tensor<1xi32>, %t: tensor<i32>) -> tensor<1x5x?xf32> {
  %n = onnx.NoValue
  %0 = onnx.Custom "com.microsoft" "GroupQueryAttention"(%q, %n, %n, %n, %n, %l, %t) {num_heads = 4 : i64, kv_num_heads = 2 : i64} : (tensor<1x5x?xf32>, none, none, none, none, tensor<1xi32>, tensor<i32>) -> tensor<1x5x?xf32>
  return %0 : tensor<1x5x?xf32>
}

// An operator of a domain nobody knows stays.
// CHECK-LABEL: @unknown
// CHECK: onnx.Custom "my.domain" "Gelu"
func.func @unknown(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = onnx.Custom "my.domain" "Gelu"(%x) {} : (tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}
