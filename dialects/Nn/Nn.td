// The nn dialect: neural operations as the compute level sees them, the same for every target.
//
// Conventions of every op here:
//  * Images are [batch, spatial..., channels], channels contiguous. Spatial rank is 1, 2 or 3.
//  * Destination passing: `outs` gives the result's buffer; its old contents are never read.
//  * Tensors before bufferization, memrefs (no results) after it. Nothing here knows a machine.
//  * Integer element types are signless; `*_unsigned` says how to read them. Accumulators are f32 for f16, bf16 and f32
//    operands, f64 for f64, i32 for integers, unless `acc` says otherwise.
//  * The epilogue region computes one result element from one accumulator value: block arguments are the accumulator, then
//    one element of each `extras` operand, found through its map in `extra_maps` (from the result's indices). It ends in
//    nn.yield of the result's element type and may hold arith and math operations only. Requantization is an epilogue.
//    An empty region means: convert the accumulator to the result's type. Rounding inside is that of the operations used.
//  * NaN in an operand gives NaN in every result it takes part in, padding excepted; max pooling ignores no NaN.
#ifndef BURIN_NN_TD
#define BURIN_NN_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/Interfaces/DestinationStyleOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"

def Nn_Dialect : Dialect {
  let name = "nn";
  let summary = "neural operations with epilogues, target neutral";
  let cppNamespace = "::burin::nn";
  let dependentDialects = ["arith::ArithDialect", "math::MathDialect"];
  let useDefaultAttributePrinterParser = 1;
}

def Nn_ComputeOpInterface : OpInterface<"ComputeOp"> {
  let description = [{What all destination-passing nn ops with an epilogue share, so that one fusion pass serves them all.}];
  let cppNamespace = "::burin::nn";
  let methods = [
    InterfaceMethod<"The destination.", "::mlir::OpOperand &", "getInitOperand">,
    InterfaceMethod<"Operands that only the epilogue reads.", "::mlir::OperandRange", "getEpilogueOperands">,
    InterfaceMethod<"Where in the operand list they start.", "unsigned", "getEpilogueOperandsBegin">,
    InterfaceMethod<"One map an epilogue operand, from result indices to its indices.", "::mlir::ArrayAttr", "getEpilogueMaps">,
    InterfaceMethod<"The epilogue region, empty when there is none.", "::mlir::Region &", "getEpilogueRegion">,
    InterfaceMethod<"Element type of the accumulator.", "::mlir::Type", "getAccumulatorType">,
    InterfaceMethod<"Multiplications and additions of the whole op, epilogue excluded; 0 when a dim is dynamic.", "int64_t", "getFlops">,
  ];
}

class Nn_Op<string mnemonic, list<Trait> traits = []> : Op<Nn_Dialect, mnemonic, traits>;

// An op whose operands are `ins`, `extras`, `outs` in this order and whose region is the epilogue.
class Nn_ComputeOp<string mnemonic, dag data, dag attributes, string insFormat> : Nn_Op<mnemonic, [
    Nn_ComputeOpInterface, DestinationStyleOpInterface,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>, DeclareOpInterfaceMethods<ConditionallySpeculatable>]> {
  let arguments = !con(data, (ins Variadic<AnyShaped>:$extras, AnyShaped:$init), attributes,
                       (ins DefaultValuedAttr<AffineMapArrayAttr, "{}">:$extra_maps, OptionalAttr<TypeAttr>:$acc));
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let regions = (region AnyRegion:$epilogue);
  let hasVerifier = 1;
  let assemblyFormat = "`ins` `(` " # insFormat # [{ `)` (`extras` `(` $extras^ `:` type($extras) `)`)?
    `outs` `(` $init `:` type($init) `)` attr-dict (`epilogue` $epilogue^)? (`->` type($results)^)?}];
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getInitMutable(); }
    ::mlir::OpOperand &getInitOperand() { return getInitMutable(); }
    ::mlir::OperandRange getEpilogueOperands() { return getExtras(); }
    unsigned getEpilogueOperandsBegin() { return getODSOperandIndexAndLength(}] # !size(data) # [{).first; }
    ::mlir::ArrayAttr getEpilogueMaps() { return getExtraMaps(); }
    ::mlir::Region &getEpilogueRegion() { return getEpilogue(); }
    ::mlir::Type getAccumulatorType();
    int64_t getFlops();
  }];
  let skipDefaultBuilders = 1;
  // Without an epilogue. Pass attributes by name afterwards or through the op's own setters.
  let builders = [OpBuilder<(ins "::mlir::ValueRange":$data, "::mlir::Value":$init,
                                 CArg<"::llvm::ArrayRef<::mlir::NamedAttribute>", "{}">:$attributes), [{
    $_state.addOperands(data);
    $_state.addOperands(init);
    $_state.addAttributes(attributes);
    if (::llvm::isa<::mlir::RankedTensorType>(init.getType()))
      $_state.addTypes(init.getType());
    $_state.addRegion();
  }]>];
}

