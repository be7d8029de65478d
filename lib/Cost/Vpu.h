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
/// oc, kh, s, hi, ho}.
llvm::Expected<double> publishedMilliseconds(const llvm::json::Array &layers, const vpu::UnitConfig &config);

/// Prints modelled and published rates of the networks in a JSON file's text, and the errors.
llvm::Error printPublished(llvm::StringRef text, llvm::raw_ostream &out);

} // namespace burin

#endif
