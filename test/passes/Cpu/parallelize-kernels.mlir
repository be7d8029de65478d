// RUN: burin-opt %s --cpu-parallelize-kernels="machine=x86-64-v4 minimal-part=1000" | FileCheck %s
// RUN: burin-opt %s --cpu-parallelize-kernels="machine=x86-64-v4 minimal-part=1000" --remarks-filter=cpu-parallelize-kernels -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// Case add: a marked loop becomes a function of its part, and the kernel a call of the hook; the entry passes its context.
// CHECK-LABEL: func.func @entry
// CHECK-SAME: %[[CONTEXT:[a-z0-9]+]]: !llvm.ptr) -> i32
// CHECK: call @add(%{{.*}}, %{{.*}}, %[[CONTEXT]])
// CHECK: call @short(%{{[0-9]+}}) :
// CHECK: call @private(%{{.*}}, %[[CONTEXT]])
// CHECK: call @nested(%{{.*}}, %[[CONTEXT]])
// CHECK: call @overlapping(%{{[0-9]+}}, %{{[0-9]+}}) :
// CHECK: call @neighbours(%{{.*}}, %[[CONTEXT]])
func.func @entry(%in: !llvm.ptr, %out: !llvm.ptr, %arena: !llvm.ptr, %weights: !llvm.ptr, %context: !llvm.ptr) -> i32 {
  %a = builtin.unrealized_conversion_cast %in : !llvm.ptr to memref<65536xf32>
  %b = builtin.unrealized_conversion_cast %arena : !llvm.ptr to memref<65536xf32>
  call @add(%a, %b) : (memref<65536xf32>, memref<65536xf32>) -> ()
  call @short(%a) : (memref<65536xf32>) -> ()
  call @private(%a) : (memref<65536xf32>) -> ()
  call @nested(%a) : (memref<65536xf32>) -> ()
  call @overlapping(%a, %b) : (memref<65536xf32>, memref<65536xf32>) -> ()
  call @neighbours(%a, %b) : (memref<65536xf32>, memref<65536xf32>) -> ()
  %ok = llvm.mlir.constant(0 : i32) : i32
  return %ok : i32
}

// CHECK-LABEL: func.func private @add(
// CHECK-SAME: %[[A:.*]]: memref<65536xf32> {llvm.noalias}, %[[B:.*]]: memref<65536xf32> {llvm.align = 64 : i64, llvm.noalias}, %[[C:.*]]: !llvm.ptr)
// CHECK-NOT: scf.for
// CHECK: %[[PART:.*]] = constant @add_part0
// CHECK: %[[SLOT:.*]] = llvm.getelementptr %[[DATA:.*]][1]
// CHECK: llvm.store %{{.*}}, %[[SLOT]]
// CHECK: memref.extract_aligned_pointer_as_index %[[A]]
// CHECK: %[[CALLER:.*]] = llvm.mlir.addressof @burin_part_2_1
// CHECK: llvm.call @burin_fork(%[[C]], %[[CALLER]], %[[DATA]], %{{.*}})
// CHECK: return
// CHECK-LABEL: func.func private @add_part0(
// CHECK-SAME: memref<65536xf32> {llvm.noalias}, %{{.*}}: memref<65536xf32> {llvm.align = 64 : i64, llvm.noalias}, %[[WORD:.*]]: i64, %[[INDEX:.*]]: i64, %[[COUNT:.*]]: i64)
// CHECK: arith.bitcast %{{.*}} : i32 to f32
// CHECK: scf.for
// CHECK-NOT: burin.parallel
// CHECK: vector.store
// REMARK: remark: [Passed] ParallelizeKernels | Category:cpu-parallelize-kernels | Function=add
func.func private @add(%a: memref<65536xf32> {llvm.noalias}, %b: memref<65536xf32> {llvm.align = 64 : i64, llvm.noalias}) {
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  %n = arith.constant 65536 : index
  %x = memref.load %a[%c0] : memref<65536xf32>
  %v = vector.broadcast %x : f32 to vector<16xf32>
  scf.for %i = %c0 to %n step %c16 {
    %y = vector.load %a[%i] : memref<65536xf32>, vector<16xf32>
    %z = arith.addf %y, %v : vector<16xf32>
    vector.store %z, %b[%i] : memref<65536xf32>, vector<16xf32>
  } {burin.parallel = 0 : i64}
  return
}

// Case short: what takes less than two parts' time stays.
// CHECK-LABEL: func.func private @short
// CHECK: scf.for
// CHECK-NOT: burin_fork
// CHECK: return
// REMARK: remark: [Missed] ParallelizeKernels | Category:cpu-parallelize-kernels | Function=short {{.*}}too short for a fork
func.func private @short(%a: memref<65536xf32> {llvm.noalias}) {
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  %n = arith.constant 256 : index
  scf.for %i = %c0 to %n step %c16 {
    %y = vector.load %a[%i] : memref<65536xf32>, vector<16xf32>
    vector.store %y, %a[%i] : memref<65536xf32>, vector<16xf32>
  } {burin.parallel = 0 : i64}
  return
}

