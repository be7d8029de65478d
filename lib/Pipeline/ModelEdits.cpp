// The options that change the model itself, and their passes in order.
#include "lib/Pipeline/ModelEdits.h"
#include "dialects/Onnx/OnnxUtils.h"
#include "lib/Import/Adapter.h"
#include "lib/Target/Description.h"
#include "passes/Graph/Passes.h"
#include "runtime/hosted/npz.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace burin;
using llvm::createStringError;

static void split(StringRef text, std::vector<std::string> &out) {
  SmallVector<StringRef> parts;
  text.split(parts, ',', -1, /*KeepEmpty=*/false);
  for (StringRef part : parts)
    out.push_back(part.str());
}

static llvm::Error oneOf(StringRef option, StringRef value, ArrayRef<StringRef> allowed) {
  if (llvm::is_contained(allowed, value))
    return llvm::Error::success();
  return createStringError("--%s: expected %s, got '%s'", option.str().c_str(), llvm::join(allowed, ", ").c_str(),
                           value.str().c_str());
}

static llvm::Error numbers(StringRef option, StringRef value, std::vector<double> &out) {
  out.clear();
  SmallVector<StringRef> parts;
  value.split(parts, ',');
  for (StringRef part : parts)
    if (part.getAsDouble(out.emplace_back()))
      return createStringError("--%s: expected numbers such as 123.7,116.3,103.5, got '%s'", option.str().c_str(),
                               value.str().c_str());
  return llvm::Error::success();
}

static llvm::Error setEdit(ModelEdits &edits, StringRef name, StringRef value, bool &isKnown) {
  isKnown = true;
  auto text = llvm::StringSwitch<std::string *>(name)
                  .Case("preprocess-input", &edits.preprocessInput)
                  .Case("input-type", &edits.inputType)
                  .Case("layout", &edits.layout)
                  .Case("source-size", &edits.sourceSize)
                  .Case("fit", &edits.fit)
                  .Case("resize-mode", &edits.resizeMode)
                  .Case("precision", &edits.precision)
                  .Case("lora-mode", &edits.loraMode)
                  .Default(nullptr);
  if (text) {
    *text = value.str();
    if (name == "input-type")
      return oneOf(name, value, {"u8", "f16", "f32"});
    if (name == "lora-mode")
      return oneOf(name, value, {"merge", "switch"});
    if (name == "layout")
      return oneOf(name, value, {"NHWC", "NCHW"});
    if (name == "fit")
      return oneOf(name, value, {"stretch", "letterbox", "crop"});
    if (name == "resize-mode")
      return oneOf(name, value, {"linear", "cubic", "nearest", "area"});
    if (name == "precision" && value != "f32" && value != "tf32" && value != "f16" && value != "bf16")
      return createStringError("--precision=%s is not supported by this version, expected f32, tf32, f16 or bf16",
                               value.str().c_str());
    return llvm::Error::success();
  }
  if (name == "lora")
    edits.loras.push_back(value.str());
  else if (name == "early-exit")
    edits.earlyExits.push_back(value.str());
  else if (name == "append")
    edits.append.push_back(value.str());
  else if (name == "image-input")
    edits.imageInputs.push_back(value.str());
  else if (name == "keep-f32")
    split(value, edits.keepF32);
  else if (name == "mean")
    return numbers(name, value, edits.mean);
  else if (name == "scale")
    return numbers(name, value, edits.scale);
  else if (name == "pad-value") {
    if (value.getAsDouble(edits.padValue))
      return createStringError("--pad-value: expected a number, got '%s'", value.str().c_str());
  } else if (name == "batch") {
    if (value.getAsInteger(10, edits.batch) || edits.batch < 1)
      return createStringError("--batch: expected a number of 1 or more, got '%s'", value.str().c_str());
  } else if (name == "extract") {
    // Names may hold ':' themselves; "->" then tells the sides apart.
    StringRef between = value.contains("->") ? "->" : ":";
    auto [inputs, outputs] = value.split(between);
    if (value.count(between) != 1)
      return createStringError("--extract: expected IN1,IN2:OUT1 or IN1,IN2->OUT1, got '%s'", value.str().c_str());
    split(inputs, edits.extractInputs);
    split(outputs, edits.extractOutputs);
  } else {
    isKnown = false;
  }
  return llvm::Error::success();
}

llvm::Expected<bool> burin::setModelEdit(ModelEdits &edits, StringRef name, StringRef value) {
  bool isKnown;
  if (llvm::Error error = setEdit(edits, name, value, isKnown))
    return std::move(error);
  return isKnown;
}

bool *burin::modelEditSwitch(ModelEdits &edits, StringRef name) {
  return llvm::StringSwitch<bool *>(name)
      .Case("reverse-channels", &edits.reverseChannels)
      .Case("convert-io", &edits.convertIo)
      .Case("plain-images", &edits.plainImages)
      .Default(nullptr);
}

