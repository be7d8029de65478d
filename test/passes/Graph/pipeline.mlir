// RUN: burin-opt %s --graph='shapes=x=1x2x4x4' | FileCheck %s
// RUN: not burin-opt %s --graph='shapes=y=1x2x4x4' 2>&1 | FileCheck %s --check-prefix=ERROR

// Bound, inferred, folded, raised and fused: one padded convolution, one activation, one flat view of static shape.
// CHECK-LABEL: @main
// CHECK-SAME: tensor<1x2x4x4xf32>{{.*}} -> (tensor<1x8xf32> {onnx.name = "y0"})
// CHECK-DAG: %[[W:.*]] = onnx.Constant dense<1.500000e+00> : tensor<2x2x3x3xf32>
// CHECK: %[[C:.*]] = onnx.Conv(%arg0, %[[W]], %{{.*}}) {pads = array<i64: 1, 1, 1, 1>, strides = array<i64: 2, 2>}
// CHECK-NEXT: %[[A:.*]] = onnx.HardSwish(%[[C]])
// CHECK: %[[Y:.*]] = onnx.Reshape(%[[A]], %{{.*}})
// CHECK-NEXT: return %[[Y]]
// ERROR: error: {{.*}}expected the name of an input (x) before '=' in a shape, got 'y'
func.func @main(%x: tensor<?x2x?x?xf32, #onnx.dims<["n", "", "h", "w"]>> {onnx.name = "x"}) -> (tensor<?x?xf32> {onnx.name = "y0"}) {
  %none = onnx.NoValue
  %pads = onnx.Constant dense<[0, 0, 1, 1, 0, 0, 1, 1]> : tensor<8xi64>
  %w = onnx.Constant dense<1.0> : tensor<2x2x3x3xf32>
  %p = onnx.Constant dense<3.0> : tensor<2xf32>
  %v = onnx.Constant dense<4.0> : tensor<2xf32>
  %three = onnx.Constant dense<3.0> : tensor<f32>
  %zero = onnx.Constant dense<0.0> : tensor<f32>
  %six = onnx.Constant dense<6.0> : tensor<f32>
  %first = onnx.Constant dense<0> : tensor<i64>
  %axis = onnx.Constant dense<0> : tensor<1xi64>
  %rest = onnx.Constant dense<-1> : tensor<1xi64>
  %0 = onnx.Pad(%x, %pads, %none, %none) : (tensor<?x2x?x?xf32, #onnx.dims<["n", "", "h", "w"]>>, tensor<8xi64>, none, none) -> tensor<?x2x?x?xf32>
  %1 = onnx.Conv(%0, %w, %none) {strides = array<i64: 2, 2>} : (tensor<?x2x?x?xf32>, tensor<2x2x3x3xf32>, none) -> tensor<?x2x?x?xf32>
  %2:3 = onnx.BatchNormalization(%1, %p, %p, %p, %v) {epsilon = 0.0 : f32} : (tensor<?x2x?x?xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> (tensor<?x2x?x?xf32>, none, none)
  %3 = onnx.Add(%2#0, %three) : (tensor<?x2x?x?xf32>, tensor<f32>) -> tensor<?x2x?x?xf32>
  %4 = onnx.Clip(%3, %zero, %six) : (tensor<?x2x?x?xf32>, tensor<f32>, tensor<f32>) -> tensor<?x2x?x?xf32>
  %5 = onnx.Mul(%2#0, %4) : (tensor<?x2x?x?xf32>, tensor<?x2x?x?xf32>) -> tensor<?x2x?x?xf32>
  %6 = onnx.Div(%5, %six) : (tensor<?x2x?x?xf32>, tensor<f32>) -> tensor<?x2x?x?xf32>
  %7 = onnx.Identity(%6) : (tensor<?x2x?x?xf32>) -> tensor<?x2x?x?xf32>
  %8 = onnx.Shape(%7) : (tensor<?x2x?x?xf32>) -> tensor<4xi64>
  %9 = onnx.Gather(%8, %first) : (tensor<4xi64>, tensor<i64>) -> tensor<i64>
  %10 = onnx.Unsqueeze(%9, %axis) : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
  %11 = onnx.Concat(%10, %rest) {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %12 = onnx.Reshape(%7, %11) : (tensor<?x2x?x?xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  return %12 : tensor<?x?xf32>
}
