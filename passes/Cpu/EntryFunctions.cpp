// See EntryFunctions.h. Functions that need no knowledge of the model are text in the LLVM dialect.
#include "passes/Cpu/EntryFunctions.h"

#include "burin/runtime.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Parser/Parser.h"
#include <cstddef>

using namespace mlir;
using namespace burin;

static_assert(offsetof(burin_tensor, data) == 0 && offsetof(burin_tensor, dims) == 16 &&
                  offsetof(burin_tensor, capacity) == 144 && sizeof(burin_tensor) == 152,
              "the struct types below must follow runtime.h");
static_assert(offsetof(burin_context, allocator) == 24 && offsetof(burin_context, parallel) == 32 &&
                  offsetof(burin_parallel, user) == 8 && offsetof(burin_context, profile) == 40 &&
                  offsetof(burin_profile, user) == 8 && offsetof(burin_allocator, release) == 8 &&
                  offsetof(burin_allocator, user) == 16,
              "the struct types below must follow runtime.h");
static_assert(BURIN_ERROR_CAPACITY == 8 && BURIN_ERROR_ALLOCATOR == 10 && BURIN_ALIGNMENT == 64);

Type cpu::tensorStruct(MLIRContext *context) {
  Type pointer = LLVM::LLVMPointerType::get(context), i32 = IntegerType::get(context, 32),
       i64 = IntegerType::get(context, 64), dims = LLVM::LLVMArrayType::get(i64, BURIN_MAX_RANK);
  return LLVM::LLVMStructType::getLiteral(context, {pointer, i32, i32, dims, dims, i64});
}

Value cpu::memberOfTensor(OpBuilder &builder, Location loc, Value tensors, int32_t index, int32_t member, int32_t dim) {
  SmallVector<LLVM::GEPArg> path{index, member};
  if (dim >= 0)
    path.push_back(dim);
  return LLVM::GEPOp::create(builder, loc, LLVM::LLVMPointerType::get(builder.getContext()),
                             tensorStruct(builder.getContext()), tensors, path);
}

Value cpu::loadDim(OpBuilder &builder, Location loc, Value tensors, int32_t index, int32_t dim) {
  Value place = memberOfTensor(builder, loc, tensors, index, 3, dim);
  Value size = LLVM::LoadOp::create(builder, loc, builder.getI64Type(), place);
  return arith::IndexCastOp::create(builder, loc, builder.getIndexType(), size);
}

// Moves the functions of `text` into the module.
static void addFunctions(ModuleOp module, StringRef text) {
  OwningOpRef<ModuleOp> parsed = parseSourceString<ModuleOp>(text, ParserConfig(module.getContext()));
  assert(parsed && "expected valid text");
  for (Operation &op : llvm::make_early_inc_range(*parsed->getBody())) {
    op.remove();
    module.getBody()->push_back(&op);
    op.walk([&](Operation *inner) { inner->setLoc(UnknownLoc::get(module.getContext())); });
  }
}

// One function, never inlined: a call site costs a few bytes, and a run without a profile a few cycles a layer.
void cpu::makeHook(ModuleOp module) {
  addFunctions(module, R"(
    llvm.func internal @burin_layer_hook(%context: !llvm.ptr, %layer: i32, %end: i32) attributes {no_inline} {
      %null = llvm.mlir.zero : !llvm.ptr
      %has = llvm.icmp "ne" %context, %null : !llvm.ptr
      llvm.cond_br %has, ^look, ^done
    ^look:
      %slot = llvm.getelementptr %context[0, 6] : (!llvm.ptr) -> !llvm.ptr, !llvm.struct<(i32, i32, ptr, i64, ptr, ptr, ptr)>
      %profile = llvm.load %slot : !llvm.ptr -> !llvm.ptr
      %listens = llvm.icmp "ne" %profile, %null : !llvm.ptr
      llvm.cond_br %listens, ^tell, ^done
    ^tell:
      %function = llvm.load %profile : !llvm.ptr -> !llvm.ptr
      %at = llvm.getelementptr %profile[0, 1] : (!llvm.ptr) -> !llvm.ptr, !llvm.struct<(ptr, ptr)>
      %user = llvm.load %at : !llvm.ptr -> !llvm.ptr
      llvm.call %function(%user, %layer, %end) : !llvm.ptr, (!llvm.ptr, i32, i32) -> ()
      llvm.br ^done
    ^done:
      llvm.return
    })");
}

