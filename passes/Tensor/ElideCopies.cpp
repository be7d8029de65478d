// tensor-elide-copies: two buffers, one of which is copied into the other, become windows of one, so that the copy is
// nothing. Knows boxes of buffers and the order in which operations read and write them, not what they compute. A size
// that is known at run time only is a symbol a dim: legality is then tried for every size that could make a difference.
#include "dialects/Foreign/Foreign.h"
#include "passes/Tensor/ArenaPlan.h"
#include "passes/Tensor/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

namespace burin {
#define GEN_PASS_DEF_ELIDECOPIES
#include "passes/Tensor/Passes.h.inc"
} // namespace burin

using namespace mlir;
using namespace burin;

namespace {

// Elements from `low` to before `high`, dim by dim.
struct Box {
  SmallVector<int64_t> low, high;

  bool isEmpty() const {
    return llvm::any_of(llvm::zip(low, high), [](auto dim) { return std::get<0>(dim) >= std::get<1>(dim); });
  }
  int64_t volume() const {
    int64_t points = 1;
    for (auto [from, to] : llvm::zip(low, high))
      points *= to - from;
    return points;
  }
};

Box intersect(const Box &a, const Box &b) {
  Box both = a;
  for (unsigned d = 0; d < a.low.size(); ++d) {
    both.low[d] = std::max(a.low[d], b.low[d]);
    both.high[d] = std::min(a.high[d], b.high[d]);
  }
  return both;
}

// Takes `taken` out of every box, cutting what is left of one into up to two boxes a dim.
void subtract(SmallVectorImpl<Box> &boxes, const Box &taken) {
  SmallVector<Box> left;
  for (Box box : boxes) {
    Box both = intersect(box, taken);
    if (both.isEmpty()) {
      left.push_back(box);
      continue;
    }
    for (unsigned d = 0; d < box.low.size(); ++d) {
      Box before = box, after = box;
      before.high[d] = both.low[d];
      after.low[d] = both.high[d];
      for (const Box &part : {before, after})
        if (!part.isEmpty())
          left.push_back(part);
      box.low[d] = both.low[d];
      box.high[d] = both.high[d];
    }
  }
  boxes.assign(left.begin(), left.end());
}

// A place in a dim: a number, or (growing) one from the dim's symbol on.
struct Bound {
  int64_t base = 0;
  bool grows = false;

  int64_t at(int64_t symbol) const { return base + (grows ? symbol : 0); }
  bool operator==(const Bound &other) const { return base == other.base && grows == other.grows; }
};

// A box whose bounds may grow with symbols.
struct Region {
  SmallVector<Bound> low, high;

  Box at(ArrayRef<int64_t> symbols) const {
    Box box;
    for (auto [from, to, symbol] : llvm::zip(low, high, symbols)) {
      box.low.push_back(from.at(symbol));
      box.high.push_back(to.at(symbol));
    }
    return box;
  }
  bool operator==(const Region &other) const { return low == other.low && high == other.high; }
};

Region shifted(const Region &region, ArrayRef<int64_t> by) {
  Region moved = region;
  for (unsigned d = 0; d < by.size(); ++d) {
    moved.low[d].base += by[d];
    moved.high[d].base += by[d];
  }
  return moved;
}

// The smallest region that holds both, if it is the same one whatever the symbols are.
std::optional<Region> hull(const Region &a, const Region &b) {
  Region all = a;
  for (unsigned d = 0; d < a.low.size(); ++d) {
    if (a.low[d].grows != b.low[d].grows || a.high[d].grows != b.high[d].grows)
      return std::nullopt;
    all.low[d].base = std::min(a.low[d].base, b.low[d].base);
    all.high[d].base = std::max(a.high[d].base, b.high[d].base);
  }
  return all;
}

// One operand of an operation that reads or writes a box of a buffer.
struct Access {
  OpOperand *operand;
  int64_t position;
  Region region;
  Box box; // the region for the sizes looked at
  bool reads, writes;
  bool covers;        // writes all of the box
  Attribute constant; // what a fill writes
};

// What a size that only running tells is taken for where sizes are compared.
constexpr int64_t someSize = 64;

struct Buffer {
  SmallVector<memref::AllocOp> allocs; // the one it was, or those it replaces
  Region region;                       // negative where a buffer grew to that side
  SmallVector<Value> symbols;          // by dim: the size that bounds grow with, or null
  std::vector<Access> accesses;
  SmallVector<memref::SubViewOp> views;
  Type element;

