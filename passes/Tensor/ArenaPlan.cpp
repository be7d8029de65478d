// An arena whose slots are as large as the inputs of a run ask for.
//
// The idea: a placement at one size says of every two buffers that live at once which is the lower one. That order,
// kept, gives offsets for all sizes: a buffer starts where the highest of those below it ends. Orders from several
// sizes compete, and the one whose arena is nearest to what must live at once, over all of them, is taken.
#include "passes/Tensor/ArenaPlan.h"

#include "burin/runtime.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"

#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/StringMap.h"
#include <map>
#include <numeric>
#include <set>

using namespace mlir;
using namespace burin;

static constexpr double maxArenaBytes = 1ll << 46, maxNarrowArenaBytes = 1ll << 30;
static constexpr unsigned manyBuffers = 400; // from here on fewer sizes are tried

static int64_t aligned(int64_t bytes) { return llvm::alignTo(bytes, BURIN_ALIGNMENT); }

int64_t burin::bytesOf(MemRefType type) {
  int64_t bits = type.getElementType().isIndex() ? 64 : type.getElementTypeBitWidth();
  int64_t bytes = std::max<int64_t>(1, (bits + 7) / 8);
  for (int64_t size : type.getShape())
    bytes *= ShapedType::isDynamic(size) ? 1 : size;
  return bytes;
}

// Each in turn into the smallest gap that fits, else on top of those it lives with.
static int64_t placeInOrder(ArrayRef<ArenaBuffer *> order) {
  int64_t arena = 0;
  SmallVector<ArenaBuffer *> placed; // by offset
  for (ArenaBuffer *buffer : order) {
    int64_t size = aligned(buffer->bytes), end = 0, best = -1, bestGap = INT64_MAX;
    for (ArenaBuffer *other : placed) {
      if (other->last < buffer->first || buffer->last < other->first)
        continue;
      int64_t gap = other->offset - end;
      if (gap >= size && gap < bestGap) {
        best = end;
        bestGap = gap;
      }
      end = std::max(end, other->offset + aligned(other->bytes));
    }
    buffer->offset = best >= 0 ? best : end;
    arena = std::max(arena, buffer->offset + size);
    placed.insert(
        llvm::upper_bound(placed, buffer, [](ArenaBuffer *a, ArenaBuffer *b) { return a->offset < b->offset; }),
        buffer);
  }
  return arena;
}

// The largest first; then, as long as more is taken than must live at once, what came to lie on top goes first.
int64_t burin::placeBuffers(SmallVectorImpl<ArenaBuffer> &buffers) {
  SmallVector<ArenaBuffer *> order;
  int64_t positions = 0;
  for (ArenaBuffer &buffer : buffers) {
    order.push_back(&buffer);
    positions = std::max<int64_t>(positions, buffer.last + 1);
  }
  llvm::stable_sort(order, [](ArenaBuffer *a, ArenaBuffer *b) { return a->bytes > b->bytes; });
  SmallVector<int64_t> best;
  auto keep = [&] { best = llvm::map_to_vector(buffers, [](const ArenaBuffer &buffer) { return buffer.offset; }); };
  int64_t arena = placeInOrder(order), peak = peakLiveBytes(buffers, positions);
  keep();
  unsigned tries = buffers.size() < manyBuffers ? 64 : 4;
  for (unsigned i = 0; i < tries && arena > peak + peak / 50; ++i) {
    auto top = llvm::max_element(order, [](ArenaBuffer *a, ArenaBuffer *b) {
      return a->offset + aligned(a->bytes) < b->offset + aligned(b->bytes);
    });
    if (top == order.begin())
      break;
    std::rotate(order.begin(), top, top + 1);
    if (int64_t other = placeInOrder(order); other < arena) {
      arena = other;
      keep();
    }
  }
  for (auto [buffer, offset] : llvm::zip(buffers, best))
    buffer.offset = offset;
  return arena;
}

