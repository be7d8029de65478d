// RUN: burin-opt %s --split-input-file --verify-diagnostics | FileCheck %s

#q = affine_map<(d0, d1, d2) -> (d0, d1, d2)>

// CHECK-LABEL: func.func @attention
// CHECK: nn.attention ins(%{{.*}}, %{{.*}}, %{{.*}} : tensor<2x4x8xf16>, tensor<2x6x8xf16>, tensor<2x6x16xf16>) extras(%{{.*}} : tensor<4x6xf32>) outs(%{{.*}} : tensor<2x4x16xf16>)
// CHECK: nn.yield
func.func @attention(%q: tensor<2x4x8xf16>, %k: tensor<2x6x8xf16>, %v: tensor<2x6x16xf16>, %m: tensor<4x6xf32>, %o: tensor<2x4x16xf16>) -> tensor<2x4x16xf16> {
  %0 = nn.attention ins(%q, %k, %v : tensor<2x4x8xf16>, tensor<2x6x8xf16>, tensor<2x6x16xf16>) extras(%m : tensor<4x6xf32>) outs(%o : tensor<2x4x16xf16>)
    {maps = [#q, #q, #q, #q], extra_maps = [affine_map<(d0, d1, d2) -> (d1, d2)>], sizes = array<i64: 2, 4, 6, 8, 16>} score {
  ^bb0(%sum: f32, %x: f32):
    %s = arith.addf %sum, %x : f32
    nn.yield %s : f32
  } -> tensor<2x4x16xf16>
  return %0 : tensor<2x4x16xf16>
}

// -----

#q = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
func.func @sizes(%q: memref<2x4x8xf16>) {
  // expected-error @+1 {{expected 5 sizes >= 1, got 2, 4}}
  nn.attention ins(%q, %q, %q : memref<2x4x8xf16>, memref<2x4x8xf16>, memref<2x4x8xf16>) outs(%q : memref<2x4x8xf16>) {maps = [#q, #q, #q, #q], sizes = array<i64: 2, 4>}
  return
}

// -----

#q = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
func.func @maps(%q: memref<2x4x8xf16>) {
  // expected-error @+1 {{expected 4 maps and one for each of the 0 extras, got 3 and 0}}
  nn.attention ins(%q, %q, %q : memref<2x4x8xf16>, memref<2x4x8xf16>, memref<2x4x8xf16>) outs(%q : memref<2x4x8xf16>) {maps = [#q, #q, #q], sizes = array<i64: 2, 4, 4, 8, 8>}
  return
}

// -----

#q = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
func.func @shapes(%q: memref<2x4x8xf16>, %o: memref<4x8xf16>) {
  // expected-error @+1 {{expected operands of known shapes and a map of 3 dims to each}}
  nn.attention ins(%q, %q, %q : memref<2x4x8xf16>, memref<2x4x8xf16>, memref<2x4x8xf16>) outs(%o : memref<4x8xf16>) {maps = [#q, #q, #q, #q], sizes = array<i64: 2, 4, 4, 8, 8>}
  return
}
