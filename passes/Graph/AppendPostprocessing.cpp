// What applications do after a network becomes part of it, in ONNX's own operators: Softmax, Sigmoid, ArgMax, TopK on
// an output, NonMaxSuppression on boxes and scores.
//   softmax[:OUTPUT][,axis=-1]      sigmoid[:OUTPUT]      argmax[:OUTPUT][,axis=-1][,keepdims=0]
//   topk[:OUTPUT],k=5[,axis=-1]     -> OUTPUT_values, OUTPUT_indices
//   nms,boxes=OUTPUT,scores=OUTPUT[,iou=0.5][,score=0.25][,max=100][,center=0]
//                                   -> selected_indices [n, 3] (batch, class, box), selected_boxes [n, 4],
//                                   selected_scores [n]
#include "passes/Graph/Passes.h"
#include "passes/Graph/Rewriting.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_APPENDPOSTPROCESSING
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "AppendPostprocessing";

struct Output {
  std::string name;
  Value value;
};

class AppendPostprocessing : public impl::AppendPostprocessingBase<AppendPostprocessing> {
public:
  using AppendPostprocessingBase::AppendPostprocessingBase;

  void runOnOperation() override {
    auto functions = getOperation().getOps<func::FuncOp>();
    if (append.empty() || functions.empty())
      return;
    func::FuncOp main = getOperation().lookupSymbol<func::FuncOp>("main");
    main = main ? main : *functions.begin();
    Operation *terminator = main.front().getTerminator();
    for (auto [i, value] : llvm::enumerate(terminator->getOperands())) {
      auto name = main.getResultAttrOfType<StringAttr>(i, "onnx.name");
      outputs.push_back({name ? name.getValue().str() : "", value});
    }
    OpBuilder b(terminator);
    for (const std::string &text : append)
      if (failed(add(main, b, text)))
        return signalPassFailure();
    SmallVector<Value> values;
    SmallVector<Attribute> attributes;
    for (const Output &output : outputs) {
      values.push_back(output.value);
      attributes.push_back(b.getDictionaryAttr(b.getNamedAttr("onnx.name", b.getStringAttr(output.name))));
    }
    terminator->setOperands(values);
    main.setType(FunctionType::get(&getContext(), main.front().getArgumentTypes(), terminator->getOperandTypes()));
    main.setAllResultAttrs(attributes);
    counted(getOperation(), passName, append.size());
  }

private:
  LogicalResult add(func::FuncOp main, OpBuilder &b, StringRef text);
  LogicalResult addNms(func::FuncOp main, OpBuilder &b, llvm::StringMap<StringRef> &options, StringRef text);
  Output *find(StringRef name) {
    for (Output &output : outputs)
      if (output.name == name)
        return &output;
    return nullptr;
  }
  InFlightDiagnostic refuse(func::FuncOp main, StringRef text) {
    return main.emitError() << "--append " << text << ": ";
  }
  SmallVector<Output> outputs;
};

LogicalResult AppendPostprocessing::add(func::FuncOp main, OpBuilder &b, StringRef text) {
  // In a textual pipeline ',' already separates what is appended; ';' then separates options.
  SmallVector<StringRef> words;
  llvm::SplitString(text, words, ",;");
  if (words.empty())
    return refuse(main, text) << "expected softmax, sigmoid, argmax, topk or nms, got nothing";
  auto [kind, wanted] = words[0].split(':');
  llvm::StringMap<StringRef> options;
  for (StringRef word : llvm::drop_begin(words)) {
    auto [key, value] = word.split('=');
    options[key] = value;
  }
  auto number = [&](StringRef key, int64_t otherwise) -> std::optional<int64_t> {
    int64_t value = otherwise;
    if (options.contains(key) && options[key].getAsInteger(10, value))
      return std::nullopt;
    return value;
  };
  static const std::pair<StringRef, SmallVector<StringRef>> known[] = {
      {"softmax", {"axis"}},
      {"sigmoid", {}},
      {"argmax", {"axis", "keepdims"}},
      {"topk", {"axis", "k"}},
      {"nms", {"boxes", "scores", "iou", "score", "max", "center"}}};
  auto row = llvm::find_if(known, [&, kind = kind](auto &entry) { return entry.first == kind; });
  if (row == std::end(known))
    return refuse(main, text) << "expected softmax, sigmoid, argmax, topk or nms, got '" << kind << "'";
  for (auto &entry : options)
    if (!llvm::is_contained(row->second, entry.first()))
      return refuse(main, text) << "expected options of " << kind << ", got '" << entry.first() << "'";
  if (kind == "nms")
    return addNms(main, b, options, text);

  Output *output = wanted.empty() ? (outputs.size() == 1 ? &outputs.front() : nullptr) : find(wanted);
  if (!output) {
    auto names = llvm::map_range(outputs, [](const Output &o) { return o.name; });
    return refuse(main, text) << "expected the name of an output (" << llvm::join(names, ", ") << "), got "
                              << (wanted.empty() ? "none" : "'" + wanted.str() + "'");
  }
  RankedTensorType type = rankedType(output->value);
  if (!type || type.getRank() < 1 || !isa<FloatType>(type.getElementType()))
    return refuse(main, text) << "expected an output of float elements and known dims, got " << output->value.getType();
  auto axis = number("axis", -1), keepdims = number("keepdims", 0), k = number("k", 5);
  if (!axis || !keepdims || !k || *k < 1 || *axis < -type.getRank() || *axis >= type.getRank())
    return refuse(main, text) << "expected whole numbers within the output's dims";
  Location loc = output->value.getLoc();
  auto i64 = [&](StringRef name, int64_t value) { return b.getNamedAttr(name, b.getI64IntegerAttr(value)); };
  Operation *made = nullptr;
  if (kind == "softmax")
    made = build(b, loc, "onnx.Softmax", {output->value}, {i64("axis", *axis)});
  else if (kind == "sigmoid")
    made = build(b, loc, "onnx.Sigmoid", {output->value});
  else if (kind == "argmax")
    made = build(b, loc, "onnx.ArgMax", {output->value}, {i64("axis", *axis), i64("keepdims", *keepdims)});
  else
    made = build(b, loc, "onnx.TopK", {output->value, onnx::createI64s(b, loc, {*k})}, {i64("axis", *axis)}, 2, 2);
  if (!made)
    return refuse(main, text) << "expected an output that the operator takes, got " << type;
  passed(made, passName, kind);
  output->value = made->getResult(0);
  if (kind == "topk") {
    std::string base = output->name;
    output->name = base + "_values";
    outputs.insert(output + 1, Output{base + "_indices", made->getResult(1)});
  }
  return success();
}

