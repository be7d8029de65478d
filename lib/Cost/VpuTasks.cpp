// What tasks cost, and when they run: three queues, each in the order of its tasks, held by barriers. Transfers work
// beside the engine and the shaves. A layer's fixed time goes to the queue that computes it.
#include "lib/Cost/Vpu.h"
#include "lib/Support/NodeNames.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace burin;
using namespace burin::vpu;

namespace {

ArrayRef<int64_t> shapeOf(Value value) { return cast<MemRefType>(value.getType()).getShape(); }
uint64_t bytesOf(Value value) {
  auto type = cast<MemRefType>(value.getType());
  return type.getNumElements() * elementBytes(type.getElementType());
}
bool isCmx(Value value) { return cast<MemRefType>(value.getType()).getMemorySpaceAsInt() == cmxSpace; }

struct Work {
  double cycles = 0, milliseconds = 0; // of its queue
  uint64_t macs = 0, bytes = 0;        // bytes: of main memory
  StringRef rewrite;
  double rewritten = 0; // milliseconds
};

// Height and width of an image or signal.
std::pair<int64_t, int64_t> extent(Value image) {
  ArrayRef<int64_t> shape = shapeOf(image);
  return shape.size() == 3 ? std::pair(shape[1], int64_t(1)) : std::pair(shape[1], shape[2]);
}

template <typename Op> EngineShape windowShape(Op op, int64_t kh, int64_t kw) {
  auto [inH, inW] = extent(op.getInput());
  auto [outH, outW] = extent(op.getOutput());
  // Signals run along the width, where the engine's rows are long.
  if (shapeOf(op.getInput()).size() == 3)
    return {shapeOf(op.getInput()).back(), shapeOf(op.getOutput()).back(), 1, kh, op.getStrides()[0], 1, inH, 1, outH};
  return {
      shapeOf(op.getInput()).back(), shapeOf(op.getOutput()).back(), kh, kw, op.getStrides()[0], inH, inW, outH, outW};
}

class Costs {
public:
  explicit Costs(const UnitConfig &config) : config(config), unit(*config.unit) {}

  Work of(TaskOp task) {
    Work work;
    llvm::TypeSwitch<Operation *>(task)
        .Case([&](DmaOp dma) {
          work.bytes = (isCmx(dma.getSource()) ? 0 : bytesOf(dma.getSource())) +
                       (isCmx(dma.getTarget()) ? 0 : bytesOf(dma.getTarget()));
          work.milliseconds = std::max(work.bytes, bytesOf(dma.getSource())) / (unit.gigabytesPerSecond * 1e6);
        })
        .Case([&](ConvOp conv) {
          ArrayRef<int64_t> filter = shapeOf(conv.getFilter());
          bool signal = filter.size() == 3;
          EngineShape shape = windowShape(conv, filter[0], signal ? 1 : filter[1]);
          int64_t groups = conv.getGroups();
          shape.channels /= groups;
          shape.outputs /= groups;
          work.macs = bytesOf(conv.getOutput()) / 2 * shape.channels * shape.kh * shape.kw;
          engine(work, shapeOf(conv.getInput())[0] * groups * convCycles(unit, shape));
          if (shape.stride == 2 && shape.channels <= 4 && groups == 1 && !signal)
            spaceToDepth(work, shape);
        })
        .Case([&](DepthwiseConvOp conv) {
          ArrayRef<int64_t> filter = shapeOf(conv.getFilter());
          EngineShape shape = windowShape(conv, filter[0], filter.size() == 2 ? 1 : filter[1]);
          work.macs = bytesOf(conv.getOutput()) / 2 * shape.kh * shape.kw;
          engine(work, shapeOf(conv.getInput())[0] * depthwiseCycles(unit, shape));
        })
        .Case([&](MatmulOp matmul) {
          ArrayRef<int64_t> lhs = shapeOf(matmul.getInput()), out = shapeOf(matmul.getOutput());
          int64_t rows = out[out.size() - 2], batches = shapeProduct(out) / (rows * out.back());
          work.macs = shapeProduct(out) * lhs.back();
          engine(work, batches * convCycles(unit, {lhs.back(), out.back(), 1, 1, 1, 1, rows, 1, rows}));
        })
        .Case([&](PoolOp pool) {
          ArrayRef<int64_t> kernel = pool.getKernel();
          engine(work, shapeOf(pool.getInput())[0] *
                           poolCycles(unit, windowShape(pool, kernel[0], kernel.size() == 1 ? 1 : kernel[1])));
        })
        .Case([&](ConvTransposeOp conv) {
          ArrayRef<int64_t> filter = shapeOf(conv.getFilter());
          work.macs = shapeProduct(shapeOf(conv.getInput())) * shapeProduct(filter.drop_back(2)) * filter.back();
          shaves(work, work.macs / unit.shaveMacs, config.shaves);
          addMainMemory(work, task);
          if (filter.size() == 4 && filter[0] == conv.getStrides()[0] && filter[1] == conv.getStrides()[1])
            pixelShuffle(work, conv);
        })
        .Case([&](SoftmaxOp softmax) {
          shaves(work, shapeProduct(shapeOf(softmax.getInput())) * (2 * unit.shaveMove + unit.shaveFunction),
                 unit.postShaves);
          addMainMemory(work, task);
        })
        .Case([&](ShaveOp shave) {
          double points = 1, cycles = unit.shaveMove;
          for (int64_t loop : shave.getLoops())
            points *= loop;
          for (Operation &op : shave.getBody().front().without_terminator())
            cycles += programCycles(op);
          shaves(work, points * cycles, unit.postShaves);
          addMainMemory(work, task);
        });
    return work;
  }

private:
  /// Of one operation of a program, an element. A vector holds half as many f32 as f16; functions are f32 inside.
  double programCycles(Operation &op) {
    if (isa<arith::ConstantOp, arith::ExtFOp, arith::TruncFOp>(op))
      return 0;
    if (isa<math::MathDialect>(op.getDialect()) || isa<arith::DivFOp>(op))
      return unit.shaveFunction / 2;
    return unit.shaveSimple * (op.getNumResults() == 1 && op.getResult(0).getType().isF32() ? 2 : 1);
  }

