// tensor-make-destinations: results become memrefs of the caller, known before bufferization, so that it can place
// producers there.
#include "passes/Tensor/Passes.h"
#include "passes/Tensor/Sizes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/Transforms/Transforms.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace burin {
#define GEN_PASS_DEF_MAKEDESTINATIONS
#include "passes/Tensor/Passes.h.inc"
} // namespace burin

using namespace mlir;
using namespace burin;

namespace {
bool isDynamic(Type type) {
  auto shaped = dyn_cast<ShapedType>(type);
  return shaped && !shaped.hasStaticShape();
}

// The operand whose buffer `value` is made in, and whose shape it has; null where it begins one.
Value madeIn(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op)
    return {};
  unsigned result = cast<OpResult>(value).getResultNumber();
  if (auto write = dyn_cast<bufferization::MaterializeInDestinationOp>(op))
    return write.getDest();
  if (auto loop = dyn_cast<scf::ForOp>(op))
    return loop.getInitArgs()[result];
  if (auto loop = dyn_cast<scf::WhileOp>(op))
    return loop.getInits()[result];
  if (auto insert = dyn_cast<tensor::InsertSliceOp>(op))
    return insert.getDest();
  if (auto insert = dyn_cast<tensor::InsertOp>(op))
    return insert.getDest();
  if (auto compute = dyn_cast<DestinationStyleOpInterface>(op))
    return compute.getDpsInits()[result];
  return {};
}

// The tensor where the sizes of `value` are first known, as far as loops, branches and writes tell.
Value shapeSource(Value value) {
  while (true) {
    if (Value start = madeIn(value)) {
      value = start;
      continue;
    }
    auto branch = value.getDefiningOp<scf::IfOp>();
    if (!branch)
      return value;
    Value source = shapeSource(branch.thenYield()->getOperand(cast<OpResult>(value).getResultNumber()));
    if (!source.getParentRegion()->isProperAncestor(&branch.getThenRegion()))
      return value;
    value = source;
  }
}

// Values that begin with one empty tensor would share its buffer, which would live as long as any of them does. An
// elementwise loop keeps the one that an operand lies in, so that it can work in place.
void separateEmpties(func::FuncOp function) {
  function.walk([](DestinationStyleOpInterface op) {
    auto loop = dyn_cast<linalg::GenericOp>(op.getOperation());
    for (OpOperand &init : op.getDpsInitsMutable()) {
      auto empty = init.get().getDefiningOp<tensor::EmptyOp>();
      // Slabs of a frame are filled where they lie: its slices and what is inserted belong together.
      bool isFrame = empty && llvm::any_of(empty->getUsers(), llvm::IsaPred<tensor::ExtractSliceOp>);
      if (!empty || empty->hasOneUse() || isFrame || empty->getBlock() != op->getBlock())
        continue;
      Value own;
      for (OpOperand *input : loop ? loop.getDpsInputOperands() : SmallVector<OpOperand *>()) {
        Value begin = input->get();
        while (Value start = madeIn(begin))
          begin = start;
        if (input->get().hasOneUse() && begin.getDefiningOp<tensor::EmptyOp>() && begin.getType() == empty.getType() &&
            loop.getMatchingIndexingMap(input) == loop.getMatchingIndexingMap(&init))
          own = begin;
      }
      init.set(own ? own : OpBuilder(empty).clone(*empty)->getResult(0));
    }
  });
}

// Whether two writers begin with one tensor on the way to `value`, as when equal frames are shared. The caller's buffer
// must not stand for that tensor: the other writer's result would lie in it too.
bool sharesBeginning(Value value) {
  for (Value start = madeIn(value); start; start = madeIn(start)) {
    unsigned writers = 0;
    for (OpOperand &use : start.getUses())
      for (Value result : use.getOwner()->getResults())
        writers += isa<RankedTensorType>(result.getType()) && madeIn(result) == start;
    if (writers > 1 && !start.getDefiningOp<tensor::EmptyOp>())
      return true;
  }
  return false;
}

