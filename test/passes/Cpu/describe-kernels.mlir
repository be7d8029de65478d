// RUN: burin-opt %s --cpu-describe-kernels=machine=x86-64-v4 --remarks-filter=cpu-describe-kernels -o /dev/null 2>&1 | FileCheck %s
// RUN: burin-opt %s --cpu-describe-kernels=machine=x86-64-v4 | FileCheck %s --check-prefix=SAME

// CHECK-DAG: [Analysis] Predicted | Category:cpu-describe-kernels | Function=dot | {{.*}}nanoseconds={{[1-9][0-9]*}}
// CHECK-DAG: [Analysis] InnerLoop | Category:cpu-describe-kernels | Function=dot | {{.*}}64 iterations, 2 carried of vector<16xf32>, 3 vector.load, 2 math.fma
// SAME-LABEL: @dot
func.func @dot(%a: memref<64x32xf32>, %b: memref<64x16xf32>, %n: index) attributes {burin.kind = "matmul"} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  %c64 = arith.constant 64 : index
  %zero = arith.constant dense<0.0> : vector<16xf32>
  // Short, and so not the loop that counts.
  scf.for %i = %c0 to %c1 step %c1 {
    vector.store %zero, %b[%i, %c0] : memref<64x16xf32>, vector<16xf32>
  }
  %sums:2 = scf.for %k = %c0 to %c64 step %c1 iter_args(%x = %zero, %y = %zero) -> (vector<16xf32>, vector<16xf32>) {
    %l = vector.load %a[%k, %c0] : memref<64x32xf32>, vector<16xf32>
    %r = vector.load %a[%k, %c16] : memref<64x32xf32>, vector<16xf32>
    %w = vector.load %b[%k, %c0] : memref<64x16xf32>, vector<16xf32>
    %u = math.fma %l, %w, %x : vector<16xf32>
    %v = math.fma %r, %w, %y : vector<16xf32>
    scf.yield %u, %v : vector<16xf32>, vector<16xf32>
  }
  vector.store %sums#0, %b[%c0, %c0] : memref<64x16xf32>, vector<16xf32>
  vector.store %sums#1, %b[%c1, %c0] : memref<64x16xf32>, vector<16xf32>
  return
}

// No kernel, no remark; scalars are told as such.
// CHECK-NOT: Function=other
func.func @other(%a: memref<64xf32>) {
  return
}

// CHECK-DAG: Function=scalar | {{.*}}an unknown number of iterations, 1 carried of f32, scalar operations only
func.func @scalar(%a: memref<64xf32>, %n: index) attributes {burin.kind = "reduce"} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %zero = arith.constant 0.0 : f32
  %sum = scf.for %i = %c0 to %n step %c1 iter_args(%s = %zero) -> f32 {
    %x = memref.load %a[%i] : memref<64xf32>
    %t = arith.addf %s, %x : f32
    scf.yield %t : f32
  }
  memref.store %sum, %a[%c0] : memref<64xf32>
  return
}
