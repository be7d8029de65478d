// RUN: burin-opt %s --split-input-file --lower-onnx --canonicalize --cse | FileCheck %s

// Case shape_chain: what an exporter computes from Shape is index arithmetic; nothing of it is data.
// CHECK-LABEL: func.func @main(%arg0: tensor<?x?x6xf32>
// CHECK-SAME: burin.dim_names = ["batch", "steps", ""]
// CHECK-DAG: %[[B:.*]] = tensor.dim %arg0, %c0
// CHECK-DAG: %[[S:.*]] = tensor.dim %arg0, %c1
// CHECK-NOT: tensor.extract
// CHECK: tensor.expand_shape %arg0 {{.*}} output_shape [%[[B]], %[[S]], 2, 3]
// CHECK: return
func.func @main(%x: tensor<?x?x6xf32, #onnx.dims<["batch", "steps", ""]>>) -> tensor<?x?x2x3xf32> {
  %zero = onnx.Constant dense<[0, 1]> : tensor<2xi64>
  %tail = onnx.Constant dense<[-1, 3]> : tensor<2xi64>
  %shape = onnx.Shape(%x) : (tensor<?x?x6xf32, #onnx.dims<["batch", "steps", ""]>>) -> tensor<3xi64>
  %head = onnx.Gather(%shape, %zero) : (tensor<3xi64>, tensor<2xi64>) -> tensor<2xi64>
  %all = onnx.Concat(%head, %tail) {axis = 0 : i64} : (tensor<2xi64>, tensor<2xi64>) -> tensor<4xi64>
  %y = onnx.Reshape(%x, %all) : (tensor<?x?x6xf32, #onnx.dims<["batch", "steps", ""]>>, tensor<4xi64>) -> tensor<?x?x2x3xf32>
  return %y : tensor<?x?x2x3xf32>
}

// -----

// Case concat_grows: a cache and what is new; equal names are one size, so the sum needs no check.
// CHECK-LABEL: func.func @main
// CHECK-NOT: cf.assert
// CHECK: %[[SUM:.*]] = arith.addi
// CHECK: tensor.empty(%{{.*}}, %[[SUM]]) : tensor<?x?x4xf32>
// CHECK: tensor.insert_slice
// CHECK: tensor.insert_slice
func.func @main(%past: tensor<?x?x4xf32, #onnx.dims<["b", "past", ""]>>, %x: tensor<?x?x4xf32, #onnx.dims<["b", "new", ""]>>)
    -> tensor<?x?x4xf32> {
  %y = onnx.Concat(%past, %x) {axis = 1 : i64} : (tensor<?x?x4xf32, #onnx.dims<["b", "past", ""]>>, tensor<?x?x4xf32, #onnx.dims<["b", "new", ""]>>) -> tensor<?x?x4xf32>
  return %y : tensor<?x?x4xf32>
}

// -----

// Case unproved: sizes of different names that must be one are checked when the program runs.
// CHECK-LABEL: func.func @main
// CHECK: %[[SAME:.*]] = arith.cmpi eq
// CHECK: cf.assert %[[SAME]], "expected dims that are equal"
// CHECK: linalg.generic
func.func @main(%a: tensor<?xf32, #onnx.dims<["n"]>>, %b: tensor<?xf32, #onnx.dims<["m"]>>) -> tensor<?xf32> {
  %y = onnx.Add(%a, %b) : (tensor<?xf32, #onnx.dims<["n"]>>, tensor<?xf32, #onnx.dims<["m"]>>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

// Case from_data: a size that is data is read where it is needed.
// CHECK-LABEL: func.func @main
// CHECK: %[[N:.*]] = tensor.extract %arg0
// CHECK: %[[SIZE:.*]] = arith.index_cast %[[N]] : i64 to index
// CHECK: tensor.empty(%[[SIZE]]) : tensor<?xf32>
func.func @main(%n: tensor<1xi64>) -> tensor<?xf32> {
  %y = onnx.ConstantOfShape(%n) : (tensor<1xi64>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}
