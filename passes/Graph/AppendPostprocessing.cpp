// What applications do after a network becomes part of it, in ONNX's own operators: Softmax, Sigmoid, ArgMax, TopK on
// an output, NonMaxSuppression on boxes and scores.
//   softmax[:OUTPUT][,axis=-1]      sigmoid[:OUTPUT]      argmax[:OUTPUT][,axis=-1][,keepdims=0]
//   topk[:OUTPUT],k=5[,axis=-1]     -> OUTPUT_values, OUTPUT_indices
//   nms,boxes=OUTPUT,scores=OUTPUT[,iou=0.5][,score=0.25][,max=100][,center=0]
//                                   -> selected_indices [n, 3] (batch, class, box), selected_boxes [n, 4],
//                                   selected_scores [n]
// and of pictures (PictureOutputs.h):
//   picture[:OUTPUT][,scale=255][,offset=0][,layout=NHWC]    colors[:OUTPUT][,axis=1][,palette=RRGGBB/...]
//   upsample[:OUTPUT],size=HxW|frame[,mode=linear]           boxes[:OUTPUT][,format=corners|center][,shares=0]
#include "passes/Graph/Passes.h"
#include "passes/Graph/PictureOutputs.h"
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
  LogicalResult addPicture(func::FuncOp main, OpBuilder &b, StringRef kind, Output &output,
                           llvm::StringMap<StringRef> &options, StringRef text);
  std::optional<Source> findSource(func::FuncOp main, std::string &why);
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
  constexpr StringLiteral kinds = "softmax, sigmoid, argmax, topk, nms, picture, colors, upsample or boxes";
  if (words.empty())
    return refuse(main, text) << "expected " << kinds << ", got nothing";
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
      {"picture", {"scale", "offset", "layout"}},
      {"colors", {"axis", "palette"}},
      {"upsample", {"size", "mode"}},
      {"boxes", {"format", "shares"}},
      {"nms", {"boxes", "scores", "iou", "score", "max", "center"}}};
  auto row = llvm::find_if(known, [&, kind = kind](auto &entry) { return entry.first == kind; });
  if (row == std::end(known))
    return refuse(main, text) << "expected " << kinds << ", got '" << kind << "'";
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
  if (llvm::is_contained({"picture", "colors", "upsample", "boxes"}, kind))
    return addPicture(main, b, kind, *output, options, text);
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

// Where the network's image comes from: a camera's frame, or a picture of another size.
std::optional<Source> AppendPostprocessing::findSource(func::FuncOp main, std::string &why) {
  Source found;
  found.fit = fit;
  StringRef name = preprocessInput;
  if (!imageInputs.empty()) {
    auto [named, rest] = splitImageInput(imageInputs.front());
    std::optional<CameraFrame> frame = readFrame(rest, why);
    if (!frame)
      return std::nullopt;
    found.frame = *frame;
    name = named;
  } else {
    auto [height, width] = StringRef(sourceSize).split('x');
    if (height.getAsInteger(10, found.frame.height) || width.getAsInteger(10, found.frame.width)) {
      why = "expected --image-input or --source-size, which say what the network's image is made of";
      return std::nullopt;
    }
    found.frame.region = {0, 0, found.frame.width, found.frame.height};
  }
  BlockArgument arg = findImage(main, name);
  RankedTensorType type = arg ? rankedType(arg) : RankedTensorType();
  bool isPlanar = type && llvm::is_contained({1, 3}, type.getDimSize(1));
  if (!imageInputs.empty() && !layout.empty())
    isPlanar = layout == "NCHW";
  if (!type || type.getRank() != 4 || type.isDynamicDim(isPlanar ? 2 : 1) || type.isDynamicDim(isPlanar ? 3 : 2)) {
    why = "expected an image input of known height and width; --shape binds sizes";
    return std::nullopt;
  }
  found.input = inputNames(main)[arg.getArgNumber()].str();
  found.size = {type.getDimSize(isPlanar ? 3 : 2), type.getDimSize(isPlanar ? 2 : 1)};
  return found;
}

LogicalResult AppendPostprocessing::addPicture(func::FuncOp main, OpBuilder &b, StringRef kind, Output &output,
                                               llvm::StringMap<StringRef> &options, StringRef text) {
  auto real = [&](StringRef key, double otherwise) -> std::optional<double> {
    double value = otherwise;
    if (options.contains(key) && options[key].getAsDouble(value))
      return std::nullopt;
    return value;
  };
  Value x = output.value, made;
  Location loc = x.getLoc();
  std::string why;
  if (kind == "picture") {
    auto scale = real("scale", 255), offset = real("offset", 0);
    StringRef order = options.contains("layout") ? options["layout"] : "NHWC";
    if (!scale || !offset || !llvm::is_contained({"NHWC", "NCHW"}, order))
      return refuse(main, text) << "expected numbers as scale and offset, and layout NHWC or NCHW";
    made = makePicture(b, loc, x, *scale, *offset, order == "NCHW", why);
  } else if (kind == "colors") {
    int64_t axis = 1;
    if (options.contains("axis") && options["axis"].getAsInteger(10, axis))
      return refuse(main, text) << "expected a whole number as axis, got '" << options["axis"] << "'";
    made = makeColors(b, loc, x, axis, options.lookup("palette"), why);
  } else if (kind == "upsample") {
    std::array<int64_t, 2> size{0, 0};
    std::optional<Source> source;
    auto [height, width] = options.lookup("size").split('x');
    if (options.lookup("size") == "frame") {
      if (!(source = findSource(main, why)))
        return refuse(main, text) << why;
    } else if (height.getAsInteger(10, size[0]) || width.getAsInteger(10, size[1]) || size[0] < 1 || size[1] < 1) {
      return refuse(main, text) << "expected size=HxW or size=frame, got '" << options.lookup("size") << "'";
    }
    StringRef mode = options.contains("mode") ? options["mode"] : "linear";
    made = makeUpsampled(b, loc, x, size, mode, source ? &*source : nullptr, why);
  } else {
    StringRef format = options.contains("format") ? options["format"] : "corners";
    auto shares = real("shares", 0);
    if (!shares || !llvm::is_contained({"corners", "center"}, format))
      return refuse(main, text) << "expected format=corners (x1, y1, x2, y2) or center, and shares=0 or 1";
    std::optional<Source> source = findSource(main, why);
    if (!source)
      return refuse(main, text) << why;
    made = mapBoxes(b, loc, main, x, *source, format == "center", *shares != 0, why);
  }
  if (!made)
    return refuse(main, text) << (why.empty() ? "expected an output that ONNX's operators take" : why) << ", got "
                              << x.getType();
  passed(made.getDefiningOp(), passName, kind);
  output.value = made;
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
