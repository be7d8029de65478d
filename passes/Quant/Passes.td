// The passes of the quantize stage, alphabetical. Flag = room, verb, object; every description ends in an executed example.
#ifndef BURIN_PASSES_QUANT_PASSES_TD
#define BURIN_PASSES_QUANT_PASSES_TD

include "mlir/Pass/PassBase.td"

def InsertQdq : Pass<"quant-insert-qdq", "::mlir::ModuleOp"> {
  let summary = "Quantize activations and weights where calibration has told their ranges";
  let description = [{
    Matches Conv, ConvTranspose, Gemm and MatMul with constant weights, and between them sums, products, pools, concatenations,
    activations and what only moves elements; each activation with a range (`burin.ranges` of its operator, `burin.range` of an
    argument). Makes QuantizeLinear and DequantizeLinear around them, weights as integers by channel, biases as i32 at the
    product's scale; a Relu or Clip that the integers' own limits do is dropped. Must not quantize what no integer operator
    reads, what `keep` names, or a tensor without a range.
    Example: test/passes/Quant/insert-qdq.mlir#conv_relu
  }];
  let options = [
    Option<"activations", "activations", "std::string", "\"u8\"", "u8, s8, u16 or s16">,
    Option<"weights", "weights", "std::string", "\"s8\"", "s8 or u8">,
    Option<"symmetric", "symmetric", "bool", "false", "zero points of activations in the middle of their type">,
    Option<"perChannel", "per-channel", "bool", "true", "a scale for each output channel of a weight">,
    Option<"powerOfTwo", "power-of-two", "bool", "false", "scales are powers of two">,
    Option<"reduceRange", "reduce-range", "bool", "false", "weights of 7 bits: sums of two products fit 16 bits">,
    ListOption<"keep", "keep", "std::string", "names of nodes or operators that stay float">,
    ListOption<"only", "only", "std::string", "names of nodes or operators to quantize; all where not given">];
}

#endif
