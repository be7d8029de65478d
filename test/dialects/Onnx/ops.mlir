// RUN: burin-opt %s | burin-opt | FileCheck %s
// RUN: burin-opt %s --mlir-print-op-generic | burin-opt | FileCheck %s
// RUN: burin-opt %s --emit-bytecode | burin-opt | FileCheck %s

// An absent operand is a `none` value, so operands keep ONNX's positions; defaults are not printed.
// CHECK-LABEL: func @conv
func.func @conv(%x: tensor<?x3x8x8xf32, #onnx.dims<["n", "", "", ""]>>, %w: tensor<4x3x1x1xf32>) -> tensor<?x4x8x8xf32> {
  // CHECK: %[[NONE:.*]] = onnx.NoValue
  %none = onnx.NoValue
  // CHECK: onnx.Conv(%{{.*}}, %{{.*}}, %[[NONE]]) {strides = array<i64: 1, 1>} : (tensor<?x3x8x8xf32, #onnx.dims<["n", "", "", ""]>>, tensor<4x3x1x1xf32>, none) -> tensor<?x4x8x8xf32>
  %y = onnx.Conv(%x, %w, %none) {auto_pad = "NOTSET", group = 1 : i64, strides = array<i64: 1, 1>} : (tensor<?x3x8x8xf32, #onnx.dims<["n", "", "", ""]>>, tensor<4x3x1x1xf32>, none) -> tensor<?x4x8x8xf32>
  return %y : tensor<?x4x8x8xf32>
}

// CHECK-LABEL: func @constants
func.func @constants() {
  // CHECK: onnx.Constant dense<1.000000e+00> : tensor<4x3xf32>
  %0 = onnx.Constant dense<1.0> : tensor<4x3xf32>
  // CHECK: onnx.Constant dense<["a", "bc"]> : tensor<2x!onnx.string>
  %1 = onnx.Constant dense<["a", "bc"]> : tensor<2x!onnx.string>
  // CHECK: onnx.Constant dense<5> : tensor<2xi64> as tensor<?xi64>
  %2 = onnx.Constant dense<5> : tensor<2xi64> as tensor<?xi64>
  return
}

// CHECK-LABEL: func @regions
func.func @regions(%c: tensor<i1>, %x: tensor<2xf32>) -> tensor<2xf32> {
  // CHECK: onnx.If(%{{.*}}) : (tensor<i1>) -> tensor<2xf32> {
  %0 = onnx.If(%c) : (tensor<i1>) -> tensor<2xf32> {
    %1 = onnx.Relu(%x) : (tensor<2xf32>) -> tensor<2xf32>
    // CHECK: onnx.Yield(%{{.*}}) : tensor<2xf32>
    onnx.Yield(%1) : tensor<2xf32>
  }, {
    onnx.Yield(%x) : tensor<2xf32>
  }
  return %0 : tensor<2xf32>
}

// CHECK-LABEL: func @types
// CHECK-SAME: !onnx.seq<tensor<?xf32>>, %{{.*}}: !onnx.opt<tensor<2xi64>>, %{{.*}}: !onnx.map<i64, tensor<f32>>, %{{.*}}: !onnx.any
func.func @types(%a: !onnx.seq<tensor<?xf32>>, %b: !onnx.opt<tensor<2xi64>>, %c: !onnx.map<i64, tensor<f32>>, %d: !onnx.any) {
  // CHECK: onnx.SequenceLength(%{{.*}}) : (!onnx.seq<tensor<?xf32>>) -> tensor<i64>
  %0 = onnx.SequenceLength(%a) : (!onnx.seq<tensor<?xf32>>) -> tensor<i64>
  return
}

// CHECK-LABEL: func @custom
func.func @custom(%x: tensor<2xf32>) -> tensor<2xf32> {
  // CHECK: onnx.Custom "my.domain" "Foo"(%{{.*}}) {a = 3 : i64} : (tensor<2xf32>) -> tensor<2xf32> attributes {graph_names = ["body"]} {
  %0 = onnx.Custom "my.domain" "Foo"(%x) {a = 3 : i64} : (tensor<2xf32>) -> tensor<2xf32> attributes {graph_names = ["body"]} {
    onnx.Yield(%x) : tensor<2xf32>
  }
  // CHECK: onnx.ml.Binarizer(%{{.*}}) {threshold = 5.000000e-01 : f32}
  %1 = onnx.ml.Binarizer(%0) {threshold = 5.0e-01 : f32} : (tensor<2xf32>) -> tensor<2xf32>
  return %1 : tensor<2xf32>
}