struct MakeDestinationsPass : burin::impl::MakeDestinationsBase<MakeDestinationsPass> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isExternal() || function.getNumResults() == 0)
      return;
    auto ret = cast<func::ReturnOp>(function.getBody().front().getTerminator());
    separateEmpties(function);
    OpBuilder builder(ret);
    unsigned inputs = function.getNumArguments();
    for (unsigned i = 0; i < inputs; ++i)
      function.setArgAttr(i, "bufferization.writable", builder.getBoolAttr(false));
    for (Value value : ret.getOperands())
      if (!isa<RankedTensorType>(value.getType())) {
        emitError(function.getLoc()) << "expected results that are ranked tensors, got " << value.getType();
        return signalPassFailure();
      }
    bool hasPlan =
        llvm::any_of(function.getArgumentTypes(), isDynamic) || llvm::any_of(function.getResultTypes(), isDynamic);
    SmallVector<SmallVector<Value>> dims;
    if (hasPlan && failed(resolveDims(ret, dims)))
      return signalPassFailure();
    DimArithmetic arithmetic(function);
    SmallVector<Value> planned;
    for (auto [index, value] : llvm::enumerate(ret.getOperands())) {
      auto type = cast<RankedTensorType>(value.getType());
      unsigned at = function.getNumArguments();
      DictionaryAttr attributes = function.getResultAttrDict(index);
      auto memref = MemRefType::get(type.getShape(), type.getElementType());
      if (failed(function.insertArgument(at, memref, attributes, value.getLoc())))
        return signalPassFailure();
      Value destination = function.getArgument(at);
      if (hasPlan && !llvm::all_of(dims[index], [&](Value dim) { return arithmetic.holds(dim); })) {
        destination = makeBuffer(builder, function, memref, index, dims[index]);
        for (Value &dim : dims[index])
          if (!arithmetic.holds(dim))
            dim = arith::ConstantIndexOp::create(builder, value.getLoc(), -1);
      }
      builder.setInsertionPoint(ret);
      if (sharesBeginning(value)) {
        SmallVector<Value> sizes;
        for (int64_t dim = 0; dim < type.getRank(); ++dim)
          if (type.isDynamicDim(dim))
            sizes.push_back(tensor::DimOp::create(builder, value.getLoc(), value, dim));
        Value own = tensor::EmptyOp::create(builder, value.getLoc(), type.getShape(), type.getElementType(), sizes);
        value = linalg::CopyOp::create(builder, value.getLoc(), value, own).getResult(0);
      }
      auto write =
          bufferization::MaterializeInDestinationOp::create(builder, value.getLoc(), Type(), value, destination);
      write.setRestrict(true);
      write.setWritable(true);
      if (hasPlan)
        planned.append(dims[index]);
    }
    if (hasPlan)
      function->setAttr("burin.num_inputs", builder.getI64IntegerAttr(inputs));
    ret->setOperands(planned);
    function.setType(builder.getFunctionType(function.getArgumentTypes(),
                                             SmallVector<Type>(planned.size(), builder.getIndexType())));
    function.removeResAttrsAttr();
  }

  // The dims of what is returned, as arithmetic that does not ask the tensors themselves where that can be avoided.
  LogicalResult resolveDims(func::ReturnOp ret, SmallVectorImpl<SmallVector<Value>> &dims) {
    OpBuilder builder(ret);
    SmallVector<Value> asked;
    for (Value value : ret.getOperands())
      for (int64_t d = 0; d < cast<RankedTensorType>(value.getType()).getRank(); ++d)
        asked.push_back(tensor::DimOp::create(builder, value.getLoc(), shapeSource(value), d));
    // Kept by the return while patterns run.
    unsigned tensors = ret.getNumOperands();
    ret->insertOperands(tensors, asked);
    RewritePatternSet patterns(&getContext());
    memref::populateResolveRankedShapedTypeResultDimsPatterns(patterns);
    memref::populateResolveShapedTypeResultDimsPatterns(patterns);
    tensor::DimOp::getCanonicalizationPatterns(patterns, &getContext());
    bufferization::AllocTensorOp::getCanonicalizationPatterns(patterns, &getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return failure();
    unsigned next = tensors;
    for (unsigned i = 0; i < tensors; ++i) {
      dims.emplace_back();
      for (int64_t d = 0; d < cast<RankedTensorType>(ret.getOperand(i).getType()).getRank(); ++d)
        dims.back().push_back(ret.getOperand(next++));
    }
    ret->eraseOperands(tensors, ret.getNumOperands() - tensors);
    return success();
  }

  // Where an output goes whose dims depend on data: memory that is asked for as soon as they are known, so that its
  // producer can write there.
  static Value makeBuffer(OpBuilder &builder, func::FuncOp function, MemRefType type, unsigned output,
                          ArrayRef<Value> dims) {
    Operation *last = nullptr;
    SmallVector<Value> sizes;
    for (auto [size, dim] : llvm::zip(type.getShape(), dims))
      if (ShapedType::isDynamic(size)) {
        sizes.push_back(dim);
        Operation *op = dim.getDefiningOp();
        if (op && (!last || last->isBeforeInBlock(op)))
          last = op;
      }
    if (last)
      builder.setInsertionPointAfter(last);
    auto alloc = memref::AllocOp::create(builder, function.getLoc(), type, sizes);
    alloc->setAttr("burin.output", builder.getI64IntegerAttr(output));
    return alloc;
  }
};
} // namespace
