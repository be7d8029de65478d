// RUN: burin-opt %s --cpu-lower-calls | FileCheck %s
// RUN: burin-opt %s --pass-pipeline='builtin.module(cpu-lower-calls,func.func(cpu-lower-to-llvm),cpu-convert-functions)' | FileCheck %s --check-prefix=LLVM

// CHECK: module attributes {burin.callees = ["my_function"]}
// CHECK-DAG: llvm.func @my_function(!llvm.ptr, !llvm.ptr, i32, !llvm.ptr, i32) -> i32
// CHECK-DAG: llvm.mlir.global internal constant @{{.*}}("scale\00") {{.*}}alignment = 8

// One input, an absent one, one output and the status; the attribute is a constant behind its name.
// CHECK-LABEL: @kernel
// CHECK: %[[TENSORS:.*]] = llvm.alloca %{{.*}} x !llvm.struct<(ptr, i32, i32, array<8 x i64>, array<8 x i64>, i64)>
// CHECK: %[[STATUS:.*]] = llvm.call @my_function(%{{.*}}, %[[TENSORS]], %{{.*}}, %{{.*}}, %{{.*}})
// CHECK: llvm.store %[[STATUS]]
// CHECK-NOT: foreign.call
// LLVM-LABEL: llvm.func internal @kernel(%arg0: i64, %arg1: !llvm.ptr
// LLVM: llvm.call @my_function
func.func private @kernel(%context: i64, %x: memref<2x3xf32>, %none: memref<0xi8>, %y: memref<2xf32>, %status: memref<i32>) {
  foreign.call "my_function" context(%context) ins(%x, %none : memref<2x3xf32>, memref<0xi8>) outs(%y, %status : memref<2xf32>, memref<i32>)
    {dtypes = array<i32: 1, 0, 1>, node_attributes = {scale = 2.0 : f32}}
  return
}

// Asked for the dims of its outputs alone: their data is NULL, and what it wrote into the dims is kept.
// CHECK-LABEL: @dims
// CHECK: llvm.mlir.zero : !llvm.ptr
// CHECK: llvm.call @my_function
// CHECK-COUNT-2: llvm.load {{.*}} -> i64
func.func private @dims(%context: i64, %x: memref<2x3xf32>, %dims: memref<2xi64>, %status: memref<i32>) {
  foreign.call "my_function" context(%context) ins(%x : memref<2x3xf32>) outs(%dims, %status : memref<2xi64>, memref<i32>)
    {dtypes = array<i32: 1, 1>, output_ranks = array<i32: 2>, node_attributes = {}}
  return
}
