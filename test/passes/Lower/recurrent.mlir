// RUN: burin-opt %s --split-input-file --lower-onnx | FileCheck %s

// Case many_steps: one product for the input of all steps, then a loop with one product a step.
// CHECK-LABEL: func.func @main
// CHECK: nn.matmul {{.*}} tensor<12x2xf32>
// CHECK: scf.for
// CHECK: nn.matmul {{.*}} tensor<1x3xf32>
// CHECK-NOT: nn.matmul
// CHECK: bufferization.materialize_in_destination
// CHECK: scf.yield
func.func @main(%x: tensor<12x1x2xf32>) -> tensor<1x1x3xf32> {
  %none = onnx.NoValue
  %w = onnx.Constant dense<0.5> : tensor<1x3x2xf32>
  %r = onnx.Constant dense<0.25> : tensor<1x3x3xf32>
  %y, %h = onnx.RNN(%x, %w, %r, %none, %none, %none) {hidden_size = 3 : i64} : (tensor<12x1x2xf32>, tensor<1x3x2xf32>, tensor<1x3x3xf32>, none, none, none) -> (none, tensor<1x1x3xf32>)
  return %h : tensor<1x1x3xf32>
}

// -----

// Case few_steps: written out.
// CHECK-LABEL: func.func @main
// CHECK-NOT: scf.for
// CHECK-COUNT-3: nn.matmul
func.func @main(%x: tensor<2x1x2xf32>) -> tensor<1x1x3xf32> {
  %none = onnx.NoValue
  %w = onnx.Constant dense<0.5> : tensor<1x3x2xf32>
  %r = onnx.Constant dense<0.25> : tensor<1x3x3xf32>
  %y, %h = onnx.RNN(%x, %w, %r, %none, %none, %none) {hidden_size = 3 : i64} : (tensor<2x1x2xf32>, tensor<1x3x2xf32>, tensor<1x3x3xf32>, none, none, none) -> (none, tensor<1x1x3xf32>)
  return %h : tensor<1x1x3xf32>
}
