// Sizes are as wide as the machine's addresses, but between functions: there they have 64 bits.
// RUN: burin-opt %s --cpu-lower-to-llvm='machine=cortex-m7' --cpu-convert-functions='machine=cortex-m7' | FileCheck %s --check-prefix=NARROW
// RUN: burin-opt %s --cpu-lower-to-llvm='machine=x86-64-v3' --cpu-convert-functions='machine=x86-64-v3' | FileCheck %s --check-prefix=WIDE
// RUN: not burin-opt %s --cpu-convert-functions='machine=z80' 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// UNKNOWN: error: unknown machine 'z80', expected one of: host,

// NARROW-LABEL: @loop(%{{.*}}: !llvm.ptr, %{{.*}}: i64)
// NARROW: llvm.trunc %{{.*}} : i64 to i32
// NARROW-NOT: i64
// NARROW: llvm.icmp "slt" %{{.*}} : i32
// NARROW: llvm.intr.fma
// WIDE-LABEL: @loop(%{{.*}}: !llvm.ptr, %{{.*}}: i64)
// WIDE: llvm.icmp "slt" %{{.*}} : i64
func.func @loop(%a: memref<16xf32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.for %i = %c0 to %n step %c1 {
    %x = memref.load %a[%i] : memref<16xf32>
    %y = math.fma %x, %x, %x : f32
    memref.store %y, %a[%i] : memref<16xf32>
  }
  return
}
