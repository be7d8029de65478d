// From adapter files to module attributes. The configuration beside the file is as untrusted as the file: it can only
// give numbers.
#include "lib/Import/Adapter.h"

#include "dialects/Onnx/OnnxUtils.h"
#include "lib/Import/Safetensors.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

using namespace mlir;

namespace burin {

std::pair<StringRef, double> splitAdapterSpec(StringRef spec) {
  auto [path, number] = spec.rsplit(':');
  double scale;
  if (!path.empty() && path.size() < spec.size() && !number.getAsDouble(scale))
    return {path, scale};
  return {spec, 1.0};
}

static SmallVector<std::string> configPaths(StringRef path) {
  SmallString<256> own(path), shared(llvm::sys::path::parent_path(path));
  llvm::sys::path::replace_extension(own, "adapter_config.json");
  llvm::sys::path::append(shared, "adapter_config.json");
  return {std::string(own), std::string(shared)};
}

std::string describeAdapter(StringRef spec) {
  auto [path, scale] = splitAdapterSpec(spec);
  std::string text = spec.str();
  SmallVector<std::string> files = configPaths(path);
  files.push_back(path.str());
  for (const std::string &file : files) {
    llvm::sys::fs::file_status status;
    if (!llvm::sys::fs::status(file, status))
      text += " " + std::to_string(status.getSize()) + "@" +
              std::to_string(status.getLastModificationTime().time_since_epoch().count());
  }
  return text;
}

static Type elementType(MLIRContext *context, StringRef dtype) {
  Builder b(context);
  return llvm::StringSwitch<Type>(dtype)
      .Case("F64", b.getF64Type())
      .Case("F32", b.getF32Type())
      .Case("F16", b.getF16Type())
      .Case("BF16", b.getBF16Type())
      .Case("I64", b.getI64Type())
      .Case("I32", b.getI32Type())
      .Case("I16", b.getIntegerType(16))
      .Case("I8", b.getI8Type())
      .Case("U8", b.getIntegerType(8, false))
      .Case("U16", b.getIntegerType(16, false))
      .Case("U32", b.getIntegerType(32, false))
      .Case("U64", b.getIntegerType(64, false))
      .Case("BOOL", b.getI1Type())
      .Case("F8_E4M3", Float8E4M3FNType::get(context))
      .Case("F8_E5M2", Float8E5M2Type::get(context))
      .Case("F8_E8M0", Float8E8M0FNUType::get(context))
      .Default(Type());
}

namespace {
struct Config {
  NamedAttrList alpha, alphaPattern; // alpha by component, "*" for all
  bool rankScaled = false;
};
} // namespace

// PEFT's LoraConfig; diffusers puts one a component into the file's metadata, keys "unet.lora_alpha".
static std::string readConfig(MLIRContext *context, const llvm::json::Object &json, Config &config) {
  Builder b(context);
  for (const auto &[key, value] : json) {
    auto [component, name] = StringRef(key).rsplit('.');
    if (name.empty())
      std::swap(component, name);
    if (name == "lora_alpha") {
      if (auto number = value.getAsNumber())
        config.alpha.set(component.empty() ? "*" : component, b.getF64FloatAttr(*number));
    } else if (name == "alpha_pattern") {
      if (const llvm::json::Object *pattern = value.getAsObject())
        for (const auto &[module, alpha] : *pattern)
          if (auto number = alpha.getAsNumber(); number && !StringRef(module).empty())
            config.alphaPattern.set(StringRef(module), b.getF64FloatAttr(*number));
    } else if (name == "use_rslora") {
      config.rankScaled |= value.getAsBoolean().value_or(false);
    } else if (name == "use_dora" && value.getAsBoolean().value_or(false)) {
      return "expected a LoRA adapter, got DoRA (use_dora), whose weights depend on norms; merge it where it was "
             "trained";
    } else if (name == "peft_type") {
      if (auto type = value.getAsString(); type && *type != "LORA")
        return "expected peft_type LORA, got '" + type->str() + "'";
    }
  }
  return "";
}

LogicalResult addAdapter(ModuleOp module, StringRef spec) {
  MLIRContext *context = module.getContext();
  context->loadDialect<onnx::OnnxDialect>();
  auto [path, scale] = splitAdapterSpec(spec);
  StringRef shown = llvm::sys::path::filename(path);
  Location loc = FileLineColLoc::get(context, shown, 0, 0);
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!buffer) {
    std::string reason = buffer.getError().message();
    reason[0] = char(tolower(reason[0]));
    return emitError(loc) << "cannot read the adapter: " << reason;
  }
  std::shared_ptr<llvm::MemoryBuffer> owner = std::move(*buffer);
  std::string error;
  auto file = parseSafetensors(owner->getBuffer(), error);
  if (!file)
    return emitError(loc) << error;

  Builder b(context);
  Config config;
  NamedAttrList tensors;
  for (const SafetensorsEntry &entry : file->tensors) {
    if (entry.name.empty())
      return emitError(loc) << "expected a name for each tensor, got one without";
    auto type = RankedTensorType::get(entry.shape, elementType(context, entry.dtype));
    tensors.append(entry.name, onnx::makeConstantAttr(type, ArrayRef<char>(entry.bytes.data(), entry.bytes.size()),
                                                      entry.name, owner));
  }
  auto read = [&](StringRef text, Location where) -> LogicalResult {
    std::string why;
    auto json = parseJson(text, why);
    if (json && json->getAsObject())
      why = readConfig(context, *json->getAsObject(), config);
    else if (json)
      why = "expected an object, got another value";
    return why.empty() ? success() : LogicalResult(emitError(where) << why);
  };
  bool isConfigured = false;
  for (const auto &[name, text] : file->metadata)
    if (name == "lora_adapter_metadata") {
      if (failed(read(text, loc)))
        return failure();
      isConfigured = true;
    }
  for (const std::string &config : configPaths(path)) {
    if (isConfigured)
      break;
    auto text = llvm::MemoryBuffer::getFile(config);
    if (!text)
      continue;
    if (failed(read((*text)->getBuffer(), FileLineColLoc::get(context, llvm::sys::path::filename(config), 0, 0))))
      return failure();
    isConfigured = true;
  }

  NamedAttrList adapter;
  adapter.append("file", b.getStringAttr(shown));
  adapter.append("scale", b.getF64FloatAttr(scale));
  if (!config.alpha.empty())
    adapter.append("alpha", config.alpha.getDictionary(context));
  if (!config.alphaPattern.empty())
    adapter.append("alpha_pattern", config.alphaPattern.getDictionary(context));
  if (config.rankScaled)
    adapter.append("rank_scaled", b.getUnitAttr());
  adapter.append("tensors", tensors.getDictionary(context));
  SmallVector<Attribute> all;
  if (auto held = module->getAttrOfType<ArrayAttr>(adaptersAttr))
    all.append(held.begin(), held.end());
  all.push_back(adapter.getDictionary(context));
  module->setAttr(adaptersAttr, b.getArrayAttr(all));
  return success();
}

} // namespace burin
