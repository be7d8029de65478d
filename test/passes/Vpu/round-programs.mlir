// RUN: burin-opt %s --vpu-round-programs --split-input-file | FileCheck %s

// Two operations, one rounding.
// CHECK-LABEL: func.func @chain
// CHECK: ^bb0(%{{.*}}: index, %[[X:.*]]: f16, %{{.*}}: f16):
// CHECK: %[[W:.*]] = arith.extf %[[X]]
// CHECK-NOT: arith.truncf
// CHECK: %[[S:.*]] = arith.addf %[[W]], %{{.*}} : f32
// CHECK-NEXT: %[[M:.*]] = arith.mulf %[[S]], %[[W]] : f32
// CHECK-NEXT: arith.truncf %[[M]]
func.func @chain(%x: memref<4xf16>, %y: memref<4xf16>) {
  vpu.shave loops [4] ins(%x : memref<4xf16>) outs(%y : memref<4xf16>) {maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>]} body {
  ^bb0(%i: index, %e: f16, %old: f16):
    %three = arith.constant 3.0 : f32
    %w = arith.extf %e : f16 to f32
    %s = arith.addf %w, %three : f32
    %h = arith.truncf %s : f32 to f16
    %v = arith.extf %h : f16 to f32
    %m = arith.mulf %v, %w : f32
    %r = arith.truncf %m : f32 to f16
    vpu.yield %r : f16
  }
  return
}

// -----

// One rounding, and constants that are halves: the same in f16.
// CHECK-LABEL: func.func @one
// CHECK-NOT: f32
// CHECK: arith.addf %{{.*}}, %{{.*}} : f16
// CHECK: arith.maximumf %{{.*}}, %{{.*}} : f16
// CHECK-NEXT: vpu.yield
func.func @one(%x: memref<4xf16>, %y: memref<4xf16>) {
  vpu.shave loops [4] ins(%x : memref<4xf16>) outs(%y : memref<4xf16>) {maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>]} body {
  ^bb0(%i: index, %e: f16, %old: f16):
    %zero = arith.constant 0.0 : f32
    %w = arith.extf %e : f16 to f32
    %o = arith.extf %old : f16 to f32
    %s = arith.addf %w, %o : f32
    %m = arith.maximumf %s, %zero : f32
    %r = arith.truncf %m : f32 to f16
    vpu.yield %r : f16
  }
  return
}

// -----

// A tenth is no half.
// CHECK-LABEL: func.func @tenth
// CHECK: arith.mulf %{{.*}}, %{{.*}} : f32
func.func @tenth(%x: memref<4xf16>, %y: memref<4xf16>) {
  vpu.shave loops [4] ins(%x : memref<4xf16>) outs(%y : memref<4xf16>) {maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>]} body {
  ^bb0(%i: index, %e: f16, %old: f16):
    %tenth = arith.constant 0.1 : f32
    %w = arith.extf %e : f16 to f32
    %m = arith.mulf %w, %tenth : f32
    %r = arith.truncf %m : f32 to f16
    vpu.yield %r : f16
  }
  return
}

// -----

// What is of type f16 rounds every operation.
// CHECK-LABEL: func.func @halves
// CHECK: arith.addf %{{.*}}, %{{.*}} : f16
// CHECK-NEXT: arith.mulf %{{.*}}, %{{.*}} : f16
func.func @halves(%x: memref<4xf16>, %y: memref<4xf16>) {
  vpu.shave loops [4] ins(%x : memref<4xf16>) outs(%y : memref<4xf16>) {maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>]} body {
  ^bb0(%i: index, %e: f16, %old: f16):
    %s = arith.addf %e, %old : f16
    %m = arith.mulf %s, %e : f16
    vpu.yield %m : f16
  }
  return
}