LogicalResult AppendPostprocessing::addNms(func::FuncOp main, OpBuilder &b, llvm::StringMap<StringRef> &options,
                                           StringRef text) {
  Output *boxes = find(options.lookup("boxes")), *scores = find(options.lookup("scores"));
  if (!boxes || !scores)
    return refuse(main, text) << "expected boxes=OUTPUT and scores=OUTPUT, got others";
  auto real = [&](StringRef key, double otherwise) -> std::optional<double> {
    double value = otherwise;
    if (options.contains(key) && options[key].getAsDouble(value))
      return std::nullopt;
    return value;
  };
  auto iou = real("iou", 0.5), score = real("score", 0.25), max = real("max", 100), center = real("center", 0);
  if (!iou || !score || !max || !center || *iou < 0 || *iou > 1 || *max < 1)
    return refuse(main, text) << "expected numbers, iou within 0 and 1, max of 1 or more";
  RankedTensorType boxType = rankedType(boxes->value), scoreType = rankedType(scores->value);
  if (!boxType || !scoreType || boxType.getRank() != 3 || scoreType.getRank() != 3 || boxType.getDimSize(2) != 4)
    return refuse(main, text)
           << "expected boxes [batch, n, 4] and scores [batch, classes, n] or [batch, n, classes], got "
           << boxes->value.getType() << " and " << scores->value.getType();
  Location loc = boxes->value.getLoc();
  Value byClass = scores->value;
  int64_t count = boxType.getDimSize(1);
  if (scoreType.getDimSize(1) == count && scoreType.getDimSize(2) != count)
    byClass = build<onnx::TransposeOp>(b, loc, {byClass}, b.getNamedAttr("perm", b.getDenseI64ArrayAttr({0, 2, 1})));
  Type i64 = b.getI64Type(), f32 = b.getF32Type();
  Value selected = build<onnx::NonMaxSuppressionOp>(
      b, loc,
      {boxes->value, byClass, scalar(b, loc, i64, *max), scalar(b, loc, f32, *iou), scalar(b, loc, f32, *score)},
      b.getNamedAttr("center_point_box", b.getI64IntegerAttr(*center != 0)));
  auto columns = [&](ArrayRef<int64_t> which) {
    return build<onnx::GatherOp>(b, loc, {selected, onnx::createI64s(b, loc, which)},
                                 b.getNamedAttr("axis", b.getI64IntegerAttr(1)));
  };
  Value boxIndex = selected ? columns({0, 2}) : Value();
  Value chosenBoxes = boxIndex ? build<onnx::GatherNDOp>(b, loc, {boxes->value, boxIndex}) : Value();
  Value chosenScores = boxIndex ? build<onnx::GatherNDOp>(b, loc, {byClass, selected}) : Value();
  if (!chosenBoxes || !chosenScores)
    return refuse(main, text) << "expected f32 boxes and scores, got " << boxType << " and " << scoreType;
  passed(selected.getDefiningOp(), passName, "nms");
  std::string first = boxes->name, second = scores->name;
  llvm::erase_if(outputs, [&](const Output &o) { return o.name == first || o.name == second; });
  outputs.push_back({"selected_indices", selected});
  outputs.push_back({"selected_boxes", chosenBoxes});
  outputs.push_back({"selected_scores", chosenScores});
  return success();
}

} // namespace
} // namespace burin
