// The onnx dialect by hand: dialect, types, attributes, the base classes of the generated operators and the four
// operators no schema describes (Constant in its one form, NoValue, Custom, Yield). OnnxOps.td, generated into the
// build tree from the linked ONNX library, includes this file. Types stay loose here: ONNX's own functions check them.
#ifndef BURIN_ONNX
#define BURIN_ONNX

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/CommonAttrConstraints.td"
include "mlir/IR/CommonTypeConstraints.td"
include "mlir/IR/DialectBase.td"
include "mlir/IR/OpBase.td"
include "mlir/IR/TensorEncoding.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Onnx_Dialect : Dialect {
  let name = "onnx";
  let cppNamespace = "::burin::onnx";
  let summary = "the graph level: every operator of the linked ONNX library";
  let description = [{
    Operators, operand order, attribute names and defaults are those of the ONNX specification at the working opset.
    An absent optional operand or result is a value of type `none` (see `onnx.NoValue`); subgraphs are regions;
    weights are resource blobs over the mapped model file.
  }];
  let useDefaultTypePrinterParser = 1;
  let useDefaultAttributePrinterParser = 1;
  let hasConstantMaterializer = 1;
}

class Onnx_Type<string className, string typeMnemonic> : TypeDef<Onnx_Dialect, className> {
  let mnemonic = typeMnemonic;
}

def Onnx_StringType : Onnx_Type<"String", "string"> {
  let summary = "a string of bytes; an element type of tensors";
}
def Onnx_AnyType : Onnx_Type<"Any", "any"> {
  let summary = "a present value of which nothing is known yet";
  let description = "Results of opaque nodes, and of operators whose type ONNX's inference cannot tell.";
}
def Onnx_SeqType : Onnx_Type<"Seq", "seq"> {
  let summary = "a sequence of values of one type";
  let parameters = (ins "::mlir::Type":$elementType);
  let assemblyFormat = "`<` $elementType `>`";
}
def Onnx_OptType : Onnx_Type<"Opt", "opt"> {
  let summary = "a value that may be absent at run time";
  let parameters = (ins "::mlir::Type":$elementType);
  let assemblyFormat = "`<` $elementType `>`";
}
def Onnx_MapType : Onnx_Type<"Map", "map"> {
  let summary = "a map from integer or string keys to values of one type";
  let parameters = (ins "::mlir::Type":$keyType, "::mlir::Type":$valueType);
  let assemblyFormat = "`<` $keyType `,` $valueType `>`";
}

def Onnx_DimsAttr : AttrDef<Onnx_Dialect, "Dims", [DeclareAttrInterfaceMethods<VerifiableTensorEncoding>]> {
  let mnemonic = "dims";
  let summary = "names of a tensor type's dynamic dimensions";
  let description = [{
    The encoding of a ranked tensor type whose dynamic dimensions have names: one string a dimension, empty where the
    dimension is static or has no name. Example: `tensor<?x3x?xf32, #onnx.dims<["batch", "", "width"]>>`.
  }];
  let parameters = (ins "::mlir::ArrayAttr":$names);
  let assemblyFormat = "`<` $names `>`";
  let genVerifyDecl = 1;
}

// MLIR's I64Attr returns uint64_t and its F32Attr an APFloat; ONNX's are int64_t and float.
def Onnx_I64Attr : TypedSignlessIntegerAttrBase<I64, "int64_t", "64-bit integer attribute"> {
  let convertFromStorage = "$_self.getValue().getSExtValue()";
  let constBuilderCall = "$_builder.getI64IntegerAttr($0)";
}
def Onnx_F32Attr : FloatAttrBase<F32, "32-bit float attribute"> {
  let returnType = "float";
  let convertFromStorage = "$_self.getValue().convertToFloat()";
  let constBuilderCall = "$_builder.getF32FloatAttr($0)";
}

def Onnx_Operand : AnyTypeOf<[AnyType]>;
def Onnx_Result : AnyTypeOf<[AnyType]>;

