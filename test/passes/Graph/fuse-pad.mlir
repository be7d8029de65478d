// RUN: burin-opt %s --split-input-file --graph-fuse-pad | FileCheck %s
// RUN: burin-opt %s --split-input-file --graph-fuse-pad --remarks-filter='FusePad' -o /dev/null 2>&1 | FileCheck %s --check-prefix=REMARK

// CHECK-LABEL: @conv
// CHECK-NOT: onnx.Pad
// CHECK: onnx.Conv(%arg0, %{{.*}}, %{{.*}}) {pads = array<i64: 1, 2, 2, 1>}
// REMARK: [Passed] Conv
func.func @conv(%x: tensor<?x2x4x4xf32>, %w: tensor<3x2x3x3xf32>) -> tensor<?x3x5x5xf32> {
  %none = onnx.NoValue
  %pads = onnx.Constant dense<[0, 0, 0, 1, 0, 0, 1, 0]> : tensor<8xi64>
  %zero = onnx.Constant dense<0.0> : tensor<f32>
  %0 = onnx.Pad(%x, %pads, %zero, %none) : (tensor<?x2x4x4xf32>, tensor<8xi64>, tensor<f32>, none) -> tensor<?x2x5x5xf32>
  %1 = onnx.Conv(%0, %w, %none) {pads = array<i64: 1, 1, 1, 1>} : (tensor<?x2x5x5xf32>, tensor<3x2x3x3xf32>, none) -> tensor<?x3x5x5xf32>
  return %1 : tensor<?x3x5x5xf32>
}

// -----

// The mean counts padding: pads of the pool that count.
// CHECK-LABEL: @average
// CHECK-NOT: onnx.Pad
// CHECK: onnx.AveragePool(%arg0) {count_include_pad = 1 : i64, kernel_shape = array<i64: 2, 2>, pads = array<i64: 1, 1, 1, 1>}
func.func @average(%x: tensor<1x2x4x4xf32>) -> tensor<1x2x5x5xf32> {
  %none = onnx.NoValue
  %pads = onnx.Constant dense<[1, 1, 1, 1]> : tensor<4xi64>
  %axes = onnx.Constant dense<[2, 3]> : tensor<2xi64>
  %0 = onnx.Pad(%x, %pads, %none, %axes) : (tensor<1x2x4x4xf32>, tensor<4xi64>, none, tensor<2xi64>) -> tensor<1x2x6x6xf32>
  %1 = onnx.AveragePool(%0) {kernel_shape = array<i64: 2, 2>} : (tensor<1x2x6x6xf32>) -> tensor<1x2x5x5xf32>
  return %1 : tensor<1x2x5x5xf32>
}

// -----

// Zero can be no maximum after a Relu; without one it can.
// CHECK-LABEL: @maximum
// CHECK: %[[R:.*]] = onnx.Relu(%arg0)
// CHECK: onnx.MaxPool(%[[R]]) {kernel_shape = array<i64: 3, 3>, pads = array<i64: 1, 1, 1, 1>}
// CHECK: onnx.Pad(%arg0
// REMARK: [Missed] MaxPool | {{.*}}the padding value could be a window's maximum
func.func @maximum(%x: tensor<1x2x4x4xf32>) -> (tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>) {
  %none = onnx.NoValue
  %pads = onnx.Constant dense<[0, 0, 1, 1, 0, 0, 1, 1]> : tensor<8xi64>
  %r = onnx.Relu(%x) : (tensor<1x2x4x4xf32>) -> tensor<1x2x4x4xf32>
  %0 = onnx.Pad(%r, %pads, %none, %none) : (tensor<1x2x4x4xf32>, tensor<8xi64>, none, none) -> tensor<1x2x6x6xf32>
  %1:2 = onnx.MaxPool(%0) {kernel_shape = array<i64: 3, 3>} : (tensor<1x2x6x6xf32>) -> (tensor<1x2x4x4xf32>, none)
  %2 = onnx.Pad(%x, %pads, %none, %none) : (tensor<1x2x4x4xf32>, tensor<8xi64>, none, none) -> tensor<1x2x6x6xf32>
  %3:2 = onnx.MaxPool(%2) {kernel_shape = array<i64: 3, 3>} : (tensor<1x2x6x6xf32>) -> (tensor<1x2x4x4xf32>, none)
  return %1#0, %3#0 : tensor<1x2x4x4xf32>, tensor<1x2x4x4xf32>
}

// -----

