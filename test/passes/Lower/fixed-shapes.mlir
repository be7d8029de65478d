// RUN: burin-opt %s --split-input-file --lower-onnx=fixed-shapes --verify-diagnostics

// For targets that cannot run free dims: the first is named with what binds it.
// expected-error @+1 {{the target runs fixed shapes; dim 0 ('batch') of input 'x' is free; bind it with --dim batch=N or --shape x=Nx4}}
func.func @main(%x: tensor<?x4xf32, #onnx.dims<["batch", ""]>> {onnx.name = "x"}) -> tensor<?x4xf32> {
  %y = onnx.Relu(%x) : (tensor<?x4xf32, #onnx.dims<["batch", ""]>>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

func.func @main(%x: tensor<2x4xf32> {onnx.name = "x"}) -> tensor<2x4xf32> {
  %y = onnx.Relu(%x) : (tensor<2x4xf32>) -> tensor<2x4xf32>
  return %y : tensor<2x4xf32>
}
