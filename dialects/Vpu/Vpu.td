// The vpu dialect: the records of the vision unit's container (runtime/vpu/blob.h), one op a record.
//
// Conventions:
//  * Everything lies in memrefs with static shapes and strides. Memory space 1 is CMX, the default space main memory;
//    vpu.buffer says where a memref begins. Function arguments and constants are main memory of their own.
//  * Three queues run side by side, each in the order of its ops: transfers (vpu.dma), the convolution engine (conv,
//    depthwise_conv, matmul, pool) and the shaves (shave, softmax, conv_transpose). vpu.barrier holds one of them.
//  * The engine forms exact products, sums in f32 in the order kh, kw, channel, computes `min(max(leaky(sum * scale +
//    bias), low), high)` in f32 and rounds once. Shaves round every operation of type f16.
//  * Engine operands lie in CMX. Shaves also reach main memory, through their cache.
#ifndef BURIN_VPU_TD
#define BURIN_VPU_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"

def Vpu_Dialect : Dialect {
  let name = "vpu";
  let summary = "tasks, transfers, buffers and barriers of the vision unit";
  let cppNamespace = "::burin::vpu";
  let useDefaultAttributePrinterParser = 1;
}

def Vpu_Queue : I32EnumAttr<"Queue", "what runs a task", [
    I32EnumAttrCase<"dma", 0>, I32EnumAttrCase<"engine", 1>, I32EnumAttrCase<"shave", 2>]> {
  let cppNamespace = "::burin::vpu";
  let genSpecializedAttr = 0;
}
def Vpu_QueueAttr : EnumAttr<Vpu_Dialect, Vpu_Queue, "queue"> { let assemblyFormat = "`<` $value `>`"; }

def Vpu_PoolMode : I32EnumAttr<"PoolMode", "what a pool computes", [
    I32EnumAttrCase<"max", 0>, I32EnumAttrCase<"average", 1>, I32EnumAttrCase<"sum", 2>]> {
  let cppNamespace = "::burin::vpu";
  let genSpecializedAttr = 0;
}
def Vpu_PoolModeAttr : EnumAttr<Vpu_Dialect, Vpu_PoolMode, "pool_mode"> { let assemblyFormat = "`<` $value `>`"; }

def Vpu_TaskOpInterface : OpInterface<"TaskOp"> {
  let description = [{What all records with work share.}];
  let cppNamespace = "::burin::vpu";
  let methods = [
    InterfaceMethod<"Which queue runs it.", "::burin::vpu::Queue", "getQueue">,
    InterfaceMethod<"Memrefs it reads.", "::llvm::SmallVector<::mlir::Value>", "getReads">,
    InterfaceMethod<"Memrefs it writes.", "::llvm::SmallVector<::mlir::Value>", "getWrites">,
  ];
}

class Vpu_Op<string mnemonic, list<Trait> traits = []> : Op<Vpu_Dialect, mnemonic, traits>;

def Vpu_BufferOp : Vpu_Op<"buffer", [Pure]> {
  let summary = "memory at a place decided: `offset` bytes into CMX (memory space 1) or into shared main memory";
  let arguments = (ins I64Attr:$offset);
  let results = (outs AnyMemRef:$result);
  let assemblyFormat = "`at` $offset attr-dict `:` type($result)";
}

def Vpu_BarrierOp : Vpu_Op<"barrier"> {
  let summary = "hold `queue` until that many tasks of each queue are finished";
  let arguments = (ins Vpu_QueueAttr:$queue, I64Attr:$dma, I64Attr:$engine, I64Attr:$shave);
  let assemblyFormat = "$queue `dma` `(` $dma `)` `engine` `(` $engine `)` `shave` `(` $shave `)` attr-dict";
}

class Vpu_TaskOp<string mnemonic, string queue, list<Trait> traits = []> : Vpu_Op<mnemonic, traits # [
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>, Vpu_TaskOpInterface]> {
  code taskDeclaration = [{
    ::burin::vpu::Queue getQueue() { return ::burin::vpu::Queue::}] # queue # [{; }
    ::llvm::SmallVector<::mlir::Value> getReads();
    ::llvm::SmallVector<::mlir::Value> getWrites();
  }];
  let extraClassDeclaration = taskDeclaration;
}

def Vpu_DmaOp : Vpu_TaskOp<"dma", "dma"> {
  let summary = "copy a strided box from one memory to another";
  let arguments = (ins AnyMemRef:$source, AnyMemRef:$target);
  let hasVerifier = 1;
  let assemblyFormat = "$source `,` $target attr-dict `:` type($source) `,` type($target)";
}