// SAME of the padded image, whose size is known: pads 1 of 6 to 6, and 1 of the Pad. Two Pads of zeros are one.
// CHECK-LABEL: @same
// CHECK: onnx.Conv(%arg0, {{.*}}) {{{.*}}pads = array<i64: 2, 2, 2, 2>}
// CHECK: %[[P:.*]] = onnx.Constant dense<[0, 0, 1, 2, 0, 0, 1, 2]> : tensor<8xi64>
// CHECK: onnx.Pad(%arg0, %[[P]]
// CHECK-NEXT: return
func.func @same(%x: tensor<1x2x4x4xf32>, %w: tensor<3x2x3x3xf32>) -> (tensor<1x3x6x6xf32>, tensor<1x2x6x8xf32>) {
  %none = onnx.NoValue
  %pads = onnx.Constant dense<[0, 0, 1, 1, 0, 0, 1, 1]> : tensor<8xi64>
  %wide = onnx.Constant dense<[1, 1]> : tensor<2xi64>
  %axis = onnx.Constant dense<3> : tensor<1xi64>
  %zero = onnx.Constant dense<0.0> : tensor<f32>
  %0 = onnx.Pad(%x, %pads, %none, %none) : (tensor<1x2x4x4xf32>, tensor<8xi64>, none, none) -> tensor<1x2x6x6xf32>
  %1 = onnx.Conv(%0, %w, %none) {auto_pad = "SAME_UPPER"} : (tensor<1x2x6x6xf32>, tensor<3x2x3x3xf32>, none) -> tensor<1x3x6x6xf32>
  %2 = onnx.Pad(%x, %pads, %none, %none) : (tensor<1x2x4x4xf32>, tensor<8xi64>, none, none) -> tensor<1x2x6x6xf32>
  %3 = onnx.Pad(%2, %wide, %zero, %axis) : (tensor<1x2x6x6xf32>, tensor<2xi64>, tensor<f32>, tensor<1xi64>) -> tensor<1x2x6x8xf32>
  return %1, %3 : tensor<1x3x6x6xf32>, tensor<1x2x6x8xf32>
}

// -----

// A Pad with another user stays for it; reflected pads, another value, padded channels and auto_pad of an unknown size stay
// altogether.
// CHECK-LABEL: @near_misses
// CHECK: %[[P:.*]] = onnx.Pad(%arg0
// CHECK: onnx.Conv(%arg0, {{.*}} {pads = array<i64: 1, 1, 1, 1>}
// CHECK: onnx.Relu(%[[P]])
// CHECK-COUNT-3: onnx.Pad(%arg0
// CHECK: onnx.Pad(%arg3
// REMARK: [Missed] Conv | {{.*}}the Pad's mode is 'reflect', not constant
// REMARK: [Missed] Conv | {{.*}}the padding value is not 0
// REMARK: [Missed] Conv | {{.*}}batch or channels are padded
// REMARK: [Missed] Conv | {{.*}}auto_pad depends on the padded shape, which is not known
func.func @near_misses(%x: tensor<1x2x4x4xf32>, %w: tensor<3x2x3x3xf32>, %w3: tensor<3x3x3x3xf32>, %y: tensor<1x2x?x4xf32>)
    -> (tensor<1x3x4x4xf32>, tensor<1x2x6x6xf32>, tensor<1x3x4x4xf32>, tensor<1x3x4x4xf32>, tensor<1x3x2x2xf32>, tensor<1x3x?x6xf32>) {
  %none = onnx.NoValue
  %pads = onnx.Constant dense<[0, 0, 1, 1, 0, 0, 1, 1]> : tensor<8xi64>
  %channels = onnx.Constant dense<[0, 1, 0, 0, 0, 0, 0, 0]> : tensor<8xi64>
  %one = onnx.Constant dense<1.0> : tensor<f32>
  %0 = onnx.Pad(%x, %pads, %none, %none) : (tensor<1x2x4x4xf32>, tensor<8xi64>, none, none) -> tensor<1x2x6x6xf32>
  %1 = onnx.Conv(%0, %w, %none) : (tensor<1x2x6x6xf32>, tensor<3x2x3x3xf32>, none) -> tensor<1x3x4x4xf32>
  %2 = onnx.Relu(%0) : (tensor<1x2x6x6xf32>) -> tensor<1x2x6x6xf32>
  %3 = onnx.Pad(%x, %pads, %none, %none) {mode = "reflect"} : (tensor<1x2x4x4xf32>, tensor<8xi64>, none, none) -> tensor<1x2x6x6xf32>
  %4 = onnx.Conv(%3, %w, %none) : (tensor<1x2x6x6xf32>, tensor<3x2x3x3xf32>, none) -> tensor<1x3x4x4xf32>
  %5 = onnx.Pad(%x, %pads, %one, %none) : (tensor<1x2x4x4xf32>, tensor<8xi64>, tensor<f32>, none) -> tensor<1x2x6x6xf32>
  %6 = onnx.Conv(%5, %w, %none) : (tensor<1x2x6x6xf32>, tensor<3x2x3x3xf32>, none) -> tensor<1x3x4x4xf32>
  %7 = onnx.Pad(%x, %channels, %none, %none) : (tensor<1x2x4x4xf32>, tensor<8xi64>, none, none) -> tensor<1x3x4x4xf32>
  %8 = onnx.Conv(%7, %w3, %none) : (tensor<1x3x4x4xf32>, tensor<3x3x3x3xf32>, none) -> tensor<1x3x2x2xf32>
  %9 = onnx.Pad(%y, %pads, %none, %none) : (tensor<1x2x?x4xf32>, tensor<8xi64>, none, none) -> tensor<1x2x?x6xf32>
  %10 = onnx.Conv(%9, %w, %none) {auto_pad = "SAME_UPPER"} : (tensor<1x2x?x6xf32>, tensor<3x2x3x3xf32>, none) -> tensor<1x3x?x6xf32>
  return %1, %2, %4, %6, %8, %10 : tensor<1x3x4x4xf32>, tensor<1x2x6x6xf32>, tensor<1x3x4x4xf32>, tensor<1x3x4x4xf32>, tensor<1x3x2x2xf32>, tensor<1x3x?x6xf32>
}
