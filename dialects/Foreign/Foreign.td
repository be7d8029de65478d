// The foreign dialect: calls of C functions over tensors (include/burin/runtime.h, burin_function). What the compiler
// cannot or should not compute itself: operators that a user binds to code of their own, strings, image files.
#ifndef BURIN_FOREIGN_TD
#define BURIN_FOREIGN_TD

include "mlir/IR/OpBase.td"
include "mlir/Interfaces/DestinationStyleOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Foreign_Dialect : Dialect {
  let name = "foreign";
  let summary = "calls of C functions over tensors";
  let cppNamespace = "::burin::foreign";
}

class Foreign_Op<string mnemonic, list<Trait> traits = []> : Op<Foreign_Dialect, mnemonic, traits>;

def Foreign_ContextOp : Foreign_Op<"context", [Pure]> {
  let summary = "the address of the running call's burin_context";
  let results = (outs I64:$result);
  let assemblyFormat = "attr-dict";
}

def Foreign_CallOp : Foreign_Op<"call", [AttrSizedOperandSegments, DestinationStyleOpInterface,
                                         DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "call a C function";
  let description = [{
    Calls `int32_t callee(const burin_call *, inputs, num_inputs, outputs, num_outputs)`. `dtypes` are the burin_dtypes of
    inputs and outputs; an input of 0 is absent, whatever its operand. `node_attributes` reach the function as
    burin_attributes: i64, f32, strings, arrays of each, and constant tensors.

    Destination passing: `outs` are the outputs and then `tensor<i32>`, which takes the function's status. With
    `output_ranks` the function is asked for the dims of its outputs only: their data is NULL, and `outs` are the dims
    one behind another, `tensor<Nxi64>`, and the status.
  }];
  let arguments = (ins I64:$caller, Variadic<AnyShaped>:$inputs, Variadic<AnyShaped>:$inits, StrAttr:$callee,
                       DenseI32ArrayAttr:$dtypes, OptionalAttr<DenseI32ArrayAttr>:$output_ranks,
                       DictionaryAttr:$node_attributes);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let hasVerifier = 1;
  let assemblyFormat = [{
    $callee `context` `(` $caller `)` (`ins` `(` $inputs^ `:` type($inputs) `)`)?
    `outs` `(` $inits `:` type($inits) `)` attr-dict (`->` type($results)^)?}];
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getInitsMutable(); }
    /// Tensors that the function sees as outputs.
    unsigned getNumOutputs();
  }];
}

#endif // BURIN_FOREIGN_TD