  int64_t volume(const Region &of) const { return of.at(SmallVector<int64_t>(symbols.size(), someSize)).volume(); }
  int64_t elementBytes() const { return llvm::divideCeil(element.getIntOrFloatBitWidth(), 8); }
  int64_t bytes() const { return volume(region) * elementBytes(); }
};

// The copies of one block; each merge counts for those after it.
class CopyElision {
public:
  explicit CopyElision(Block *block) : block(block) {}

  // The arena may grow by `growth` percent.
  void run(unsigned growth) {
    int64_t positions = 0;
    SmallVector<memref::CopyOp> copies;
    for (Operation &op : *block) {
      position[&op] = positions++;
      if (auto copy = dyn_cast<memref::CopyOp>(op))
        copies.push_back(copy);
    }
    if (copies.empty())
      return;
    live.assign(positions, 0);
    for (auto alloc : block->getOps<memref::AllocOp>())
      collect(alloc);
    // The largest first: of two copies around a convolution that writes where it reads, one has to stay.
    auto size = [](memref::CopyOp copy) {
      int64_t points = 1;
      for (int64_t extent : cast<MemRefType>(copy.getSource().getType()).getShape())
        points *= ShapedType::isDynamic(extent) ? someSize : extent;
      return points;
    };
    llvm::stable_sort(copies, [&](memref::CopyOp a, memref::CopyOp b) { return size(a) > size(b); });
    peak = *llvm::max_element(live);
    limit = peak * (100 + growth) / 100;
    // Twice, since one merge may make room for another.
    for (bool isLast : {false, true})
      llvm::erase_if(copies, [&](memref::CopyOp copy) { return elide(copy, isLast); });
    for (auto &buffer : buffers)
      if (buffer->allocs.size() > 1)
        materialize(*buffer);
  }

private:
  // size = symbol + number.
  static std::pair<Value, int64_t> split(Value size) {
    auto sum = size.getDefiningOp<arith::AddIOp>();
    IntegerAttr number;
    if (sum && matchPattern(sum.getRhs(), m_Constant(&number)))
      return {sum.getLhs(), number.getInt()};
    return {size, 0};
  }

  // What happens to a buffer, if all of it can be told.
  void collect(memref::AllocOp alloc) {
    if (!alloc.getType().getLayout().isIdentity() || !alloc.getType().getElementType().isIntOrFloat())
      return;
    auto buffer = std::make_unique<Buffer>();
    buffer->allocs.push_back(alloc);
    buffer->element = alloc.getType().getElementType();
    auto sizes = alloc.getDynamicSizes().begin();
    for (int64_t size : alloc.getType().getShape()) {
      auto [symbol, number] = ShapedType::isDynamic(size) ? split(*sizes++) : std::pair(Value(), size);
      buffer->symbols.push_back(symbol);
      buffer->region.low.push_back({0, false});
      buffer->region.high.push_back({number, symbol != nullptr});
    }
    bool isKnown = collect(alloc, buffer->region, *buffer);
    auto [first, last] = lifetime(alloc);
    for (int64_t at = first; at <= last; ++at)
      live[at] += buffer->bytes();
    if (isKnown && !alloc->hasAttr("burin.output")) {
      bufferOf[alloc] = buffer.get();
      buffers.push_back(std::move(buffer));
    }
  }

  // A number, or one that grows with the symbol of the dim; nothing where it is another size.
  static std::optional<Bound> boundOf(OpFoldResult value, Value symbol) {
    if (auto number = getConstantIntValue(value))
      return Bound{*number, false};
    auto [size, number] = split(cast<Value>(value));
    return symbol && size == symbol ? std::optional(Bound{number, true}) : std::nullopt;
  }

  bool collect(Value value, const Region &region, Buffer &buffer) {
    for (OpOperand &use : value.getUses()) {
      Operation *op = use.getOwner();
      if (op->getBlock() != block)
        return false;
      if (auto view = dyn_cast<memref::SubViewOp>(op)) {
        if (view.getType().getRank() != view.getSourceType().getRank() || !view.getStrides().empty() ||
            llvm::any_of(view.getStaticStrides(), [](int64_t stride) { return stride != 1; }))
          return false;
        Region inner = region;
        for (auto [d, at, size] : llvm::enumerate(view.getMixedOffsets(), view.getMixedSizes())) {
          auto from = boundOf(at, buffer.symbols[d]), count = boundOf(size, buffer.symbols[d]);
          if (!from || !count || inner.low[d].grows + from->grows + count->grows > 1)
            return false;
          inner.low[d] = {inner.low[d].base + from->base, inner.low[d].grows || from->grows};
          inner.high[d] = {inner.low[d].base + count->base, inner.low[d].grows || count->grows};
        }
        if (!collect(view, inner, buffer))
          return false;
        buffer.views.push_back(view);
        continue;
      }
      std::optional<Access> access = describe(use);
      if (!access)
        return false;
      access->region = region;
      buffer.accesses.push_back(*access);
    }
    return true;
  }

