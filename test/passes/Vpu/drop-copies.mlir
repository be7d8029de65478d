// RUN: burin-opt %s --vpu-drop-copies --split-input-file | FileCheck %s

// The upper half of %outer is still empty when it is copied; then it is filled through %inner.
// CHECK-LABEL: func.func @unwritten
// CHECK: linalg.copy
// CHECK-NOT: memref.copy
// CHECK: linalg.copy ins(%{{.*}}) outs(%[[INNER:.*]] : memref<2x4xf16>)
// CHECK: memref.copy %[[INNER]]
// CHECK-NOT: memref.copy
// CHECK: return
func.func @unwritten(%a: memref<2x4xf16>, %outer_result: memref<4x4xf16>) {
  %outer = memref.alloc() : memref<4x4xf16>
  %low = memref.subview %outer[0, 0] [2, 4] [1, 1] : memref<4x4xf16> to memref<2x4xf16, strided<[4, 1]>>
  linalg.copy ins(%a : memref<2x4xf16>) outs(%low : memref<2x4xf16, strided<[4, 1]>>)
  %high = memref.subview %outer[2, 0] [2, 4] [1, 1] : memref<4x4xf16> to memref<2x4xf16, strided<[4, 1], offset: 8>>
  %inner = memref.alloc() : memref<2x4xf16>
  memref.copy %high, %inner : memref<2x4xf16, strided<[4, 1], offset: 8>> to memref<2x4xf16>
  linalg.copy ins(%a : memref<2x4xf16>) outs(%inner : memref<2x4xf16>)
  memref.copy %inner, %high : memref<2x4xf16> to memref<2x4xf16, strided<[4, 1], offset: 8>>
  memref.copy %high, %high : memref<2x4xf16, strided<[4, 1], offset: 8>> to memref<2x4xf16, strided<[4, 1], offset: 8>>
  linalg.copy ins(%outer : memref<4x4xf16>) outs(%outer_result : memref<4x4xf16>)
  return
}

// -----

// What was written before, in part or through a view that is no box, is copied; so are arguments.
// CHECK-LABEL: func.func @near_misses
// CHECK-COUNT-3: memref.copy
func.func @near_misses(%a: memref<2x4xf16>, %b: memref<8xf16>, %to: memref<2x4xf16>, %flat: memref<8xf16>) {
  %x = memref.alloc() : memref<4x4xf16>
  %row = memref.subview %x[1, 0] [2, 4] [1, 1] : memref<4x4xf16> to memref<2x4xf16, strided<[4, 1], offset: 4>>
  linalg.copy ins(%a : memref<2x4xf16>) outs(%row : memref<2x4xf16, strided<[4, 1], offset: 4>>)
  %part = memref.subview %x[2, 0] [2, 4] [1, 1] : memref<4x4xf16> to memref<2x4xf16, strided<[4, 1], offset: 8>>
  memref.copy %part, %to : memref<2x4xf16, strided<[4, 1], offset: 8>> to memref<2x4xf16>
  %y = memref.alloc() : memref<2x4xf16>
  %line = memref.collapse_shape %y [[0, 1]] : memref<2x4xf16> into memref<8xf16>
  linalg.copy ins(%b : memref<8xf16>) outs(%line : memref<8xf16>)
  memref.copy %y, %to : memref<2x4xf16> to memref<2x4xf16>
  memref.copy %a, %to : memref<2x4xf16> to memref<2x4xf16>
  return
}
