// RUN: burin-opt %s --tensor-widen-floats --split-input-file | FileCheck %s
// RUN: burin-opt %s --tensor-widen-floats=keep-half=true --split-input-file | FileCheck %s --check-prefix=HALF

// The graph runs in f32 between one conversion at each end; the filter stays as it lies in the file.
// CHECK-LABEL: func.func @chain
// CHECK-SAME: (%[[X:.*]]: tensor<4x8xf16>) -> tensor<4x4xf16>
// CHECK: arith.extf %{{.*}} : f16 to f32
// CHECK: %[[W:.*]] = arith.constant dense<1.500000e+00> : tensor<8x4xf16>
// CHECK: nn.matmul ins(%{{.*}}, %[[W]] : tensor<4x8xf32>, tensor<8x4xf16>) outs(%{{.*}} : tensor<4x4xf32>)
// CHECK: linalg.generic
// CHECK-NEXT: ^bb0(%[[IN:.*]]: f32, %{{.*}}: f32):
// CHECK-NEXT: %[[N:.*]] = arith.negf %[[IN]] : f32
// CHECK-NEXT: linalg.yield %[[N]]
// CHECK: arith.truncf %{{.*}} : f32 to f16
// Where the machine computes in f16, nothing changes.
// HALF-LABEL: func.func @chain
// HALF: nn.matmul ins(%{{.*}} : tensor<4x8xf16>, tensor<8x4xf16>) outs(%{{.*}} : tensor<4x4xf16>)
// HALF: arith.truncf
// HALF-NOT: linalg.generic
// HALF: return
#id = affine_map<(m, n) -> (m, n)>
func.func @chain(%x: tensor<4x8xf16>) -> tensor<4x4xf16> {
  %w = arith.constant dense<1.5> : tensor<8x4xf16>
  %e = tensor.empty() : tensor<4x4xf16>
  %0 = nn.matmul ins(%x, %w : tensor<4x8xf16>, tensor<8x4xf16>) outs(%e : tensor<4x4xf16>) -> tensor<4x4xf16>
  %1 = linalg.generic {indexing_maps = [#id, #id], iterator_types = ["parallel", "parallel"]} ins(%0 : tensor<4x4xf16>) outs(%e : tensor<4x4xf16>) {
  ^bb0(%in: f16, %out: f16):
    %a = arith.extf %in : f16 to f32
    %n = arith.negf %a : f32
    %t = arith.truncf %n : f32 to f16
    linalg.yield %t : f16
  } -> tensor<4x4xf16>
  return %1 : tensor<4x4xf16>
}

// -----

// A Cast alone asks for rounding and keeps it.
// CHECK-LABEL: func.func @cast
// CHECK: %[[T:.*]] = arith.truncf %{{.*}} : f32 to f16
// CHECK-NEXT: %[[R:.*]] = arith.extf %[[T]] : f16 to f32
// CHECK-NEXT: linalg.yield %[[R]] : f32
#v = affine_map<(i) -> (i)>
func.func @cast(%x: tensor<4xf32>) -> tensor<4xf32> {
  %e = tensor.empty() : tensor<4xf16>
  %f = tensor.empty() : tensor<4xf32>
  %0 = linalg.generic {indexing_maps = [#v, #v], iterator_types = ["parallel"]} ins(%x : tensor<4xf32>) outs(%e : tensor<4xf16>) {
  ^bb0(%in: f32, %out: f16):
    %t = arith.truncf %in : f32 to f16
    linalg.yield %t : f16
  } -> tensor<4xf16>
  %1 = linalg.generic {indexing_maps = [#v, #v], iterator_types = ["parallel"]} ins(%0 : tensor<4xf16>) outs(%f : tensor<4xf32>) {
  ^bb0(%in: f16, %out: f32):
    %t = arith.extf %in : f16 to f32
    linalg.yield %t : f32
  } -> tensor<4xf32>
  return %1 : tensor<4xf32>
}

// -----

// Near miss: the bits of an f16 are used.
// CHECK-LABEL: func.func @bits
// CHECK: arith.bitcast %{{.*}} : f16 to i16
#v = affine_map<(i) -> (i)>
func.func @bits(%x: tensor<4xf16>) -> tensor<4xi16> {
  %e = tensor.empty() : tensor<4xi16>
  %0 = linalg.generic {indexing_maps = [#v, #v], iterator_types = ["parallel"]} ins(%x : tensor<4xf16>) outs(%e : tensor<4xi16>) {
  ^bb0(%in: f16, %out: i16):
    %t = arith.bitcast %in : f16 to i16
    linalg.yield %t : i16
  } -> tensor<4xi16>
  return %0 : tensor<4xi16>
}