  std::optional<Access> describe(OpOperand &use) {
    Operation *op = use.getOwner();
    Access access{&use, position.lookup(op), {}, {}, false, false, false, {}};
    if (auto copy = dyn_cast<memref::CopyOp>(op)) {
      access.reads = use.get() == copy.getSource();
      access.writes = access.covers = !access.reads;
      return access;
    }
    if (isa<foreign::CallOp>(op)) // a C function takes what lies without gaps
      return std::nullopt;
    auto compute = dyn_cast<DestinationStyleOpInterface>(op);
    auto effects = dyn_cast<MemoryEffectOpInterface>(op);
    if (!compute || !effects || op->getNumResults())
      return std::nullopt;
    access.reads = effects.getEffectOnValue<MemoryEffects::Read>(use.get()).has_value();
    access.writes = compute.isDpsInit(&use);
    access.covers = access.writes;
    if (auto loops = dyn_cast<linalg::LinalgOp>(op))
      access.covers &= loops.getMatchingIndexingMap(&use).isPermutation();
    if (auto fill = dyn_cast<linalg::FillOp>(op); fill && access.writes)
      matchPattern(fill.value(), m_Constant(&access.constant));
    return access;
  }

  // The positions between which a buffer is used, whatever uses it.
  std::pair<int64_t, int64_t> lifetime(memref::AllocOp alloc) {
    int64_t first = position.lookup(alloc), last = first;
    bool isUsed = false;
    SmallVector<Value> pending{alloc.getResult()};
    while (!pending.empty())
      for (Operation *user : pending.pop_back_val().getUsers()) {
        if (isa<ViewLikeOpInterface>(user)) {
          pending.push_back(user->getResult(0));
          continue;
        }
        int64_t at = position.lookup(block->findAncestorOpInBlock(*user));
        first = isUsed ? std::min(first, at) : at;
        last = std::max(last, at);
        isUsed = true;
      }
    return {first, last};
  }

  static std::pair<int64_t, int64_t> lifetime(const Buffer &buffer) {
    std::pair<int64_t, int64_t> life{INT64_MAX, -1};
    for (const Access &access : buffer.accesses) {
      life.first = std::min(life.first, access.position);
      life.second = std::max(life.second, access.position);
    }
    return life;
  }

  // The buffer that an operand of a copy is a window of, and that window.
  std::pair<Buffer *, const Access *> find(OpOperand &operand) {
    Value root = operand.get();
    while (auto view = root.getDefiningOp<memref::SubViewOp>())
      root = view.getSource();
    Buffer *buffer = bufferOf.lookup(root.getDefiningOp<memref::AllocOp>());
    if (!buffer)
      return {};
    for (const Access &access : buffer->accesses)
      if (access.operand == &operand)
        return {buffer, &access};
    return {};
  }

