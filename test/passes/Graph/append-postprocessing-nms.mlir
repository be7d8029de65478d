// RUN: burin-opt %s --graph-append-postprocessing="append=nms;boxes=boxes;scores=scores;iou=0.4;max=10" | FileCheck %s
// RUN: not burin-opt %s --graph-append-postprocessing="append=softmax" -o /dev/null 2>&1 | FileCheck %s --check-prefix=WHICH
// RUN: not burin-opt %s --graph-append-postprocessing="append=blur:boxes" -o /dev/null 2>&1 | FileCheck %s --check-prefix=KIND
// RUN: not burin-opt %s --graph-append-postprocessing="append=nms;boxes=boxes;scores=x" -o /dev/null 2>&1 | FileCheck %s --check-prefix=NMS
// RUN: not burin-opt %s --graph-append-postprocessing="append=argmax:boxes;axis=7" -o /dev/null 2>&1 | FileCheck %s --check-prefix=AXIS
// RUN: not burin-opt %s --graph-append-postprocessing="append=softmax:boxes;k=7" -o /dev/null 2>&1 | FileCheck %s --check-prefix=OPTION

// Scores come by box and are turned to come by class.
// CHECK-LABEL: func.func @boxes
// CHECK-SAME: {onnx.name = "selected_indices"}, {{.*}} {onnx.name = "selected_boxes"}, {{.*}} {onnx.name = "selected_scores"})
// CHECK: %[[S:.*]] = onnx.Transpose(%arg1) {perm = array<i64: 0, 2, 1>}
// CHECK: %[[N:.*]] = onnx.NonMaxSuppression(%arg0, %[[S]]
// CHECK: onnx.GatherND(%arg0
// CHECK: onnx.GatherND(%[[S]], %[[N]]
// WHICH: error: --append softmax: expected the name of an output (boxes, scores), got none
// KIND: error: --append blur:boxes: expected softmax, sigmoid, argmax, topk, nms, picture, colors, upsample or boxes, got 'blur'
// NMS: error: --append nms;boxes=boxes;scores=x: expected boxes=OUTPUT and scores=OUTPUT, got others
// AXIS: error: --append argmax:boxes;axis=7: expected whole numbers within the output's dims
// OPTION: error: --append softmax:boxes;k=7: expected options of softmax, got 'k'
func.func @boxes(%b: tensor<1x100x4xf32>, %s: tensor<1x100x3xf32>) -> (tensor<1x100x4xf32> {onnx.name = "boxes"}, tensor<1x100x3xf32> {onnx.name = "scores"}) {
  return %b, %s : tensor<1x100x4xf32>, tensor<1x100x3xf32>
}
