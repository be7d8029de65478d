// RUN: burin-opt %s "--tensor-apply-tuning=choices=conv-f32-1x56x56-64-64-k3x3-s1x1-d1x1:winograd=0;block=16;tile=1x7,matmul-f32-2x1x33-64-48-k1x1-s1x1-d1x1:default" | FileCheck %s
// RUN: burin-opt %s "--tensor-apply-tuning=choices=conv-f32-1x56x56-64-64-k3x3-s1x1-d1x1:winograd=0;block=16;tile=1x7" --tensor-choose-winograd=machine=x86-64-v4 --tensor-pack-weights=machine=x86-64-v4 | FileCheck %s --check-prefix=USED
// RUN: burin-opt %s --tensor-apply-tuning=choices=conv-f32-1x56x56-64-64-k3x3-s1x1-d1x1:winograd=2 "--tensor-choose-winograd=machine=x86-64-v4" | FileCheck %s --check-prefix=F2
// RUN: burin-opt %s --tensor-apply-tuning=choices=conv-f32-1x56x56-64-64-k3x3-s1x1-d1x1:winograd=4 "--tensor-choose-winograd=machine=x86-64-v4 max-error=2e-6" | FileCheck %s --check-prefix=BOUND
// RUN: not burin-opt %s --tensor-apply-tuning=choices=conv-f32-1x56:block=3 2>&1 | FileCheck %s --check-prefix=KEY
// RUN: not burin-opt %s --tensor-apply-tuning=choices=conv-f32-1x56x56-64-64-k3x3-s1x1-d1x1:winograd=3 2>&1 | FileCheck %s --check-prefix=CHOICE

// KEY: error: expected SHAPE:CHOICE as in conv-f32-{{.*}}, got 'conv-f32-1x56:block=3'
// CHOICE: error: expected SHAPE:CHOICE as in conv-f32-{{.*}}, got '{{.*}}:winograd=3'

// CHECK-LABEL: func.func @conv
// CHECK: nn.conv
// CHECK-SAME: burin.choice = "winograd=0;block=16;tile=1x7", burin.key = "conv-f32-1x56x56-64-64-k3x3-s1x1-d1x1", burin.tile = array<i64: 1, 7>
// USED-LABEL: func.func @conv
// USED: tensor<4x3x3x64x16xf32>
// USED: nn.conv
// USED-NOT: burin.choice
// USED-NOT: winograd
// USED: packed = 16
// F2-LABEL: func.func @conv
// F2: winograd = 2
// What was measured to be fastest never lifts the bound on errors.
// BOUND-LABEL: func.func @conv
// BOUND-NOT: winograd = {{[24]}} : i64
// BOUND-LABEL: func.func @matmul
func.func @conv(%x: tensor<1x58x58x64xf32>) -> tensor<1x56x56x64xf32> {
  %w = arith.constant dense<1.5> : tensor<3x3x64x64xf32>
  %e = tensor.empty() : tensor<1x56x56x64xf32>
  %0 = nn.conv ins(%x, %w : tensor<1x58x58x64xf32>, tensor<3x3x64x64xf32>) outs(%e : tensor<1x56x56x64xf32>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} -> tensor<1x56x56x64xf32>
  return %0 : tensor<1x56x56x64xf32>
}

// Known, and left to the cost model.
// CHECK-LABEL: func.func @matmul
// CHECK: nn.matmul
// CHECK-NOT: burin.choice
// CHECK-SAME: burin.key = "matmul-f32-2x1x33-64-48-k1x1-s1x1-d1x1"
func.func @matmul(%x: tensor<2x33x64xf32>) -> tensor<2x33x48xf32> {
  %w = arith.constant dense<1.5> : tensor<64x48xf32>
  %e = tensor.empty() : tensor<2x33x48xf32>
  %0 = nn.matmul ins(%x, %w : tensor<2x33x64xf32>, tensor<64x48xf32>) outs(%e : tensor<2x33x48xf32>) -> tensor<2x33x48xf32>
  return %0 : tensor<2x33x48xf32>
}

// Weights that are no constant, and sizes known at run time only.
// CHECK-LABEL: func.func @others
// CHECK-NOT: burin.key
func.func @others(%x: tensor<?x64xf32>, %w: tensor<64x48xf32>, %e: tensor<?x48xf32>, %f: tensor<33x48xf32>, %y: tensor<33x64xf32>) -> (tensor<?x48xf32>, tensor<33x48xf32>) {
  %c = arith.constant dense<2.5> : tensor<64x48xf32>
  %0 = nn.matmul ins(%x, %c : tensor<?x64xf32>, tensor<64x48xf32>) outs(%e : tensor<?x48xf32>) -> tensor<?x48xf32>
  %1 = nn.matmul ins(%y, %w : tensor<33x64xf32>, tensor<64x48xf32>) outs(%f : tensor<33x48xf32>) -> tensor<33x48xf32>
  return %0, %1 : tensor<?x48xf32>, tensor<33x48xf32>
}