int64_t burin::peakLiveBytes(ArrayRef<ArenaBuffer> buffers, int64_t positions) {
  SmallVector<int64_t> change(positions + 2, 0);
  for (const ArenaBuffer &buffer : buffers) {
    change[buffer.first] += buffer.bytes;
    change[buffer.last + 1] -= buffer.bytes;
  }
  int64_t live = 0, peak = 0;
  for (int64_t delta : change)
    peak = std::max(peak, live += delta);
  return peak;
}

namespace {
// The free dims of @main's arguments, equal names counted once, and sizes to try for them.
class Symbols {
public:
  explicit Symbols(func::FuncOp main) {
    llvm::StringMap<unsigned> byName;
    for (BlockArgument argument : main.getArguments()) {
      auto type = dyn_cast<MemRefType>(argument.getType());
      auto names = main.getArgAttrOfType<ArrayAttr>(argument.getArgNumber(), "burin.dim_names");
      for (int64_t d = 0; type && d < type.getRank(); ++d) {
        auto name = names && d < (int64_t)names.size() ? dyn_cast<StringAttr>(names[d]) : StringAttr();
        unsigned id = name && !name.empty() ? byName.try_emplace(name.getValue(), count).first->second : count;
        ids[{argument, d}] = id;
        count = std::max(count, id + 1);
        if (!type.isDynamicDim(d))
          fixed[id] = type.getDimSize(d);
      }
    }
  }

  int64_t sizeOf(ArrayRef<int64_t> sample, BlockArgument argument, int64_t dim) const {
    auto found = ids.find({argument, dim});
    if (found == ids.end())
      return 1;
    auto known = fixed.find(found->second);
    return known == fixed.end() ? sample[found->second] : known->second;
  }

  // All ones first. Then all dims alike, and each alone small or large: a batch of one long text, a single new token.
  SmallVector<SmallVector<int64_t>> samples(bool few) const {
    SmallVector<SmallVector<int64_t>> all;
    const int64_t alike[] = {1, 64, 7, 32, 128, 512};
    for (int64_t n : ArrayRef<int64_t>(alike).take_front(few ? 2 : 6))
      all.push_back(SmallVector<int64_t>(count, n));
    SmallVector<unsigned> open;
    for (unsigned id = 0; id < count; ++id)
      if (!fixed.count(id))
        open.push_back(id);
    if (open.size() < 2)
      return all;
    for (unsigned id : ArrayRef<unsigned>(open).take_front(few ? 1 : 4)) {
      all.push_back(SmallVector<int64_t>(count, 100));
      all.back()[id] = 1;
      all.push_back(SmallVector<int64_t>(count, 1));
      all.back()[id] = 100;
    }
    return all;
  }

private:
  llvm::DenseMap<std::pair<Value, int64_t>, unsigned> ids;
  llvm::DenseMap<unsigned, int64_t> fixed;
  unsigned count = 0;
};
} // namespace

