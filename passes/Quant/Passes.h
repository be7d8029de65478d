// Door of the quantize stage: passes on the onnx dialect that make a float graph a quantized one, in ONNX's own
// operators. What calibration has measured comes as attributes; nothing here runs a model or opens a file.
#ifndef BURIN_PASSES_QUANT_PASSES_H
#define BURIN_PASSES_QUANT_PASSES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"
#include <optional>

namespace burin::quant {

#define GEN_PASS_DECL
#include "passes/Quant/Passes.h.inc"

/// Which operators may be quantized: names of nodes or operators. `only` empty: all that can be.
struct Selection {
  llvm::SmallVector<std::string> keep, only;
  /// What returns from the graph is read as integers too: for devices without floats.
  bool outputs = false;
};
/// On an operator: it stays float. For choices by operator, as names need not tell them apart.
inline constexpr char keepFloatAttr[] = "burin.keep_float";

/// The activations whose ranges quant-insert-qdq will ask for: operands and results of operators that it would
/// quantize, in order.
llvm::SmallVector<mlir::Value> getActivations(mlir::func::FuncOp function, const Selection &selection);
/// The operators with weights that it would quantize, in order: what is ranked by sensitivity.
llvm::SmallVector<mlir::Operation *> getProducts(mlir::func::FuncOp function, const Selection &selection);

/// What calibration found out about a value, as an attribute of its operator or argument.
struct Range {
  float low, high;
};
void setRange(mlir::Value value, Range range);
std::optional<Range> getRange(mlir::Value value);
/// Of the channels that a product reads: least, largest and mean value of each.
struct Channels {
  llvm::SmallVector<float> low, high, mean;
};
void setChannels(mlir::Operation *product, const Channels &channels);
std::optional<Channels> getChannels(mlir::Operation *product);
/// Of the patches that a product multiplies its weights with, the pixels under a kernel or a row of a matrix: mean and
/// covariance of their elements, for each group of a Conv. An element of a patch is [input channel of the group, tap].
struct Moments {
  int64_t groups = 1, size = 0;
  double samples = 0;                        // patches measured
  llvm::SmallVector<float> mean, covariance; // [groups, size], [groups, size, size]
};
void setMoments(mlir::Operation *product, const Moments &moments);
std::optional<Moments> getMoments(mlir::Operation *product);
void clearMoments(mlir::Operation *product);
/// How much a change of this product's weights changes the graph's outputs: squared change of the outputs over the
/// squared change of its own result. 1 where nobody measured.
void setSensitivity(mlir::Operation *product, double sensitivity);
double getSensitivity(mlir::Operation *product);
/// The diagonal of the Fisher matrix of a product's weights, as rows of an output channel: the sum over all samples of
/// each weight's squared gradient.
void setFisher(mlir::Operation *product, llvm::ArrayRef<float> diagonal);
std::optional<llvm::SmallVector<float>> getFisher(mlir::Operation *product);
/// What ShareWeights made of a product: bits of an index, and codebooks.
std::optional<std::pair<int64_t, int64_t>> getSharing(mlir::Operation *product);
/// Bits of `weights` numbers of 32 bits over what they take as indices into `codebooks` of 2^`bits` such numbers.
double sharingRatio(int64_t weights, int64_t bits, int64_t codebooks, int64_t entries);
/// All operators with constant weights, whatever a quantization would do with them, in order.
llvm::SmallVector<mlir::Operation *> getWeighted(mlir::func::FuncOp function);

/// The dim of a product's first operand along which it sums: 1 of images, else the last.
unsigned channelDim(mlir::Operation *product);

/// Takes all that calibration wrote off the module.
void clearCalibration(mlir::ModuleOp module);

void registerQuantPasses();

} // namespace burin::quant

#endif
