// Times, traffic and energy of a vision unit, modelled: of tasks as Burin made them, and of layer lists as the
// published compiler runs them, which is what the model was held against (README.md says how well).
#ifndef BURIN_LIB_COST_VPU_H
#define BURIN_LIB_COST_VPU_H

#include "dialects/Vpu/Unit.h"
#include "dialects/Vpu/Vpu.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/Support/JSON.h"

namespace burin {

/// A convolution as the engine sees it; sizes in elements.
struct EngineShape {
  int64_t channels, outputs, kh, kw, stride, inH, inW, outH, outW;
};

/// Cycles of the engine, the cheapest mode and tiling in width and channels; 0 where none fits.
double convCycles(const vpu::Unit &unit, const EngineShape &shape);
/// One filter a channel, run as dense convolutions of the cheapest block of channels.
double depthwiseCycles(const vpu::Unit &unit, const EngineShape &shape);
double poolCycles(const vpu::Unit &unit, const EngineShape &shape);

struct UnitLayer {
  std::string name;
  double start = 0, end = 0;             // milliseconds
  double engine = 0, shave = 0, dma = 0; // milliseconds that each queue works for it
  uint64_t macs = 0, bytes = 0;          // bytes: of main memory
  llvm::StringRef rewrite;               // of the network that makes it faster; empty where none is known
  double rewritten = 0;                  // milliseconds that its queue works then
};

struct UnitTask {
  unsigned queue;
  size_t layer;      // of UnitCost::layers
  double start, end; // milliseconds
};

struct UnitCost {
  std::vector<UnitLayer> layers;
  std::vector<UnitTask> tasks;           // in the order of @main
  double milliseconds = 0;               // of one frame, one thread
  double engine = 0, shave = 0, dma = 0; // milliseconds that each queue works
  uint64_t macs = 0, traffic = 0;        // bytes of main memory a frame
  double shaveCycles = 0;

  double framesPerSecond(const vpu::UnitConfig &config) const;
  double millijoules(const vpu::UnitConfig &config) const;
  /// Milliseconds of transfers during which the engine or the shaves work.
  double hiddenDma() const;
};

/// The three queues as the barriers of @main's tasks let them run. Each layer also costs the unit's fixed time.
UnitCost analyzeTasks(mlir::func::FuncOp main, const vpu::UnitConfig &config);

llvm::json::Object toJson(const UnitCost &cost, const vpu::UnitConfig &config);

/// Milliseconds of one frame in the published compiler's way: every operation a layer, no further fusion, weights
/// streamed each frame, tensors that do not fit half of CMX and a slice's half spilled. `layers`: an array of {k, ic,
/// oc, kh, s, hi, ho}. `engines`: that work for the thread. `resident`: weights and tensors lie in CMX before and
/// after, as where one operation is timed over and over.
llvm::Expected<double> publishedMilliseconds(const llvm::json::Array &layers, const vpu::UnitConfig &config,
                                             unsigned engines = 1, bool resident = false);

/// Prints modelled and published rates of the networks in a JSON file's text, and the errors. Of a network: "ops",
/// "latency_ms" and, where they are known, "fps"; "engines", "shaves" and "threads" where they are not 1, 8 and 2,
/// "resident".
llvm::Error printPublished(llvm::StringRef text, llvm::raw_ostream &out);

} // namespace burin

#endif
