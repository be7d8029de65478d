// Helpers every reader of the onnx dialect needs: absent values, constants in all their forms, node locations.
// Nothing here sees ONNX's headers. Constants are read through these functions because a weight may be a splat, a dense
// attribute or an unaligned blob over the mapped model file.
#pragma once

#include "dialects/Onnx/Onnx.h"
#include "mlir/IR/Diagnostics.h"

#include <memory>
#include <optional>

namespace burin::onnx {

/// The working opset of the module `op` sits in (its `onnx.opset` attribute), 28 where it says nothing.
int64_t getOpset(mlir::Operation *op);

/// True for an absent operand or result (`none` typed) and for a null value.
bool isNone(mlir::Value value);

/// The constant behind `value` (onnx.Constant, or any constant-like op with elements), or null.
mlir::ElementsAttr getConstantAttr(mlir::Value value);

/// All elements of an integer (i1, i8 .. i64, ui8 .. ui64, index) constant, splats expanded, unsigned zero-extended;
/// nothing where the element type is another one or the blob is too short.
std::optional<llvm::SmallVector<int64_t>> readInts(mlir::ElementsAttr attr);
/// The same, empty where it cannot be read. Use it where the element type is known to be an integer.
llvm::SmallVector<int64_t> getInts(mlir::ElementsAttr attr);
/// The integers of a constant value; nothing where `value` is no integer constant (or absent).
std::optional<llvm::SmallVector<int64_t>> getConstantInts(mlir::Value value);
/// The one integer of a constant value of one element.
std::optional<int64_t> getConstantInt(mlir::Value value);

/// All elements of a float (any width) or integer constant as float / double, splats expanded.
std::optional<llvm::SmallVector<float>> readFloats(mlir::ElementsAttr attr);
llvm::SmallVector<float> getFloats(mlir::ElementsAttr attr);
std::optional<llvm::SmallVector<float>> getConstantFloats(mlir::Value value);
std::optional<float> getConstantFloat(mlir::Value value);
/// True if every element equals `x` (exactly, as float).
bool isConstantFloat(mlir::Value value, float x);

/// Bytes of a constant in ONNX's raw layout: little endian, i1 one byte an element, 4-bit (2-bit) types packed two
/// (four) a byte, low bits first. `splat`: the bytes are those of ONE element. `bytes` points into the attribute or its
/// blob (any alignment: read with memcpy) or, where MLIR stores it another way, into `owned`.
struct RawElements {
  llvm::ArrayRef<char> bytes;
  bool splat = false;
  std::shared_ptr<std::vector<char>> owned;
};
/// Nothing for strings and for a resource without data.
std::optional<RawElements> getRawElements(mlir::ElementsAttr attr);

/// Bytes that `count` elements of `type` take in ONNX's raw layout; nothing for a type without one (strings).
std::optional<uint64_t> getRawSize(mlir::Type elementType, uint64_t count);

/// A constant from bytes in ONNX's raw layout (of all elements): a splat where all are equal, dense where small, else a
/// resource that holds a copy. `name` names the resource.
mlir::ElementsAttr makeConstantAttr(mlir::RankedTensorType type, llvm::ArrayRef<char> raw, llvm::StringRef name = "w");
/// The same without a copy: `raw` must stay valid as long as `owner` lives, which the resource then shares.
mlir::ElementsAttr makeConstantAttr(mlir::RankedTensorType type, llvm::ArrayRef<char> raw, llvm::StringRef name,
                                    std::shared_ptr<void> owner);
/// Integer (any width) or float (f16, bf16, f32, f64) constants from values.
mlir::ElementsAttr makeInts(mlir::RankedTensorType type, llvm::ArrayRef<int64_t> values);
mlir::ElementsAttr makeFloats(mlir::RankedTensorType type, llvm::ArrayRef<float> values);
/// An onnx.Constant of 1-D i64, the form of axes, shapes, pads.
mlir::Value createI64s(mlir::OpBuilder &builder, mlir::Location loc, llvm::ArrayRef<int64_t> values);

/// The name of dimension `dim` of a tensor type, empty where it has none.
llvm::StringRef getDimName(mlir::Type type, unsigned dim);
/// A ranked tensor type with names for its dynamic dimensions (names of static ones are dropped; none: no encoding).
mlir::RankedTensorType getTensorType(llvm::ArrayRef<int64_t> shape, mlir::Type elementType,
                                     llvm::ArrayRef<llvm::StringRef> names);

/// ONNX's name and domain of an operator: "Conv", "" or "TreeEnsemble", "ai.onnx.ml"; a Custom's own.
llvm::StringRef getOpType(mlir::Operation *op);
llvm::StringRef getDomain(mlir::Operation *op);

/// The node a location speaks of: `loc("conv1"("Conv, opset 13"("model.onnx":17:0)))`, also inside fused locations.
struct NodeInfo {
  llvm::StringRef name; // "conv1"
  llvm::StringRef kind; // "Conv, opset 13"
  llvm::StringRef file; // "model.onnx"
  unsigned index;       // of the node in its file, subgraphs counted in order
};
std::optional<NodeInfo> getNodeInfo(mlir::Location loc);
mlir::Location getNodeLoc(mlir::MLIRContext *context, const NodeInfo &info);
/// The node's name, empty where the location knows none.
llvm::StringRef getNodeName(mlir::Operation *op);

/// Starts the one located error of the user's kind: `expected ..., got ...` follows, lower case, no full stop.
mlir::InFlightDiagnostic emitNodeError(mlir::Operation *op);
mlir::InFlightDiagnostic emitNodeError(mlir::Location loc);

} // namespace burin::onnx
