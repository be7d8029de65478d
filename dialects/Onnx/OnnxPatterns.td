// The onnx dialect as PDLL patterns see it: the generated operators of OnnxOps.td over other base classes, whose results
// need no types because ONNX's inference gives them. In Onnx.td's place (the guard is its own), for mlir-pdll only.
#define BURIN_ONNX

include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/CommonAttrConstraints.td"
include "mlir/IR/CommonTypeConstraints.td"
include "mlir/IR/DialectBase.td"
include "mlir/IR/OpBase.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Onnx_Dialect : Dialect {
  let name = "onnx";
  let cppNamespace = "::burin::onnx";
}

def Onnx_I64Attr : TypedSignlessIntegerAttrBase<I64, "int64_t", "64-bit integer attribute">;
def Onnx_F32Attr : FloatAttrBase<F32, "32-bit float attribute">;
def Onnx_Operand : AnyTypeOf<[AnyType]>;
def Onnx_Result : AnyTypeOf<[AnyType]>;

class Onnx_Op<string mnemonic, list<Trait> traits = []>
    : Op<Onnx_Dialect, mnemonic, !listconcat(traits, [DeclareOpInterfaceMethods<InferTypeOpInterface>])>;
class Onnx_NodeOp<string mnemonic, list<Trait> traits = []> : Onnx_Op<mnemonic, traits>;
class Onnx_GraphOp<string mnemonic, list<Trait> traits = []> : Onnx_Op<mnemonic, traits>;

def Onnx_ConstantOp : Onnx_Op<"Constant"> {
  let arguments = (ins ElementsAttr:$value);
  let results = (outs Onnx_Result:$output);
}
def Onnx_NoValueOp : Onnx_Op<"NoValue"> {
  let results = (outs NoneType:$none);
}

include "dialects/Onnx/OnnxOps.td"