std::vector<std::string> burin::tensorNames(const ModelEdits &edits) {
  std::vector<std::string> names = edits.extractInputs;
  names.insert(names.end(), edits.extractOutputs.begin(), edits.extractOutputs.end());
  return names;
}

void burin::printModelEdits(const ModelEdits &edits, raw_ostream &out) {
  for (const std::string &spec : edits.loras)
    out << "lora=" << describeAdapter(spec) << "\n";
  out << "lora-mode=" << edits.loraMode << "\nextract=" << llvm::join(edits.extractInputs, ",") << "->"
      << llvm::join(edits.extractOutputs, ",") << "\nbatch=" << edits.batch
      << "\npreprocessing=" << edits.preprocessInput << " " << edits.inputType << " " << edits.layout << " "
      << edits.sourceSize << " " << edits.fit << " " << edits.resizeMode << " " << edits.padValue << " "
      << edits.reverseChannels << " mean ";
  llvm::interleaveComma(edits.mean, out);
  out << " scale ";
  llvm::interleaveComma(edits.scale, out);
  out << "\nimage-input=" << llvm::join(edits.imageInputs, " ");
  out << "\nearly-exit=" << llvm::join(edits.earlyExits, " ") << "\nappend=" << llvm::join(edits.append, " ")
      << "\nprecision=" << edits.precision << " " << edits.convertIo << " " << llvm::join(edits.keepF32, ",")
      << "\nplain-images=" << edits.plainImages << "\n";
}

std::vector<std::string> burin::processingFlags(const ModelEdits &edits) {
  std::vector<std::string> flags;
  auto add = [&](StringRef name, const Twine &value) { flags.push_back(("--" + name + "=" + value).str()); };
  auto addText = [&](StringRef name, StringRef value) {
    if (!value.empty())
      add(name, value);
  };
  auto addNumbers = [&](StringRef name, ArrayRef<double> values) {
    std::string text;
    llvm::raw_string_ostream out(text);
    llvm::interleave(values, out, [&](double v) { out << llvm::format("%.9g", v); }, ",");
    addText(name, text);
  };
  for (const std::string &input : edits.imageInputs)
    add("image-input", input);
  addText("preprocess-input", edits.preprocessInput);
  addText("input-type", edits.inputType);
  addText("layout", edits.layout);
  addText("source-size", edits.sourceSize);
  if (!edits.imageInputs.empty() || !edits.sourceSize.empty()) {
    add("fit", edits.fit);
    add("resize-mode", edits.resizeMode);
    if (edits.fit == "letterbox")
      addNumbers("pad-value", edits.padValue);
  }
  addNumbers("mean", edits.mean);
  addNumbers("scale", edits.scale);
  if (edits.reverseChannels)
    flags.push_back("--reverse-channels");
  for (const std::string &post : edits.append)
    add("append", post);
  return flags;
}

LogicalResult burin::loadModelEdits(ModuleOp module, const ModelEdits &edits) {
  for (const std::string &spec : edits.loras)
    if (failed(addAdapter(module, spec)))
      return failure();
  return success();
}

void burin::addModelEdits(OpPassManager &pm, const ModelEdits &edits, bool verbose) {
  if (!edits.extractInputs.empty() || !edits.extractOutputs.empty()) {
    ExtractSubgraphOptions extract;
    extract.inputs.assign(edits.extractInputs.begin(), edits.extractInputs.end());
    extract.outputs.assign(edits.extractOutputs.begin(), edits.extractOutputs.end());
    pm.addPass(createExtractSubgraph(extract));
  }
  // Before anything renames or folds the weights that the adapters' keys name.
  if (!edits.loras.empty()) {
    MergeLoraOptions lora;
    lora.mode = edits.loraMode;
    lora.list = verbose;
    pm.addPass(createMergeLora(lora));
  }
  if (!edits.earlyExits.empty()) {
    BuildEarlyExitOptions options;
    options.exits.assign(edits.earlyExits.begin(), edits.earlyExits.end());
    pm.addPass(createBuildEarlyExit(options));
  }
  // Before the image input becomes another: boxes are mapped from the network's own.
  if (!edits.append.empty()) {
    AppendPostprocessingOptions options;
    options.append.assign(edits.append.begin(), edits.append.end());
    options.imageInputs.assign(edits.imageInputs.begin(), edits.imageInputs.end());
    options.preprocessInput = edits.preprocessInput;
    options.sourceSize = edits.sourceSize;
    options.fit = edits.fit;
    options.layout = edits.layout;
    pm.addPass(createAppendPostprocessing(options));
  }
  // Later passes fold what of these can be folded.
  bool preprocesses =
      edits.imageInputs.empty() && (!edits.inputType.empty() || !edits.layout.empty() || !edits.sourceSize.empty() ||
                                    !edits.mean.empty() || !edits.scale.empty() || edits.reverseChannels);
  if (preprocesses) {
    InsertPreprocessingOptions options;
    options.input = edits.preprocessInput;
    options.inputType = edits.inputType;
    options.mean.assign(edits.mean.begin(), edits.mean.end());
    options.scale.assign(edits.scale.begin(), edits.scale.end());
    options.reverseChannels = edits.reverseChannels;
    options.layout = edits.layout;
    options.source = edits.sourceSize;
    options.fit = edits.fit;
    options.resizeMode = edits.resizeMode;
    options.padValue = edits.padValue;
    pm.addPass(createInsertPreprocessing(options));
  }
}

