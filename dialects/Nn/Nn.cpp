// The nn dialect's registration, effects and epilogue helpers. Checks on what an op holds lie in NnVerify.cpp.
#include "dialects/Nn/Nn.h"
#include "dialects/Nn/Attention.h"
#include "dialects/Nn/Sparse.h"
#include "dialects/Nn/Stored.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace burin::nn;

#include "dialects/Nn/NnDialect.cpp.inc"
#include "dialects/Nn/NnEnums.cpp.inc"
#include "dialects/Nn/NnInterfaces.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/Nn/NnAttrs.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/Nn/NnOps.cpp.inc"

void NnDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/Nn/NnAttrs.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "dialects/Nn/NnOps.cpp.inc"
      >();
  addOperations<AttentionOp>();
}

Type burin::nn::defaultAccumulator(Type element) {
  if (isa<FloatType>(element))
    return element.getIntOrFloatBitWidth() > 32 ? element : Float32Type::get(element.getContext());
  return IntegerType::get(element.getContext(), 32);
}

Block *burin::nn::addEpilogueBlock(ComputeOp op) {
  Block *block = new Block();
  op.getEpilogueRegion().push_back(block);
  block->addArgument(op.getAccumulatorType(), op.getLoc());
  for (Value extra : op.getEpilogueOperands())
    block->addArgument(getElementTypeOrSelf(extra.getType()), op.getLoc());
  return block;
}

BlockArgument burin::nn::addEpilogueOperand(ComputeOp op, Value operand, AffineMap map) {
  Block &block = op.getEpilogueRegion().front();
  SmallVector<Attribute> maps(op.getEpilogueMaps().begin(), op.getEpilogueMaps().end());
  Attribute mapAttr = AffineMapAttr::get(map);
  for (auto [index, extra] : llvm::enumerate(op.getEpilogueOperands()))
    if (extra == operand && maps[index] == mapAttr)
      return block.getArgument(1 + index);
  unsigned count = maps.size();
  op->insertOperands(op.getEpilogueOperandsBegin() + count, operand);
  maps.push_back(mapAttr);
  op->setAttr("extra_maps", ArrayAttr::get(op.getContext(), maps));
  return block.insertArgument(1 + count, getElementTypeOrSelf(operand.getType()), operand.getLoc());
}

Value burin::nn::convertAccumulator(OpBuilder &builder, Location loc, Value acc, Type element) {
  Type from = acc.getType();
  if (from == element)
    return acc;
  unsigned have = from.getIntOrFloatBitWidth(), want = element.getIntOrFloatBitWidth();
  if (isa<FloatType>(from) && isa<FloatType>(element))
    return have > want ? arith::TruncFOp::create(builder, loc, element, acc).getResult()
                       : arith::ExtFOp::create(builder, loc, element, acc).getResult();
  if (isa<IntegerType>(from) && isa<IntegerType>(element))
    return have > want ? arith::TruncIOp::create(builder, loc, element, acc).getResult()
                       : arith::ExtSIOp::create(builder, loc, element, acc).getResult();
  if (isa<FloatType>(element))
    return arith::SIToFPOp::create(builder, loc, element, acc);
  return arith::FPToSIOp::create(builder, loc, element, acc);
}

bool burin::nn::dotRunHasColumns(ConvOp conv, ArrayRef<int64_t> kernel) {
  int64_t channels = cast<ShapedType>(conv.getInput().getType()).getShape().back();
  return conv.getGroups() == 1 && conv.getDilations().back() == 1 && kernel.back() > 1 &&
         channels % DotLayout::group != 0;
}

DotLayout burin::nn::dotLayout(ConvOp conv, ArrayRef<int64_t> kernel, int64_t block) {
  int64_t run = cast<ShapedType>(conv.getInput().getType()).getShape().back() / conv.getGroups(), rows = 1;
  for (int64_t k : kernel)
    rows *= k;
  return dotRunHasColumns(conv, kernel) ? DotLayout{block, run * kernel.back(), rows / kernel.back()}
                                        : DotLayout{block, run, rows};
}

DotLayout burin::nn::dotLayout(MatmulOp matmul, int64_t block) {
  return {block, cast<ShapedType>(matmul.getLhs().getType()).getShape().back(), 1};
}

bool burin::nn::isPackedForDots(ConvOp conv) { return conv.getPacked() && conv.getKernel() && !isPackedSparse(conv); }
bool burin::nn::isPackedForDots(MatmulOp matmul) {
  auto type = cast<ShapedType>(matmul.getRhs().getType());
  return matmul.getPacked() && !matmul.getStored() && type.getElementType().isInteger(8) && type.hasRank() &&
         type.getRank() == 2;
}

// Bytes that floats are multiplied by.
static bool isRunOfBytes(Value weights, Value input) {
  auto type = dyn_cast<ShapedType>(weights.getType());
  return type && type.hasRank() && type.getRank() == 1 && type.getElementType().isInteger(8) &&
         getElementTypeOrSelf(input.getType()).isF32();
}
bool burin::nn::isPackedSparse(ConvOp conv) {
  return conv.getPacked() && conv.getKernel() && isRunOfBytes(conv.getFilter(), conv.getInput());
}
bool burin::nn::isPackedSparse(MatmulOp matmul) {
  return matmul.getPacked() && !matmul.getStored() && isRunOfBytes(matmul.getRhs(), matmul.getLhs());
}

