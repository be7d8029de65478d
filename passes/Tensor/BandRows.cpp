// tensor-band-rows: large intermediate tensors never exist whole. Which operations run in bands is searched with what
// the rest of the stage makes of the function, on a copy: lifetimes as they are, not as tensors suggest.
#include "dialects/Nn/Nn.h"
#include "passes/Tensor/ArenaOrder.h"
#include "passes/Tensor/ArenaPlan.h"
#include "passes/Tensor/Passes.h"
#include "passes/Tensor/RowRegions.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Pass/PassManager.h"

namespace burin {
#define GEN_PASS_DEF_BANDROWS
#include "passes/Tensor/Passes.h.inc"
} // namespace burin

using namespace mlir;
using namespace burin;

static constexpr unsigned mostTrials = 12;
static constexpr int64_t mostOperations = 40; // of one region
static constexpr int64_t bandCounts[] = {2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64};
static constexpr double costOfBand = 0.002; // of the work, for calls and for what is fetched once more
static constexpr StringLiteral numberAttr = "burin.number";

namespace {
// A buffer of a trial, alive between two of the function's operations, by their numbers.
struct Lifetime {
  int64_t bytes, first, last;
};

struct Trial {
  int64_t arena = 0, peakAt = 0; // bytes; the operation where most is in use
  SmallVector<Lifetime> buffers;
};

struct Choice {
  RowRegion region;
  double bytes = INFINITY, work = INFINITY; // estimated: in use at once; done, as multiples of what was
};

struct BandRowsPass : burin::impl::BandRowsBase<BandRowsPass> {
  using BandRowsBase::BandRowsBase;

  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    if (limit <= 0 || !main || !main.getBody().hasOneBlock() || hasFreeDims(main))
      return;
    std::optional<Trial> given = attempt({});
    if (!given || given->arena <= limit)
      return;
    RowAnalysis rows(main);
    SmallVector<RowRegion> regions = search(rows, *given);
    for (const RowRegion &region : regions) {
      remark::passed(rows.operation(region.first)->getLoc(),
                     remark::RemarkOpts::name("Banded").category("tensor-band-rows"))
          << remark::metric("operations", region.last - region.first + 1) << remark::metric("bands", region.bands);
      rows.apply(region);
    }
  }

  static bool hasFreeDims(func::FuncOp main) {
    auto isFree = [](Type type) {
      auto shaped = dyn_cast<ShapedType>(type);
      return shaped && !shaped.hasStaticShape();
    };
    return llvm::any_of(main.getArgumentTypes(), isFree) || llvm::any_of(main.getResultTypes(), isFree);
  }

  // Takes regions until the arena fits. One whose estimate was too low is chosen again with less room; where no choice
  // is left, what is nearest to the limit is kept, and the plan's error tells what does not fit.
  SmallVector<RowRegion> search(RowAnalysis &rows, const Trial &given) {
    SmallVector<RowRegion> regions, best;
    int64_t least = given.arena, hot = given.peakAt;
    double room = limit;
    for (unsigned trial = 0; trial < mostTrials; ++trial) {
      if (llvm::any_of(regions, [&](const RowRegion &r) { return r.contains(hot); })) {
        llvm::erase_if(regions, [&](const RowRegion &r) { return r.contains(hot); });
        room *= 0.85;
      }
      Choice choice = choose(rows, given, regions, hot, room);
      if (choice.bytes == INFINITY) {
        remark::missed(rows.operation(hot)->getLoc(),
                       remark::RemarkOpts::name("NotBanded").category("tensor-band-rows"))
            << remark::reason("nothing around it can be computed by rows in less memory");
        break;
      }
      regions.push_back(choice.region);
      std::optional<Trial> now = attempt(regions);
      if (!now)
        break;
      if (now->arena < least) {
        least = now->arena;
        best = regions;
      }
      if (now->arena <= limit)
        break;
      hot = now->peakAt;
    }
    return best;
  }

