// Private: an image stage as the graph says it, for the passes that make one. What its parts mean: lib/Image/Stage.h.
#ifndef BURIN_PASSES_GRAPH_IMAGESTAGES_H
#define BURIN_PASSES_GRAPH_IMAGESTAGES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"

#include <array>
#include <optional>

namespace burin::graph {

/// How a resized picture takes its samples: nearest, linear, cubic or area, and what ONNX's Resize can say beside
/// half-pixel centres and a cubic coefficient of -0.5.
struct ResizeKernel {
  std::string mode = "linear", rounding;
  double cubic = -0.5;
  bool isAntialiased = false, isExclusive = false;
};

/// Pairs are x, y.
struct ImageStage {
  std::string input; // the model's, for reports
  std::string format, matrix = "601", range = "limited";
  int64_t frameWidth = 0, frameHeight = 0, stride = 0;
  std::array<int64_t, 4> region{0, 0, 0, 0}; // x, y, width, height
  std::string fit;                           // of a region that each run says, which is one more operand; else empty
  bool isTurned = false;                     // columns of the frame become rows
  std::array<bool, 2> isMirrored{false, false};
  ResizeKernel kernel;
  std::array<int64_t, 2> resized{0, 0}, offset{0, 0}, size{0, 0};
  int64_t channels = 3;
  bool isPlanar = true, isReversed = false;  // NCHW; blue first
  llvm::SmallVector<double> mean, scale;     // one a channel, in the order of the result's channels
  double pad = 0;                            // in units of the frame
  std::optional<std::array<double, 8>> axes; // shift, step, origin and cover of x, then of y; none: half-pixel centres
};

/// The node that computes `stage` from the frame's bytes (and the region, where each run says it), its result f32, u8
/// or i8 as `type` says; what it computes goes into the module's attribute.
mlir::Operation *buildImageStage(mlir::OpBuilder &b, mlir::Location where, mlir::ModuleOp module,
                                 const ImageStage &stage, mlir::ValueRange operands, mlir::RankedTensorType type);

/// What becomes of a network's floats: phases of pixels or a resized tensor, then arithmetic, then bytes, numbers or
/// colours of the largest channels, or floats.
struct OutputStage {
  struct Step {
    std::string op; // add, mul, div, round, clamp
    double a = 0, b = 0;
  };
  std::array<int64_t, 3> tensor{0, 0, 0}; // channels, height, width
  bool isPlanar = true, isInterleaved = false;
  int64_t block = 1;
  std::string mode = "DCR", result; // of phases; floats, picture, labels or colors
  std::array<int64_t, 2> size{0, 0};
  std::optional<ResizeKernel> kernel;
  std::optional<std::array<double, 8>> axes;
  llvm::SmallVector<Step> steps;
  int64_t labelBytes = 0;
  llvm::SmallVector<int64_t> colors; // red lowest
};
mlir::Operation *buildOutputStage(mlir::OpBuilder &b, mlir::Location where, mlir::ModuleOp module,
                                  const OutputStage &stage, mlir::Value x, mlir::Type type);

/// What `--image-input` says of a camera.
struct CameraFrame {
  std::string format, matrix = "601", range = "limited";
  int64_t width = 0, height = 0, stride = 0;
  std::array<int64_t, 4> region{0, 0, 0, 0};    // x, y, width, height
  bool isRegionGiven = false;                   // by each run
  bool isTurned = false;                        // columns of the frame become rows
  std::array<bool, 2> isMirrored{false, false}; // its x and y run backwards

  int64_t pixelBytes() const {
    return format == "RGB" || format == "BGR" ? 3 : format == "RGBA" ? 4 : format == "YUYV" ? 2 : 1;
  }
  bool isHalved() const { return format == "NV12" || format == "I420"; }
  // Clockwise, in quarters. Words apply in their order, each to what those before it made.
  void turn(int64_t quarters) {
    for (; quarters > 0; --quarters) {
      mirror(isTurned ? 0 : 1);
      isTurned = !isTurned;
    }
  }
  void mirror(int axis) { isMirrored[axis] = !isMirrored[axis]; }
};

/// `[NAME=]FORMAT:WxH...` as name (empty where none is said) and the rest.
std::pair<llvm::StringRef, llvm::StringRef> splitImageInput(llvm::StringRef text);
/// Reads that rest; nothing, and what was expected, where it is none.
std::optional<CameraFrame> readFrame(llvm::StringRef text, std::string &why);

/// The inputs' names in ONNX.
llvm::SmallVector<llvm::StringRef> inputNames(mlir::func::FuncOp main);
/// The input of that name, or for an empty one the only image; null where there is none.
mlir::BlockArgument findImage(mlir::func::FuncOp main, llvm::StringRef name);
/// The input by which each run says the region of a frame: int32[4], x, y, width and height. Made at its first use.
mlir::Value regionInput(mlir::func::FuncOp main, llvm::StringRef frameInput);

/// Where a frame's region lies on what the network takes; pairs are x, y.
struct Placement {
  std::array<int64_t, 2> resized, offset;
};
Placement placeFrame(const CameraFrame &frame, llvm::StringRef fit, std::array<int64_t, 2> size);

} // namespace burin::graph

#endif