  static int64_t shapeProduct(ArrayRef<int64_t> shape) {
    int64_t product = 1;
    for (int64_t size : shape)
      product *= size;
    return product;
  }

  void engine(Work &work, double cycles) {
    work.cycles = cycles;
    work.milliseconds = cycles / (unit.megahertz * 1e3 * unit.engineSustained);
  }

  void shaves(Work &work, double cycles, unsigned count) {
    work.cycles = cycles;
    work.milliseconds = cycles / (std::min(count, config.shaves) * unit.megahertz * 1e3);
  }

  // An image of few channels wastes blocks of input channels: four pixels as one, and a window half as large.
  void spaceToDepth(Work &work, const EngineShape &shape) {
    double cycles = convCycles(unit, {4 * shape.channels, shape.outputs, (shape.kh + 1) / 2, (shape.kw + 1) / 2, 1,
                                      shape.inH / 2, shape.inW / 2, shape.outH, shape.outW});
    if (cycles <= 0 || cycles >= work.cycles)
      return;
    work.rewrite = "space-to-depth before it, and half its window";
    work.rewritten = cycles / (unit.megahertz * 1e3 * unit.engineSustained);
  }

  // Windows that do not overlap: every input pixel gives a block of output pixels.
  void pixelShuffle(Work &work, ConvTransposeOp conv) {
    ArrayRef<int64_t> filter = shapeOf(conv.getFilter()), in = shapeOf(conv.getInput());
    double cycles = in[0] * convCycles(unit, {in[3], filter[0] * filter[1] * shapeOf(conv.getOutput())[3], 1, 1, 1,
                                              in[1], in[2], in[1], in[2]});
    if (cycles <= 0)
      return;
    work.rewrite = "a 1x1 convolution and a pixel shuffle instead";
    work.rewritten = cycles / (unit.megahertz * 1e3 * unit.engineSustained);
  }

  // Shaves stream main memory through their cache while they compute.
  void addMainMemory(Work &work, TaskOp task) {
    SmallVector<Value> touched = task.getReads();
    llvm::append_range(touched, task.getWrites());
    for (Value value : touched)
      work.bytes += isCmx(value) ? 0 : bytesOf(value);
    work.milliseconds = std::max(work.milliseconds, work.bytes / (unit.gigabytesPerSecond * 1e6));
  }

  const UnitConfig &config;
  const Unit &unit;
};

} // namespace

