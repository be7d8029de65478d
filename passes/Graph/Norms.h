// Private: what normalizations over the last dims have in common, however they are spelled out.
#ifndef BURIN_PASSES_GRAPH_NORMS_H
#define BURIN_PASSES_GRAPH_NORMS_H

#include "passes/Graph/Rewriting.h"

namespace burin::graph {

/// x / sqrt(mean(...) + epsilon) over the dims from `axis` on, and the operators that spell it out.
struct NormCore {
  mlir::Value x;
  int64_t axis = 0;
  double epsilon = 0;
  llvm::SmallVector<mlir::Operation *> parts;
};

/// The first of the trailing dims a ReduceMean with keepdims goes over.
std::optional<int64_t> trailingAxis(onnx::ReduceMeanOp op);

/// value = x - mean(x), the mean kept: that mean, and x.
onnx::ReduceMeanOp centered(mlir::Value value, mlir::Value &x);

/// value = numerator / sqrt(radicand), as a quotient or as a product with 1 / sqrt or a power; a constant scale may
/// have gone into that factor first.
struct RootQuotient {
  mlir::Value numerator, radicand, scale;
  llvm::SmallVector<mlir::Operation *> parts;
};
std::optional<RootQuotient> readRootQuotient(mlir::Value value);

/// x - mean(x), and the square, its mean or the mean of squares less the mean's square, and epsilon under the root.
/// Nothing where it is none, `why` set where it nearly is.
std::optional<NormCore> readLayerCore(const RootQuotient &quotient, llvm::StringRef &why);

/// sum = mean + epsilon, in either order.
struct MeanAndEpsilon {
  onnx::ReduceMeanOp mean;
  double epsilon;
};
std::optional<MeanAndEpsilon> readMeanAndEpsilon(onnx::AddOp sum);

/// value = d * d, as Mul or Pow: that d, or null.
mlir::Value squareOf(mlir::Value value);

/// value = 1 / r, as Reciprocal or Div: that r, or null.
mlir::Value reciprocated(mlir::Value value);

/// value = 1 / sqrt(radicand), as a reciprocal, a quotient or a power: that radicand, or null.
mlir::Value underInverseRoot(mlir::Value value, llvm::SmallVectorImpl<mlir::Operation *> &parts);

/// back = Cast(%n : f32 -> T), where %n was made of x = Cast(%source : T -> f32): that source, or null.
mlir::Value narrowSource(onnx::CastOp back, mlir::Value x);

/// A constant of ones for the dims of `x` from `axis` on; null where they are not static.
mlir::Value onesFrom(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value x, int64_t axis);

} // namespace burin::graph

#endif
