// RUN: burin-opt %s --split-input-file --graph-append-postprocessing="append=argmax:s" | FileCheck %s
// RUN: burin-opt %s --split-input-file --graph-append-postprocessing="append=softmax:s;axis=1,topk:s;k=2;axis=1" | FileCheck %s --check-prefix=TOPK

// CHECK-LABEL: func.func @argmax
// CHECK-SAME: -> (tensor<?x5xi64> {onnx.name = "s"}, tensor<?x5xf32> {onnx.name = "other"})
// CHECK: %[[A:.*]] = onnx.ArgMax(%arg0) {axis = -1 : i64, keepdims = 0 : i64}
// CHECK: return %[[A]], %arg1
// One after the other; top-k gives two outputs.
// TOPK-LABEL: func.func @argmax
// TOPK-SAME: -> (tensor<?x2x3xf32> {onnx.name = "s_values"}, tensor<?x2x3xi64> {onnx.name = "s_indices"}, tensor<?x5xf32> {onnx.name = "other"})
// TOPK: %[[S:.*]] = onnx.Softmax(%arg0) {axis = 1 : i64}
// TOPK: onnx.TopK(%[[S]]
func.func @argmax(%x: tensor<?x5x3xf32>, %y: tensor<?x5xf32>) -> (tensor<?x5x3xf32> {onnx.name = "s"}, tensor<?x5xf32> {onnx.name = "other"}) {
  return %x, %y : tensor<?x5x3xf32>, tensor<?x5xf32>
}
