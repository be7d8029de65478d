// A sequence of two, an empty optional and a present one, as bind-shapes.mlir binds them: elements get shapes by their own names.
// CHECK-LABEL: @lengths
// CHECK-SAME: (%arg0: tensor<*xf32> {onnx.name = "s[0]"}, %arg1: tensor<4xf32> {onnx.name = "s[1]"}, %arg2: tensor<2xf32> {onnx.name = "p"})
// CHECK-SAME: onnx.lengths = {o, p = 1 : i64, s = 2 : i64}
// CHECK-DAG: onnx.SequenceConstruct(%arg0, %arg1)
// CHECK-DAG: onnx.Optional(%{{.*}}) {elem_type = tensor<3xf32>} : (none)
// CHECK-DAG: onnx.Optional(%arg2)
func.func @lengths(%s: !onnx.seq<tensor<*xf32>> {onnx.name = "s"}, %o: !onnx.opt<tensor<3xf32>> {onnx.name = "o"}, %p: !onnx.opt<tensor<2xf32>> {onnx.name = "p"})
    -> (!onnx.seq<tensor<*xf32>>, !onnx.opt<tensor<3xf32>>, !onnx.opt<tensor<2xf32>>) {
  return %s, %o, %p : !onnx.seq<tensor<*xf32>>, !onnx.opt<tensor<3xf32>>, !onnx.opt<tensor<2xf32>>
}