// Case private: what is on the stack for one iteration at a time is on each part's own.
// CHECK-LABEL: func.func private @private(
// CHECK-LABEL: func.func private @private_part0
// CHECK: memref.alloca() : memref<16xf32>
// CHECK: scf.for
func.func private @private(%a: memref<65536xf32> {llvm.noalias}) {
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  %n = arith.constant 65536 : index
  %panel = memref.alloca() : memref<16xf32>
  scf.for %i = %c0 to %n step %c16 {
    %y = vector.load %a[%i] : memref<65536xf32>, vector<16xf32>
    vector.store %y, %panel[%c0] : memref<16xf32>, vector<16xf32>
    %z = vector.load %panel[%c0] : memref<16xf32>, vector<16xf32>
    vector.store %z, %a[%i] : memref<65536xf32>, vector<16xf32>
  } {burin.parallel = 0 : i64}
  return
}

// Case nested: two iterations are few: the rows within are counted through as well. Of an inner loop whose last step is cut short the last two iterations stay
// together.
// CHECK-LABEL: func.func private @nested(
// CHECK-LABEL: func.func private @nested_part0
// CHECK: %[[UNITS:.*]] = arith.constant 6552 : index
// CHECK: scf.for
// CHECK: scf.for
// CHECK: vector.store
func.func private @nested(%a: memref<65536xf32> {llvm.noalias}) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c2 = arith.constant 2 : index
  %c10 = arith.constant 10 : index
  %rows = arith.constant 32768 : index
  %last = arith.constant 32758 : index
  scf.for %b = %c0 to %c2 step %c1 {
    %base = arith.muli %b, %rows : index
    scf.for %r = %c0 to %rows step %c10 {
      %early = arith.minsi %r, %last : index
      %i = arith.addi %base, %early : index
      %y = vector.load %a[%i] : memref<65536xf32>, vector<10xf32>
      %z = math.exp %y : vector<10xf32>
      vector.store %z, %a[%i] : memref<65536xf32>, vector<10xf32>
    } {burin.parallel = 0 : i64, burin.overlaps}
  } {burin.parallel = 0 : i64}
  return
}

// Case overlapping: buffers that may overlap may depend on the order of the iterations.
// CHECK-LABEL: func.func private @overlapping(
// CHECK: scf.for
// REMARK: remark: [Missed] ParallelizeKernels | Category:cpu-parallelize-kernels | Function=overlapping {{.*}}uses a buffer that may overlap another
func.func private @overlapping(%a: memref<65536xf32>, %b: memref<65536xf32>) {
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  %n = arith.constant 65536 : index
  scf.for %i = %c0 to %n step %c16 {
    %y = vector.load %a[%i] : memref<65536xf32>, vector<16xf32>
    vector.store %y, %b[%i] : memref<65536xf32>, vector<16xf32>
  } {burin.parallel = 0 : i64}
  return
}

// Case neighbours: loops of two operations that touch different memory share a fork; one that reads what they wrote waits.
// CHECK-LABEL: func.func private @neighbours(
// CHECK: constant @neighbours_part0
// CHECK: llvm.call @burin_fork
// CHECK: constant @neighbours_part1
// CHECK: llvm.call @burin_fork
// CHECK-NOT: burin_fork
// CHECK-LABEL: func.func private @neighbours_part1
// CHECK-LABEL: func.func private @neighbours_part0
// CHECK: scf.for
// CHECK: scf.for
func.func private @neighbours(%a: memref<65536xf32> {llvm.noalias}, %b: memref<65536xf32> {llvm.noalias}) {
  %c0 = arith.constant 0 : index
  %c16 = arith.constant 16 : index
  %n = arith.constant 65536 : index
  %zero = arith.constant dense<0.0> : vector<16xf32>
  scf.for %i = %c0 to %n step %c16 {
    vector.store %zero, %a[%i] : memref<65536xf32>, vector<16xf32>
  } {burin.parallel = 0 : i64}
  scf.for %i = %c0 to %n step %c16 {
    vector.store %zero, %b[%i] : memref<65536xf32>, vector<16xf32>
  } {burin.parallel = 1 : i64}
  scf.for %i = %c0 to %n step %c16 {
    %y = vector.load %a[%i] : memref<65536xf32>, vector<16xf32>
    vector.store %y, %b[%i] : memref<65536xf32>, vector<16xf32>
  } {burin.parallel = 2 : i64}
  return
}

// CHECK-LABEL: llvm.func internal @burin_part_1_0(
// CHECK-LABEL: llvm.func internal @burin_fork(
// CHECK-SAME: no_inline
