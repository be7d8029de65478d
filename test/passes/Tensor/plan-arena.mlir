// RUN: burin-opt %s --tensor-plan-arena | FileCheck %s

// Case reuse: three buffers of 256 bytes of which two live at a time: 512 bytes, no more.
// CHECK: module attributes {burin.arena_bytes = 512 : i64, burin.peak_live_bytes = 512 : i64}
module {
  // CHECK-LABEL: func.func @main
  // CHECK-SAME: %[[ARENA:[a-z0-9]+]]: memref<512xi8>
  // CHECK: memref.view %[[ARENA]]
  // CHECK-NOT: memref.alloc
  func.func @main(%in: memref<64xf32>, %out: memref<64xf32>) {
    %a = memref.alloc() : memref<64xf32>
    linalg.exp ins(%in : memref<64xf32>) outs(%a : memref<64xf32>)
    %b = memref.alloc() : memref<64xf32>
    %v = memref.expand_shape %a [[0, 1]] output_shape [8, 8] : memref<64xf32> into memref<8x8xf32>
    %w = memref.collapse_shape %v [[0, 1]] : memref<8x8xf32> into memref<64xf32>
    linalg.exp ins(%w : memref<64xf32>) outs(%b : memref<64xf32>)
    %c = memref.alloc() : memref<64xf32>
    linalg.exp ins(%b : memref<64xf32>) outs(%c : memref<64xf32>)
    linalg.exp ins(%c : memref<64xf32>) outs(%out : memref<64xf32>)
    return
  }
}
