// RUN: burin-opt %s --cpu-make-entry | FileCheck %s

// Case two_layers: data pointers from the arrays of burin_tensor, views as byte offsets, the profile hook around each call.
// CHECK-LABEL: func.func @entry
// CHECK-SAME: (%[[INPUTS:.*]]: !llvm.ptr, %[[OUTPUTS:.*]]: !llvm.ptr, %[[ARENA:.*]]: !llvm.ptr, %[[WEIGHTS:.*]]: !llvm.ptr, %[[CONTEXT:.*]]: !llvm.ptr) -> i32
// CHECK: %[[SLOT:.*]] = llvm.getelementptr %[[INPUTS]][0, 0] : {{.*}}struct<(ptr, i32, i32, array<8 x i64>, array<8 x i64>, i64)>
// CHECK: %[[IN:.*]] = llvm.load %[[SLOT]]
// CHECK: %[[SLOT:.*]] = llvm.getelementptr %[[OUTPUTS]][0, 0]
// CHECK: %[[OUT:.*]] = llvm.load %[[SLOT]]
// CHECK: %[[PLACE:.*]] = llvm.getelementptr inbounds %[[ARENA]]
// CHECK: llvm.call @burin_layer_hook(%[[CONTEXT]]
// CHECK: call @kernel
// CHECK: llvm.call @burin_layer_hook(%[[CONTEXT]]
// CHECK: llvm.call @burin_layer_hook(%[[CONTEXT]]
// CHECK: call @kernel
// CHECK: llvm.call @burin_layer_hook(%[[CONTEXT]]
// CHECK: return %{{.*}} : i32
// CHECK-LABEL: llvm.func internal @burin_layer_hook
// CHECK-SAME: no_inline
module {
  func.func @main(%in: memref<8xf32>, %out: memref<8xf32>, %arena: memref<256xi8>, %weights: memref<64xi8>) attributes {burin.num_inputs = 1 : i64} {
    %c64 = arith.constant 64 : index
    %view = memref.view %arena[%c64][] : memref<256xi8> to memref<8xf32>
    call @kernel(%in, %view) : (memref<8xf32>, memref<8xf32>) -> ()
    call @kernel(%view, %out) : (memref<8xf32>, memref<8xf32>) -> ()
    return
  }
  func.func private @kernel(%a: memref<8xf32>, %b: memref<8xf32>) {
    return
  }
}
