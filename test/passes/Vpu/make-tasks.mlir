// RUN: burin-opt %s --vpu-make-tasks --split-input-file | FileCheck %s

#channel = affine_map<(n, h, w, c) -> (c)>
// The engine adds the bias; the activation that it lacks follows on the shaves, in place.
// CHECK-LABEL: func.func @conv_bias_silu
// CHECK: vpu.conv ins(%{{.*}}, %{{.*}}) bias(%{{.*}} : memref<16xf16, 1>) outs(%[[O:.*]] : memref<1x4x4x16xf16, 1>)
// CHECK: vpu.shave loops {{\[}}1, 4, 4, 16] outs(%[[O]] : memref<1x4x4x16xf16, 1>)
// CHECK: arith.extf
// CHECK: arith.negf %{{.*}} : f32
// CHECK: math.exp %{{.*}} : f32
// CHECK: arith.mulf %{{.*}} : f32
// CHECK: arith.truncf
func.func @conv_bias_silu(%x: memref<1x4x4x8xf16, 1>, %w: memref<1x1x8x16xf16, 1>, %b: memref<16xf16, 1>, %o: memref<1x4x4x16xf16, 1>) {
  nn.conv ins(%x, %w : memref<1x4x4x8xf16, 1>, memref<1x1x8x16xf16, 1>) extras(%b : memref<16xf16, 1>) outs(%o : memref<1x4x4x16xf16, 1>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, extra_maps = [#channel]} epilogue {
  ^bb0(%acc: f32, %bias: f16):
    %one = arith.constant 1.0 : f32
    %wide = arith.extf %bias : f16 to f32
    %s = arith.addf %acc, %wide : f32
    %n = arith.negf %s : f32
    %e = math.exp %n : f32
    %d = arith.addf %e, %one : f32
    %q = arith.divf %one, %d : f32
    %r = arith.mulf %s, %q : f32
    %t = arith.truncf %r : f32 to f16
    nn.yield %t : f16
  }
  return
}

// -----

// Scale, bias, leaky slope and clamp are the engine's own.
// CHECK-LABEL: func.func @leaky_clamp
// CHECK: vpu.matmul ins
// CHECK-SAME: high = 6.000000e+00 : f32
// CHECK-SAME: leak = 1.250000e-01 : f32
// CHECK-NOT: vpu.shave
func.func @leaky_clamp(%x: memref<4x8xf16, 1>, %w: memref<8x2xf16, 1>, %o: memref<4x2xf16, 1>) {
  nn.matmul ins(%x, %w : memref<4x8xf16, 1>, memref<8x2xf16, 1>) outs(%o : memref<4x2xf16, 1>) epilogue {
  ^bb0(%acc: f32):
    %zero = arith.constant 0.0 : f32
    %slope = arith.constant 0.125 : f32
    %six = arith.constant 6.0 : f32
    %g = arith.cmpf ogt, %acc, %zero : f32
    %m = arith.mulf %acc, %slope : f32
    %l = arith.select %g, %acc, %m : f32
    %h = arith.minimumf %l, %six : f32
    %t = arith.truncf %h : f32 to f16
    nn.yield %t : f16
  }
  return
}

// -----

// Rows and columns twice: each loop splits into a pair.
// CHECK: #[[IN:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d1, d3, d5)>
// CHECK: #[[OUT:.*]] = affine_map<(d0, d1, d2, d3, d4, d5) -> (d0, d1 * 2 + d2, d3 * 2 + d4, d5)>
// CHECK-LABEL: func.func @nearest
// CHECK: vpu.shave loops {{\[}}1, 2, 2, 2, 2, 8]
// CHECK-SAME: maps = [#[[IN]], #[[OUT]]]
func.func @nearest(%x: memref<1x2x2x8xf16>, %o: memref<1x4x4x8xf16>) {
  linalg.generic {indexing_maps = [affine_map<(n, h, w, c) -> (n, h floordiv 2, w floordiv 2, c)>, affine_map<(n, h, w, c) -> (n, h, w, c)>],
                  iterator_types = ["parallel", "parallel", "parallel", "parallel"]} ins(%x : memref<1x2x2x8xf16>) outs(%o : memref<1x4x4x8xf16>) {
  ^bb0(%e: f16, %old: f16):
    linalg.yield %e : f16
  }
  return
}

// -----

// A scalar is a nest of one point.
// CHECK: #[[POINT:.*]] = affine_map<(d0) -> ()>
// CHECK-LABEL: func.func @scalar
// CHECK: vpu.shave loops [1] outs(%{{.*}} : memref<f32>) {maps = [#[[POINT]]]}
func.func @scalar(%o: memref<f32>) {
  %zero = arith.constant 0.0 : f32
  linalg.fill ins(%zero : f32) outs(%o : memref<f32>)
  return
}

// -----

// A nest of two results is one program that stores twice.
// CHECK-LABEL: func.func @arg_max
// CHECK: vpu.shave loops [4, 8] ins(%{{.*}} : memref<4x8xf16>) outs(%{{.*}}, %{{.*}} : memref<4xf32>, memref<4xi64>)
// CHECK: vpu.yield %{{.*}}, %{{.*}} : f32, i64
func.func @arg_max(%x: memref<4x8xf16>, %m: memref<4xf32>, %a: memref<4xi64>) {
  linalg.generic {indexing_maps = [affine_map<(a, b) -> (a, b)>, affine_map<(a, b) -> (a)>, affine_map<(a, b) -> (a)>], iterator_types = ["parallel", "reduction"]}
    ins(%x : memref<4x8xf16>) outs(%m, %a : memref<4xf32>, memref<4xi64>) {
  ^bb0(%e: f16, %best: f32, %at: i64):
    %w = arith.extf %e : f16 to f32
    %i = linalg.index 1 : index
    %n = arith.index_cast %i : index to i64
    %g = arith.cmpf ogt, %w, %best : f32
    %v = arith.select %g, %w, %best : f32
    %k = arith.select %g, %n, %at : i64
    linalg.yield %v, %k : f32, i64
  }
  return
}