SymbolicPlan::SymbolicPlan(func::FuncOp main, SmallVectorImpl<ArenaBuffer> &buffers, int64_t positions)
    : buffers(buffers), conflicts(buffers.size()) {
  unsigned n = buffers.size();
  for (unsigned a = 0; a < n; ++a)
    for (unsigned b = 0; b < n; ++b)
      if (a != b && buffers[a].first <= buffers[b].last && buffers[b].first <= buffers[a].last)
        conflicts[a].push_back(b);

  Symbols symbols(main);
  SmallVector<SmallVector<int64_t>> sizes;
  SmallVector<int64_t> peaks;
  SmallVector<Order> orders;
  for (const auto &sample : symbols.samples(n > manyBuffers)) {
    SizeSample values;
    for (ArenaBuffer &buffer : buffers) {
      buffer.bytes = bytesOf(buffer.alloc.getType());
      for (Value size : buffer.alloc.getDynamicSizes())
        buffer.bytes *= std::max<int64_t>(
            0,
            values
                .evaluate(size, [&](BlockArgument argument, int64_t d) { return symbols.sizeOf(sample, argument, d); })
                .value_or(1));
    }
    int64_t arena = placeBuffers(buffers), peak = peakLiveBytes(buffers, positions);
    sizes.push_back(llvm::map_to_vector(buffers, [](const ArenaBuffer &b) { return aligned(b.bytes); }));
    peaks.push_back(std::max<int64_t>(peak, 1));
    if (orders.empty()) {
      arenaAtOne = arena;
      peakAtOne = peak;
    }
    Order order(n);
    std::iota(order.begin(), order.end(), 0);
    llvm::stable_sort(order, [&](unsigned a, unsigned b) { return buffers[a].offset < buffers[b].offset; });
    orders.push_back(std::move(order));
  }

  double least = 0;
  for (const Order &order : orders) {
    // Small arenas are mostly alignment and matter to nobody.
    double worst = 0;
    for (auto [size, peak] : llvm::zip(sizes, peaks))
      worst = std::max(worst, double(arenaOf(order, size)) / double(peak + (1 << 14)));
    if (best.empty() || worst < least) {
      best = order;
      least = worst;
    }
  }
  if (!orders.empty())
    arenaAtOne = arenaOf(best, sizes.front());
}

int64_t SymbolicPlan::arenaOf(const Order &order, ArrayRef<int64_t> sizes) const {
  SmallVector<int64_t> ends(sizes.size(), 0); // 0: not placed yet
  int64_t arena = 0;
  for (unsigned b : order) {
    int64_t start = 0;
    for (unsigned other : conflicts[b])
      start = std::max(start, ends[other]);
    ends[b] = start + sizes[b];
    arena = std::max(arena, ends[b]);
  }
  return arena;
}

// Equal sizes are computed once.
namespace {
class SizeBuilder {
public:
  SizeBuilder(OpBuilder &builder, Location loc) : builder(builder), loc(loc) {}

  Value constant(int64_t value) {
    Value &known = constants[value];
    if (!known)
      known = arith::ConstantIndexOp::create(builder, loc, value);
    return known;
  }

  Value alignedBytes(memref::AllocOp alloc) {
    int64_t fixed = bytesOf(alloc.getType());
    if (alloc.getDynamicSizes().empty())
      return constant(aligned(fixed));
    std::vector<void *> key{reinterpret_cast<void *>(fixed)};
    for (Value size : alloc.getDynamicSizes())
      key.push_back(size.getAsOpaquePointer());
    Value &known = sizes[key];
    if (known)
      return known;
    Value bytes = constant(fixed);
    for (Value size : alloc.getDynamicSizes())
      bytes = arith::MulIOp::create(builder, loc, bytes, size);
    if (fixed % BURIN_ALIGNMENT != 0)
      bytes =
          arith::AndIOp::create(builder, loc, arith::AddIOp::create(builder, loc, bytes, constant(BURIN_ALIGNMENT - 1)),
                                constant(-int64_t(BURIN_ALIGNMENT)));
    return known = bytes;
  }

private:
  OpBuilder &builder;
  Location loc;
  llvm::DenseMap<int64_t, Value> constants;
  std::map<std::vector<void *>, Value> sizes;
};
} // namespace

SmallVector<Value> SymbolicPlan::build(OpBuilder &builder, Location loc, Value &arena) const {
  SizeBuilder sizes(builder, loc);
  SmallVector<Value> offsets(buffers.size()), ends(buffers.size());
  auto largest = [&](Value a, Value b) { return a && a != b ? Value(arith::MaxSIOp::create(builder, loc, a, b)) : b; };
  llvm::BitVector covered(buffers.size()), isTop(buffers.size());
  SmallVector<unsigned> position(buffers.size());
  for (auto [at, b] : llvm::enumerate(best))
    position[b] = at;
  for (unsigned b : best) {
    // What lies below something that lies below `b` itself is no news.
    covered.reset();
    SmallVector<unsigned> below;
    for (unsigned other : conflicts[b])
      if (ends[other])
        below.push_back(other);
    for (unsigned other : below)
      for (unsigned deeper : conflicts[other])
        if (ends[deeper] && position[deeper] < position[other])
          covered.set(deeper);
    Value start;
    for (unsigned other : below)
      if (!covered.test(other)) {
        start = largest(start, ends[other]);
        isTop.reset(other);
      }
    offsets[b] = start ? start : sizes.constant(0);
    Value size = sizes.alignedBytes(buffers[b].alloc);
    ends[b] = start ? Value(arith::AddIOp::create(builder, loc, start, size)) : size;
    isTop.set(b);
  }
  arena = nullptr;
  for (unsigned b : isTop.set_bits())
    arena = largest(arena, ends[b]);
  if (!arena)
    arena = sizes.constant(0);
  return offsets;
}

