// RUN: burin-opt %s --split-input-file --graph-convert-precision="to=f16" | FileCheck %s
// RUN: burin-opt %s --split-input-file --graph-convert-precision="to=bf16 keep-io=false" | FileCheck %s --check-prefix=IO
// RUN: burin-opt %s --split-input-file --graph-convert-precision="to=f16" --remarks-filter=ConvertPrecision -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// Casts at the edges only; the constant is rounded, not cast.
// CHECK-LABEL: @chain
// CHECK: %[[X:.*]] = onnx.Cast(%arg0) {to = 10 : i64}
// CHECK: %[[W:.*]] = onnx.Constant dense<{{.*}}> : tensor<2x2xf16>
// CHECK-NEXT: %[[M:.*]] = onnx.MatMul(%[[X]], %[[W]]) : (tensor<?x2xf16>, tensor<2x2xf16>) -> tensor<?x2xf16>
// CHECK-NEXT: %[[R:.*]] = onnx.Relu(%[[M]])
// CHECK-NEXT: %[[Y:.*]] = onnx.Cast(%[[R]]) {to = 1 : i64}
// CHECK-NEXT: return %[[Y]] : tensor<?x2xf32>
// IO-LABEL: @chain(%arg0: tensor<?x2xbf16>) -> tensor<?x2xbf16>
// IO-NOT: onnx.Cast
// IO: return
func.func @chain(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %w = onnx.Constant dense<[[1.0, 0.1], [2.0, 3.0]]> : tensor<2x2xf32>
  %0 = onnx.MatMul(%x, %w) : (tensor<?x2xf32>, tensor<2x2xf32>) -> tensor<?x2xf32>
  %1 = onnx.Relu(%0) : (tensor<?x2xf32>) -> tensor<?x2xf32>
  return %1 : tensor<?x2xf32>
}

// -----

// A number beyond f16 keeps its reader in f32; infinity is meant. Several uses share one Cast.
// CHECK-LABEL: @range
// CHECK: onnx.Add(%arg0, {{.*}}) : (tensor<2xf32>, tensor<f32>) -> tensor<2xf32>
// CHECK: onnx.Add({{.*}}) : (tensor<2xf16>, tensor<f16>) -> tensor<2xf16>
// CHECK: onnx.Mul({{.*}}) : (tensor<2xf16>, tensor<2xf16>) -> tensor<2xf16>
// IO-LABEL: @range(%arg0: tensor<2xbf16>) -> (tensor<2xbf16>, tensor<2xbf16>)
// REMARK: [Missed] Add | {{.*}}a constant holds {{.*}}, beyond the range of f16; kept in f32
// REMARK: [Missed] Underflow | {{.*}}1 of 2 elements of a constant become 0 in f16
func.func @range(%x: tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>) {
  %large = onnx.Constant dense<-3.0e38> : tensor<f32>
  %inf = onnx.Constant dense<0xFF800000> : tensor<f32>
  %small = onnx.Constant dense<[1.0, 1.0e-9]> : tensor<2xf32>
  %0 = onnx.Add(%x, %large) : (tensor<2xf32>, tensor<f32>) -> tensor<2xf32>
  %1 = onnx.Add(%x, %inf) : (tensor<2xf32>, tensor<f32>) -> tensor<2xf32>
  %2 = onnx.Mul(%1, %small) : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  return %0, %2 : tensor<2xf32>, tensor<2xf32>
}

// -----

// Sizes of a Resize are floats by definition; an If converts inside.
// CHECK-LABEL: @operators
// CHECK: onnx.Resize({{.*}}) : (tensor<1x1x2x2xf16>, none, tensor<4xf32>, none) -> tensor<1x1x4x4xf16>
// CHECK: onnx.If
// CHECK: onnx.Relu({{.*}}) : (tensor<1x1x4x4xf16>) -> tensor<1x1x4x4xf16>
func.func @operators(%x: tensor<1x1x2x2xf32>, %c: tensor<i1>) -> tensor<1x1x4x4xf32> {
  %none = onnx.NoValue
  %s = onnx.Constant dense<[1.0, 1.0, 2.0, 2.0]> : tensor<4xf32>
  %0 = onnx.Resize(%x, %none, %s, %none) : (tensor<1x1x2x2xf32>, none, tensor<4xf32>, none) -> tensor<1x1x4x4xf32>
  %1 = "onnx.If"(%c) ({
    %2 = onnx.Relu(%0) : (tensor<1x1x4x4xf32>) -> tensor<1x1x4x4xf32>
    onnx.Yield(%2) : tensor<1x1x4x4xf32>
  }, {
    onnx.Yield(%0) : tensor<1x1x4x4xf32>
  }) : (tensor<i1>) -> tensor<1x1x4x4xf32>
  return %1 : tensor<1x1x4x4xf32>
}
