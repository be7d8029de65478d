// RUN: burin-opt %s --split-input-file --graph-fold-constants | FileCheck %s
// RUN: burin-opt %s --split-input-file --graph-fold-constants --remarks-filter='FoldConstants' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// What exporters write for x.view(x.size(0), -1), of static shape.
// CHECK-LABEL: @shape_chain
// CHECK-NEXT: %[[S:.*]] = onnx.Constant dense<[2, -1]> : tensor<2xi64>
// CHECK-NEXT: onnx.Reshape(%arg0, %[[S]])
// REMARK: [Passed] FoldShape
func.func @shape_chain(%x: tensor<2x3x4xf32>) -> tensor<2x12xf32> {
  %zero = onnx.Constant dense<0> : tensor<i64>
  %axis = onnx.Constant dense<0> : tensor<1xi64>
  %rest = onnx.Constant dense<-1> : tensor<1xi64>
  %0 = onnx.Shape(%x) : (tensor<2x3x4xf32>) -> tensor<3xi64>
  %1 = onnx.Gather(%0, %zero) : (tensor<3xi64>, tensor<i64>) -> tensor<i64>
  %2 = onnx.Unsqueeze(%1, %axis) : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
  %3 = onnx.Concat(%2, %rest) {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %4 = onnx.Reshape(%x, %3) : (tensor<2x3x4xf32>, tensor<2xi64>) -> tensor<2x12xf32>
  return %4 : tensor<2x12xf32>
}

// -----

// Only the batch is dynamic: it becomes -1, and the channels are known all the same.
// CHECK-LABEL: @dynamic
// CHECK-DAG: %[[S:.*]] = onnx.Constant dense<[-1, 12]> : tensor<2xi64>
// CHECK-DAG: %[[C:.*]] = onnx.Constant dense<3> : tensor<i64>
// CHECK-DAG: %[[Y:.*]] = onnx.Reshape(%arg0, %[[S]])
// CHECK: return %[[Y]], %[[C]]
func.func @dynamic(%x: tensor<?x3x4xf32>) -> (tensor<?x12xf32>, tensor<i64>) {
  %zero = onnx.Constant dense<0> : tensor<i64>
  %one = onnx.Constant dense<1> : tensor<i64>
  %axis = onnx.Constant dense<0> : tensor<1xi64>
  %rest = onnx.Constant dense<12> : tensor<1xi64>
  %0 = onnx.Shape(%x) : (tensor<?x3x4xf32>) -> tensor<3xi64>
  %1 = onnx.Gather(%0, %zero) : (tensor<3xi64>, tensor<i64>) -> tensor<i64>
  %2 = onnx.Unsqueeze(%1, %axis) : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
  %3 = onnx.Concat(%2, %rest) {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %4 = onnx.Reshape(%x, %3) : (tensor<?x3x4xf32>, tensor<2xi64>) -> tensor<?x12xf32>
  %5 = onnx.Gather(%0, %one) : (tensor<3xi64>, tensor<i64>) -> tensor<i64>
  return %4, %5 : tensor<?x12xf32>, tensor<i64>
}

// -----

// Integer semantics: Div truncates, Mod follows the divisor's sign, fmod the dividend's; division by zero stays.
// CHECK-LABEL: @integers
// CHECK-DAG: %[[Z:.*]] = onnx.Constant dense<0> : tensor<2xi64>
// CHECK-DAG: %[[D:.*]] = onnx.Constant dense<-3> : tensor<2xi64>
// CHECK-DAG: %[[M:.*]] = onnx.Constant dense<[-1, 1]>
// CHECK-DAG: %[[F:.*]] = onnx.Constant dense<[1, -1]>
// CHECK: %[[Q:.*]] = onnx.Div
// CHECK: return %[[D]], %[[M]], %[[F]], %[[Q]]
func.func @integers() -> (tensor<2xi64>, tensor<2xi64>, tensor<2xi64>, tensor<2xi64>) {
  %a = onnx.Constant dense<[7, -7]> : tensor<2xi64>
  %b = onnx.Constant dense<[-2, 2]> : tensor<2xi64>
  %c = onnx.Constant dense<[-2, -3]> : tensor<2xi64>
  %z = onnx.Constant dense<0> : tensor<2xi64>
  %0 = onnx.Div(%a, %b) : (tensor<2xi64>, tensor<2xi64>) -> tensor<2xi64>
  %1 = onnx.Mod(%a, %b) : (tensor<2xi64>, tensor<2xi64>) -> tensor<2xi64>
  %2 = onnx.Mod(%a, %b) {fmod = 1 : i64} : (tensor<2xi64>, tensor<2xi64>) -> tensor<2xi64>
  %3 = onnx.Div(%a, %z) : (tensor<2xi64>, tensor<2xi64>) -> tensor<2xi64>
  return %0, %1, %2, %3 : tensor<2xi64>, tensor<2xi64>, tensor<2xi64>, tensor<2xi64>
}

// -----

// f16 rounds once, to nearest even; overflow is infinity; a splat stays one.
// CHECK-LABEL: @floats
// CHECK-DAG: dense<[1.000980e+00, 0x7C00, 5.960460e-08, -0.000000e+00]> : tensor<4xf16>
// CHECK-DAG: dense<3.000000e+00> : tensor<1000x1000xf32>
// CHECK-NOT: onnx.Cast
// CHECK-NOT: onnx.Add
func.func @floats() -> (tensor<4xf16>, tensor<1000x1000xf32>) {
  %a = onnx.Constant dense<[1.0005, 65520.0, 3.0e-8, -0.0]> : tensor<4xf32>
  %one = onnx.Constant dense<1.0> : tensor<1000x1000xf32>
  %two = onnx.Constant dense<2.0> : tensor<1000xf32>
  %0 = onnx.Cast(%a) {to = 10 : i64} : (tensor<4xf32>) -> tensor<4xf16>
  %1 = onnx.Add(%one, %two) : (tensor<1000x1000xf32>, tensor<1000xf32>) -> tensor<1000x1000xf32>
  return %0, %1 : tensor<4xf16>, tensor<1000x1000xf32>
}

// -----

// Broadcasting in every direction, and what only moves elements.
// CHECK-LABEL: @moves
// CHECK-DAG: %[[B:.*]] = onnx.Constant dense<{{\[\[}}11, 21, 31], [12, 22, 32]]> : tensor<2x3xi32>
// CHECK-DAG: %[[T:.*]] = onnx.Constant dense<{{\[\[}}11, 12], [21, 22], [31, 32]]> : tensor<3x2xi32>
// CHECK-DAG: %[[S:.*]] = onnx.Constant dense<{{\[\[}}31, 11], [32, 12]]> : tensor<2x2xi32>
// CHECK-DAG: %[[P:.*]] = onnx.Constant dense<[0, 0, 10, 20, 30, 0]> : tensor<6xi32>
// CHECK-DAG: %[[R:.*]] = onnx.Constant dense<[5, 3, 1]> : tensor<3xi64>
// CHECK: return %[[B]], %[[T]], %[[S]], %[[P]], %[[R]]
func.func @moves() -> (tensor<2x3xi32>, tensor<3x2xi32>, tensor<2x2xi32>, tensor<6xi32>, tensor<3xi64>) {
  %none = onnx.NoValue
  %a = onnx.Constant dense<[10, 20, 30]> : tensor<3xi32>
  %b = onnx.Constant dense<[[1], [2]]> : tensor<2x1xi32>
  %start = onnx.Constant dense<-1> : tensor<1xi64>
  %end = onnx.Constant dense<-4> : tensor<1xi64>
  %axis = onnx.Constant dense<1> : tensor<1xi64>
  %step = onnx.Constant dense<-2> : tensor<1xi64>
  %pads = onnx.Constant dense<[2, 1]> : tensor<2xi64>
  %five = onnx.Constant dense<5> : tensor<i64>
  %zero = onnx.Constant dense<0> : tensor<i64>
  %back = onnx.Constant dense<-2> : tensor<i64>
  %0 = onnx.Add(%a, %b) : (tensor<3xi32>, tensor<2x1xi32>) -> tensor<2x3xi32>
  %1 = onnx.Transpose(%0) : (tensor<2x3xi32>) -> tensor<3x2xi32>
  %2 = onnx.Slice(%0, %start, %end, %axis, %step) : (tensor<2x3xi32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<2x2xi32>
  %3 = onnx.Pad(%a, %pads, %none, %none) : (tensor<3xi32>, tensor<2xi64>, none, none) -> tensor<6xi32>
  %4 = onnx.Range(%five, %zero, %back) : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<3xi64>
  return %0, %1, %2, %3, %4 : tensor<2x3xi32>, tensor<3x2xi32>, tensor<2x2xi32>, tensor<6xi32>, tensor<3xi64>
}

// -----

// Not folded: quantized weights, and what would be far larger than what it is made of.
// CHECK-LABEL: @near_misses
// CHECK: onnx.DequantizeLinear
// CHECK: onnx.Expand
// REMARK: [Missed] Fold | {{.*}}much more than what it is made of
func.func @near_misses() -> (tensor<2xf32>, tensor<1000x1000x2xf32>) {
  %none = onnx.NoValue
  %q = onnx.Constant dense<[1, 2]> : tensor<2xi8>
  %scale = onnx.Constant dense<0.5> : tensor<f32>
  %x = onnx.Constant dense<[1.0, 2.0]> : tensor<2xf32>
  %shape = onnx.Constant dense<[1000, 1000, 2]> : tensor<3xi64>
  %0 = onnx.DequantizeLinear(%q, %scale, %none) : (tensor<2xi8>, tensor<f32>, none) -> tensor<2xf32>
  %1 = onnx.Expand(%x, %shape) : (tensor<2xf32>, tensor<3xi64>) -> tensor<1000x1000x2xf32>
  return %0, %1 : tensor<2xf32>, tensor<1000x1000x2xf32>
}