// One generic builder in place of the default ones: half the C++ to compile, and the same call for every operator.
class Onnx_Op<string mnemonic, list<Trait> traits = []> : Op<Onnx_Dialect, mnemonic, traits> {
  let skipDefaultBuilders = 1;
  let builders = [OpBuilder<(ins "::mlir::TypeRange":$types, "::mlir::ValueRange":$operands,
      CArg<"::llvm::ArrayRef<::mlir::NamedAttribute>", "{}">:$attributes), [{
    $_state.addTypes(types);
    $_state.addOperands(operands);
    $_state.addAttributes(attributes);
  }]>];
}
class Onnx_NodeOp<string mnemonic, list<Trait> traits = []> : Onnx_Op<mnemonic, traits> {
  let assemblyFormat = "`(` operands `)` attr-dict `:` functional-type(operands, results)";
}
class Onnx_GraphOp<string mnemonic, list<Trait> traits = []> : Onnx_Op<mnemonic, traits> {
  let builders = [OpBuilder<(ins "::mlir::TypeRange":$types, "::mlir::ValueRange":$operands,
      CArg<"::llvm::ArrayRef<::mlir::NamedAttribute>", "{}">:$attributes), [{
    $_state.addTypes(types);
    $_state.addOperands(operands);
    $_state.addAttributes(attributes);
    for (unsigned i = 0; i < }] # !if(!eq(mnemonic, "If"), "2", "1") # [{; ++i)
      $_state.addRegion();
  }]>];
  let assemblyFormat = "`(` operands `)` `:` functional-type(operands, results) attr-dict-with-keyword regions";
}

def Onnx_ConstantOp : Onnx_Op<"Constant", [ConstantLike, Pure]> {
  let summary = "a constant tensor";
  let description = [{
    The one form of ONNX's `Constant` and of initializers: every other form (`value_float`, `value_ints`,
    `sparse_value`, ...) is turned into `value` by the importer. Large values are `dense_resource` over the model file.
  }];
  let arguments = (ins ElementsAttr:$value);
  let results = (outs Onnx_Result:$output);
  let builders = [
    OpBuilder<(ins "::mlir::ElementsAttr":$value), [{
      $_state.addTypes(value.getShapedType());
      $_state.addAttribute("value", value);
    }]>,
    OpBuilder<(ins "::mlir::TypeRange":$types, "::mlir::ValueRange":$operands,
        CArg<"::llvm::ArrayRef<::mlir::NamedAttribute>", "{}">:$attributes), [{
      $_state.addTypes(types);
      $_state.addOperands(operands);
      $_state.addAttributes(attributes);
    }]>];
  let hasCustomAssemblyFormat = 1;
  let hasFolder = 1;
  let hasVerifier = 1;
}

def Onnx_NoValueOp : Onnx_Op<"NoValue", [ConstantLike, Pure]> {
  let summary = "the absent operand";
  let description = "Stands wherever an optional operand is not given, so that operands keep the positions ONNX gives them.";
  let results = (outs NoneType:$none);
  let builders = [OpBuilder<(ins), [{ $_state.addTypes($_builder.getNoneType()); }]>];
  let assemblyFormat = "attr-dict";
  let hasFolder = 1;
}

def Onnx_CustomOp : Onnx_Op<"Custom"> {
  let summary = "a node of a domain the library has no schema for, kept opaque";
  let description = [{
    `node_attributes` holds the node's attributes as the importer found them; graph attributes are the regions, named
    in order by `graph_names`. An operand or result that the node leaves out is of type `none`.
  }];
  let arguments = (ins Variadic<Onnx_Operand>:$inputs, StrAttr:$op_type, StrAttr:$domain,
    DictionaryAttr:$node_attributes,
    OptionalAttr<Onnx_I64Attr>:$since_version, OptionalAttr<StrArrayAttr>:$graph_names);
  let results = (outs Variadic<Onnx_Result>:$outputs);
  let regions = (region VariadicRegion<AnyRegion>:$bodies);
  let builders = [OpBuilder<(ins "::mlir::TypeRange":$types, "::mlir::ValueRange":$operands,
      "::llvm::ArrayRef<::mlir::NamedAttribute>":$attributes, CArg<"unsigned", "0">:$regionCount), [{
    $_state.addTypes(types);
    $_state.addOperands(operands);
    $_state.addAttributes(attributes);
    for (unsigned i = 0; i < regionCount; ++i)
      $_state.addRegion();
  }]>];
  let assemblyFormat = "$domain $op_type `(` $inputs `)` $node_attributes `:` functional-type(operands, results) attr-dict-with-keyword $bodies";
  let hasVerifier = 1;
}

def Onnx_YieldOp : Onnx_Op<"Yield", [Pure, ReturnLike, Terminator]> {
  let summary = "ends a subgraph and gives its outputs";
  let arguments = (ins Variadic<Onnx_Operand>:$values);
  let builders = [OpBuilder<(ins "::mlir::ValueRange":$values), [{ $_state.addOperands(values); }]>];
  let assemblyFormat = "`(` operands `)` attr-dict `:` type(operands)";
}

#endif // BURIN_ONNX
