// See RowRegions.h. Which dim of a tensor its rows lie along follows from the windows of convolutions and pools; where
// there are none, from products of matrices, whose rows are independent too.
#include "passes/Tensor/RowRegions.h"

#include "dialects/Nn/Nn.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace burin;

static RankedTensorType typeOf(Value value) { return cast<RankedTensorType>(value.getType()); }

RowAnalysis::RowAnalysis(func::FuncOp main) : block(main.getBody().front()) {
  // What is made of constants alone is one.
  DenseSet<Operation *> constant;
  for (Operation &op : block.without_terminator()) {
    auto isConstant = [&](Value operand) { return constant.contains(operand.getDefiningOp()); };
    if (isa<tensor::EmptyOp>(op))
      continue;
    if (op.hasTrait<OpTrait::ConstantLike>() ||
        (op.getNumOperands() && op.getNumRegions() == 0 && llvm::all_of(op.getOperands(), isConstant))) {
      constant.insert(&op);
      continue;
    }
    numbers[&op] = ops.size();
    ops.push_back(&op);
  }
  findDims();
  readers.resize(size());
  rowwise.assign(size(), false);
  lastWhole.assign(size(), -1);
  lastUser.assign(size(), -1);
  for (int64_t op = 0; op < size(); ++op)
    describe(op);
}

// What estimates ask often: found once, from rows in the middle.
void RowAnalysis::describe(int64_t number) {
  Operation *op = ops[number];
  for (Operation *user : op->getUsers()) {
    auto found = numbers.find(block.findAncestorOpInBlock(*user));
    lastUser[number] = std::max(lastUser[number], found == numbers.end() ? size() : found->second);
  }
  if (op->getNumResults() != 1 || !dims.count(op->getResult(0)))
    return;
  int64_t dim = dims.lookup(op->getResult(0)), rows = rowsOf(number), some = std::min<int64_t>(8, rows);
  auto one = readRows(op, dim, {rows / 2, rows / 2 + 1});
  auto several = readRows(op, dim, {(rows - some) / 2, (rows - some) / 2 + some});
  if (!one || !several || one->size() != several->size())
    return;
  SmallPtrSet<OpOperand *, 4> byRows;
  auto pads = op->getAttrOfType<DenseI64ArrayAttr>("pads");
  bool isFramed =
      isa<nn::ConvOp, nn::DepthwiseConvOp>(op) && llvm::any_of(pads.asArrayRef(), [](int64_t p) { return p != 0; });
  for (auto [least, most] : llvm::zip(*one, *several)) {
    byRows.insert(least.operand);
    Value from = least.operand->get();
    auto known = dims.find(from);
    if (known != dims.end() && known->second != least.dim)
      return;
    RankedTensorType type = typeOf(from);
    double each = some > 1 ? double(most.rows.count() - least.rows.count()) / (some - 1) : 1;
    double bytes = double(type.getNumElements()) / type.getDimSize(least.dim) * type.getElementTypeBitWidth() / 8;
    readers[number].push_back({numberOf(from), each, least.rows.count() - each,
                               isFramed && least.operand->getOperandNumber() == 0 ? bytes : 0});
  }
  // Destinations that are not listed are not read.
  auto destinations = dyn_cast<DestinationStyleOpInterface>(op);
  op->walk([&](Operation *inner) {
    for (OpOperand &operand : inner->getOpOperands())
      if (!byRows.contains(&operand) && !(destinations && inner == op && destinations.isDpsInit(&operand)))
        if (int64_t from = numberOf(operand.get()); from != number)
          lastWhole[number] = std::max(lastWhole[number], from);
  });
  rowwise[number] = true;
}

void RowAnalysis::findDims() {
  auto settle = [&] {
    for (bool changes = true; changes;) {
      changes = false;
      for (int64_t op = 0; op < size(); ++op)
        changes |= spread(op);
      for (int64_t op = size(); op-- > 0;)
        changes |= spread(op);
    }
  };
  auto seed = [&](auto dimOf) {
    for (Operation *op : ops)
      if (std::optional<int64_t> dim = dimOf(op); dim && *dim >= 0 && !dims.count(op->getResult(0)))
        dims[op->getResult(0)] = *dim;
    settle();
  };
  seed([](Operation *op) -> std::optional<int64_t> {
    if (!isa<nn::ConvOp, nn::DepthwiseConvOp, nn::PoolOp, nn::ConvTransposeOp>(op))
      return std::nullopt;
    return 1;
  });
  seed([](Operation *op) -> std::optional<int64_t> {
    if (!isa<nn::MatmulOp>(op))
      return std::nullopt;
    return typeOf(op->getResult(0)).getRank() - 2;
  });
}

// From the dims of an operation's operands to that of its result, or back. True where it learned one.
bool RowAnalysis::spread(int64_t number) {
  Operation *op = ops[number];
  if (op->getNumResults() != 1 || !isa<RankedTensorType>(op->getResult(0).getType()))
    return false;
  Value result = op->getResult(0);
  RankedTensorType type = typeOf(result);
  auto known = dims.find(result);
  if (known == dims.end()) {
    for (int64_t dim = 0; dim < type.getRank(); ++dim) {
      auto reads = readRows(op, dim, {0, type.getDimSize(dim)});
      bool agrees = false, differs = false;
      for (const ReadRows &read : reads ? *reads : SmallVector<ReadRows>())
        if (auto of = dims.find(read.operand->get()); of != dims.end())
          (of->second == read.dim ? agrees : differs) = true;
      if (agrees && !differs) {
        dims[result] = dim;
        return true;
      }
    }
    return false;
  }
  auto reads = readRows(op, known->second, {0, type.getDimSize(known->second)});
  bool isNew = false;
  for (const ReadRows &read : reads ? *reads : SmallVector<ReadRows>())
    isNew |= dims.try_emplace(read.operand->get(), read.dim).second;
  return isNew;
}

