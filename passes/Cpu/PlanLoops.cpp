// Chooses the loops of a nest: which dim becomes vectors, how wide, which input is transposed in registers, and the
// order. The idea: count the instructions one point costs for each choice and take the least. Must not look at anything
// but the nest and the machine.
#include "passes/Cpu/LoopNest.h"
#include "passes/Cpu/Views.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "passes/Cpu/ByteTables.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace burin;
using namespace burin::cpu;

// Lanes beyond which a vector of lanes filled one by one is not made any more.
static constexpr unsigned maxTileLanes = 16;
// Longest dim that is written out whole for its elements to be (de)interleaved by shuffles.
static constexpr int64_t maxInterleaved = 8;

static unsigned bitsOf(Type type) {
  if (type.isIndex())
    return 64;
  return std::max(8u, type.getIntOrFloatBitWidth());
}

// A body that moves its elements unchanged: their type does not matter.
static bool isMove(const LoopNest &nest) { return nest.body().getOperations().size() == 1; }

// Bits of the widest element a vector of this nest holds. Indices do not count: they are mostly linear and never become
// vectors.
static unsigned widestBits(const LoopNest &nest) {
  unsigned bits = 8;
  for (const NestOperand &o : nest.operands)
    bits = std::max(bits, bitsOf(isMove(nest) ? o.element : computeType(o.element)));
  for (Operation &op : nest.body().without_terminator())
    for (Type type : op.getResultTypes())
      if (!type.isIndex() && !type.isInteger(1) && nest.depends(op.getResult(0)))
        bits = std::max(bits, bitsOf(computeType(type)));
  return bits;
}

static bool allCombine(const LoopNest &nest) {
  for (unsigned i = 0; i < nest.outputs().size(); ++i)
    if (!findCombiner(nest, i, computeType(nest.outputs()[i].element)))
      return false;
  return true;
}

// About how many instructions a scalar body operation becomes.
static double weightOf(Operation &op) {
  if (op.getDialect() && op.getDialect()->getNamespace() == "math")
    return 15;
  if (isa<vector::ExtractOp>(op)) // a lookup, where it counts for a single vector
    return 16;
  return isa<linalg::IndexOp, arith::ConstantOp>(op) ? 0 : 1;
}

// A parallel dim other than `dim` along which the input lies contiguously, for an input that does not along `dim`; -1
// if none.
static int contiguousElsewhere(const LoopNest &nest, const NestOperand &o, unsigned dim) {
  for (unsigned d = 0; d < nest.extents.size(); ++d)
    if (d != dim && !nest.reduction[d] && o.strides[d].is(1) && nest.extents[d].orElse(guessedSize) > 1)
      return d;
  return -1;
}

// Operands that hold the elements of the short dim `tile` side by side and step from group to group along `dim`.
bool burin::cpu::isInterleaved(const LoopNest &nest, const NestOperand &o, unsigned dim, unsigned tile) {
  return !o.isScalar && o.strides[tile].is(1) && o.strides[dim] == nest.extents[tile];
}

static double costOf(const LoopNest &nest, const Machine &machine, unsigned dim, unsigned width, int &tileDim,
                     int interleaved = -1) {
  bool pure = llvm::none_of(nest.reduction, [](bool r) { return r; });
  double cost = 0;
  tileDim = interleaved;
  for (const NestOperand &o : nest.operands) {
    if (o.isScalar || o.strides[dim].is(0))
      continue;
    int64_t stride = o.strides[dim].estimate(guessedSize);
    if (o.strides[dim].is(1)) {
      cost += 1;
    } else if (interleaved >= 0 && isInterleaved(nest, o, dim, interleaved)) {
      cost += nest.extents[interleaved].value();
    } else if (!o.isOutput && stride <= maxLoadStride && stride > 0 && width > 1) {
      cost += 2 * stride;
    } else if (interleaved >= 0) {
      cost += 1.5 * width;
    } else if (!o.isOutput) {
      int elsewhere = pure && width > 1 ? contiguousElsewhere(nest, o, dim) : -1;
      if (elsewhere >= 0 && (tileDim < 0 || tileDim == elsewhere)) {
        tileDim = elsewhere;
        cost += 6;
      } else {
        cost += 1.3 * width;
      }
    } else {
      cost += 1.5 * width;
    }
  }
  for (Operation &op : nest.body().without_terminator()) {
    bool vector = op.getNumResults() && (nest.depends(op.getResult(0)) & (uint64_t(1) << dim));
    if (auto load = dyn_cast<memref::LoadOp>(op); load && vector) {
      // Contiguous when the last index steps by one with the dim and no other does.
      bool contiguous = true;
      auto indices = load.getIndices();
      for (unsigned i = 0; i < indices.size(); ++i)
        contiguous &= nest.coefficient(indices[i], dim) == (i + 1 == indices.size() ? 1 : 0);
      cost += contiguous ? 1 : 2.5 * width;
      continue;
    }
    if (vector && isa<vector::ExtractOp>(op)) {
      double registers = lookupWeight(machine);
      cost += registers ? registers * std::max(1.0, width * 8.0 / machine.vectorBits) : 2.5 * width;
      continue;
    }
    cost += vector ? weightOf(op) : 0.1;
  }
  int64_t extent = nest.extents[dim].estimate(guessedSize);
  if (nest.reduction[dim])
    cost += 8.0 * width / extent; // the horizontal step at the end
  double points = double(extent) / llvm::divideCeil(extent, width);
  return cost / points;
}

