// Private: an image stage as the graph says it, for the passes that make one. What its parts mean: lib/Image/Stage.h.
#ifndef BURIN_PASSES_GRAPH_IMAGESTAGES_H
#define BURIN_PASSES_GRAPH_IMAGESTAGES_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"

#include <array>

namespace burin::graph {

/// Pairs are x, y.
struct ImageStage {
  std::string input; // the model's, for reports
  std::string format, matrix = "601", range = "limited";
  int64_t frameWidth = 0, frameHeight = 0, stride = 0;
  std::array<int64_t, 4> region{0, 0, 0, 0}; // x, y, width, height
  bool isTurned = false;                     // columns of the frame become rows
  std::array<bool, 2> isMirrored{false, false};
  std::string resize = "linear"; // nearest, linear, cubic or area
  std::array<int64_t, 2> resized{0, 0}, offset{0, 0}, size{0, 0};
  int64_t channels = 3;
  bool isPlanar = true, isReversed = false; // NCHW; blue first
  llvm::SmallVector<double> mean, scale;    // one a channel, in the order of the result's channels
  double pad = 0;                           // in units of the frame
};

/// The node that computes `stage` from the frame's bytes, its result f32, u8 or i8 as `type` says; what it computes
/// goes into the module's attribute.
mlir::Operation *buildImageStage(mlir::OpBuilder &b, mlir::Location where, mlir::ModuleOp module,
                                 const ImageStage &stage, mlir::Value frame, mlir::RankedTensorType type);

} // namespace burin::graph

#endif