int64_t RowAnalysis::numberOf(Value value) const {
  Operation *op = value.getDefiningOp();
  auto found = op ? numbers.find(op) : numbers.end();
  return found == numbers.end() ? -1 : found->second;
}

int64_t RowAnalysis::rowsOf(int64_t op) const {
  Value result = ops[op]->getResult(0);
  return typeOf(result).getDimSize(dims.lookup(result));
}

double RowAnalysis::work(int64_t op) const {
  auto compute = dyn_cast<nn::ComputeOp>(ops[op]);
  int64_t flops = compute ? compute.getFlops() : 0;
  if (flops > 0)
    return flops;
  return isa<linalg::LinalgOp>(ops[op]) ? typeOf(ops[op]->getResult(0)).getNumElements() : 0;
}

bool RowAnalysis::isOutside(const RowRegion &region, Operation *user) const {
  auto number = numbers.find(block.findAncestorOpInBlock(*user));
  return number == numbers.end() || !region.contains(number->second);
}

bool RowAnalysis::isUsedOutside(const RowRegion &region, int64_t op) const { return lastUser[op] > region.last; }

// The rows of each result that a band computes: its own part of what is used outside, and what other operations read.
bool RowAnalysis::needs(const RowRegion &region, int64_t band, SmallVectorImpl<Rows> &needed) const {
  needed.assign(region.last - region.first + 1, Rows());
  auto need = [&](int64_t op, Rows rows) {
    Rows &all = needed[op - region.first];
    all = all.count() == 0 ? rows : Rows{std::min(all.from, rows.from), std::max(all.to, rows.to)};
  };
  for (int64_t op = region.last; op >= region.first; --op) {
    int64_t rows = rowsOf(op);
    if (isUsedOutside(region, op)) {
      if (rows < region.bands)
        return false;
      need(op, {band * rows / region.bands, (band + 1) * rows / region.bands});
    }
    Rows wanted = needed[op - region.first];
    if (wanted.count() == 0)
      continue;
    auto reads = readRows(ops[op], dims.lookup(ops[op]->getResult(0)), wanted);
    if (!reads)
      return false;
    for (const ReadRows &read : *reads)
      if (int64_t from = numberOf(read.operand->get()); region.contains(from))
        need(from, read.rows);
  }
  return true;
}

bool RowAnalysis::isPossible(const RowRegion &region) const {
  SmallVector<Rows> needed;
  return llvm::all_of(llvm::seq<int64_t>(0, region.bands), [&](int64_t band) { return needs(region, band, needed); });
}

bool RowAnalysis::shares(const RowRegion &region, SmallVectorImpl<RowShare> &shares) const {
  SmallVector<double> needed(region.last - region.first + 1);
  shares.assign(needed.size(), RowShare());
  for (int64_t op = region.last; op >= region.first; --op) {
    double rows = rowsOf(op), &own = needed[op - region.first];
    if (lastWhole[op] >= region.first || (isUsedOutside(region, op) && rows < region.bands))
      return false; // what is read whole must be there before the region
    if (isUsedOutside(region, op))
      own = std::max(own, std::ceil(rows / region.bands));
    own = std::min(own, rows);
    RowShare &share = shares[op - region.first];
    share.result = own / rows;
    for (const RowReader &reader : readers[op]) {
      double read = own * reader.each + reader.more;
      if (region.contains(reader.from))
        needed[reader.from - region.first] = std::max(needed[reader.from - region.first], read);
      else
        share.framed = read * reader.framedBytes;
    }
  }
  return true;
}

void RowAnalysis::apply(const RowRegion &region) {
  OpBuilder builder(ops[region.last]);
  builder.setInsertionPointAfter(ops[region.last]);
  DenseMap<int64_t, Value> whole; // results that are used outside
  for (int64_t op = region.first; op <= region.last; ++op)
    if (isUsedOutside(region, op)) {
      RankedTensorType type = typeOf(ops[op]->getResult(0));
      whole[op] = tensor::EmptyOp::create(builder, ops[op]->getLoc(), type.getShape(), type.getElementType());
    }
  for (int64_t band = 0; band < region.bands; ++band) {
    SmallVector<Rows> needed;
    (void)needs(region, band, needed);
    SmallVector<Value> parts(needed.size());
    for (int64_t op = region.first; op <= region.last; ++op) {
      Rows rows = needed[op - region.first];
      if (rows.count() == 0)
        continue;
      int64_t dim = dims.lookup(ops[op]->getResult(0));
      Location loc = ops[op]->getLoc();
      Value part = computeRows(builder, ops[op], dim, rows, [&](const ReadRows &read) {
        int64_t from = numberOf(read.operand->get());
        if (!region.contains(from))
          return sliceRows(builder, loc, read.operand->get(), read.dim, read.rows);
        int64_t first = needed[from - region.first].from;
        return sliceRows(builder, loc, parts[from - region.first], read.dim,
                         {read.rows.from - first, read.rows.to - first});
      });
      parts[op - region.first] = part;
      // Rows that two bands compute come out the same, and are written twice.
      if (auto result = whole.find(op); result != whole.end())
        result->second = insertRows(builder, loc, part, result->second, dim, rows);
    }
  }
  for (auto [op, value] : whole)
    ops[op]->getResult(0).replaceUsesWithIf(value, [&](OpOperand &use) { return isOutside(region, use.getOwner()); });
  for (int64_t op = region.last; op >= region.first; --op) {
    dims.erase(ops[op]->getResult(0));
    numbers.erase(ops[op]);
    ops[op]->erase();
    ops[op] = nullptr;
    rowwise[op] = false;
  }
}
