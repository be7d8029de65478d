// Private to graph-expand-domains: one operator of another domain on its way to standard operators. A step that fails
// leaves its reason here and null values behind it, so that an expansion reads as straight arithmetic and is checked
// once, at its end.
#ifndef BURIN_PASSES_GRAPH_EXPANDDOMAINS_H
#define BURIN_PASSES_GRAPH_EXPANDDOMAINS_H

#include "passes/Graph/Rewriting.h"

#include "llvm/ADT/StringMap.h"

namespace burin::graph {

class Expansion {
public:
  explicit Expansion(mlir::Operation *op) : op(op), b(op), loc(op->getLoc()) {}

  mlir::Operation *op; // an onnx.Custom, or an operator of ai.onnx.ml in its newest form
  mlir::OpBuilder b;   // in front of `op`
  mlir::Location loc;

  // --- The node ------------------------------------------------------------------------------------------------------
  /// Operand i; null where it is absent.
  mlir::Value in(unsigned i);
  /// True if result i is there and somebody reads it.
  bool wants(unsigned i);
  mlir::Attribute attribute(llvm::StringRef name);
  int64_t integer(llvm::StringRef name, int64_t otherwise);
  double number(llvm::StringRef name, double otherwise);
  llvm::StringRef string(llvm::StringRef name, llvm::StringRef otherwise = "");
  llvm::ArrayRef<int64_t> integers(llvm::StringRef name);
  llvm::ArrayRef<float> floats(llvm::StringRef name);
  bool has(llvm::StringRef name) { return bool(attribute(name)); }

  // --- What is known of a value --------------------------------------------------------------------------------------
  mlir::Type element(mlir::Value v);        // null where nothing is known
  int64_t rank(mlir::Value v);              // -1 where nothing is known
  int64_t dim(mlir::Value v, int64_t axis); // kDynamic where it is not known; axis may count from the end

  // --- Building; a null operand is an absent one ---------------------------------------------------------------------
  using Attributes = llvm::ArrayRef<mlir::NamedAttribute>;
  mlir::NamedAttribute at(llvm::StringRef name, int64_t value);
  mlir::NamedAttribute at(llvm::StringRef name, int value) { return at(name, int64_t(value)); }
  mlir::NamedAttribute at(llvm::StringRef name, double value);
  mlir::NamedAttribute at(llvm::StringRef name, llvm::StringRef value);
  mlir::NamedAttribute at(llvm::StringRef name, llvm::ArrayRef<int64_t> value);
  mlir::NamedAttribute at(llvm::StringRef name, llvm::ArrayRef<float> value);
  /// An attribute of this operator under its own name, if it is given.
  void copy(llvm::SmallVectorImpl<mlir::NamedAttribute> &to, llvm::ArrayRef<llvm::StringRef> names);
  llvm::SmallVector<mlir::Value> makeAll(llvm::StringRef type, llvm::ArrayRef<mlir::Value> operands,
                                         Attributes attributes, unsigned results);
  mlir::Value make(llvm::StringRef type, llvm::ArrayRef<mlir::Value> operands, Attributes attributes = {}) {
    return makeAll(type, operands, attributes, 1).front();
  }
  mlir::Value constant(mlir::ElementsAttr attr) { return graph::constant(b, loc, attr); }
  mlir::Value ints(llvm::ArrayRef<int64_t> values) { return onnx::createI64s(b, loc, values); }
  mlir::Value intsOf(mlir::Type element, llvm::ArrayRef<int64_t> values, llvm::ArrayRef<int64_t> shape);
  mlir::Value floatsOf(mlir::Type element, llvm::ArrayRef<float> values, llvm::ArrayRef<int64_t> shape);
  /// A scalar of an element type, or of that of a value.
  mlir::Value scalar(mlir::Type element, double value);
  mlir::Value like(mlir::Value v, double value) { return scalar(element(v), value); }