// What follows a sum: all of it optional.
defvar PostOperands = (ins Optional<AnyMemRef>:$scale, Optional<AnyMemRef>:$bias, Optional<AnyMemRef>:$slope);
// `leak` is a slope that all channels share.
defvar PostAttrs = (ins OptionalAttr<F32Attr>:$leak, OptionalAttr<F32Attr>:$low, OptionalAttr<F32Attr>:$high);
defvar WindowAttrs = (ins DenseI64ArrayAttr:$strides, DenseI64ArrayAttr:$dilations, DenseI64ArrayAttr:$pads);
class Vpu_WeightedOp<string mnemonic, string queue, dag attributes> : Vpu_TaskOp<mnemonic, queue, [AttrSizedOperandSegments]> {
  let arguments = !con((ins AnyMemRef:$input, AnyMemRef:$filter), PostOperands, (ins AnyMemRef:$output), attributes, PostAttrs);
  let hasVerifier = 1;
  let assemblyFormat = [{`ins` `(` $input `,` $filter `:` type($input) `,` type($filter) `)`
    (`scale` `(` $scale^ `:` type($scale) `)`)? (`bias` `(` $bias^ `:` type($bias) `)`)?
    (`slope` `(` $slope^ `:` type($slope) `)`)? `outs` `(` $output `:` type($output) `)` attr-dict}];
}

def Vpu_ConvOp : Vpu_WeightedOp<"conv", "engine", !con(WindowAttrs, (ins I64Attr:$groups))> {
  let summary = "convolution: input [n, h, w, c], filter [kh, kw, c / groups, oc]; one spatial dim less for signals";
}
def Vpu_DepthwiseConvOp : Vpu_WeightedOp<"depthwise_conv", "engine", WindowAttrs> {
  let summary = "one filter a channel: filter [kh, kw, c]";
}
def Vpu_MatmulOp : Vpu_WeightedOp<"matmul", "engine", (ins UnitAttr:$transpose_rhs)> {
  let summary = "matrix product, batched or not: input [b..., m, k], filter [b..., k, n] or [k, n]";
}
def Vpu_ConvTransposeOp : Vpu_WeightedOp<"conv_transpose", "shave", !con(WindowAttrs, (ins I64Attr:$groups))> {
  let summary = "transposed convolution, on the shaves: filter [kh, kw, c, oc / groups]";
}

def Vpu_PoolOp : Vpu_TaskOp<"pool", "engine"> {
  let summary = "maximum, average or sum over a window";
  let arguments = !con((ins AnyMemRef:$input, AnyMemRef:$output, Vpu_PoolModeAttr:$mode, DenseI64ArrayAttr:$kernel),
                       WindowAttrs, (ins UnitAttr:$count_padding), PostAttrs);
  let assemblyFormat = "$mode `ins` `(` $input `:` type($input) `)` `outs` `(` $output `:` type($output) `)` attr-dict";
}

def Vpu_SoftmaxOp : Vpu_TaskOp<"softmax", "shave"> {
  let summary = "exp(x - max) / sum over one dim; sums are f32";
  let arguments = (ins AnyMemRef:$input, AnyMemRef:$output, I64Attr:$dim);
  let assemblyFormat = "`ins` `(` $input `:` type($input) `)` `outs` `(` $output `:` type($output) `)` attr-dict";
}

def Vpu_ShaveOp : Vpu_TaskOp<"shave", "shave", [SingleBlock, AttrSizedOperandSegments]> {
  let summary = "a program run for each point of a loop nest";
  let description = [{
    `loops` are the extents. Operand i is read at `maps[i]` of the point (linear in the loops' indices); the last are the
    results, read and written at their maps. The region's block arguments are first the indices of the point, then the
    operands' elements; arith and math operations and `memref.load` (a gather) follow, and vpu.yield gives the new
    element of each result. Where a result's map leaves a loop out, points run in order and the program reduces.
  }];
  let arguments = (ins Variadic<AnyMemRef>:$inputs, Variadic<AnyMemRef>:$outputs, DenseI64ArrayAttr:$loops, AffineMapArrayAttr:$maps);
  let regions = (region SizedRegion<1>:$body);
  let hasVerifier = 1;
  let assemblyFormat = [{
    `loops` $loops (`ins` `(` $inputs^ `:` type($inputs) `)`)? `outs` `(` $outputs `:` type($outputs) `)` attr-dict `body` $body}];
}

def Vpu_YieldOp : Vpu_Op<"yield", [Pure, Terminator, ReturnLike]> {
  let summary = "ends a shave program";
  let arguments = (ins Variadic<AnyType>:$values);
  let assemblyFormat = "attr-dict $values `:` type($values)";
}

#endif // BURIN_VPU_TD
