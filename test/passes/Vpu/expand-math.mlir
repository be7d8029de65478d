// RUN: burin-opt %s --vpu-expand-math --split-input-file | FileCheck %s

// The sum is f32, and the result is rounded once.
// CHECK-LABEL: func.func @log1p
// CHECK: ^bb0(%{{.*}}: index, %[[X:.*]]: f16, %{{.*}}: f16):
// CHECK: %[[W:.*]] = arith.extf %[[X]] : f16 to f32
// CHECK: %[[S:.*]] = arith.addf %{{.*}}, %[[W]] : f32
// CHECK: %[[L:.*]] = math.log %[[S]] : f32
// CHECK: %[[H:.*]] = arith.truncf %[[L]] : f32 to f16
// CHECK: vpu.yield %[[H]] : f16
func.func @log1p(%x: memref<4xf16>, %y: memref<4xf16>) {
  vpu.shave loops [4] ins(%x : memref<4xf16>) outs(%y : memref<4xf16>) {maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>]} body {
  ^bb0(%i: index, %e: f16, %old: f16):
    %l = math.log1p %e : f16
    vpu.yield %l : f16
  }
  return
}

// -----

// What the shaves have stays as it is; f32 stays f32.
// CHECK-LABEL: func.func @has
// CHECK: math.tanh %{{.*}} : f16
// CHECK-NOT: arith.extf
// CHECK-LABEL: func.func @wide
// CHECK-NOT: math.sinh
// CHECK-NOT: arith.truncf
func.func @has(%y: memref<4xf16>) {
  vpu.shave loops [4] outs(%y : memref<4xf16>) {maps = [affine_map<(d0) -> (d0)>]} body {
  ^bb0(%i: index, %old: f16):
    %l = math.tanh %old : f16
    vpu.yield %l : f16
  }
  return
}
func.func @wide(%y: memref<4xf32>) {
  vpu.shave loops [4] outs(%y : memref<4xf32>) {maps = [affine_map<(d0) -> (d0)>]} body {
  ^bb0(%i: index, %old: f32):
    %l = math.sinh %old : f32
    vpu.yield %l : f32
  }
  return
}
