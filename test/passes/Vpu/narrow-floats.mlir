// RUN: burin-opt %s --vpu-narrow-floats --split-input-file | FileCheck %s

// Arguments are rounded once, the filter is half and finite, the epilogue and its bias stay f32 up to one rounding, and the result widens for the caller.
// CHECK-LABEL: func.func @conv_bias
// CHECK-SAME: %{{.*}}: tensor<1x4x4x8xf32>
// CHECK: arith.truncf
// CHECK-DAG: arith.constant dense<6.550400e+04> : tensor<1x1x8x16xf16>
// CHECK-DAG: arith.constant dense<1.000000e-01> : tensor<16xf32>
// CHECK: nn.conv ins(%{{.*}}, %{{.*}} : tensor<1x4x4x8xf16>, tensor<1x1x8x16xf16>) extras(%{{.*}} : tensor<16xf32>)
// CHECK: ^bb0(%[[ACC:.*]]: f32, %[[B:.*]]: f32):
// CHECK-NEXT: arith.addf %[[ACC]], %[[B]] : f32
// CHECK: arith.truncf
// CHECK: nn.yield %{{.*}} : f16
// CHECK: arith.extf
// CHECK: return %{{.*}} : tensor<1x4x4x16xf32>
func.func @conv_bias(%x: tensor<1x4x4x8xf32>) -> tensor<1x4x4x16xf32> {
  %w = arith.constant dense<1.0e5> : tensor<1x1x8x16xf32>
  %b = arith.constant dense<0.1> : tensor<16xf32>
  %o = tensor.empty() : tensor<1x4x4x16xf32>
  %r = nn.conv ins(%x, %w : tensor<1x4x4x8xf32>, tensor<1x1x8x16xf32>) extras(%b : tensor<16xf32>) outs(%o : tensor<1x4x4x16xf32>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, extra_maps = [affine_map<(n, h, w, c) -> (c)>]} epilogue {
  ^bb0(%acc: f32, %bias: f32):
    %s = arith.addf %acc, %bias : f32
    nn.yield %s : f32
  } -> tensor<1x4x4x16xf32>
  return %r : tensor<1x4x4x16xf32>
}

// -----

// A sum and what is computed of it alone stay f32; the difference to the data is half again.
// CHECK-LABEL: func.func @mean
// CHECK: iterator_types = ["parallel", "reduction"]} ins(%{{.*}} : tensor<4x8xf16>) outs(%{{.*}} : tensor<4xf32>)
// CHECK: arith.extf
// CHECK: arith.addf %{{.*}} : f32
// CHECK: ins(%{{.*}} : tensor<4xf32>) outs(%{{.*}} : tensor<4xf32>)
// CHECK: arith.mulf %{{.*}} : f32
// CHECK: ins(%{{.*}}, %{{.*}} : tensor<4x8xf16>, tensor<4xf32>) outs(%{{.*}} : tensor<4x8xf16>)
// CHECK: arith.subf %{{.*}} : f32
// CHECK: arith.truncf
func.func @mean(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %zero = arith.constant 0.0 : f32
  %part = arith.constant 0.125 : f32
  %e = tensor.empty() : tensor<4xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<4xf32>) -> tensor<4xf32>
  %s = linalg.generic {indexing_maps = [affine_map<(a, b) -> (a, b)>, affine_map<(a, b) -> (a)>], iterator_types = ["parallel", "reduction"]}
    ins(%x : tensor<4x8xf32>) outs(%f : tensor<4xf32>) {
  ^bb0(%in: f32, %acc: f32):
    %t = arith.addf %acc, %in : f32
    linalg.yield %t : f32
  } -> tensor<4xf32>
  %m = linalg.generic {indexing_maps = [affine_map<(a) -> (a)>, affine_map<(a) -> (a)>], iterator_types = ["parallel"]}
    ins(%s : tensor<4xf32>) outs(%e : tensor<4xf32>) {
  ^bb0(%in: f32, %out: f32):
    %t = arith.mulf %in, %part : f32
    linalg.yield %t : f32
  } -> tensor<4xf32>
  %o = tensor.empty() : tensor<4x8xf32>
  %d = linalg.generic {indexing_maps = [affine_map<(a, b) -> (a, b)>, affine_map<(a, b) -> (a)>, affine_map<(a, b) -> (a, b)>], iterator_types = ["parallel", "parallel"]}
    ins(%x, %m : tensor<4x8xf32>, tensor<4xf32>) outs(%o : tensor<4x8xf32>) {
  ^bb0(%in: f32, %mean: f32, %out: f32):
    %t = arith.subf %in, %mean : f32
    linalg.yield %t : f32
  } -> tensor<4x8xf32>
  return %d : tensor<4x8xf32>
}

// -----

// Weights are scaled so that halves hold them better, and the engine undoes it.
// CHECK-LABEL: func.func @scaled
// CHECK: nn.conv ins(%{{.*}}, %{{.*}} : tensor<1x4x4x2xf16>, tensor<1x1x2x2xf16>) extras(%{{.*}} : tensor<2xf32>)
// CHECK: ^bb0(%[[ACC:.*]]: f32, %[[S:.*]]: f32):
// CHECK-NEXT: %[[M:.*]] = arith.mulf %[[ACC]], %[[S]] : f32
// CHECK-NEXT: %[[T:.*]] = arith.truncf %[[M]]
// CHECK-NEXT: nn.yield %[[T]] : f16
func.func @scaled(%x: tensor<1x4x4x2xf32>) -> tensor<1x4x4x2xf32> {
  %w = arith.constant dense<[[[[1.1, 0.3], [0.7, 0.9]]]]> : tensor<1x1x2x2xf32>
  %o = tensor.empty() : tensor<1x4x4x2xf32>
  %r = nn.conv ins(%x, %w : tensor<1x4x4x2xf32>, tensor<1x1x2x2xf32>) outs(%o : tensor<1x4x4x2xf32>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} -> tensor<1x4x4x2xf32>
  return %r : tensor<1x4x4x2xf32>
}

// -----

// Halves already: nothing to scale.
// CHECK-LABEL: func.func @exact
// CHECK: nn.conv
// CHECK-NOT: extras
// CHECK: return
func.func @exact(%x: tensor<1x4x4x2xf32>) -> tensor<1x4x4x2xf32> {
  %w = arith.constant dense<[[[[1.5, 0.25], [0.75, 3.0]]]]> : tensor<1x1x2x2xf32>
  %o = tensor.empty() : tensor<1x4x4x2xf32>
  %r = nn.conv ins(%x, %w : tensor<1x4x4x2xf32>, tensor<1x1x2x2xf32>) outs(%o : tensor<1x4x4x2xf32>)
    {strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>} -> tensor<1x4x4x2xf32>
  return %r : tensor<1x4x4x2xf32>
}
