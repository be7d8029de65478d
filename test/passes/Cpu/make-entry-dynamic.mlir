// RUN: burin-opt %s --cpu-make-entry | FileCheck %s

// Free dims: dims come from burin_tensor, a check of data guards what follows, memory is released on every path, an output that data sizes gets its dims and its
// place, and @plan becomes a burin_planner.
// CHECK-LABEL: func.func @plan
// CHECK-SAME: (%[[INPUTS:.*]]: !llvm.ptr, %[[DIMS:.*]]: !llvm.ptr, %[[BYTES:.*]]: !llvm.ptr) -> i32
// CHECK: %[[WELL:.*]] = arith.select
// CHECK: llvm.store %{{.*}}, %[[BYTES]]
// CHECK: llvm.getelementptr %[[DIMS]][0]
// CHECK: llvm.getelementptr %[[DIMS]][8]
// CHECK: return %[[WELL]]
// CHECK-LABEL: func.func @entry
// CHECK-SAME: (%[[INPUTS:.*]]: !llvm.ptr, %[[OUTPUTS:.*]]: !llvm.ptr, %{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr, %[[CONTEXT:.*]]: !llvm.ptr) -> i32
// CHECK: %[[STATUS:.*]] = llvm.alloca
// CHECK: %[[DIM:.*]] = llvm.getelementptr %[[INPUTS]][0, 3, 0]
// CHECK: llvm.load %[[DIM]] : !llvm.ptr -> i64
// CHECK: arith.select %{{.*}}
// CHECK: scf.if
// CHECK:   %[[MEMORY:.*]] = llvm.call @burin_allocate(%[[CONTEXT]]
// CHECK:   scf.if
// CHECK:     llvm.getelementptr %[[OUTPUTS]][1, 3, 0]
// CHECK:     llvm.call @burin_output(%[[CONTEXT]]
// CHECK:     scf.if
// CHECK:       func.call @kernel
// CHECK:       llvm.call @burin_release(%[[CONTEXT]], %[[MEMORY]])
// CHECK:     } else {
// CHECK-NEXT:  llvm.call @burin_release(%[[CONTEXT]], %[[MEMORY]])
// CHECK-NEXT: }
// CHECK: llvm.load %[[STATUS]]
// CHECK: return
// CHECK: llvm.func internal @burin_allocate
// CHECK: llvm.func internal @burin_release
// CHECK: llvm.func internal @burin_output
module {
  func.func private @plan(%in: memref<?xf32>, %count: memref<i64>) -> (index, index, index) {
    %c0 = arith.constant 0 : index
    %none = arith.constant -1 : index
    %n = memref.dim %in, %c0 : memref<?xf32>
    %ok = arith.cmpi sgt, %n, %c0 : index
    cf.assert %ok, "empty"
    return %c0, %n, %none : index, index, index
  }
  func.func @main(%in: memref<?xf32>, %count: memref<i64>, %out: memref<?xf32>, %other: memref<?xf32>, %arena: memref<?xi8>, %weights: memref<0xi8>)
      attributes {burin.num_inputs = 2 : i64} {
    %c0 = arith.constant 0 : index
    %n = memref.dim %in, %c0 : memref<?xf32>
    %size = arith.index_cast %n : index to i64
    %loaded = memref.load %count[] : memref<i64>
    %elements = arith.index_cast %loaded : i64 to index
    %ok = arith.cmpi sge, %elements, %c0 : index
    cf.assert %ok, "negative"
    %memory = memref.alloc(%elements) : memref<?xi8>
    %own = memref.alloc(%elements) {burin.output = 1 : i64} : memref<?xf32>
    %bytes = builtin.unrealized_conversion_cast %own : memref<?xf32> to memref<?xi8>
    %view = memref.view %bytes[%c0][%elements] : memref<?xi8> to memref<?xf32>
    call @kernel(%memory, %view, %size) : (memref<?xi8>, memref<?xf32>, i64) -> ()
    memref.dealloc %memory : memref<?xi8>
    return
  }
  func.func private @kernel(%a: memref<?xi8>, %b: memref<?xf32>, %n: i64) {
    return
  }
}
