// RUN: burin-opt %s --split-input-file --verify-diagnostics --lower-onnx | FileCheck %s

// Case dft: one product with a constant matrix, the wanted bins only.
// CHECK-LABEL: func.func @main
// CHECK: arith.constant {{.*}} : tensor<100x102xf32>
// CHECK: nn.matmul
// CHECK-NOT: nn.matmul
func.func @main(%x: tensor<2x100x1xf32>) -> tensor<2x51x2xf32> {
  %none = onnx.NoValue
  %axis = onnx.Constant dense<1> : tensor<i64>
  %y = onnx.DFT(%x, %none, %axis) {onesided = 1 : i64} : (tensor<2x100x1xf32>, none, tensor<i64>) -> tensor<2x51x2xf32>
  return %y : tensor<2x51x2xf32>
}

// -----

// Case split: a long transform is two short ones around a turn.
// CHECK-LABEL: func.func @main
// CHECK-DAG: arith.constant {{.*}} : tensor<64x64xf32>
// CHECK-COUNT-2: nn.matmul
// CHECK-NOT: nn.matmul
func.func @main(%x: tensor<1x1024x2xf32>) -> tensor<1x1024x2xf32> {
  %none = onnx.NoValue
  %y = onnx.DFT(%x, %none, %none) : (tensor<1x1024x2xf32>, none, none) -> tensor<1x1024x2xf32>
  return %y : tensor<1x1024x2xf32>
}

// -----

func.func @main(%x: tensor<1x10x1xf32>) -> tensor<1x10x2xf32> {
  %none = onnx.NoValue
  %axis = onnx.Constant dense<2> : tensor<i64>
  // expected-error @+1 {{expected an axis in [-3, -2] or [0, 1], got 2}}
  %y = onnx.DFT(%x, %none, %axis) : (tensor<1x10x1xf32>, none, tensor<i64>) -> tensor<1x10x2xf32>
  return %y : tensor<1x10x2xf32>
}
