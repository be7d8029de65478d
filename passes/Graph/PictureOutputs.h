// Private: what is made of a network's outputs that are pictures or lie on one, in ONNX's own operators. Each gives
// null and says in `why` what was expected where an output is none of these.
#ifndef BURIN_PASSES_GRAPH_PICTUREOUTPUTS_H
#define BURIN_PASSES_GRAPH_PICTUREOUTPUTS_H

#include "passes/Graph/ImageStages.h"

namespace burin::graph {

/// Where the network's image comes from.
struct Source {
  CameraFrame frame;
  std::string input, fit;
  std::array<int64_t, 2> size{0, 0}; // of the network's image, x and y
};

/// [1, 1 or 3, h, w] of floats -> bytes [1, h, w, channels]: times `scale`, plus `offset`, rounded to even, clamped.
mlir::Value makePicture(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x, double scale, double offset,
                        bool isPlanar, std::string &why);

/// Scores of classes along `axis`, or numbers of classes -> bytes [..., 3]. `palette`: RRGGBB/RRGGBB..., one a class;
/// empty: the colours of PASCAL VOC, class 0 black.
mlir::Value makeColors(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x, int64_t axis, llvm::StringRef palette,
                       std::string &why);

/// The last two dims of floats resized to `size` (rows, columns), half-pixel centres; with `source`, to its frame's
/// region: what the fit added is cut away first.
mlir::Value makeUpsampled(mlir::OpBuilder &b, mlir::Location loc, mlir::Value x, std::array<int64_t, 2> size,
                          llvm::StringRef mode, const Source *source, std::string &why);

/// Boxes [..., 4] on the network's image (x1, y1, x2, y2; `isCenter`: middle and size; `areShares`: of its sides) ->
/// the same in pixels of the source's frame. Corners are clamped to the region that was taken.
mlir::Value mapBoxes(mlir::OpBuilder &b, mlir::Location loc, mlir::func::FuncOp main, mlir::Value x,
                     const Source &source, bool isCenter, bool areShares, std::string &why);

} // namespace burin::graph

#endif
