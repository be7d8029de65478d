// RUN: burin-opt %s --split-input-file --tensor-plan-arena | FileCheck %s

// Case free_dims: sizes and offsets become arithmetic on the dims of the input, in @main for the views and in @plan for the caller. %a and %b
// live at once, %c lies where %a was. What @main returned of its outputs' dims, @plan returns.
// CHECK: module attributes {burin.arena_bytes = 512 : i64, burin.peak_live_bytes = 512 : i64}
// CHECK-LABEL: func.func private @plan
// CHECK-SAME: (%[[X:.*]]: memref<?x64xf32>) -> (index, index, index)
// CHECK: %[[N:.*]] = memref.dim %[[X]]
// CHECK: cf.assert %{{.*}}, "too many"
// CHECK: cf.assert %{{.*}}, "the dims of the inputs leave a tensor inside with a negative dim"
// CHECK: cf.assert %{{.*}}, "the dims of the inputs make a tensor too large for any memory"
// CHECK: return %{{.*}}, %[[N]], %c64
// CHECK-LABEL: func.func @main
// CHECK-SAME: (%[[X:.*]]: memref<?x64xf32> {{.*}}, %{{.*}}: memref<?x64xf32>, %[[ARENA:.*]]: memref<?xi8>)
// CHECK: %[[N:.*]] = memref.dim %[[X]]
// CHECK: %[[SIZE:.*]] = arith.muli %{{.*}}, %[[N]]
// CHECK-NOT: cf.assert
// CHECK: memref.view %[[ARENA]][%[[A:.*]]][%[[N]]] : memref<?xi8> to memref<?x64xf32>
// CHECK: memref.view %[[ARENA]][%[[B:.*]]][%[[N]]]
// CHECK: memref.view %[[ARENA]][%[[A]]][%[[N]]]
// CHECK-NOT: memref.alloc
// CHECK: return{{$}}
module {
  func.func @main(%in: memref<?x64xf32> {burin.dim_names = ["n", ""]}, %out: memref<?x64xf32>) -> (index, index) attributes {burin.num_inputs = 1 : i64} {
    %c0 = arith.constant 0 : index
    %c64 = arith.constant 64 : index
    %limit = arith.constant 1000 : index
    %n = memref.dim %in, %c0 : memref<?x64xf32>
    %few = arith.cmpi sle, %n, %limit : index
    cf.assert %few, "too many"
    %a = memref.alloc(%n) : memref<?x64xf32>
    linalg.exp ins(%in : memref<?x64xf32>) outs(%a : memref<?x64xf32>)
    %b = memref.alloc(%n) : memref<?x64xf32>
    linalg.exp ins(%a : memref<?x64xf32>) outs(%b : memref<?x64xf32>)
    %c = memref.alloc(%n) : memref<?x64xf32>
    linalg.exp ins(%b : memref<?x64xf32>) outs(%c : memref<?x64xf32>)
    linalg.exp ins(%c : memref<?x64xf32>) outs(%out : memref<?x64xf32>)
    return %n, %c64 : index, index
  }
}

// -----

// Case sized_by_data: a size that memory holds cannot be planned; the buffer is allocated where it is made and released after its last use. The
// output of that size stays an allocation, which cpu-make-entry turns into the caller's memory.
// CHECK: module attributes {burin.arena_bytes = 0 : i64, burin.needs_allocator, burin.peak_live_bytes = 0 : i64}
// CHECK-LABEL: func.func private @plan
// CHECK: %[[NONE:.*]] = arith.constant -1 : index
// CHECK: return %{{.*}}, %[[NONE]]
// CHECK-LABEL: func.func @main
// CHECK: %[[COUNT:.*]] = arith.index_cast
// CHECK: memref.alloc(%[[COUNT]]) {burin.output = 0 : i64} : memref<?xf32>
// CHECK: %[[BYTES:.*]] = arith.muli %{{.*}}, %[[COUNT]]
// CHECK: %[[MEMORY:.*]] = memref.alloc(%[[BYTES]]) : memref<?xi8>
// CHECK: %[[VIEW:.*]] = memref.view %[[MEMORY]]
// CHECK: linalg.fill
// CHECK: linalg.exp ins(%[[VIEW]]
// CHECK-NEXT: memref.dealloc %[[MEMORY]]
module {
  func.func @main(%in: memref<i64>, %out: memref<?xf32>) -> index attributes {burin.num_inputs = 1 : i64} {
    %none = arith.constant -1 : index
    %zero = arith.constant 0.0 : f32
    %loaded = memref.load %in[] : memref<i64>
    %count = arith.index_cast %loaded : i64 to index
    %own = memref.alloc(%count) {burin.output = 0 : i64} : memref<?xf32>
    %a = memref.alloc(%count) : memref<?xf32>
    linalg.fill ins(%zero : f32) outs(%a : memref<?xf32>)
    linalg.exp ins(%a : memref<?xf32>) outs(%own : memref<?xf32>)
    return %none : index
  }
}