void cpu::makeFork(ModuleOp module) {
  addFunctions(module, R"(
    llvm.func internal @burin_fork(%context: !llvm.ptr, %caller: !llvm.ptr, %data: !llvm.ptr, %shift: i64) attributes {no_inline} {
      %null = llvm.mlir.zero : !llvm.ptr
      %none = llvm.mlir.constant(0 : i64) : i64
      %one = llvm.mlir.constant(1 : i64) : i64
      %has = llvm.icmp "ne" %context, %null : !llvm.ptr
      %several = llvm.icmp "ne" %shift, %none : i64
      %may = llvm.and %has, %several : i1
      llvm.cond_br %may, ^look, ^alone
    ^look:
      %slot = llvm.getelementptr %context[0, 5] : (!llvm.ptr) -> !llvm.ptr, !llvm.struct<(i32, i32, ptr, i64, ptr, ptr, ptr)>
      %parallel = llvm.load %slot : !llvm.ptr -> !llvm.ptr
      %helps = llvm.icmp "ne" %parallel, %null : !llvm.ptr
      llvm.cond_br %helps, ^fork, ^alone
    ^fork:
      llvm.store %shift, %data : i64, !llvm.ptr
      %count = llvm.shl %one, %shift : i64
      %function = llvm.load %parallel : !llvm.ptr -> !llvm.ptr
      %at = llvm.getelementptr %parallel[0, 1] : (!llvm.ptr) -> !llvm.ptr, !llvm.struct<(ptr, ptr)>
      %user = llvm.load %at : !llvm.ptr -> !llvm.ptr
      llvm.call %function(%user, %caller, %data, %count) : !llvm.ptr, (!llvm.ptr, !llvm.ptr, !llvm.ptr, i64) -> ()
      llvm.return
    ^alone:
      llvm.store %none, %data : i64, !llvm.ptr
      llvm.call %caller(%data, %none) : !llvm.ptr, (!llvm.ptr, i64) -> ()
      llvm.return
    })");
}

std::string cpu::makeCaller(ModuleOp module, unsigned pointers, unsigned words) {
  std::string name = ("burin_part_" + Twine(pointers) + "_" + Twine(words)).str();
  if (module.lookupSymbol(name))
    return name;
  MLIRContext *context = module.getContext();
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
  Location loc = UnknownLoc::get(context);
  Type pointer = LLVM::LLVMPointerType::get(context), i64 = builder.getI64Type(),
       none = LLVM::LLVMVoidType::get(context);
  auto caller = LLVM::LLVMFuncOp::create(builder, loc, name, LLVM::LLVMFunctionType::get(none, {pointer, i64}),
                                         LLVM::Linkage::Internal);
  Block *block = caller.addEntryBlock(builder);
  builder.setInsertionPointToStart(block);
  auto load = [&](Type type, int32_t slot) -> Value {
    Value place = LLVM::GEPOp::create(builder, loc, pointer, i64, block->getArgument(0), LLVM::GEPArg(slot));
    return LLVM::LoadOp::create(builder, loc, type, place);
  };
  SmallVector<Value> operands{load(pointer, 1)};
  SmallVector<Type> types(pointers, pointer);
  types.append(words + 2, i64);
  for (unsigned i = 0; i < pointers + words; ++i)
    operands.push_back(load(types[i], 2 + i));
  operands.push_back(block->getArgument(1));
  operands.push_back(load(i64, 0));
  LLVM::CallOp::create(builder, loc, LLVM::LLVMFunctionType::get(none, types), operands);
  LLVM::ReturnOp::create(builder, loc, ValueRange());
  return name;
}

