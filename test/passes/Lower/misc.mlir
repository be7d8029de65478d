// RUN: burin-opt %s --split-input-file --verify-diagnostics --lower-onnx | FileCheck %s

// Case tree: tables that two loops in the body walk: trees, and down each of them.
// CHECK-LABEL: func.func @main
// CHECK: linalg.generic
// CHECK: scf.for
// CHECK: scf.for
// CHECK: arith.cmpf ole
func.func @main(%x: tensor<3x2xf32>) -> tensor<3x1xf32> {
  %y = "onnx.ml.TreeEnsemble"(%x) <{aggregate_function = 1 : i64, leaf_targetids = array<i64: 0, 0>, leaf_weights = dense<[1.0, 2.0]> : tensor<2xf32>, n_targets = 1 : i64, nodes_falseleafs = array<i64: 1>, nodes_falsenodeids = array<i64: 1>, nodes_featureids = array<i64: 1>, nodes_modes = dense<0> : tensor<1xui8>, nodes_splits = dense<0.5> : tensor<1xf32>, nodes_trueleafs = array<i64: 1>, nodes_truenodeids = array<i64: 0>, post_transform = 0 : i64, tree_roots = array<i64: 0>}> : (tensor<3x2xf32>) -> tensor<3x1xf32>
  return %y : tensor<3x1xf32>
}

// -----

// Case det: written out, no loops and no memory.
// CHECK-LABEL: func.func @main
// CHECK: linalg.generic
// CHECK-COUNT-9: tensor.extract %arg0
// CHECK-NOT: scf.for
func.func @main(%x: tensor<2x3x3xf32>) -> tensor<2xf32> {
  %y = onnx.Det(%x) : (tensor<2x3x3xf32>) -> tensor<2xf32>
  return %y : tensor<2xf32>
}

// -----

func.func @main(%x: tensor<20x20xf32>) -> tensor<f32> {
  // expected-error @+1 {{operator is not supported by the CPU target yet: matrices of 20 rows; up to 12 work}}
  %y = onnx.Det(%x) : (tensor<20x20xf32>) -> tensor<f32>
  return %y : tensor<f32>
}
