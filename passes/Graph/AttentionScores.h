// Private: what exporters put between the product of queries and keys and the softmax, read from the softmax down and
// written again as the one bias that the Attention operator adds.
#ifndef BURIN_PASSES_GRAPH_ATTENTIONSCORES_H
#define BURIN_PASSES_GRAPH_ATTENTIONSCORES_H

#include "passes/Graph/Rewriting.h"

namespace burin::graph {

/// One thing done to the scores, the one next to the softmax first.
struct ScoreStep {
  enum Kind { Add, Keep, Drop } kind;
  mlir::Value operand;           // what is added, or the condition
  double number = 1;             // the factor of what is added, or what takes the place of a dropped score
  mlir::RankedTensorType scores; // of the value it is done to
};

struct Scores {
  onnx::MatMulOp product; // null: this is no attention
  double scale = 1, softcap = 0;
  mlir::Value gain;             // beside the scale: one factor a row or head, a value
  mlir::RankedTensorType split; // of four dims, where the product has three
  bool isWide = false;          // in f32, from narrower products
  llvm::SmallVector<ScoreStep> steps;
  llvm::SmallVector<mlir::Operation *> parts;
};

/// Reads down from `value`, what the softmax is taken of. Empty where it is read, or where there is no product at all;
/// else why a near miss is none.
llvm::StringRef readScores(mlir::Value value, Scores &scores);

/// Moves `value` below constants of one element that scale it; they go to `scale` and `parts`.
void peelScale(mlir::Value &value, double &scale, llvm::SmallVectorImpl<mlir::Operation *> &parts);

/// Why the steps cannot be one bias for scores of this type; empty if they can.
llvm::StringRef whyNoBias(const Scores &scores, mlir::RankedTensorType type);

/// The steps as one value to add to scores of four dims of this element type; null where there is none.
/// `keepsInfinity`: what is infinitely far below stays so, as rows without any key are to answer zero.
mlir::Value buildBias(mlir::OpBuilder &builder, mlir::Location loc, const Scores &scores, mlir::Type element,
                      bool keepsInfinity);

/// True if dim `i` of `mask`, from the end, is that of `scores`, or cut to it where the model runs at all.
bool reaches(mlir::Value mask, int64_t i, mlir::RankedTensorType scores);

/// [batch * heads, ...] as [batch, heads, ...]; null where ONNX refuses.
mlir::Value splitHeads(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value value, int64_t heads);

} // namespace burin::graph

#endif
