// The passes of this room, alphabetical. CONVENTIONS: flag = room, verb, object; every description ends in an executed example.
#ifndef BURIN_PASSES_LOWER_PASSES_TD
#define BURIN_PASSES_LOWER_PASSES_TD

include "mlir/Pass/PassBase.td"

def ExpandUnlowered : Pass<"lower-expand-unlowered", "mlir::ModuleOp"> {
  let summary = "Expand operators that have no lowering of their own by their ONNX function body";
  let description = [{
    Replaces each operator of `@main` that the lowering table does not know and that ONNX defines by other operators,
    until none is left. It does not fold what the bodies compute from shapes: run the folding passes after it.

    Example: test/passes/Lower/expand-unlowered.mlir#expands
  }];
}

def FuseQdq : Pass<"lower-fuse-qdq", "mlir::ModuleOp"> {
  let summary = "Turn quantized operators in float form (DequantizeLinear, operator, QuantizeLinear) into integer ones";
  let description = [{
    Conv, MatMul and Gemm of dequantized bytes become ConvInteger or MatMulInteger, a scale and a bias; where only Relu and Clip lie before a QuantizeLinear,
    its scale is part of that one, and they become bounds of the integers; likewise for a constant factor and summand of dequantized bytes. GlobalAveragePool and ReduceMean become sums of bytes, AveragePool a depthwise
    ConvInteger with ones. Operators that only move elements (Reshape, Transpose, Slice, MaxPool, GlobalMaxPool, ReduceMax, Pad with zeros, nearest Resize, ...) and Concat take the integers,
    as does any Resize between equal scales; QuantizeLinear of DequantizeLinear with one scale goes. Between two integer tensors nothing else is left but
    elementwise steps, which later stages fuse. int8 that nothing but DequantizeLinear sees becomes uint8. Small constants that stay are dequantized, but for those
    that products read as integers (`stores-weights`).

    Scales and zero points must be constant; weights have one zero point, and one scale or one an output channel.

    Rounding: sums are exact, the scales' product is rounded to f32, and so is each step after it; QuantizeLinear rounds to nearest even, then adds the zero point,
    then saturates.

    Example: test/passes/Lower/fuse-qdq.mlir#conv
  }];
  let options = [Option<"storesWeights", "stores-weights", "bool", /*default=*/"true",
                        "operators read what DequantizeLinear makes floats of as the integers they are where kernels can">];
}

def LowerOnnx : Pass<"lower-onnx", "mlir::ModuleOp"> {
  let summary = "Lower @main from onnx to nn, linalg and tensor, images channels last";
  let description = [{
    One walk over `@main` in order. Each value becomes a tensor with signless elements and the order its dims lie in, so
    that transpositions cost nothing until two orders meet; convolutions and pools work channels last. Inputs and
    results keep the graph's own shapes and orders. Free dims become index values and the program checks what types do
    not prove; an operator without a lowering, or one that takes no free dims, is one located error. With
    `stores-weights` a product with a dequantized constant multiplies by its integers (`stored` of nn.matmul), and a
    softmax reads dequantized bytes as such. With `fixed-shapes` an input with a free dim is an error that says what
    binds it.

    Example: test/passes/Lower/lower-onnx.mlir#transposes_once
  }];
  let options = [Option<"storesWeights", "stores-weights", "bool", /*default=*/"true",
                        "operators read what DequantizeLinear makes floats of as the integers they are where kernels can">,
                 Option<"fixedShapes", "fixed-shapes", "bool", /*default=*/"false",
                        "refuse inputs with free dims, which the target cannot run, and say what binds them">];
  let dependentDialects = ["arith::ArithDialect", "bufferization::BufferizationDialect", "cf::ControlFlowDialect", "foreign::ForeignDialect", "func::FuncDialect", "linalg::LinalgDialect", "math::MathDialect",
                           "nn::NnDialect", "scf::SCFDialect", "tensor::TensorDialect"];
}

def VerifyLowered : Pass<"verify-lowered", "mlir::ModuleOp"> {
  let summary = "Check the contract of the door behind the lower stage";
  let description = [{
    `@main` holds only nn, linalg, tensor, arith and math operations on tensors with signless elements and no
    encoding; its arguments and results carry `onnx.name` and `burin.dtype`; nothing of onnx is left in the module.

    Example: test/passes/Lower/verify-lowered.mlir#lowered
  }];
}

#endif