// Vectors a row from which on its ends, done apart, do not count.
static constexpr int64_t manyVectors = 64;

// An output that the last cache cannot hold until someone reads it is written past the caches: else each line of it is
// read first. It must be one whose lines nobody has just read, as an operand in place is.
static bool isStreamed(const LoopNest &nest, const LoopPlan &plan, int64_t streamedBytes) {
  if (plan.vectorDim < 0 || plan.tileDim >= 0 || !plan.reductionOrder.empty() || nest.outputs().size() != 1)
    return false;
  const NestOperand &output = nest.outputs().front();
  int64_t bytes = storageBytes(output.element), total = bytes;
  for (const Size &extent : nest.extents)
    total *= extent.orElse(0);
  Value base = output.operand->get();
  while (auto view = base.getDefiningOp<ViewLikeOpInterface>())
    base = view.getViewSource();
  auto argument = dyn_cast<BlockArgument>(base);
  auto function = argument ? dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp()) : nullptr;
  return streamedBytes && total >= streamedBytes && output.strides[plan.vectorDim].is(1) &&
         output.argument.use_empty() && plan.width * bytes >= 16 && llvm::isPowerOf2_64(bytes) &&
         nest.extents[plan.vectorDim].value() >= manyVectors * plan.width && function &&
         function.getArgAttr(argument.getArgNumber(), LLVM::LLVMDialect::getNoAliasAttrName());
}

LoopPlan burin::cpu::planLoops(const LoopNest &nest, const Machine &machine, int64_t streamedBytes) {
  LoopPlan plan;
  unsigned bits = widestBits(nest);
  unsigned full = machine.vectorBits > bits ? machine.vectorBits / bits : 1;
  bool combine = allCombine(nest);
  double best = 0;
  for (unsigned d = 0; d < nest.extents.size(); ++d) {
    int tile;
    double scalar = costOf(nest, machine, d, 1, tile);
    if (best == 0 || scalar < best)
      best = scalar;
  }
  for (unsigned d = 0; d < nest.extents.size() && full > 1; ++d) {
    if (nest.reduction[d] && !combine)
      continue;
    int64_t extent = nest.extents[d].estimate(guessedSize);
    unsigned width = std::min<uint64_t>(full, llvm::PowerOf2Ceil(extent));
    int tile;
    double cost = costOf(nest, machine, d, width, tile);
    if (tile >= 0 && width > maxTileLanes) {
      width = maxTileLanes;
      cost = costOf(nest, machine, d, width, tile);
    }
    // A short dim whose elements some operand holds side by side, written out whole.
    bool interleaved = false;
    bool pure = llvm::none_of(nest.reduction, [](bool r) { return r; });
    for (unsigned t = 0; t < nest.extents.size() && pure; ++t) {
      if (t == d || !nest.extents[t].isStatic() || nest.extents[t].value() > maxInterleaved ||
          llvm::none_of(nest.operands, [&](const NestOperand &o) { return isInterleaved(nest, o, d, t); }))
        continue;
      unsigned narrow = std::min(std::min<uint64_t>(full, llvm::PowerOf2Ceil(extent)), uint64_t(maxTileLanes));
      int sameTile;
      double other = narrow > 1 ? costOf(nest, machine, d, narrow, sameTile, t) : cost;
      if (other < cost) {
        cost = other;
        tile = t;
        width = narrow;
        interleaved = true;
      }
    }
    if (cost >= best)
      continue;
    best = cost;
    plan.vectorDim = d;
    plan.tileDim = tile;
    plan.width = width;
    plan.interleaved = interleaved;
  }

  // Rows of the output in the order they lie, so that writes stream; then those of the inputs.
  auto strideSum = [&](unsigned d, bool outputs) {
    int64_t sum = 0;
    for (const NestOperand &o : nest.operands)
      sum += o.isScalar || o.isOutput != outputs ? 0 : std::abs(o.strides[d].estimate(guessedSize));
    return sum;
  };
  for (unsigned d = 0; d < nest.extents.size(); ++d)
    (nest.reduction[d] ? plan.reductionOrder : plan.parallelOrder).push_back(d);
  auto rank = [&](unsigned d) {
    return std::make_tuple(int(d) == plan.vectorDim ? 2
                           : int(d) == plan.tileDim ? 1
                                                    : 0,
                           -strideSum(d, true), -strideSum(d, false));
  };
  auto before = [&](unsigned a, unsigned b) { return rank(a) < rank(b); };
  llvm::stable_sort(plan.parallelOrder, before);
  llvm::stable_sort(plan.reductionOrder, before);

  // Several vectors a step hide latency and loop overhead, as long as the code stays small.
  if (plan.vectorDim >= 0 && plan.tileDim < 0) {
    double weight = nest.operands.size();
    for (Operation &op : nest.body().without_terminator())
      weight += weightOf(op);
    unsigned fits = std::max<int64_t>(1, nest.extents[plan.vectorDim].estimate(guessedSize) / plan.width);
    plan.unroll = std::min<unsigned>({4, fits, weight <= 8 ? 4u : weight <= 16 ? 2u : 1u});
  }
  plan.streamed = isStreamed(nest, plan, streamedBytes);
  return plan;
}