void burin::makePlanFunction(func::FuncOp main, unsigned indexBits, unsigned inputs, Value arena, ValueRange outputDims,
                             ArrayRef<ArenaBuffer> buffers, ArrayRef<std::pair<Value, StringAttr>> checks) {
  OpBuilder builder(main);
  Location loc = main.getLoc();
  SmallVector<Type> types(main.getArgumentTypes().take_front(inputs));
  SmallVector<Type> results(1 + outputDims.size(), builder.getIndexType());
  auto plan = func::FuncOp::create(builder, loc, "plan", builder.getFunctionType(types, results));
  plan.setPrivate();
  Block *block = plan.addEntryBlock();
  builder.setInsertionPointToStart(block);
  IRMapping map;
  map.map(main.getArguments().take_front(inputs), block->getArguments());
  std::function<Value(Value)> copy = [&](Value value) -> Value {
    if (Value known = map.lookupOrNull(value))
      return known;
    for (Value operand : value.getDefiningOp()->getOperands())
      copy(operand);
    builder.clone(*value.getDefiningOp(), map);
    return map.lookup(value);
  };
  for (auto [holds, text] : checks)
    cf::AssertOp::create(builder, loc, copy(holds), text);

  // Sizes that no memory has, before anything is computed from them in integers: as floats, which do not wrap.
  Value least, total;
  std::set<std::vector<void *>> seen;
  auto f64 = builder.getF64Type();
  for (const ArenaBuffer &buffer : buffers) {
    auto sizes = const_cast<memref::AllocOp &>(buffer.alloc).getDynamicSizes();
    int64_t fixed = bytesOf(const_cast<memref::AllocOp &>(buffer.alloc).getType());
    std::vector<void *> key{reinterpret_cast<void *>(fixed)};
    for (Value size : sizes)
      key.push_back(size.getAsOpaquePointer());
    if (sizes.empty() || !seen.insert(key).second)
      continue;
    Value product = arith::ConstantOp::create(builder, loc, builder.getF64FloatAttr(fixed));
    for (Value size : sizes) {
      Value here = copy(size);
      least = least ? Value(arith::MinSIOp::create(builder, loc, least, here)) : here;
      Value wide = arith::IndexCastOp::create(builder, loc, builder.getI64Type(), here);
      product = arith::MulFOp::create(builder, loc, product, arith::SIToFPOp::create(builder, loc, f64, wide));
    }
    total = total ? Value(arith::MaximumFOp::create(builder, loc, total, product)) : product;
  }
  if (least) {
    Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
    Value isSize = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sge, least, zero);
    cf::AssertOp::create(builder, loc, isSize, "the dims of the inputs leave a tensor inside with a negative dim");
    Value most = arith::ConstantOp::create(
        builder, loc, builder.getF64FloatAttr(indexBits == 32 ? maxNarrowArenaBytes : maxArenaBytes));
    Value fits = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OLE, total, most);
    cf::AssertOp::create(builder, loc, fits, "the dims of the inputs make a tensor too large for any memory");
  }
  SmallVector<Value> values{copy(arena)};
  for (Value dim : outputDims)
    values.push_back(copy(dim));
  func::ReturnOp::create(builder, loc, values);
}