defvar WindowAttrs = (ins
  DenseI64ArrayAttr:$strides,      // spatial rank entries, >= 1
  DenseI64ArrayAttr:$dilations,    // spatial rank entries, >= 1
  DenseI64ArrayAttr:$pads);        // all begins, then all ends: 2 * spatial rank entries, >= 0

defvar IntegerAttrs = (ins
  UnitAttr:$input_unsigned, UnitAttr:$filter_unsigned,
  DefaultValuedAttr<I64Attr, "0">:$input_zero_point,    // subtracted from each input element; what padding holds
  DefaultValuedAttr<I64Attr, "0">:$filter_zero_point);

def Nn_ConvOp : Nn_ComputeOp<"conv", (ins AnyShaped:$input, AnyShaped:$filter),
    !con(WindowAttrs, (ins DefaultValuedAttr<I64Attr, "1">:$groups, OptionalAttr<I64Attr>:$packed,
                            OptionalAttr<I64Attr>:$winograd, OptionalAttr<DenseI64ArrayAttr>:$kernel), IntegerAttrs),
    "$input `,` $filter `:` type($input) `,` type($filter)"> {
  let summary = "convolution, grouped or not, of 1 to 3 spatial dims";
  let description = [{
    input [n, d..., ic], filter [k..., ic/groups, oc], result [n, o..., oc] with
    `result[n, o, c] = epilogue(sum over k, i of input[n, o*stride + k*dilation - pad, g*ic/groups + i] * filter[k, i, c])`,
    g = c / (oc/groups); taps in the padding contribute zero.
    With `packed = B` the filter is [ceil(oc/B), k..., ic/groups, B], the last block filled up with zeros (groups = 1 only).
    With `winograd = M` (2 or 4; two spatial dims, 3x3 taps, steps of 1, one group, f32) the filter is transformed: [(M+2)^2, ic, oc], or
    [ceil(oc/B), (M+2)^2, ic, B] where packed, holding G g G^T of Winograd.h. Results are those of the plain filter but for rounding: any tiling of
    the result by M x M, computed by that header's formula.
    With `packed = B` and `kernel` (the extents k...) it is packed for integer dot products, see DotLayout in Nn.h:
    [groups * ceil(oc/groups/B), bytes] of i8.
  }];
}

def Nn_DepthwiseConvOp : Nn_ComputeOp<"depthwise_conv", (ins AnyShaped:$input, AnyShaped:$filter),
    !con(WindowAttrs, IntegerAttrs), "$input `,` $filter `:` type($input) `,` type($filter)"> {
  let summary = "one filter a channel";
  let description = [{input [n, d..., c], filter [k..., c], result [n, o..., c]; otherwise as nn.conv.}];
}

def Nn_ConvTransposeOp : Nn_ComputeOp<"conv_transpose", (ins AnyShaped:$input, AnyShaped:$filter),
    !con(WindowAttrs, (ins DefaultValuedAttr<I64Attr, "1">:$groups)), "$input `,` $filter `:` type($input) `,` type($filter)"> {
  let summary = "transposed convolution";
  let description = [{
    input [n, d..., ic], filter [k..., ic, oc/groups], result [n, o..., oc]:
    `result[n, d*stride + k*dilation - pad, g*oc/groups + c] += input[n, d, i] * filter[k, i, c]` with g = i / (ic/groups), then the
    epilogue. `pads` crop the full result at its begins; what the result's dims ask beyond it at the ends is zero.
  }];
}