  mlir::Value add(mlir::Value x, mlir::Value y) { return make("Add", {x, y}); }
  mlir::Value sub(mlir::Value x, mlir::Value y) { return make("Sub", {x, y}); }
  mlir::Value mul(mlir::Value x, mlir::Value y) { return make("Mul", {x, y}); }
  mlir::Value div(mlir::Value x, mlir::Value y) { return make("Div", {x, y}); }
  mlir::Value add(mlir::Value x, double y) { return make("Add", {x, like(x, y)}); }
  mlir::Value mul(mlir::Value x, double y) { return make("Mul", {x, like(x, y)}); }
  mlir::Value cast(mlir::Value v, mlir::Type element); // v itself where it has that type
  /// 0 keeps the dim at its place, -1 is the rest.
  mlir::Value reshape(mlir::Value v, llvm::ArrayRef<int64_t> shape) { return make("Reshape", {v, ints(shape)}); }
  mlir::Value transpose(mlir::Value v, llvm::ArrayRef<int64_t> permutation) {
    return make("Transpose", {v}, {at("perm", permutation)});
  }
  mlir::Value concat(llvm::ArrayRef<mlir::Value> values, int64_t axis) {
    return make("Concat", values, {at("axis", axis)});
  }
  mlir::Value slice(mlir::Value v, int64_t axis, int64_t begin, int64_t end) {
    return make("Slice", {v, ints({begin}), ints({end}), ints({axis})});
  }
  mlir::Value unsqueeze(mlir::Value v, llvm::ArrayRef<int64_t> axes) { return make("Unsqueeze", {v, ints(axes)}); }
  mlir::Value squeeze(mlir::Value v, llvm::ArrayRef<int64_t> axes) { return make("Squeeze", {v, ints(axes)}); }
  mlir::Value gather(mlir::Value v, mlir::Value indices, int64_t axis) {
    return make("Gather", {v, indices}, {at("axis", axis)});
  }
  /// Sizes of the dims from `begin` up to `end` (exclusive) as 1-D i64.
  mlir::Value sizes(mlir::Value v, int64_t begin, int64_t end) {
    return make("Shape", {v}, {at("start", begin), at("end", end)});
  }
  /// Equal parts of a static axis.
  llvm::SmallVector<mlir::Value> split(mlir::Value v, int64_t axis, llvm::ArrayRef<int64_t> sizes);
  /// The subgraph that attribute `name` is, with `value` for its one argument; null where there is none.
  mlir::Value inlined(llvm::StringRef name, mlir::Value value);

  // --- Ending --------------------------------------------------------------------------------------------------------
  /// The results, null where one is absent or nobody reads it.
  void answer(llvm::ArrayRef<mlir::Value> values) { answers.assign(values.begin(), values.end()); }
  /// Says once why this operator stays: "expected ..., got ...", or what is not done and the nearest form that works.
  void refuse(const llvm::Twine &why);
  /// This operator is as it should be: nobody is told.
  void leave() { left = true; }
  /// `condition`, and the refusal where it does not hold.
  bool need(bool condition, const llvm::Twine &why) {
    if (!condition)
      refuse(why);
    return condition;
  }

  llvm::SmallVector<mlir::Value> answers;
  std::string reason; // empty: nothing failed
  bool left = false;
};

using Expander = void (*)(Expansion &);
/// "domain:Type" -> expansion.
using Expanders = llvm::StringMap<Expander>;

// One a family file.
void addClassicalExpanders(Expanders &table);          // ai.onnx.ml
void addMicrosoftExpanders(Expanders &table);          // com.microsoft: arithmetic, normalizations, layers
void addMicrosoftAttentionExpanders(Expanders &table); // com.microsoft: attention and rotary embeddings
void addMicrosoftQuantExpanders(Expanders &table);     // com.microsoft: quantized operators
void addPreviewExpanders(Expanders &table);            // ai.onnx.preview, ai.onnx.preview.training

void addTextExpanders(Expanders &table); // TfIdfVectorizer, though it is ONNX's own

/// ONNX's number of an element type; 0 for one without.
int64_t elementNumber(mlir::Type element);
mlir::Type elementOfNumber(mlir::MLIRContext *context, int64_t number);

} // namespace burin::graph

#endif
