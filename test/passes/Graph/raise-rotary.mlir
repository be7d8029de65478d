// RUN: burin-opt %s --split-input-file --graph-raise-rotary | FileCheck %s
// RUN: burin-opt %s --split-input-file --graph-raise-rotary --remarks-filter='RaiseRotary' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// Cos and sin of angles that an exporter writes twice side by side: the caches are made of the angles themselves.
// CHECK-LABEL: @half_split
// CHECK-DAG: %[[C:.*]] = onnx.Cos(%arg1) : (tensor<1x3x2xf32>) -> tensor<1x3x2xf32>
// CHECK-DAG: %[[S:.*]] = onnx.Sin(%arg1) : (tensor<1x3x2xf32>) -> tensor<1x3x2xf32>
// CHECK: %[[Y:.*]] = onnx.RotaryEmbedding(%arg0, %[[C]], %[[S]], %{{.*}})
// CHECK-NEXT: return %[[Y]]
// REMARK: [Passed] RotaryEmbedding
func.func @half_split(%x: tensor<1x8x3x4xf32>, %t: tensor<1x3x2xf32>) -> tensor<1x8x3x4xf32> {
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %half = onnx.Constant dense<2> : tensor<1xi64>
  %end = onnx.Constant dense<9223372036854775807> : tensor<1xi64>
  %last = onnx.Constant dense<3> : tensor<1xi64>
  %0 = onnx.Concat(%t, %t) {axis = -1 : i64} : (tensor<1x3x2xf32>, tensor<1x3x2xf32>) -> tensor<1x3x4xf32>
  %1 = onnx.Cos(%0) : (tensor<1x3x4xf32>) -> tensor<1x3x4xf32>
  %2 = onnx.Sin(%0) : (tensor<1x3x4xf32>) -> tensor<1x3x4xf32>
  %3 = onnx.Unsqueeze(%1, %one) : (tensor<1x3x4xf32>, tensor<1xi64>) -> tensor<1x1x3x4xf32>
  %4 = onnx.Unsqueeze(%2, %one) : (tensor<1x3x4xf32>, tensor<1xi64>) -> tensor<1x1x3x4xf32>
  %5 = onnx.Mul(%x, %3) : (tensor<1x8x3x4xf32>, tensor<1x1x3x4xf32>) -> tensor<1x8x3x4xf32>
  %6 = onnx.Slice(%x, %half, %end, %last, %one) : (tensor<1x8x3x4xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<1x8x3x2xf32>
  %7 = onnx.Neg(%6) : (tensor<1x8x3x2xf32>) -> tensor<1x8x3x2xf32>
  %8 = onnx.Slice(%x, %zero, %half, %last, %one) : (tensor<1x8x3x4xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<1x8x3x2xf32>
  %9 = onnx.Concat(%7, %8) {axis = -1 : i64} : (tensor<1x8x3x2xf32>, tensor<1x8x3x2xf32>) -> tensor<1x8x3x4xf32>
  %10 = onnx.Mul(%9, %4) : (tensor<1x8x3x4xf32>, tensor<1x1x3x4xf32>) -> tensor<1x8x3x4xf32>
  %11 = onnx.Add(%5, %10) : (tensor<1x8x3x4xf32>, tensor<1x8x3x4xf32>) -> tensor<1x8x3x4xf32>
  return %11 : tensor<1x8x3x4xf32>
}

// -----

// Tables looked up by position, halves by Split, operands the other way round.
// CHECK-LABEL: @cached
// CHECK-DAG: %[[C:.*]] = onnx.Constant dense<{{\[}}[1.000000e+00, 2.000000e+00], [3.000000e+00, 4.000000e+00]]> : tensor<2x2xf32>
// CHECK-DAG: %[[S:.*]] = onnx.Constant dense<{{\[}}[5.000000e+00, 6.000000e+00], [7.000000e+00, 8.000000e+00]]> : tensor<2x2xf32>
// CHECK-DAG: onnx.Gather(%[[C]], %arg1) : (tensor<2x2xf32>, tensor<1x3xi64>) -> tensor<1x3x2xf32>
// CHECK-DAG: onnx.Gather(%[[S]], %arg1)
// CHECK: onnx.RotaryEmbedding
func.func @cached(%x: tensor<1x8x3x4xf32>, %p: tensor<1x3xi64>) -> tensor<1x8x3x4xf32> {
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %parts = onnx.Constant dense<2> : tensor<2xi64>
  %c = onnx.Constant dense<[[1.0, 2.0, 1.0, 2.0], [3.0, 4.0, 3.0, 4.0]]> : tensor<2x4xf32>
  %s = onnx.Constant dense<[[5.0, 6.0, 5.0, 6.0], [7.0, 8.0, 7.0, 8.0]]> : tensor<2x4xf32>
  %1 = onnx.Gather(%c, %p) : (tensor<2x4xf32>, tensor<1x3xi64>) -> tensor<1x3x4xf32>
  %2 = onnx.Gather(%s, %p) : (tensor<2x4xf32>, tensor<1x3xi64>) -> tensor<1x3x4xf32>
  %3 = onnx.Unsqueeze(%1, %one) : (tensor<1x3x4xf32>, tensor<1xi64>) -> tensor<1x1x3x4xf32>
  %4 = onnx.Unsqueeze(%2, %one) : (tensor<1x3x4xf32>, tensor<1xi64>) -> tensor<1x1x3x4xf32>
  %lo, %hi = onnx.Split(%x, %parts) {axis = 3 : i64} : (tensor<1x8x3x4xf32>, tensor<2xi64>) -> (tensor<1x8x3x2xf32>, tensor<1x8x3x2xf32>)
  %5 = onnx.Neg(%hi) : (tensor<1x8x3x2xf32>) -> tensor<1x8x3x2xf32>
  %6 = onnx.Concat(%5, %lo) {axis = 3 : i64} : (tensor<1x8x3x2xf32>, tensor<1x8x3x2xf32>) -> tensor<1x8x3x4xf32>
  %7 = onnx.Mul(%4, %6) : (tensor<1x1x3x4xf32>, tensor<1x8x3x4xf32>) -> tensor<1x8x3x4xf32>
  %8 = onnx.Mul(%3, %x) : (tensor<1x1x3x4xf32>, tensor<1x8x3x4xf32>) -> tensor<1x8x3x4xf32>
  %9 = onnx.Add(%7, %8) : (tensor<1x8x3x4xf32>, tensor<1x8x3x4xf32>) -> tensor<1x8x3x4xf32>
  return %9 : tensor<1x8x3x4xf32>
}

// -----

// One angle differs between the halves; and a sequence of unknown length might be broadcast.
// CHECK-LABEL: @near_misses
// CHECK-NOT: RotaryEmbedding
// REMARK: [Missed] RotaryEmbedding | {{.*}}the two halves of cos or sin are not provably the same
// REMARK: [Missed] RotaryEmbedding | {{.*}}cos and sin do not have the batch, sequence and dim of the operand
func.func @near_misses(%x: tensor<1x8x1x4xf32>, %z: tensor<1x8x?x4xf32>) -> (tensor<1x8x1x4xf32>, tensor<1x8x?x4xf32>) {
  %parts = onnx.Constant dense<2> : tensor<2xi64>
  %c = onnx.Constant dense<[[[[1.0, 2.0, 1.0, 3.0]]]]> : tensor<1x1x1x4xf32>
  %lo, %hi = onnx.Split(%x, %parts) {axis = 3 : i64} : (tensor<1x8x1x4xf32>, tensor<2xi64>) -> (tensor<1x8x1x2xf32>, tensor<1x8x1x2xf32>)
  %0 = onnx.Neg(%hi) : (tensor<1x8x1x2xf32>) -> tensor<1x8x1x2xf32>
  %1 = onnx.Concat(%0, %lo) {axis = 3 : i64} : (tensor<1x8x1x2xf32>, tensor<1x8x1x2xf32>) -> tensor<1x8x1x4xf32>
  %2 = onnx.Mul(%c, %1) : (tensor<1x1x1x4xf32>, tensor<1x8x1x4xf32>) -> tensor<1x8x1x4xf32>
  %3 = onnx.Mul(%c, %x) : (tensor<1x1x1x4xf32>, tensor<1x8x1x4xf32>) -> tensor<1x8x1x4xf32>
  %4 = onnx.Add(%2, %3) : (tensor<1x8x1x4xf32>, tensor<1x8x1x4xf32>) -> tensor<1x8x1x4xf32>
  %zlo, %zhi = onnx.Split(%z, %parts) {axis = 3 : i64} : (tensor<1x8x?x4xf32>, tensor<2xi64>) -> (tensor<1x8x?x2xf32>, tensor<1x8x?x2xf32>)
  %5 = onnx.Neg(%zhi) : (tensor<1x8x?x2xf32>) -> tensor<1x8x?x2xf32>
  %6 = onnx.Concat(%5, %zlo) {axis = 3 : i64} : (tensor<1x8x?x2xf32>, tensor<1x8x?x2xf32>) -> tensor<1x8x?x4xf32>
  %7 = onnx.Mul(%c, %6) : (tensor<1x1x1x4xf32>, tensor<1x8x?x4xf32>) -> tensor<1x8x?x4xf32>
  %8 = onnx.Mul(%c, %z) : (tensor<1x1x1x4xf32>, tensor<1x8x?x4xf32>) -> tensor<1x8x?x4xf32>
  %9 = onnx.Add(%7, %8) : (tensor<1x8x?x4xf32>, tensor<1x8x?x4xf32>) -> tensor<1x8x?x4xf32>
  return %4, %9 : tensor<1x8x1x4xf32>, tensor<1x8x?x4xf32>
}

// -----

// Elements of even and odd place turned, a table of one batch for all, given by its angles.
// CHECK-LABEL: @interleaved
// CHECK-DAG: %[[C:.*]] = onnx.Cos(%arg1) : (tensor<?x2xf32, #onnx.dims<["s", ""]>>) -> tensor<?x2xf32, #onnx.dims<["s", ""]>>
// CHECK-DAG: %[[C3:.*]] = onnx.Unsqueeze(%[[C]], %{{.*}})
// CHECK-DAG: %[[CN:.*]] = onnx.Expand(%[[C3]], %{{.*}})
// CHECK: onnx.RotaryEmbedding(%arg0, %[[CN]], %{{.*}}, %{{.*}}) {interleaved = 1 : i64}
!x = tensor<?x2x?x4xf32, #onnx.dims<["n", "", "s", ""]>>
!h = tensor<?x2x?x2xf32, #onnx.dims<["n", "", "s", ""]>>
!u = tensor<?x2x?x2x1xf32, #onnx.dims<["n", "", "s", "", ""]>>
!p = tensor<?x2x?x2x2xf32, #onnx.dims<["n", "", "s", "", ""]>>
!a = tensor<?x2xf32, #onnx.dims<["s", ""]>>
!au = tensor<?x2x1xf32, #onnx.dims<["s", "", ""]>>
!aw = tensor<?x2x2xf32, #onnx.dims<["s", "", ""]>>
!c = tensor<?x4xf32, #onnx.dims<["s", ""]>>
func.func @interleaved(%x: !x, %t: !a) -> !x {
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %two = onnx.Constant dense<2> : tensor<1xi64>
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %end = onnx.Constant dense<9223372036854775807> : tensor<1xi64>
  %twice = onnx.Constant dense<[1, 1, 2]> : tensor<3xi64>
  %flat = onnx.Constant dense<[0, 4]> : tensor<2xi64>
  %whole = onnx.Constant dense<[0, 0, 0, 4]> : tensor<4xi64>
  %0 = onnx.Unsqueeze(%t, %last) : (!a, tensor<1xi64>) -> !au
  %1 = onnx.Expand(%0, %twice) : (!au, tensor<3xi64>) -> !aw
  %2 = onnx.Reshape(%1, %flat) : (!aw, tensor<2xi64>) -> !c
  %3 = onnx.Cos(%2) : (!c) -> !c
  %4 = onnx.Sin(%2) : (!c) -> !c
  %5 = onnx.Slice(%x, %one, %end, %last, %two) : (!x, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> !h
  %6 = onnx.Slice(%x, %zero, %end, %last, %two) : (!x, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> !h
  %7 = onnx.Neg(%5) : (!h) -> !h
  %8 = onnx.Unsqueeze(%7, %last) : (!h, tensor<1xi64>) -> !u
  %9 = onnx.Unsqueeze(%6, %last) : (!h, tensor<1xi64>) -> !u
  %10 = onnx.Concat(%8, %9) {axis = -1 : i64} : (!u, !u) -> !p
  %11 = onnx.Reshape(%10, %whole) : (!p, tensor<4xi64>) -> !x
  %12 = onnx.Mul(%x, %3) : (!x, !c) -> !x
  %13 = onnx.Mul(%11, %4) : (!x, !c) -> !x
  %14 = onnx.Add(%12, %13) : (!x, !x) -> !x
  return %14 : !x
}

// -----

// The two parts written out, heads after the sequence, half of each head turned and the rest as it was.
// CHECK-LABEL: @parts
// CHECK-DAG: %[[F:.*]] = onnx.Reshape(%{{.*}}, %{{.*}}) : (tensor<2x3x2x4xf32>, tensor<3xi64>) -> tensor<2x3x8xf32>
// CHECK-DAG: %[[C:.*]] = onnx.Squeeze(%arg1, %{{.*}}) : (tensor<2x3x1x2xf32>, tensor<1xi64>) -> tensor<2x3x2xf32>
// CHECK: onnx.RotaryEmbedding(%[[F]], %[[C]], %{{.*}}, %{{.*}}) {num_heads = 2 : i64}
func.func @parts(%x: tensor<2x3x2x4xf32>, %c: tensor<2x3x1x2xf32>, %s: tensor<2x3x1x2xf32>) -> tensor<2x3x2x4xf32> {
  %halves = onnx.Constant dense<2> : tensor<2xi64>
  %0, %1 = onnx.Split(%x, %halves) {axis = -1 : i64} : (tensor<2x3x2x4xf32>, tensor<2xi64>) -> (tensor<2x3x2x2xf32>, tensor<2x3x2x2xf32>)
  %2 = onnx.Mul(%0, %c) : (tensor<2x3x2x2xf32>, tensor<2x3x1x2xf32>) -> tensor<2x3x2x2xf32>
  %3 = onnx.Mul(%1, %s) : (tensor<2x3x2x2xf32>, tensor<2x3x1x2xf32>) -> tensor<2x3x2x2xf32>
  %4 = onnx.Sub(%2, %3) : (tensor<2x3x2x2xf32>, tensor<2x3x2x2xf32>) -> tensor<2x3x2x2xf32>
  %5 = onnx.Mul(%1, %c) : (tensor<2x3x2x2xf32>, tensor<2x3x1x2xf32>) -> tensor<2x3x2x2xf32>
  %6 = onnx.Mul(%0, %s) : (tensor<2x3x2x2xf32>, tensor<2x3x1x2xf32>) -> tensor<2x3x2x2xf32>
  %7 = onnx.Add(%5, %6) : (tensor<2x3x2x2xf32>, tensor<2x3x2x2xf32>) -> tensor<2x3x2x2xf32>
  %8 = onnx.Concat(%4, %7) {axis = -1 : i64} : (tensor<2x3x2x2xf32>, tensor<2x3x2x2xf32>) -> tensor<2x3x2x4xf32>
  return %8 : tensor<2x3x2x4xf32>
}

// -----

// CHECK-LABEL: @partial
// CHECK-NOT: onnx.Concat
// CHECK: onnx.RotaryEmbedding(%arg0, %{{.*}}, %{{.*}}, %{{.*}}) {num_heads = 8 : i64, rotary_embedding_dim = 4 : i64}
// REMARK: [Passed] Partial
func.func @partial(%x: tensor<1x8x3x6xf32>, %c: tensor<1x1x3x2xf32>, %s: tensor<1x1x3x2xf32>) -> tensor<1x8x3x6xf32> {
  %parts = onnx.Constant dense<[4, 2]> : tensor<2xi64>
  %halves = onnx.Constant dense<2> : tensor<2xi64>
  %r, %rest = onnx.Split(%x, %parts) {axis = 3 : i64} : (tensor<1x8x3x6xf32>, tensor<2xi64>) -> (tensor<1x8x3x4xf32>, tensor<1x8x3x2xf32>)
  %0, %1 = onnx.Split(%r, %halves) {axis = 3 : i64} : (tensor<1x8x3x4xf32>, tensor<2xi64>) -> (tensor<1x8x3x2xf32>, tensor<1x8x3x2xf32>)
  %2 = onnx.Mul(%0, %c) : (tensor<1x8x3x2xf32>, tensor<1x1x3x2xf32>) -> tensor<1x8x3x2xf32>
  %3 = onnx.Mul(%1, %s) : (tensor<1x8x3x2xf32>, tensor<1x1x3x2xf32>) -> tensor<1x8x3x2xf32>
  %4 = onnx.Sub(%2, %3) : (tensor<1x8x3x2xf32>, tensor<1x8x3x2xf32>) -> tensor<1x8x3x2xf32>
  %5 = onnx.Mul(%1, %c) : (tensor<1x8x3x2xf32>, tensor<1x1x3x2xf32>) -> tensor<1x8x3x2xf32>
  %6 = onnx.Mul(%0, %s) : (tensor<1x8x3x2xf32>, tensor<1x1x3x2xf32>) -> tensor<1x8x3x2xf32>
  %7 = onnx.Add(%5, %6) : (tensor<1x8x3x2xf32>, tensor<1x8x3x2xf32>) -> tensor<1x8x3x2xf32>
  %8 = onnx.Concat(%4, %7) {axis = 3 : i64} : (tensor<1x8x3x2xf32>, tensor<1x8x3x2xf32>) -> tensor<1x8x3x4xf32>
  %9 = onnx.Concat(%8, %rest) {axis = 3 : i64} : (tensor<1x8x3x4xf32>, tensor<1x8x3x2xf32>) -> tensor<1x8x3x6xf32>
  return %9 : tensor<1x8x3x6xf32>
}

// -----

// Several uses: a product is read elsewhere too, so that it is computed anyway.
// CHECK-LABEL: @several_uses
// CHECK-NOT: RotaryEmbedding
// CHECK: %[[P:.*]] = onnx.Mul(%arg0, %arg1)
// CHECK: return %{{.*}}, %[[P]]
// REMARK: [Missed] RotaryEmbedding | {{.*}}a part has several uses
func.func @several_uses(%x: tensor<1x2x3x4xf32>, %c: tensor<1x1x3x4xf32>, %s: tensor<1x1x3x4xf32>) -> (tensor<1x2x3x4xf32>, tensor<1x2x3x4xf32>) {
  %parts = onnx.Constant dense<2> : tensor<2xi64>
  %lo, %hi = onnx.Split(%x, %parts) {axis = 3 : i64} : (tensor<1x2x3x4xf32>, tensor<2xi64>) -> (tensor<1x2x3x2xf32>, tensor<1x2x3x2xf32>)
  %0 = onnx.Neg(%hi) : (tensor<1x2x3x2xf32>) -> tensor<1x2x3x2xf32>
  %1 = onnx.Concat(%0, %lo) {axis = -1 : i64} : (tensor<1x2x3x2xf32>, tensor<1x2x3x2xf32>) -> tensor<1x2x3x4xf32>
  %2 = onnx.Mul(%x, %c) : (tensor<1x2x3x4xf32>, tensor<1x1x3x4xf32>) -> tensor<1x2x3x4xf32>
  %3 = onnx.Mul(%1, %s) : (tensor<1x2x3x4xf32>, tensor<1x1x3x4xf32>) -> tensor<1x2x3x4xf32>
  %4 = onnx.Add(%2, %3) : (tensor<1x2x3x4xf32>, tensor<1x2x3x4xf32>) -> tensor<1x2x3x4xf32>
  return %4, %2 : tensor<1x2x3x4xf32>, tensor<1x2x3x4xf32>
}

// -----

// Angles doubled by Tile, halves stacked, heads after the sequence; no batch.
// CHECK-LABEL: @stacked
// CHECK: %[[C:.*]] = onnx.Cos(%arg1) : (tensor<3x1x2xf32>) -> tensor<3x1x2xf32>
// CHECK: onnx.RotaryEmbedding(%{{.*}}) {num_heads = 2 : i64} : (tensor<1x3x8xf32>, tensor<1x3x2xf32>, tensor<1x3x2xf32>, none) -> tensor<1x3x8xf32>
func.func @stacked(%x: tensor<3x2x4xf32>, %f: tensor<3x1x2xf32>) -> tensor<3x2x4xf32> {
  %parts = onnx.Constant dense<2> : tensor<2xi64>
  %twice = onnx.Constant dense<[1, 1, 2]> : tensor<3xi64>
  %two = onnx.Constant dense<2> : tensor<1xi64>
  %shape = onnx.Constant dense<[3, 2, 4]> : tensor<3xi64>
  %e = onnx.Tile(%f, %twice) : (tensor<3x1x2xf32>, tensor<3xi64>) -> tensor<3x1x4xf32>
  %c = onnx.Cos(%e) : (tensor<3x1x4xf32>) -> tensor<3x1x4xf32>
  %s = onnx.Sin(%e) : (tensor<3x1x4xf32>) -> tensor<3x1x4xf32>
  %lo, %hi = onnx.Split(%x, %parts) {axis = 2 : i64} : (tensor<3x2x4xf32>, tensor<2xi64>) -> (tensor<3x2x2xf32>, tensor<3x2x2xf32>)
  %0 = onnx.Neg(%hi) : (tensor<3x2x2xf32>) -> tensor<3x2x2xf32>
  %1 = onnx.Unsqueeze(%0, %two) : (tensor<3x2x2xf32>, tensor<1xi64>) -> tensor<3x2x1x2xf32>
  %2 = onnx.Unsqueeze(%lo, %two) : (tensor<3x2x2xf32>, tensor<1xi64>) -> tensor<3x2x1x2xf32>
  %3 = onnx.Concat(%1, %2) {axis = 2 : i64} : (tensor<3x2x1x2xf32>, tensor<3x2x1x2xf32>) -> tensor<3x2x2x2xf32>
  %4 = onnx.Reshape(%3, %shape) : (tensor<3x2x2x2xf32>, tensor<3xi64>) -> tensor<3x2x4xf32>
  %5 = onnx.Mul(%x, %c) : (tensor<3x2x4xf32>, tensor<3x1x4xf32>) -> tensor<3x2x4xf32>
  %6 = onnx.Mul(%4, %s) : (tensor<3x2x4xf32>, tensor<3x1x4xf32>) -> tensor<3x2x4xf32>
  %7 = onnx.Add(%5, %6) : (tensor<3x2x4xf32>, tensor<3x2x4xf32>) -> tensor<3x2x4xf32>
  return %7 : tensor<3x2x4xf32>
}