def Nn_StoredAttr : AttrDef<Nn_Dialect, "Stored"> {
  let mnemonic = "stored";
  let summary = "integers that stand for a constant matrix of floats";
  let description = [{
    Of `bits` (2, 4, 8), unsigned, a scale of type `scale` (f32 or f16) for each `run` rows of a column: u stands for (u - z) * scale. z is 2^(bits - 1)
    or, with `zeros`, a byte that lies beside the scale. See Stored.h for where they lie.
  }];
  let parameters = (ins "int64_t":$bits, "int64_t":$run, "::mlir::Type":$scale, "bool":$zeros);
  let assemblyFormat = "`<` struct(params) `>`";
}

def Nn_MatmulOp : Nn_ComputeOp<"matmul", (ins AnyShaped:$lhs, AnyShaped:$rhs),
    (ins UnitAttr:$transpose_rhs, OptionalAttr<I64Attr>:$packed, OptionalAttr<Nn_StoredAttr>:$stored,
         UnitAttr:$lhs_unsigned, UnitAttr:$rhs_unsigned,
         DefaultValuedAttr<I64Attr, "0">:$lhs_zero_point, DefaultValuedAttr<I64Attr, "0">:$rhs_zero_point),
    "$lhs `,` $rhs `:` type($lhs) `,` type($rhs)"> {
  let summary = "matrix product, batched or not";
  let description = [{
    lhs [b..., m, k], rhs [b..., k, n] (or [b..., n, k] with `transpose_rhs`), result [b..., m, n]. A batch dim of 1 in lhs or rhs
    is repeated. A rhs of rank 2 serves all batches. With `packed = B` rhs is [ceil(n/B), k, B], rank 3, the last block filled up with zeros;
    with integers it is packed for dot products, see DotLayout in Nn.h: [ceil(n/B), bytes], rank 2, of i8.
    With `packed = B` and `stored` floats are multiplied by what a run of bytes stands for, see StoredLayout in Stored.h: rhs [bytes] of i8, lhs of rank 2
    with k known, n known. Products are summed in f32.
  }];
}

def Nn_PoolKind : I32EnumAttr<"PoolKind", "what a pool computes", [
    I32EnumAttrCase<"max", 0>, I32EnumAttrCase<"average", 1>, I32EnumAttrCase<"sum", 2>]> {
  let cppNamespace = "::burin::nn";
  let genSpecializedAttr = 0;
}
def Nn_PoolKindAttr : EnumAttr<Nn_Dialect, Nn_PoolKind, "pool_kind"> {
  let assemblyFormat = "`<` $value `>`";
}

def Nn_PoolOp : Nn_ComputeOp<"pool", (ins AnyShaped:$input),
    !con((ins Nn_PoolKindAttr:$kind, DenseI64ArrayAttr:$kernel), WindowAttrs,
         (ins UnitAttr:$count_padding, UnitAttr:$input_unsigned)), "$input `:` type($input)"> {
  let summary = "maximum, average or sum over a window";
  let description = [{
    input [n, d..., c], result [n, o..., c]. Max ignores taps in the padding; average divides by the taps inside the input, or,
    with `count_padding`, by those inside the input extended by `pads`. The result's dims may ask for windows that reach past the padding (ceil mode).
  }];
}

def Nn_SoftmaxOp : Nn_ComputeOp<"softmax", (ins AnyShaped:$input),
    (ins I64Attr:$dim, OptionalAttr<F32Attr>:$scale, UnitAttr:$input_unsigned), "$input `:` type($input)"> {
  let summary = "exp(x - max) / sum over one dim";
  let description = [{
    input and result of one shape; `dim` in [0, rank). The maximum is subtracted first. Integers of 8 bits come with `scale`, what a step of them counts for, and
    `acc` f32: exp((x - max) * scale).
  }];
}

def Nn_YieldOp : Nn_Op<"yield", [Pure, Terminator, ReturnLike]> {
  let summary = "ends an epilogue";
  let arguments = (ins AnyType:$value);
  let assemblyFormat = "attr-dict $value `:` type($value)";
}

#endif // BURIN_NN_TD