UnitCost burin::analyzeTasks(func::FuncOp main, const UnitConfig &config) {
  UnitCost cost;
  Costs costs(config);
  double ready[3] = {};
  std::vector<double> ends[3]; // by queue and task
  DenseMap<Location, size_t> layers;
  for (Operation &op : main.getBody().front()) {
    if (auto barrier = dyn_cast<BarrierOp>(op)) {
      double &mine = ready[static_cast<unsigned>(barrier.getQueue())];
      int64_t waits[3] = {int64_t(barrier.getDma()), int64_t(barrier.getEngine()), int64_t(barrier.getShave())};
      for (int q = 0; q < 3; ++q)
        if (waits[q] > 0 && waits[q] <= (int64_t)ends[q].size())
          mine = std::max(mine, ends[q][waits[q] - 1]);
      continue;
    }
    auto task = dyn_cast<TaskOp>(op);
    if (!task)
      continue;
    unsigned queue = static_cast<unsigned>(task.getQueue());
    Work work = costs.of(task);
    auto [place, isNew] = layers.try_emplace(op.getLoc(), cost.layers.size());
    if (isNew) {
      SmallVector<StringRef> names;
      collectNodeNames(op.getLoc(), names);
      cost.layers.push_back({llvm::join(names, "+"), ready[queue], 0, 0, 0, 0, 0, 0, {}, 0});
    }
    UnitLayer &layer = cost.layers[place->second];
    // The first task of a layer that computes carries what a layer costs by itself.
    bool first = queue != 0 && layer.engine == 0 && layer.shave == 0;
    double end = ready[queue] + work.milliseconds + (first ? config.unit->layerMilliseconds : 0);
    double *mine[3] = {&layer.dma, &layer.engine, &layer.shave}, *total[3] = {&cost.dma, &cost.engine, &cost.shave};
    *mine[queue] += work.milliseconds;
    *total[queue] += work.milliseconds;
    if (!work.rewrite.empty() && work.rewritten < work.milliseconds) {
      layer.rewrite = work.rewrite;
      layer.rewritten += work.rewritten;
    }
    layer.macs += work.macs;
    layer.bytes += work.bytes;
    layer.end = std::max(layer.end, end);
    cost.macs += work.macs;
    cost.traffic += work.bytes;
    cost.shaveCycles += queue == 2 ? work.cycles : 0;
    cost.tasks.push_back({queue, place->second, ready[queue], end});
    ready[queue] = end;
    ends[queue].push_back(end);
    cost.milliseconds = std::max(cost.milliseconds, end);
  }
  return cost;
}

double UnitCost::framesPerSecond(const UnitConfig &config) const {
  double share = config.threads > 1 ? config.unit->threadShare : 1;
  return milliseconds > 0 ? config.threads * share * 1e3 / milliseconds : 0;
}

double UnitCost::hiddenDma() const {
  // Transfers and computation as two lists of intervals; each is in order of time but for the two computing queues.
  std::vector<std::pair<double, double>> work;
  for (const UnitTask &task : tasks)
    if (task.queue != 0)
      work.push_back({task.start, task.end});
  llvm::sort(work);
  double hidden = 0, until = 0; // until: end of the computation that was counted
  std::vector<std::pair<double, double>> busy;
  for (auto [start, end] : work) {
    if (!busy.empty() && start <= until)
      busy.back().second = std::max(busy.back().second, end);
    else
      busy.push_back({start, end});
    until = busy.back().second;
  }
  size_t first = 0;
  for (const UnitTask &task : tasks) {
    if (task.queue != 0)
      continue;
    while (first < busy.size() && busy[first].second <= task.start)
      ++first;
    for (size_t i = first; i < busy.size() && busy[i].first < task.end; ++i)
      hidden += std::min(task.end, busy[i].second) - std::max(task.start, busy[i].first);
  }
  return hidden;
}

double UnitCost::millijoules(const UnitConfig &config) const {
  const Unit &unit = *config.unit;
  double picojoules =
      macs * unit.picojoulesPerMac + traffic * unit.picojoulesPerByte + shaveCycles * unit.picojoulesPerShaveCycle;
  double fps = framesPerSecond(config);
  return picojoules * 1e-9 + (fps > 0 ? unit.watts / fps * 1e3 : 0);
}

llvm::json::Object burin::toJson(const UnitCost &cost, const UnitConfig &config) {
  llvm::json::Array layers;
  for (const UnitLayer &layer : cost.layers)
    layers.push_back(llvm::json::Object{{"name", layer.name},
                                        {"start", layer.start},
                                        {"end", layer.end},
                                        {"engine", layer.engine},
                                        {"shave", layer.shave},
                                        {"dma", layer.dma},
                                        {"macs", layer.macs},
                                        {"bytes", layer.bytes}});
  // A row a task: queue, layer, start, end.
  llvm::json::Array tasks;
  for (const UnitTask &task : cost.tasks)
    tasks.push_back(llvm::json::Array{task.queue, task.layer, task.start, task.end});
  return llvm::json::Object{{"milliseconds", cost.milliseconds}, {"dma", cost.dma},
                            {"hidden_dma", cost.hiddenDma()},    {"fps", cost.framesPerSecond(config)},
                            {"traffic", cost.traffic},           {"millijoules", cost.millijoules(config)},
                            {"layers", std::move(layers)},       {"tasks", std::move(tasks)}};
}