static SparseLayout sparseLayout(int64_t block, int64_t taps, Value input, Value init, Value weights) {
  SparseLayout layout{block, taps, cast<ShapedType>(input.getType()).getShape().back(),
                      cast<ShapedType>(init.getType()).getShape().back(), 0};
  int64_t empty = layout.bytes();
  layout.entries = 1;
  layout.entries = (cast<ShapedType>(weights.getType()).getDimSize(0) - empty) / (layout.bytes() - empty);
  return layout;
}
SparseLayout burin::nn::sparseLayout(ConvOp conv) {
  int64_t taps = 1;
  for (int64_t k : *conv.getKernel())
    taps *= k;
  return ::sparseLayout(*conv.getPacked(), taps, conv.getInput(), conv.getInit(), conv.getFilter());
}
SparseLayout burin::nn::sparseLayout(MatmulOp matmul) {
  return ::sparseLayout(*matmul.getPacked(), 1, matmul.getLhs(), matmul.getInit(), matmul.getRhs());
}

StoredLayout burin::nn::storedLayout(MatmulOp matmul) {
  StoredAttr stored = matmul.getStoredAttr();
  return {stored.getBits(),
          stored.getRun(),
          cast<ShapedType>(matmul.getLhs().getType()).getShape().back(),
          cast<ShapedType>(matmul.getInit().getType()).getShape().back(),
          int64_t(*matmul.getPacked()),
          stored.getScale().getIntOrFloatBitWidth() / 8,
          stored.getZeros()};
}

// Effects exist on buffers only: every operand but the destination is read, the destination is overwritten.
static void addEffects(Operation *op, OpOperand &init, SmallVectorImpl<MemoryEffects::EffectInstance> &effects) {
  for (OpOperand &operand : op->getOpOperands()) {
    if (!isa<MemRefType>(operand.get().getType()))
      continue;
    if (&operand == &init)
      effects.emplace_back(MemoryEffects::Write::get(), &operand);
    else
      effects.emplace_back(MemoryEffects::Read::get(), &operand);
  }
}

static Speculation::Speculatability speculatability(Operation *op) {
  return op->getNumResults() == 0 ? Speculation::NotSpeculatable : Speculation::Speculatable;
}

template <typename Op> static Type accumulatorOf(Op op, Value operand) {
  return op.getAcc() ? *op.getAcc() : defaultAccumulator(getElementTypeOrSelf(operand.getType()));
}

#define COMPUTE_OP_METHODS(OP, FIRST)                                                                                  \
  void OP::getEffects(SmallVectorImpl<MemoryEffects::EffectInstance> &effects) {                                       \
    addEffects(*this, getInitOperand(), effects);                                                                      \
  }                                                                                                                    \
  Speculation::Speculatability OP::getSpeculatability() { return speculatability(*this); }                             \
  Type OP::getAccumulatorType() { return accumulatorOf(*this, FIRST()); }

COMPUTE_OP_METHODS(ConvOp, getInput)
COMPUTE_OP_METHODS(DepthwiseConvOp, getInput)
COMPUTE_OP_METHODS(ConvTransposeOp, getInput)
COMPUTE_OP_METHODS(MatmulOp, getLhs)
COMPUTE_OP_METHODS(PoolOp, getInput)
COMPUTE_OP_METHODS(SoftmaxOp, getInput)
#undef COMPUTE_OP_METHODS

static int64_t elements(Value value) {
  auto type = cast<ShapedType>(value.getType());
  return type.hasStaticShape() ? type.getNumElements() : 0;
}
static int64_t product(ArrayRef<int64_t> values) {
  int64_t result = 1;
  for (int64_t v : values)
    result *= v;
  return result;
}
static ArrayRef<int64_t> shapeOf(Value value) { return cast<ShapedType>(value.getType()).getShape(); }

int64_t ConvOp::getFlops() {
  if (elements(getFilter()) == 0)
    return 0;
  if (isPackedForDots(*this))
    return 2 * elements(getInit()) * product(*getKernel()) * shapeOf(getInput()).back() / (int64_t)getGroups();
  if (isPackedSparse(*this)) // what is computed
    return 2 * double(elements(getInit()) * product(*getKernel()) * shapeOf(getInput()).back()) *
           sparseLayout(*this).share();
  // A packed filter has its block dim last; the taps of one output channel are the dims between.
  ArrayRef<int64_t> taps =
      getPacked() ? shapeOf(getFilter()).drop_front().drop_back() : shapeOf(getFilter()).drop_back();
  // What the plain filter takes: rates then compare whatever the algorithm.
  if (getWinograd())
    return 2 * elements(getInit()) * 9 * taps.back();
  return 2 * elements(getInit()) * product(taps);
}
int64_t DepthwiseConvOp::getFlops() {
  return elements(getFilter()) == 0 ? 0 : 2 * elements(getInit()) * product(shapeOf(getFilter()).drop_back());
}
int64_t ConvTransposeOp::getFlops() {
  ArrayRef<int64_t> filter = shapeOf(getFilter());
  return elements(getFilter()) == 0 ? 0 : 2 * elements(getInput()) * product(filter.drop_back(2)) * filter.back();
}
int64_t MatmulOp::getFlops() {
  int64_t k = shapeOf(getLhs()).back();
  double share = isPackedSparse(*this) ? sparseLayout(*this).share() : 1; // of what is computed
  return ShapedType::isDynamic(k) ? 0 : int64_t(2 * double(elements(getInit()) * k) * share);
}
int64_t PoolOp::getFlops() { return elements(getInit()) * product(getKernel()); }
int64_t SoftmaxOp::getFlops() { return 4 * elements(getInit()); }
