// Private: what passes ask of a Loop's condition. Must not look at what else a body does.
#ifndef BURIN_PASSES_GRAPH_LOOPS_H
#define BURIN_PASSES_GRAPH_LOOPS_H

#include "dialects/Onnx/Onnx.h"
#include "dialects/Onnx/OnnxUtils.h"

#include <optional>

namespace burin::graph {

inline mlir::Value throughIdentity(mlir::Value value) {
  while (auto identity = value.getDefiningOp<onnx::IdentityOp>())
    value = identity.getInput();
  return value;
}

inline std::optional<int64_t> intOf(mlir::Value value) { return onnx::getConstantInt(throughIdentity(value)); }

/// An absent condition is true.
inline bool isTrue(mlir::Value condition) { return onnx::isNone(condition) || intOf(condition).value_or(0) != 0; }

/// True if the loop begins with true, and hands its condition on as it came or says true.
inline bool neverStops(onnx::LoopOp loop) {
  mlir::Block &body = loop->getRegion(0).front();
  mlir::Value again = throughIdentity(body.getTerminator()->getOperand(0));
  return isTrue(loop.getCond()) && (again == body.getArgument(1) || isTrue(again));
}

} // namespace burin::graph

#endif
