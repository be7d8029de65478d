// Private: a convolution with constant weights as numbers in double, so that passes can add, compose and reorder
// convolutions exactly and round once. Any number of spatial dims, groups, strides, dilations.
#ifndef BURIN_PASSES_GRAPH_STENCIL_H
#define BURIN_PASSES_GRAPH_STENCIL_H

#include "dialects/Onnx/Onnx.h"

#include <optional>
#include <vector>

namespace burin::graph {

/// y[o, p] = bias[o] + sum over i, t of weights[o, i, t] * x[group of o, i, p * stride + t * dilation - begin], zero
/// outside x. Shapes come first; `weights` and `bias` are empty until somebody needs them.
struct Stencil {
  int64_t inputs = 0, outputs = 0, group = 1;
  llvm::SmallVector<int64_t> kernel, begins, ends, strides, dilations;
  std::vector<double> weights; // [outputs, inputs / group, taps]
  std::vector<double> bias;    // [outputs]

  int64_t rank() const { return kernel.size(); }
  int64_t taps() const;
  /// What the window spans in dim `d`.
  int64_t extent(int64_t d) const { return (kernel[d] - 1) * dilations[d] + 1; }
  /// Multiplications an output position takes.
  int64_t macs() const { return outputs * (inputs / group) * taps(); }
  bool isPointwise() const;
  bool isPadded() const;
};

/// x -> x over `channels` channels and `rank` spatial dims, with its weights.
Stencil identityStencil(int64_t channels, int64_t rank);

/// The shape of a Conv with constant float weights of static shape, SAME pads resolved where sizes are known; nothing
/// (and `why`) where something is missing.
std::optional<Stencil> stencilShape(onnx::ConvOp conv, llvm::StringRef &why);
/// The shape of an AveragePool that is a convolution: padding counts in its mean, no ceil_mode.
std::optional<Stencil> stencilShape(onnx::AveragePoolOp pool, llvm::StringRef &why);
/// Reads weights and bias of what `stencil` is the shape of; false where a constant cannot be read.
bool readWeights(onnx::ConvOp conv, Stencil &stencil);
bool readWeights(onnx::AveragePoolOp pool, Stencil &stencil);

/// The same function with fewer groups; `group` divides the stencil's.
Stencil regrouped(const Stencil &stencil, int64_t group);

/// The shape of `second` after `first`; with both weights read, its weights too. The pads at the ends are those of the
/// sum of both windows; where strides leave a rest the caller checks the size.
Stencil composed(const Stencil &first, const Stencil &second);

/// Conv(x, weights, bias) of `element` type with the attributes that differ from ONNX's defaults. Null where a number
/// leaves the type's range.
mlir::Value buildConv(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value x, const Stencil &stencil,
                      mlir::Type element, llvm::StringRef name);

/// What one element of a tensor that need not be written and read again is worth, in multiplications: a vector unit
/// does some ten of them in the time an element takes to the nearest cache and back.
constexpr int64_t elementCost = 8;

} // namespace burin::graph

#endif