void burin::addImageStages(OpPassManager &pm, const ModelEdits &edits, bool raise) {
  if (raise)
    pm.addPass(createRaiseImageStage());
  if (edits.imageInputs.empty())
    return;
  InsertImageStageOptions options;
  options.inputs.assign(edits.imageInputs.begin(), edits.imageInputs.end());
  options.fit = edits.fit;
  options.resizeMode = edits.resizeMode;
  options.padValue = edits.padValue;
  options.mean.assign(edits.mean.begin(), edits.mean.end());
  options.scale.assign(edits.scale.begin(), edits.scale.end());
  options.reverseChannels = edits.reverseChannels;
  options.layout = edits.layout;
  pm.addPass(createInsertImageStage(options));
}

std::string burin::writeAdapterValues(ModuleOp module, StringRef stem) {
  auto values = dyn_cast_or_null<ArrayAttr>(module->removeAttr("burin.lora_values"));
  if (!values)
    return "";
  for (Attribute value : values) {
    auto entry = cast<DictionaryAttr>(value);
    std::vector<std::string> names;
    std::vector<onnx::RawElements> data;
    std::vector<burin_array> arrays;
    auto tensors = entry.getAs<DictionaryAttr>("tensors");
    names.reserve(tensors.size());
    data.reserve(tensors.size());
    for (NamedAttribute tensor : tensors) {
      auto elements = cast<ElementsAttr>(tensor.getValue());
      ShapedType type = elements.getShapedType();
      burin_array array = {};
      names.push_back(tensor.getName().str());
      data.push_back(*onnx::getRawElements(elements));
      uint64_t width = type.getElementTypeBitWidth() / 8;
      if (data.back().splat && type.getNumElements() > 1) {
        auto owned = std::make_shared<std::vector<char>>(type.getNumElements() * width);
        for (int64_t i = 0; i < type.getNumElements(); ++i)
          std::memcpy(owned->data() + i * width, data.back().bytes.data(), width);
        data.back() = {*owned, false, owned};
      }
      array.name = names.back().data();
      array.tensor.data = const_cast<char *>(data.back().bytes.data());
      array.tensor.dtype = dtypeOf(type.getElementType());
      array.tensor.rank = type.getRank();
      for (int64_t d = 0; d < type.getRank(); ++d)
        array.tensor.dims[d] = type.getDimSize(d);
      int64_t stride = 1;
      for (int64_t d = type.getRank(); d-- > 0; stride *= type.getDimSize(d))
        array.tensor.strides[d] = stride;
      arrays.push_back(array);
    }
    StringRef adapter = llvm::sys::path::stem(entry.getAs<StringAttr>("file").getValue());
    burin_error error;
    if (burin_npz_write((stem + "." + adapter + ".npz").str().c_str(), arrays.data(), arrays.size(), &error))
      return error.text;
  }
  return "";
}

void burin::addPrecision(OpPassManager &pm, const ModelEdits &edits) {
  if (edits.precision.empty() || edits.precision == "f32" || edits.precision == "tf32")
    return;
  ConvertPrecisionOptions options;
  options.to = edits.precision;
  options.keep.assign(edits.keepF32.begin(), edits.keepF32.end());
  options.keepIo = !edits.convertIo;
  pm.addPass(createConvertPrecision(options));
}

LogicalResult burin::bindBatch(ModuleOp module, const ModelEdits &edits, SmallVectorImpl<std::string> &shapes,
                               SmallVectorImpl<std::string> &dims) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  if (!edits.batch || !main)
    return success();
  for (auto [i, type] : llvm::enumerate(main.getArgumentTypes())) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    auto name = main.getArgAttrOfType<StringAttr>(i, "onnx.name");
    if (!tensor || tensor.getRank() == 0 || !name)
      continue;
    if (!tensor.isDynamicDim(0)) {
      if (tensor.getDimSize(0) == edits.batch)
        continue;
      return main.emitError() << "--batch: expected inputs that leave their first dim open, got '" << name.getValue()
                              << "' with " << tensor.getDimSize(0);
    }
    StringRef symbol = onnx::getDimName(type, 0);
    if (!symbol.empty() && symbol != "?") {
      dims.push_back((symbol + "=" + Twine(edits.batch)).str());
      continue;
    }
    std::string shape = (name.getValue() + "=" + Twine(edits.batch)).str();
    for (int64_t d = 1; d < tensor.getRank(); ++d)
      shape += tensor.isDynamicDim(d) ? "x?" : "x" + std::to_string(tensor.getDimSize(d));
    shapes.push_back(shape);
  }
  return success();
}