  //   memref.copy %a[4..8], %b[0..4]      the same elements of one buffer, %b beginning 4 later than %a, and no copy
  // Legal where all that reads or writes both is known and their sizes are numbers or of the same symbols, where
  // nothing that one still reads is written through the other, and where the arena's peak stays within the limit and
  // grows by less than is copied. True where the copy is gone.
  bool elide(memref::CopyOp copy, bool isLast) {
    auto [from, read] = find(copy->getOpOperand(0));
    auto [to, write] = find(copy->getOpOperand(1));
    auto missed = [&](StringRef reason) {
      if (isLast)
        remark::missed(copy.getLoc(), remark::RemarkOpts::name("Copy").category("tensor-elide-copies"))
            << remark::reason("{0}", reason);
      return false;
    };
    if (!from || !to)
      return missed("a side is used in ways that are not told");
    auto isCopy = [&](const Access &access) { return access.operand->getOwner() == copy; };
    if (from == to) {
      if (!(read->region == write->region)) // else it is written in place
        return missed("both sides are parts of one buffer");
      llvm::erase_if(from->accesses, isCopy);
      copy.erase();
      return true;
    }
    if (from->element != to->element || from->accesses.size() + to->accesses.size() > maxAccesses)
      return missed("the buffers have too many uses");
    SmallVector<int64_t> by;
    for (auto [target, source] : llvm::zip(read->region.low, write->region.low)) {
      if (target.grows != source.grows)
        return missed("one side begins where the other does for some sizes only");
      by.push_back(target.base - source.base);
    }
    std::optional<Region> both = hull(from->region, shifted(to->region, by));
    if (from->symbols != to->symbols || !both)
      return missed("the buffers' sizes are not known to be related");
    if (interfere(*from, *to, by, copy))
      return missed("one side is written while the other is still read");

    // As many bytes more or less where the one buffer lives instead of the two.
    Buffer merged;
    merged.element = from->element;
    merged.symbols = from->symbols;
    merged.region = *both;
    auto [fromFirst, fromLast] = lifetime(*from);
    auto [toFirst, toLast] = lifetime(*to);
    int64_t first = std::min(fromFirst, toFirst), last = std::max(fromLast, toLast), highest = 0;
    auto change = [&](int64_t at) {
      return merged.bytes() - (at >= fromFirst && at <= fromLast ? from->bytes() : 0) -
             (at >= toFirst && at <= toLast ? to->bytes() : 0);
    };
    for (int64_t at = first; at <= last; ++at)
      highest = std::max(highest, live[at] + change(at));
    if (highest > limit || highest - peak > merged.volume(read->region) * merged.elementBytes())
      return missed("one buffer for both would need a larger arena");
    for (int64_t at = first; at <= last; ++at)
      live[at] += change(at);
    peak = std::max(peak, highest);

    llvm::erase_if(from->accesses, isCopy);
    llvm::erase_if(to->accesses, isCopy);
    for (Access access : to->accesses) {
      access.region = shifted(access.region, by);
      from->accesses.push_back(access);
    }
    from->region = merged.region;
    from->views.append(to->views);
    for (memref::AllocOp alloc : to->allocs)
      bufferOf[alloc] = from;
    from->allocs.append(to->allocs);
    to->allocs.clear();
    remark::passed(copy.getLoc(), remark::RemarkOpts::name("Copy").category("tensor-elide-copies"));
    copy.erase();
    return true;
  }

  // Whether a write through one of the buffers, `b` being `by` later, changes what is read through the other, for any
  // sizes: bounds are numbers up to c or as much from a symbol on, so their order is the same for all symbols above 2
  // c.
  bool interfere(const Buffer &a, const Buffer &b, ArrayRef<int64_t> by, memref::CopyOp copy) {
    std::vector<Access> mine(a.accesses), moved(b.accesses);
    SmallVector<int64_t> greatest(by.size(), 0), symbols(by.size(), 0);
    for (Access &access : moved)
      access.region = shifted(access.region, by);
    for (std::vector<Access> *accesses : {&mine, &moved})
      for (const Access &access : *accesses)
        for (unsigned d = 0; d < by.size(); ++d)
          for (const Bound &bound : {access.region.low[d], access.region.high[d]})
            greatest[d] = std::max(greatest[d], std::abs(bound.base));
    int64_t cases = 1;
    for (unsigned d = 0; d < by.size(); ++d) {
      greatest[d] = a.symbols[d] ? 2 * greatest[d] + 1 : 0;
      cases *= greatest[d] + 1;
      if (cases > maxCases)
        return true;
    }
    for (int64_t i = 0; i < cases; ++i) {
      int64_t rest = i;
      for (unsigned d = 0; d < by.size(); ++d) {
        symbols[d] = rest % (greatest[d] + 1);
        rest /= greatest[d] + 1;
      }
      for (std::vector<Access> *accesses : {&mine, &moved})
        for (Access &access : *accesses)
          access.box = access.region.at(symbols);
      if (clobbers(mine, moved, copy) || clobbers(moved, mine, copy))
        return true;
    }
    return false;
  }

