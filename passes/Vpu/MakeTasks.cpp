// vpu-make-tasks: what is left of the compute level becomes records. nn operations on CMX go to the engine with as much
// of their epilogue as it has (scale, bias, leaky, clamp); the rest of an epilogue and every loop nest becomes a
// program for the shaves, in half precision.
#include "dialects/Nn/Nn.h"
#include "dialects/Vpu/Vpu.h"
#include "passes/Vpu/LinearLoops.h"
#include "passes/Vpu/Passes.h"
#include "passes/Vpu/SplitEpilogue.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

namespace burin::vpu {
#define GEN_PASS_DEF_MAKETASKS
#include "passes/Vpu/Passes.h.inc"
} // namespace burin::vpu

using namespace mlir;
using namespace burin;
using namespace burin::vpu;

namespace {

struct MakeTasksPass : vpu::impl::MakeTasksBase<MakeTasksPass> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isExternal())
      return;
    SmallVector<Operation *> ops;
    for (Operation &op : function.getBody().front())
      ops.push_back(&op);
    unsigned count = 0;
    for (Operation *op : ops) {
      OpBuilder builder(op);
      FailureOr<bool> made = convert(builder, op);
      if (failed(made))
        return signalPassFailure();
      if (*made)
        op->erase();
      count += *made;
    }
    remark::analysis(function.getLoc(), remark::RemarkOpts::name("Tasks").category("vpu-make-tasks"))
        << remark::metric("count", count);
  }

  // True where `op` was replaced.
  FailureOr<bool> convert(OpBuilder &builder, Operation *op) {
    Location loc = op->getLoc();
    if (auto alloc = dyn_cast<memref::AllocOp>(op)) {
      if (alloc.getType().getMemorySpaceAsInt() != cmxSpace)
        return false;
      alloc.replaceAllUsesWith(BufferOp::create(builder, loc, alloc.getType(), 0).getResult());
      return true;
    }
    if (auto copy = dyn_cast<memref::CopyOp>(op)) {
      DmaOp::create(builder, loc, copy.getSource(), copy.getTarget());
      return true;
    }
    if (auto generic = dyn_cast<linalg::GenericOp>(op))
      return convertGeneric(builder, generic);
    if (auto fill = dyn_cast<linalg::FillOp>(op)) {
      Value output = fill.getOutputs()[0], value = fill.value();
      makeShave(builder, loc, {}, output, {identity(output)},
                [&](OpBuilder &, ValueRange, ValueRange) { return SmallVector<Value>{value}; });
      return true;
    }
    if (auto transpose = dyn_cast<linalg::TransposeOp>(op)) {
      // Result dim i is input dim permutation[i].
      SmallVector<AffineExpr> exprs(transpose.getPermutation().size());
      for (auto [i, from] : llvm::enumerate(transpose.getPermutation()))
        exprs[from] = builder.getAffineDimExpr(i);
      auto map = AffineMap::get(exprs.size(), 0, exprs, builder.getContext());
      makeShave(builder, loc, {transpose.getInput()}, transpose.getInit(), {map, identity(transpose.getInit())},
                [](OpBuilder &, ValueRange, ValueRange elements) { return SmallVector<Value>{elements[0]}; });
      return true;
    }
    if (auto compute = dyn_cast<nn::ComputeOp>(op)) {
      if (failed(convertCompute(builder, compute)))
        return failure();
      return true;
    }
    if (isa<memref::DeallocOp>(op))
      return true;
    if (isa<memref::GetGlobalOp, memref::ViewOp, arith::ConstantOp, func::ReturnOp, BufferOp, TaskOp, BarrierOp>(op) ||
        isa<ViewLikeOpInterface>(op))
      return false;
    return op->emitError("'") << op->getName() << "' has no task on the vision unit: --fallback=cpu leaves it and "
                              << "what follows to the CPU, --cut=TENSOR says from where";
  }

  static AffineMap identity(Value memref) {
    return AffineMap::getMultiDimIdentityMap(cast<MemRefType>(memref.getType()).getRank(), memref.getContext());
  }

  using Body = llvm::function_ref<SmallVector<Value>(OpBuilder &, ValueRange indices, ValueRange elements)>;

  // The loops are those of the first result's dims unless given.
  static void makeShave(OpBuilder &builder, Location loc, ValueRange inputs, ValueRange outputs,
                        ArrayRef<AffineMap> maps, Body body, ArrayRef<int64_t> given = {}) {
    SmallVector<int64_t> loops(given);
    if (loops.empty())
      llvm::append_range(loops, cast<MemRefType>(outputs[0].getType()).getShape());
    SmallVector<AffineMap> ofLoops(maps);
    if (loops.empty()) { // a scalar is a nest of one point
      loops.push_back(1);
      for (AffineMap &map : ofLoops)
        map = AffineMap::get(1, 0, map.getResults(), builder.getContext());
    }
    auto shave = ShaveOp::create(builder, loc, inputs, outputs, loops, builder.getAffineMapArrayAttr(ofLoops));
    OpBuilder::InsertionGuard guard(builder);
    Block *block = builder.createBlock(&shave.getBody());
    for (size_t i = 0; i < loops.size(); ++i)
      block->addArgument(builder.getIndexType(), loc);
    for (Value operand : shave->getOperands())
      block->addArgument(getElementTypeOrSelf(operand.getType()), loc);
    ValueRange arguments = block->getArguments();
    YieldOp::create(builder, loc,
                    body(builder, arguments.take_front(loops.size()), arguments.drop_front(loops.size())));
  }

  FailureOr<bool> convertGeneric(OpBuilder &builder, linalg::GenericOp op) {
    FailureOr<LinearLoops> loops = linearLoops(op);
    if (failed(loops))
      return op.emitOpError("reads its operands in an order that transfers and loads of the vision unit cannot follow: "
                            "expected indices linear in the loops");
    makeShave(
        builder, op.getLoc(), op.getDpsInputs(), op.getDpsInits(), loops->maps,
        [&](OpBuilder &body, ValueRange indices, ValueRange elements) {
          IRMapping mapping;
          mapping.map(op.getBody()->getArguments(), elements);
          for (Operation &inner : op.getBody()->without_terminator())
            if (auto index = dyn_cast<linalg::IndexOp>(inner))
              mapping.map(index.getResult(), loops->index(body, index.getLoc(), index.getDim(), indices));
            else
              body.clone(inner, mapping);
          SmallVector<Value> results;
          for (Value value : op.getBody()->getTerminator()->getOperands())
            results.push_back(mapping.lookupOrDefault(value));
          return results;
        },
        loops->extents);
    return true;
  }

  static SmallVector<int64_t> ints(ArrayRef<int64_t> values) { return SmallVector<int64_t>(values); }

  LogicalResult convertCompute(OpBuilder &builder, nn::ComputeOp op) {
    Location loc = op.getLoc();
    Value output = op.getInitOperand().get();
    if (!isa<FloatType>(getElementTypeOrSelf(output.getType())))
      return op->emitOpError("of integers has no task on the vision unit, which computes in f16");
    Epilogue epilogue = splitEpilogue(op);
    FloatAttr leak = epilogue.leak ? builder.getF32FloatAttr(*epilogue.leak) : FloatAttr();
    FloatAttr low = epilogue.low ? builder.getF32FloatAttr(*epilogue.low) : FloatAttr();
    FloatAttr high = epilogue.high ? builder.getF32FloatAttr(*epilogue.high) : FloatAttr();
    auto rank = cast<MemRefType>(output.getType()).getRank();
    if (!isa<nn::MatmulOp, nn::SoftmaxOp>(*op) && rank > 4)
      return op->emitOpError("of ") << rank - 2 << " spatial dims has no task on the vision unit, which has 1 or 2";
    llvm::TypeSwitch<Operation *>(op)
        .Case([&](nn::ConvOp conv) {
          ConvOp::create(builder, loc, conv.getInput(), conv.getFilter(), epilogue.scale, epilogue.bias, epilogue.slope,
                         output, ints(conv.getStrides()), ints(conv.getDilations()), ints(conv.getPads()),
                         conv.getGroups(), leak, low, high);
        })
        .Case([&](nn::DepthwiseConvOp conv) {
          DepthwiseConvOp::create(builder, loc, conv.getInput(), conv.getFilter(), epilogue.scale, epilogue.bias,
                                  epilogue.slope, output, ints(conv.getStrides()), ints(conv.getDilations()),
                                  ints(conv.getPads()), leak, low, high);
        })
        .Case([&](nn::ConvTransposeOp conv) {
          ConvTransposeOp::create(builder, loc, conv.getInput(), conv.getFilter(), epilogue.scale, epilogue.bias,
                                  epilogue.slope, output, ints(conv.getStrides()), ints(conv.getDilations()),
                                  ints(conv.getPads()), conv.getGroups(), leak, low, high);
        })
        .Case([&](nn::MatmulOp matmul) {
          MatmulOp::create(builder, loc, matmul.getLhs(), matmul.getRhs(), epilogue.scale, epilogue.bias,
                           epilogue.slope, output, matmul.getTransposeRhs(), leak, low, high);
        })
        .Case([&](nn::PoolOp pool) {
          PoolOp::create(builder, loc, pool.getInput(), output, static_cast<PoolMode>(pool.getKind()),
                         ints(pool.getKernel()), ints(pool.getStrides()), ints(pool.getDilations()),
                         ints(pool.getPads()), pool.getCountPadding(), leak, low, high);
        })
        .Case([&](nn::SoftmaxOp softmax) {
          SoftmaxOp::create(builder, loc, softmax.getInput(), output, softmax.getDim());
        });
    if (!epilogue.rest)
      return success();
    // In place, on what the engine just wrote.
    SmallVector<Value> inputs;
    SmallVector<AffineMap> maps;
    for (unsigned i : epilogue.restExtras) {
      inputs.push_back(op.getEpilogueOperands()[i]);
      maps.push_back(cast<AffineMapAttr>(op.getEpilogueMaps()[i]).getValue());
    }
    maps.push_back(identity(output));
    makeShave(builder, loc, inputs, output, maps, [&](OpBuilder &body, ValueRange, ValueRange elements) {
      return SmallVector<Value>{cloneRest(body, op, epilogue, elements)};
    });
    return success();
  }
};
} // namespace
