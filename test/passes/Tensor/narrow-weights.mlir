// RUN: burin-opt %s --tensor-narrow-weights="machine=x86-64-v3 least=1" | FileCheck %s
// RUN: burin-opt %s --tensor-narrow-weights="machine=x86-64 least=1" | FileCheck %s --check-prefix=BRAIN

// Numbers that f16 holds, the last one only as a denormal: half the bytes. A machine that does not convert f16 keeps them.
// CHECK-LABEL: func.func @half
// CHECK: %[[W:.*]] = arith.constant dense_resource<narrow{{.*}}> : tensor<2x2xf16>
// CHECK: nn.matmul ins(%arg0, %[[W]] : tensor<5x2xf32>, tensor<2x2xf16>)
// BRAIN-LABEL: func.func @half
// BRAIN: tensor<2x2xf32>
func.func @half(%x: tensor<5x2xf32>) -> tensor<5x2xf32> {
  %w = arith.constant dense<[[1.0, -2.0], [65504.0, 5.9604644775390625e-8]]> : tensor<2x2xf32>
  %e = tensor.empty() : tensor<5x2xf32>
  %0 = nn.matmul ins(%x, %w : tensor<5x2xf32>, tensor<2x2xf32>) outs(%e : tensor<5x2xf32>) -> tensor<5x2xf32>
  return %0 : tensor<5x2xf32>
}

// Larger than f16 goes: bf16, which every machine widens by a shift.
// CHECK-LABEL: func.func @brain
// CHECK: nn.matmul {{.*}}tensor<2x2xbf16>
// BRAIN-LABEL: func.func @brain
// BRAIN: nn.matmul {{.*}}tensor<2x2xbf16>
func.func @brain(%x: tensor<5x2xf32>) -> tensor<5x2xf32> {
  %w = arith.constant dense<[[1.0, -2.0], [131072.0, 0.5]]> : tensor<2x2xf32>
  %e = tensor.empty() : tensor<5x2xf32>
  %0 = nn.matmul ins(%x, %w : tensor<5x2xf32>, tensor<2x2xf32>) outs(%e : tensor<5x2xf32>) -> tensor<5x2xf32>
  return %0 : tensor<5x2xf32>
}

// Rows of a table are widened as they are read.
// CHECK-LABEL: func.func @rows
// CHECK: %[[N:.*]] = tensor.extract %{{.*}} : tensor<2x2xf16>
// CHECK: arith.extf %[[N]] : f16 to f32
func.func @rows(%i: index) -> f32 {
  %w = arith.constant dense<[[1.0, -2.0], [3.0, 0.5]]> : tensor<2x2xf32>
  %0 = tensor.extract %w[%i, %i] : tensor<2x2xf32>
  return %0 : f32
}

// Near misses: a number that neither holds; a reader that takes f32.
// CHECK-LABEL: func.func @exact
// CHECK-NOT: f16
// CHECK: return
func.func @exact(%x: tensor<5x2xf32>) -> (tensor<5x2xf32>, tensor<2x2xf32>) {
  %w = arith.constant dense<[[1.0, -2.0], [0.1, 0.5]]> : tensor<2x2xf32>
  %v = arith.constant dense<[[1.0, -2.0], [0.25, 0.5]]> : tensor<2x2xf32>
  %e = tensor.empty() : tensor<5x2xf32>
  %0 = nn.matmul ins(%x, %w : tensor<5x2xf32>, tensor<2x2xf32>) outs(%e : tensor<5x2xf32>) -> tensor<5x2xf32>
  return %0, %v : tensor<5x2xf32>, tensor<2x2xf32>
}