  // Whether a write of `writer` destroys what `reader` reads then or later. The copy writes what is there already.
  static bool clobbers(ArrayRef<Access> writer, ArrayRef<Access> reader, memref::CopyOp copy) {
    for (const Access &write : writer) {
      if (!write.writes || write.operand->getOwner() == copy)
        continue;
      for (const Access &read : reader) {
        Box both = intersect(write.box, read.box);
        if (!read.reads || read.position < write.position || both.isEmpty())
          continue;
        // Elements that get their value after that write, or had the same constant before it.
        SmallVector<Box> open{both};
        for (const Access &other : reader)
          if (other.covers && ((other.position > write.position && other.position < read.position) ||
                               (other.position < write.position && other.constant && isSame(other, write, reader))))
            subtract(open, other.box);
        if (!open.empty())
          return true;
      }
    }
    return false;
  }

  // Whether both fill with one constant, and nothing else of the reader changes that until the write.
  static bool isSame(const Access &fill, const Access &write, ArrayRef<Access> reader) {
    return fill.constant == write.constant && llvm::none_of(reader, [&](const Access &other) {
             return other.writes && other.position > fill.position && other.position < write.position &&
                    !intersect(other.box, fill.box).isEmpty();
           });
  }

  void materialize(const Buffer &buffer) {
    memref::AllocOp first = buffer.allocs.front();
    OpBuilder builder(first.getContext());
    // What sizes are symbols are known by the first of them.
    for (memref::AllocOp alloc : buffer.allocs)
      first = position.lookup(alloc) < position.lookup(first) ? alloc : first;
    bool isStatic = llvm::none_of(buffer.symbols, [](Value symbol) { return symbol != nullptr; });
    if (isStatic)
      builder.setInsertionPointToStart(block);
    else
      builder.setInsertionPoint(first);
    Location loc = first.getLoc();
    // to - from, in one dim.
    auto distance = [&](const Bound &from, const Bound &to, Value symbol) -> OpFoldResult {
      int64_t number = to.base - from.base;
      if (from.grows == to.grows)
        return builder.getIndexAttr(number);
      if (number == 0)
        return symbol;
      Value constant = arith::ConstantIndexOp::create(builder, loc, number);
      return arith::AddIOp::create(builder, loc, symbol, constant).getResult();
    };
    SmallVector<OpFoldResult> shape, none(buffer.symbols.size(), builder.getIndexAttr(1));
    for (auto [from, to, symbol] : llvm::zip(buffer.region.low, buffer.region.high, buffer.symbols))
      shape.push_back(distance(from, to, symbol));
    SmallVector<int64_t> sizes;
    SmallVector<Value> dynamic;
    dispatchIndexOpFoldResults(shape, dynamic, sizes);
    Value whole = memref::AllocOp::create(builder, loc, MemRefType::get(sizes, buffer.element), dynamic,
                                          first.getAlignmentAttr());
    SmallVector<std::pair<Region, Value>> windows{{buffer.region, whole}};
    for (const Access &access : buffer.accesses) {
      auto known = llvm::find_if(windows, [&](auto &window) { return window.first == access.region; });
      if (known == windows.end()) {
        SmallVector<OpFoldResult> at, size;
        for (auto [from, to, start, symbol] :
             llvm::zip(access.region.low, access.region.high, buffer.region.low, buffer.symbols)) {
          at.push_back(distance(start, from, symbol));
          size.push_back(distance(from, to, symbol));
        }
        auto type =
            cast<MemRefType>(memref::SubViewOp::inferResultType(cast<MemRefType>(whole.getType()), at, size, none));
        Value window = memref::SubViewOp::create(builder, loc, type, whole, at, size, none);
        windows.push_back({access.region, window});
        known = std::prev(windows.end());
      }
      access.operand->set(known->second);
    }
    for (memref::SubViewOp view : buffer.views)
      view.erase();
    for (memref::AllocOp alloc : buffer.allocs)
      alloc.erase();
  }

  static constexpr size_t maxAccesses = 512; // pairs of them are compared
  static constexpr int64_t maxCases = 512;   // of sizes that are tried
  Block *block;
  DenseMap<Operation *, int64_t> position;
  SmallVector<int64_t> live; // bytes at each position
  int64_t peak = 0, limit = 0;
  SmallVector<std::unique_ptr<Buffer>> buffers;
  DenseMap<memref::AllocOp, Buffer *> bufferOf;
};

struct ElideCopiesPass : burin::impl::ElideCopiesBase<ElideCopiesPass> {
  using ElideCopiesBase::ElideCopiesBase;

  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    if (main && main.getBody().hasOneBlock())
      CopyElision(&main.getBody().front()).run(growth);
  }
};
} // namespace