// size_t is as wide as a pointer on every target, which this text does not know: sizes travel as pointers.
void cpu::makeMemoryFunctions(ModuleOp module) {
  addFunctions(module, R"(
    llvm.func internal @burin_allocate(%context: !llvm.ptr, %bytes: i64, %status: !llvm.ptr) -> !llvm.ptr attributes {no_inline} {
      %null = llvm.mlir.zero : !llvm.ptr
      %one = llvm.mlir.constant(1 : i64) : i64
      %alignment = llvm.mlir.constant(64 : i64) : i64
      %error = llvm.mlir.constant(10 : i32) : i32
      %has = llvm.icmp "ne" %context, %null : !llvm.ptr
      llvm.cond_br %has, ^look, ^failed
    ^look:
      %slot = llvm.getelementptr %context[0, 4] : (!llvm.ptr) -> !llvm.ptr, !llvm.struct<(i32, i32, ptr, i64, ptr, ptr, ptr)>
      %allocator = llvm.load %slot : !llvm.ptr -> !llvm.ptr
      %given = llvm.icmp "ne" %allocator, %null : !llvm.ptr
      llvm.cond_br %given, ^ask, ^failed
    ^ask:
      %function = llvm.load %allocator : !llvm.ptr -> !llvm.ptr
      %at = llvm.getelementptr %allocator[0, 2] : (!llvm.ptr) -> !llvm.ptr, !llvm.struct<(ptr, ptr, ptr)>
      %user = llvm.load %at : !llvm.ptr -> !llvm.ptr
      %wanted = llvm.intr.smax(%bytes, %one) : (i64, i64) -> i64
      %size = llvm.inttoptr %wanted : i64 to !llvm.ptr
      %step = llvm.inttoptr %alignment : i64 to !llvm.ptr
      %memory = llvm.call %function(%user, %size, %step) : !llvm.ptr, (!llvm.ptr, !llvm.ptr, !llvm.ptr) -> !llvm.ptr
      %got = llvm.icmp "ne" %memory, %null : !llvm.ptr
      llvm.cond_br %got, ^done, ^failed
    ^failed:
      llvm.store %error, %status : i32, !llvm.ptr
      llvm.return %null : !llvm.ptr
    ^done:
      llvm.return %memory : !llvm.ptr
    }
    llvm.func internal @burin_release(%context: !llvm.ptr, %memory: !llvm.ptr) attributes {no_inline} {
      %slot = llvm.getelementptr %context[0, 4] : (!llvm.ptr) -> !llvm.ptr, !llvm.struct<(i32, i32, ptr, i64, ptr, ptr, ptr)>
      %allocator = llvm.load %slot : !llvm.ptr -> !llvm.ptr
      %which = llvm.getelementptr %allocator[0, 1] : (!llvm.ptr) -> !llvm.ptr, !llvm.struct<(ptr, ptr, ptr)>
      %function = llvm.load %which : !llvm.ptr -> !llvm.ptr
      %at = llvm.getelementptr %allocator[0, 2] : (!llvm.ptr) -> !llvm.ptr, !llvm.struct<(ptr, ptr, ptr)>
      %user = llvm.load %at : !llvm.ptr -> !llvm.ptr
      llvm.call %function(%user, %memory) : !llvm.ptr, (!llvm.ptr, !llvm.ptr) -> ()
      llvm.return
    }
    llvm.func internal @burin_output(%context: !llvm.ptr, %tensor: !llvm.ptr, %bytes: i64, %status: !llvm.ptr) -> !llvm.ptr attributes {no_inline} {
      %null = llvm.mlir.zero : !llvm.ptr
      %none = llvm.mlir.constant(0 : i64) : i64
      %ok = llvm.mlir.constant(0 : i32) : i32
      %error = llvm.mlir.constant(8 : i32) : i32
      %data = llvm.load %tensor : !llvm.ptr -> !llvm.ptr
      %size = llvm.getelementptr %tensor[0, 5] : (!llvm.ptr) -> !llvm.ptr, !llvm.struct<(ptr, i32, i32, array<8 x i64>, array<8 x i64>, i64)>
      %capacity = llvm.load %size : !llvm.ptr -> i64
      %given = llvm.icmp "ne" %data, %null : !llvm.ptr
      %fits = llvm.icmp "sge" %capacity, %bytes : i64
      %holds = llvm.and %given, %fits : i1
      %empty = llvm.icmp "sle" %bytes, %none : i64
      %enough = llvm.or %holds, %empty : i1
      llvm.cond_br %enough, ^done, ^ask
    ^ask:
      %memory = llvm.call @burin_allocate(%context, %bytes, %status) : (!llvm.ptr, i64, !llvm.ptr) -> !llvm.ptr
      %got = llvm.icmp "ne" %memory, %null : !llvm.ptr
      llvm.cond_br %got, ^keep, ^failed
    ^keep:
      llvm.store %memory, %tensor : !llvm.ptr, !llvm.ptr
      llvm.store %bytes, %size : i64, !llvm.ptr
      llvm.return %memory : !llvm.ptr
    ^failed:
      llvm.store %error, %status : i32, !llvm.ptr
      llvm.return %null : !llvm.ptr
    ^done:
      llvm.return %data : !llvm.ptr
    })");
}

void cpu::makePlanner(func::FuncOp plan, ArrayRef<int64_t> outputRanks) {
  OpBuilder builder(plan);
  Location loc = plan.getLoc();
  MLIRContext *context = plan.getContext();
  Type pointer = LLVM::LLVMPointerType::get(context), i32 = builder.getI32Type(), i64 = builder.getI64Type();
  auto planner =
      func::FuncOp::create(builder, loc, "planner", builder.getFunctionType({pointer, pointer, pointer}, i32));
  Block *block = planner.addEntryBlock();
  builder.setInsertionPointToStart(block);
  Value status = LLVM::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(BURIN_OK));
  Value wrong = LLVM::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(BURIN_ERROR_SHAPE));
  IRMapping map;
  for (Operation &op : plan.getBody().front().without_terminator()) {
    if (auto dim = dyn_cast<memref::DimOp>(op)) {
      auto argument = cast<BlockArgument>(dim.getSource());
      map.map(dim.getResult(),
              loadDim(builder, loc, block->getArgument(0), argument.getArgNumber(), *dim.getConstantIndex()));
    } else if (auto check = dyn_cast<cf::AssertOp>(op)) {
      status = arith::SelectOp::create(builder, loc, map.lookup(check.getArg()), status, wrong);
    } else {
      builder.clone(op, map);
    }
  }
  auto store = [&](Value value, Value place) {
    LLVM::StoreOp::create(builder, loc, arith::IndexCastOp::create(builder, loc, i64, map.lookup(value)), place);
  };
  auto results = cast<func::ReturnOp>(plan.getBody().front().getTerminator()).getOperands();
  store(results.front(), block->getArgument(2));
  unsigned next = 1;
  for (auto [output, rank] : llvm::enumerate(outputRanks))
    for (int64_t d = 0; d < rank; ++d)
      store(results[next++], LLVM::GEPOp::create(builder, loc, pointer, i64, block->getArgument(1),
                                                 LLVM::GEPArg(int32_t(output * BURIN_MAX_RANK + d))));
  func::ReturnOp::create(builder, loc, status);
  plan.erase();
  planner.setSymName("plan");
}