  // Of the regions around `hot` and all numbers of bands, the one with the least work that is estimated to fit, else
  // the one with the least memory.
  Choice choose(RowAnalysis &rows, const Trial &given, ArrayRef<RowRegion> taken, int64_t hot, double room) {
    auto isFree = [&](int64_t op) {
      return rows.isRowwise(op) && llvm::none_of(taken, [&](const RowRegion &r) { return r.contains(op); });
    };
    Choice best;
    for (int64_t first = hot; first >= 0 && hot - first < mostOperations && isFree(first); --first)
      for (int64_t last = hot; last < rows.size() && last - first < mostOperations && isFree(last); ++last)
        for (int64_t bands : bandCounts) {
          RowRegion region{first, last, bands};
          std::optional<Choice> choice = estimate(rows, given, region);
          if (!choice)
            break;
          bool fits = choice->bytes <= room, bestFits = best.bytes <= room;
          bool isBetter = fits != bestFits ? fits : fits ? choice->work < best.work : choice->bytes < best.bytes;
          if (isBetter && rows.isPossible(region))
            best = *choice;
          if (fits)
            break; // more bands are more work
        }
    return best;
  }

  // What is alive all through the region stays whole, of what is alive only in it there are the rows of one band.
  static std::optional<Choice> estimate(RowAnalysis &rows, const Trial &given, RowRegion region) {
    SmallVector<RowShare> shares;
    if (!rows.shares(region, shares))
      return std::nullopt;
    auto shareOf = [&](int64_t op) { return shares[op - region.first]; };
    double through = 0, most = 0, before = 0, after = 0;
    SmallVector<double> live(shares.size());
    for (const Lifetime &buffer : given.buffers) {
      if (buffer.last < region.first || buffer.first > region.last)
        continue;
      if (region.contains(buffer.first) && region.contains(buffer.last))
        for (int64_t op = buffer.first; op <= buffer.last; ++op)
          live[op - region.first] += buffer.bytes * shareOf(buffer.first).result;
      else
        through += buffer.bytes;
    }
    for (int64_t op = region.first; op <= region.last; ++op) {
      most = std::max(most, live[op - region.first] + shareOf(op).framed);
      double work = rows.work(op);
      before += work;
      after += work * shareOf(op).result * region.bands;
    }
    return Choice{region, through + most, before > 0 ? after / before + costOfBand * region.bands : 1.0 * region.bands};
  }

  // What becomes of the function with these regions; none where its sizes are known at run time only.
  std::optional<Trial> attempt(ArrayRef<RowRegion> regions) {
    ModuleOp module = getOperation();
    OpBuilder builder(module.getBody(), module.getBody()->end());
    auto copy = cast<ModuleOp>(builder.clone(*module));
    auto main = copy.lookupSymbol<func::FuncOp>("main");
    {
      RowAnalysis rows(main);
      for (int64_t op = 0; op < rows.size(); ++op)
        rows.operation(op)->setAttr(numberAttr, builder.getI64IntegerAttr(op));
      for (const RowRegion &region : regions)
        rows.apply(region);
    }
    OpPassManager pm(ModuleOp::getOperationName());
    addBufferPlacement(pm, *findMachine(machineName));
    std::optional<Trial> trial;
    if (succeeded(runPipeline(pm, copy)))
      trial = measure(main, regions.empty());
    copy.erase();
    return trial;
  }

  std::optional<Trial> measure(func::FuncOp main, bool mayReorder) {
    SmallVector<ArenaBuffer> buffers;
    SmallVector<Operation *> order;
    auto place = [&]() -> std::optional<int64_t> {
      SmallVector<ArenaBuffer> sizedByData;
      buffers.clear();
      order.clear();
      DimArithmetic arithmetic(main);
      if (failed(findLifetimes(main, arithmetic, buffers, sizedByData, order)) || !sizedByData.empty())
        return std::nullopt;
      return placeBuffers(buffers);
    };
    Trial trial;
    for (bool isFirst : {true, false}) {
      if (!isFirst && (!mayReorder || trial.arena <= limit || !reorderForMemory(main)))
        break;
      std::optional<int64_t> arena = place();
      if (!arena)
        return std::nullopt;
      trial.arena = *arena;
    }
    // What moves data between two operations counts to the next one.
    SmallVector<int64_t> number(order.size(), -1);
    int64_t next = -1;
    for (int64_t at = order.size() - 1; at >= 0; --at) {
      if (auto attr = order[at]->getAttrOfType<IntegerAttr>(numberAttr))
        next = attr.getInt();
      number[at] = next;
    }
    int64_t most = -1;
    for (const ArenaBuffer &at : buffers) {
      trial.buffers.push_back({at.bytes, number[at.first], number[at.last]});
      int64_t live = 0;
      for (const ArenaBuffer &other : buffers)
        live += other.first <= at.first && at.first <= other.last ? other.bytes : 0;
      if (live > most && number[at.first] >= 0) {
        most = live;
        trial.peakAt = number[at.first];
      }
    }
    return trial;
  }
};
} // namespace
