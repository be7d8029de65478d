// Which operations have a kernel, and loops over threads.
#include "passes/Cuda/Kernels.h"
#include "dialects/Nn/Attention.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace burin;

// Numbers that PTX has, and those of its bytes that need no conversion of their own.
static bool hasSimpleElements(Type type) {
  auto memref = dyn_cast<MemRefType>(type);
  Type element = memref ? memref.getElementType() : type;
  if (memref && (!memref.hasStaticShape() || memref.getMemorySpace()))
    return false;
  return element.isIndex() || element.isF16() || element.isBF16() || element.isF32() || element.isF64() ||
         element.isInteger(1) || element.isInteger(8) || element.isInteger(16) || element.isInteger(32) ||
         element.isInteger(64);
}

static std::string whyNoLoops(linalg::LinalgOp op) {
  if (!op.hasPureBufferSemantics())
    return "operands are not buffers";
  for (auto [range, kind] : llvm::zip(op.getStaticLoopRanges(), op.getIteratorTypesArray())) {
    if (ShapedType::isDynamic(range))
      return "sizes are known at run time only";
    if (kind != utils::IteratorType::parallel && kind != utils::IteratorType::reduction)
      return "a loop is neither parallel nor a reduction";
  }
  // A thread has a result element of its own.
  for (OpOperand &init : op.getDpsInitsMutable()) {
    AffineMap map = op.getMatchingIndexingMap(&init);
    unsigned parallel = 0;
    for (auto [dim, kind] : llvm::enumerate(op.getIteratorTypesArray())) {
      bool isParallel = kind == utils::IteratorType::parallel;
      parallel += isParallel;
      if (isParallel != map.isFunctionOfDim(dim))
        return "results are not one element a thread";
    }
    if (!map.isProjectedPermutation() || map.getNumResults() != parallel)
      return "results are not one element a thread";
  }
  std::string why;
  op->getRegion(0).walk([&](Operation *inner) {
    bool isKnown = isa<linalg::YieldOp, linalg::IndexOp, memref::LoadOp, scf::IfOp, scf::ForOp, scf::WhileOp,
                       scf::YieldOp, scf::ConditionOp>(inner) ||
                   isa_and_nonnull<arith::ArithDialect, math::MathDialect, affine::AffineDialect>(inner->getDialect());
    bool isSimple = llvm::all_of(inner->getResultTypes(), hasSimpleElements) &&
                    llvm::all_of(inner->getOperandTypes(), hasSimpleElements);
    if (why.empty() && !(isKnown && isSimple))
      why = ("'" + inner->getName().getStringRef() + "' inside it").str();
  });
  return why;
}

std::string cuda::whyNoKernel(Operation *op) {
  if (!llvm::all_of(op->getOperandTypes(), hasSimpleElements))
    return "operands are not static buffers of plain numbers";
  if (auto softmax = dyn_cast<nn::SoftmaxOp>(op); softmax && !cast<nn::ComputeOp>(op).getAccumulatorType().isF32())
    return "softmax in another type than f32";
  if (isa<nn::ComputeOp, nn::AttentionOp, memref::CopyOp>(op))
    return "";
  if (auto linalgOp = dyn_cast<linalg::LinalgOp>(op))
    return whyNoLoops(linalgOp);
  return ("no kernel for '" + op->getName().getStringRef() + "'").str();
}

std::string cuda::whyNoKernel(func::FuncOp function) {
  // The runtime keeps room for 64 pointers of a launch.
  if (function.getNumArguments() > 60)
    return "more than 60 operands";
  for (Type type : function.getArgumentTypes())
    if (!isa<MemRefType>(type) || !hasSimpleElements(type))
      return "operands are not static buffers of plain numbers";
  for (Operation &op : function.front().without_terminator()) {
    bool isScalar = isMemoryEffectFree(&op) && op.getNumRegions() == 0 &&
                    llvm::all_of(op.getResultTypes(), [](Type type) { return type.isIntOrIndexOrFloat(); });
    if (isScalar)
      continue;
    for (Value operand : op.getOperands())
      if (isa<MemRefType>(operand.getType()) && !isa<BlockArgument>(operand))
        return "views inside it";
    if (std::string why = whyNoKernel(&op); !why.empty())
      return why;
  }
  return "";
}

