// RUN: burin-opt %s --cpu-convert-functions | FileCheck %s

// Case pointers: a memref argument is a pointer with the same attributes; callers pass theirs.
// CHECK-LABEL: llvm.func @entry(%{{.*}}: !llvm.ptr) -> i32
// CHECK: llvm.call @kernel(%arg0) : (!llvm.ptr) -> ()
// CHECK: llvm.return %{{.*}} : i32
func.func @entry(%p: !llvm.ptr) -> i32 {
  %m = builtin.unrealized_conversion_cast %p : !llvm.ptr to memref<8xf32>
  call @kernel(%m) : (memref<8xf32>) -> ()
  %zero = llvm.mlir.constant(0 : i32) : i32
  return %zero : i32
}
// CHECK-LABEL: llvm.func internal @kernel(%{{.*}}: !llvm.ptr {llvm.align = 64 : i64, llvm.noalias})
// CHECK: llvm.store %{{.*}}, %arg0
func.func private @kernel(%m: memref<8xf32> {llvm.align = 64 : i64, llvm.noalias}) {
  %p = builtin.unrealized_conversion_cast %m : memref<8xf32> to !llvm.ptr
  %one = llvm.mlir.constant(1.0 : f32) : f32
  llvm.store %one, %p : f32, !llvm.ptr
  return
}

// Case counts: an index is a 64-bit integer.
// CHECK-LABEL: llvm.func internal @caller(%{{.*}}: i64)
// CHECK: llvm.call @counts(%arg0) : (i64) -> ()
func.func private @caller(%i: i64) {
  %n = builtin.unrealized_conversion_cast %i : i64 to index
  call @counts(%n) : (index) -> ()
  return
}
// CHECK-LABEL: llvm.func internal @counts(%{{.*}}: i64)
// CHECK: llvm.add %arg0, %arg0 : i64
func.func private @counts(%n: index) {
  %i = builtin.unrealized_conversion_cast %n : index to i64
  %s = llvm.add %i, %i : i64
  return
}
