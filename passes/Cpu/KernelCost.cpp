// A count of instructions: see the header. Must run before math functions become arithmetic.
#include "passes/Cpu/KernelCost.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;
using namespace burin;
using namespace burin::cpu;

// Nanoseconds: about 2.5 vector instructions a cycle at 3 GHz; loads and stores that leave the L1 cache.
constexpr double instruction = 0.13, memoryAccess = 0.3;
// Of a byte in the cache of another core, about 30 GB/s.
constexpr double distantByte = 0.03;
// Instructions of a polynomial, and of what has a long latency.
constexpr double polynomial = 20, division = 6;
constexpr int64_t guess = 64;

std::optional<int64_t> cpu::tripsOf(scf::ForOp loop) {
  auto lower = getConstantIntValue(loop.getLowerBound()), upper = getConstantIntValue(loop.getUpperBound()),
       step = getConstantIntValue(loop.getStep());
  if (!lower || !upper || !step || *step <= 0)
    return std::nullopt;
  return *upper > *lower ? (*upper - *lower + *step - 1) / *step : 0;
}

int64_t cpu::guessedTrips(scf::ForOp loop) { return tripsOf(loop).value_or(guess); }

// Of a type's values in all, a vector's lanes together.
static double bitsOf(Type type) {
  auto vector = dyn_cast<VectorType>(type);
  Type element = getElementTypeOrSelf(type);
  double bits = element.isIntOrFloat() ? element.getIntOrFloatBitWidth() : 64;
  return vector ? bits * vector.getNumElements() : bits;
}

// What a load or store moves; null for other operations.
static Type movedBy(Operation *op) {
  if (isa<vector::LoadOp, vector::MaskedLoadOp, memref::LoadOp>(op))
    return op->getResult(0).getType();
  if (isa<vector::StoreOp, vector::MaskedStoreOp, memref::StoreOp>(op))
    for (Type type : op->getOperandTypes())
      if (!isa<MemRefType>(type) && !type.isIndex())
        return type;
  return nullptr;
}

// The sum of `each` over all operations as often as they run, and of `iteration` over all iterations.
static double sumOver(Operation *op, double iteration, llvm::function_ref<double(Operation *)> each) {
  if (auto loop = dyn_cast<scf::ForOp>(op)) {
    double body = iteration;
    for (Operation &inner : *loop.getBody())
      body += sumOver(&inner, iteration, each);
    return double(guessedTrips(loop)) * body;
  }
  if (!op->getNumRegions())
    return each(op);
  double longest = 0; // a branch: the longest way
  for (Region &region : op->getRegions()) {
    double sum = 0;
    for (Block &block : region)
      for (Operation &inner : block)
        sum += sumOver(&inner, iteration, each);
    longest = std::max(longest, sum);
  }
  return longest;
}

double KernelCost::ofIteration() const { return 2 * instruction; }

double KernelCost::bytesOf(Operation *op) const {
  return sumOver(op, 0, [](Operation *op) {
    Type moved = movedBy(op);
    return moved ? bitsOf(moved) / 8 : 0;
  });
}

double KernelCost::ofDistantBytes(double bytes) const { return bytes * distantByte; }

double KernelCost::of(Operation *op) const {
  return sumOver(op, ofIteration(), [&](Operation *op) { return ofOne(op); });
}

double KernelCost::ofOne(Operation *op) const {
  auto registersOf = [&](Type type) { return std::max(1.0, bitsOf(type) / machine.vectorBits); };
  if (Type moved = movedBy(op))
    return memoryAccess * registersOf(moved);
  if (op->getNumResults() == 0 || op->hasTrait<OpTrait::ConstantLike>())
    return 0;
  Type type = op->getResult(0).getType();
  if (isa<MemRefType>(type) || type.isIndex()) // addresses
    return 0;
  if (isa<vector::BroadcastOp>(op)) // an operand of the instruction that uses it, mostly
    return 0;
  double count = 1;
  if (isa<math::MathDialect>(op->getDialect()) &&
      !isa<math::FmaOp, math::AbsFOp, math::AbsIOp, math::RoundEvenOp, math::FloorOp, math::CeilOp>(op))
    count = polynomial;
  else if (isa<arith::DivFOp, arith::DivSIOp, arith::DivUIOp, arith::RemSIOp, arith::RemUIOp, math::SqrtOp>(op))
    count = division;
  return count * instruction * registersOf(type);
}
