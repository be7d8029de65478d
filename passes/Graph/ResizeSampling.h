// Private: what ONNX's Resize does, as image stages say it.
#ifndef BURIN_PASSES_GRAPH_RESIZESAMPLING_H
#define BURIN_PASSES_GRAPH_RESIZESAMPLING_H

#include "dialects/Onnx/Onnx.h"
#include "passes/Graph/ImageStages.h"

namespace burin::graph {

/// Sample i of a resized axis lies at (i + shift) * step + origin and covers `cover` samples; `isBounded`: a place
/// outside is no sample.
struct Sampling {
  double shift, step, origin, cover = 1;
  bool isBounded = false;
};

/// As ONNX defines each coordinate transformation, of the operand's dims `dims` (those of width and height); nothing
/// where scales or region are no constants, or run backwards. Operand and result have static shapes.
std::optional<std::array<Sampling, 2>> resizeSamplings(onnx::ResizeOp op, std::array<int64_t, 2> dims);

/// How its samples are weighted.
ResizeKernel resizeKernel(onnx::ResizeOp op);

} // namespace burin::graph

#endif
