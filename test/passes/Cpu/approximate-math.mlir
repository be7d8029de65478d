// RUN: burin-opt %s --cpu-approximate-math=machine=x86-64-v4 | FileCheck %s
// RUN: burin-opt %s --cpu-approximate-math=machine=x86-64 | FileCheck %s --check-prefix=SSE2
// RUN: burin-opt %s "--cpu-approximate-math=machine=x86-64-v4 loose" | FileCheck %s --check-prefix=LOOSE

// Loose forms: no second factor for denormals, sines in f32.
// LOOSE-LABEL: @exp
// LOOSE-COUNT-1: arith.shli
// LOOSE-NOT: arith.shli
// LOOSE: return

// Case exp: a polynomial; no function is left.
// CHECK-LABEL: @exp
// CHECK-NOT: math.exp
// CHECK: math.fma {{.*}} : vector<16xf32>
// CHECK: arith.shli
// CHECK-NOT: math.exp
// CHECK: return
// SSE2-LABEL: @exp
// SSE2-NOT: math.
// SSE2: return
func.func @exp(%x: vector<16xf32>) -> vector<16xf32> {
  %y = math.exp %x : vector<16xf32>
  return %y : vector<16xf32>
}

// Case erf: where 1 is added it is a polynomial without an exponential.
// CHECK-LABEL: @erf_of_sum
// CHECK-NOT: arith.shli
// CHECK: math.fma
// CHECK-NOT: arith.shli
// CHECK: return
func.func @erf_of_sum(%x: vector<16xf32>) -> vector<16xf32> {
  %one = arith.constant dense<1.0> : vector<16xf32>
  %y = math.erf %x : vector<16xf32>
  %z = arith.addf %one, %y : vector<16xf32>
  return %z : vector<16xf32>
}

// Another use needs small results to their last digit.
// CHECK-LABEL: @erf_of_both
// CHECK: arith.shli
// CHECK: return
func.func @erf_of_both(%x: vector<16xf32>) -> (vector<16xf32>, vector<16xf32>) {
  %one = arith.constant dense<1.0> : vector<16xf32>
  %y = math.erf %x : vector<16xf32>
  %z = arith.addf %one, %y : vector<16xf32>
  return %y, %z : vector<16xf32>, vector<16xf32>
}

// Case exp: in a divisor beside 1 it is cut where that makes no difference, and shorter: one shift.
// CHECK-LABEL: @sigmoid
// CHECK-COUNT-1: arith.shli
// CHECK-NOT: arith.shli
// CHECK: arith.divf
func.func @sigmoid(%x: vector<16xf32>) -> vector<16xf32> {
  %one = arith.constant dense<1.0> : vector<16xf32>
  %y = math.exp %x : vector<16xf32>
  %z = arith.addf %one, %y : vector<16xf32>
  %r = arith.divf %one, %z : vector<16xf32>
  return %r : vector<16xf32>
}

// Case square: constant powers are products.
// CHECK-LABEL: @square
// CHECK-NEXT: arith.constant
// CHECK-NEXT: arith.mulf %arg0, %arg0
// CHECK-NEXT: return
func.func @square(%x: f32) -> f32 {
  %two = arith.constant 2.0 : f32
  %y = math.powf %x, %two : f32
  return %y : f32
}

// Case half: through f32.
// CHECK-LABEL: @half
// CHECK: arith.extf %arg0 : f16 to f32
// CHECK: arith.truncf {{.*}} : f32 to f16
// SSE2-LABEL: @half
// SSE2-NOT: arith.extf
// SSE2-NOT: arith.truncf
// SSE2: return
func.func @half(%x: f16) -> f16 {
  %y = math.tanh %x : f16
  return %y : f16
}

// Case bfloat: conversions by shifting bits.
// CHECK-LABEL: @bfloat
// CHECK-NOT: arith.truncf
// CHECK: arith.shrui
// CHECK: return
func.func @bfloat(%x: f32) -> bf16 {
  %y = arith.truncf %x : f32 to bf16
  return %y : bf16
}

// Case instructions: what the machine has stays.
// CHECK-LABEL: @instructions
// CHECK: math.sqrt
// CHECK: math.floor
// SSE2-LABEL: @instructions
// SSE2: math.sqrt
// SSE2-NOT: math.floor
// SSE2: return
func.func @instructions(%x: f32) -> f32 {
  %y = math.sqrt %x : f32
  %z = math.floor %y : f32
  return %z : f32
}

// Case relu: the processor's own maximum, whose second operand wins where one is NaN.
// CHECK-LABEL: @relu
// CHECK: %[[ZERO:.*]] = arith.constant dense<0.0
// CHECK: %[[IS:.*]] = arith.cmpf ogt, %[[ZERO]], %arg0
// CHECK-NEXT: arith.select %[[IS]], %[[ZERO]], %arg0
// CHECK-NEXT: return
func.func @relu(%x: vector<16xf32>) -> vector<16xf32> {
  %zero = arith.constant dense<0.0> : vector<16xf32>
  %y = arith.maximumf %x, %zero : vector<16xf32>
  return %y : vector<16xf32>
}

// Case sine: in f64, and in f32 where it may be loose.
// CHECK-LABEL: @sine
// CHECK: arith.extf
// LOOSE-LABEL: @sine
// LOOSE-NOT: arith.extf
// LOOSE: return
func.func @sine(%x: vector<16xf32>) -> vector<16xf32> {
  %y = math.sin %x : vector<16xf32>
  return %y : vector<16xf32>
}