gpu::LaunchOp cuda::launchBlocks(OpBuilder &b, Location loc, int64_t blocks, int64_t threads) {
  auto constant = [&](int64_t value) { return arith::ConstantIndexOp::create(b, loc, value).getResult(); };
  Value one = constant(1), grid = constant(blocks), block = constant(threads);
  auto launch = gpu::LaunchOp::create(b, loc, grid, one, one, block, one, one);
  b.setInsertionPointToStart(&launch.getBody().front());
  gpu::TerminatorOp::create(b, loc);
  b.setInsertionPointToStart(&launch.getBody().front());
  return launch;
}

void cuda::launchThreads(OpBuilder &b, Location loc, int64_t elements, int64_t blockSize,
                         llvm::function_ref<void(OpBuilder &, Value)> body) {
  OpBuilder::InsertionGuard guard(b);
  auto launch = launchBlocks(b, loc, llvm::divideCeil(elements, blockSize), blockSize);
  Value first =
      arith::MulIOp::create(b, loc, launch.getBlockIds().x, arith::ConstantIndexOp::create(b, loc, blockSize));
  Value linear = arith::AddIOp::create(b, loc, first, launch.getThreadIds().x);
  if (elements % blockSize != 0) {
    Value inside = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, linear,
                                         arith::ConstantIndexOp::create(b, loc, elements));
    b.setInsertionPointToStart(scf::IfOp::create(b, loc, inside).thenBlock());
  }
  body(b, linear);
}

SmallVector<Value> cuda::positionOf(OpBuilder &b, Location loc, Value linear, ArrayRef<int64_t> shape) {
  SmallVector<Value> result(shape.size());
  // Divisions of 32 bits where they do: those of 64 are calls on a GPU.
  int64_t elements = 1;
  for (int64_t size : shape)
    elements *= size;
  bool isSmall = elements <= INT32_MAX;
  Type type = isSmall ? Type(b.getI32Type()) : b.getIndexType();
  auto constant = [&](int64_t value) {
    return arith::ConstantOp::create(b, loc, b.getIntegerAttr(type, value)).getResult();
  };
  auto toIndex = [&](Value value) {
    return isSmall ? b.createOrFold<arith::IndexCastUIOp>(loc, b.getIndexType(), value) : value;
  };
  if (isSmall)
    linear = arith::IndexCastUIOp::create(b, loc, type, linear);
  // Dims of 1 hold no digit of the number.
  int64_t first = 0, rank = shape.size();
  while (first < rank && shape[first] == 1)
    ++first;
  for (int64_t d = rank - 1; d >= 0; --d) {
    if (shape[d] == 1) {
      result[d] = arith::ConstantIndexOp::create(b, loc, 0);
    } else if (d == first) {
      result[d] = toIndex(linear);
    } else {
      Value size = constant(shape[d]);
      result[d] = toIndex(b.createOrFold<arith::RemUIOp>(loc, linear, size));
      linear = b.createOrFold<arith::DivUIOp>(loc, linear, size);
    }
  }
  return result;
}

Value cuda::reduceInWarp(OpBuilder &b, Location loc, Value value, llvm::function_ref<Value(Value, Value)> combine) {
  // Both partners of an exchange combine the same two values; commutative operations give them the same bits.
  for (int32_t distance = warpSize / 2; distance > 0; distance /= 2) {
    auto other = gpu::ShuffleOp::create(b, loc, value, distance, warpSize, gpu::ShuffleMode::XOR);
    value = combine(value, other.getShuffleResult());
  }
  return value;
}
