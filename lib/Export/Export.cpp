// The exporter's road: a skeleton with markers in place of weights, ONNX's converter down to the opset asked for, then
// the wire format streamed with each marker replaced by its weight. Lengths of nested messages are computed first, so
// the weights are neither held twice nor written twice.
#include "lib/Export/Export.h"

#include "lib/Export/GraphWriter.h"
#include "lib/Export/WireWriter.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "onnx/checker.h"
#include "onnx/defs/schema.h"
#include "onnx/version_converter/convert.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using ::onnx::ModelProto;

namespace burin {

namespace {

// The newest opset ONNX Runtime 1.31 reads, and the newest at which its optimizer keeps QDQ graphs whole: above it the
// rewrites give QuantizeLinear an output type that contradicts its zero point.
constexpr int64_t newestForRuntime = 26;
constexpr int64_t newestForQuantized = 20, oldestForBlocks = 21;

// IR versions came with opsets; a reader of the opset knows the version.
int64_t irVersionFor(int64_t opset) {
  return opset <= 21 ? 10 : opset <= 23 ? 11 : opset <= 24 ? 12 : opset <= 26 ? 13 : int64_t(::onnx::IR_VERSION);
}

func::FuncOp findMain(ModuleOp module) {
  if (auto main = module.lookupSymbol<func::FuncOp>("main"))
    return main;
  auto functions = module.getOps<func::FuncOp>();
  return llvm::hasSingleElement(functions) ? *functions.begin() : func::FuncOp();
}

// What the opset has and ONNX Runtime 1.31 has no kernel for, written as the operators it stands for.
void spellOut(ModuleOp module) {
  module.walk([](onnx::SwishOp op) {
    OpBuilder builder(op);
    Type type = op.getY().getType();
    Value x = op.getX(), scaled = x;
    if (float alpha = op.getAlpha(); alpha != 1.0f) {
      auto scalar = RankedTensorType::get({}, cast<TensorType>(type).getElementType());
      Value factor = onnx::ConstantOp::create(builder, op.getLoc(), onnx::makeFloats(scalar, {alpha}));
      scaled = onnx::MulOp::create(builder, op.getLoc(), TypeRange(type), ValueRange({x, factor}));
    }
    Value gate = onnx::SigmoidOp::create(builder, op.getLoc(), TypeRange(type), ValueRange(scaled));
    op.replaceAllUsesWith(
        onnx::MulOp::create(builder, op.getLoc(), TypeRange(type), ValueRange({x, gate})).getOperation());
    op.erase();
  });
}

LogicalResult makeModel(ModuleOp module, const ExportOptions &options, ModelProto &model, GraphWriter &writer) {
  func::FuncOp main = findMain(module);
  if (!main || main.isExternal())
    return emitError(module.getLoc()) << "cannot be written as ONNX: expected a function 'main'";
  // The module stays as it is: weights are attributes, so a copy of its operators is cheap.
  OwningOpRef<ModuleOp> spelled;
  if (options.opset < 0 && module.walk([](onnx::SwishOp) { return WalkResult::interrupt(); }).wasInterrupted()) {
    spelled = module.clone();
    spellOut(*spelled);
    main = findMain(*spelled);
  }
  auto text = [&](StringRef name) {
    auto attr = module->getAttrOfType<StringAttr>(name);
    return attr ? attr.getValue().str() : std::string();
  };
  model.set_producer_name("burin");
  if (std::string domain = text("onnx.domain"); !domain.empty())
    model.set_domain(domain);
  if (std::string doc = text("onnx.doc"); !doc.empty())
    model.set_doc_string(doc);
  if (auto version = module->getAttrOfType<IntegerAttr>("onnx.model_version"))
    model.set_model_version(version.getInt());
  if (auto metadata = module->getAttrOfType<DictionaryAttr>("onnx.metadata"))
    for (NamedAttribute entry : metadata)
      if (auto value = dyn_cast<StringAttr>(entry.getValue())) {
        auto *prop = model.add_metadata_props();
        prop->set_key(entry.getName().str());
        prop->set_value(value.getValue().str());
      }
  std::string graphName = text("onnx.graph_name");
  model.mutable_graph()->set_name(graphName.empty() ? "main" : graphName);
  if (failed(writer.writeMain(main, *model.mutable_graph())))
    return failure();

  int64_t working = onnx::getOpset(module);
  int64_t opset = options.opset;
  if (opset < 0)
    opset = std::min(working, writer.hasBlocks         ? oldestForBlocks
                              : writer.hasQuantization ? newestForQuantized
                                                       : newestForRuntime);
  if (opset == 0)
    opset = working;
  model.set_ir_version(irVersionFor(working));
  auto *import = model.add_opset_import();
  import->set_domain("");
  import->set_version(working);
  auto known = module->getAttrOfType<DictionaryAttr>("onnx.opsets");
  for (const auto &[domain, version] : writer.domains) {
    auto *import = model.add_opset_import();
    import->set_domain(domain);
    auto given = known ? dyn_cast_or_null<IntegerAttr>(known.get(domain)) : IntegerAttr();
    import->set_version(given ? std::max(given.getInt(), domain == "ai.onnx.ml" ? version : given.getInt()) : version);
  }
  const auto &range = ::onnx::OpSchemaRegistry::DomainToVersionRange::Instance().Map().at("");
  if (opset < range.first || opset > range.second)
    return emitError(module.getLoc()) << "unsupported opset to write: expected " << range.first << " to "
                                      << range.second << ", got " << opset;
  // A quantized graph may use what the older opset does not have; then the newer one it is.
  SmallVector<int64_t> tries = {opset};
  if (options.opset < 0 && writer.hasQuantization)
    tries.append({oldestForBlocks, 23, newestForRuntime});
  std::string error;
  for (int64_t target : tries) {
    if (target == working)
      return success();
    try {
      ModelProto converted = ::onnx::version_conversion::ConvertVersion(model, int(target));
      converted.set_ir_version(irVersionFor(target));
      *converted.mutable_metadata_props() = model.metadata_props();
      model.Swap(&converted);
      return success();
    } catch (const std::exception &e) {
      if (error.empty())
        error = onnx::cleanMessage(e.what());
    }
  }
  return emitError(module.getLoc()) << "cannot be written at opset " << opset << ": " << error
                                    << "; --onnx-opset=" << working << " keeps it as it is";
}

} // namespace

LogicalResult exportModel(ModuleOp module, StringRef path, const ExportOptions &options) {
  Location loc = FileLineColLoc::get(module.getContext(), path, 0, 0);
  try {
    ModelProto model;
    GraphWriter writer;
    if (failed(makeModel(module, options, model, writer)))
      return failure();
    WireWriter wire(writer.weights);
    bool external = options.externalData || !wire.measure(model);
    std::string dataPath = (path + ".data").str();
    auto write = [&](StringRef to, llvm::function_ref<void(raw_ostream &)> body) -> LogicalResult {
      llvm::Error error = llvm::writeToOutput(to, [&](raw_ostream &out) {
        body(out);
        out.flush();
        return llvm::Error::success();
      });
      if (!error)
        return success();
      std::string text = llvm::toString(std::move(error));
      return emitError(FileLineColLoc::get(module.getContext(), to, 0, 0))
             << "cannot be written: " << StringRef(text).lower();
    };
    if (external) {
      wire.moveOut(model, llvm::sys::path::filename(dataPath));
      if (!wire.measure(model))
        return emitError(loc) << "expected at most 2 GB of graph without weights, got more";
      if (failed(write(dataPath, [&](raw_ostream &out) { wire.writeData(out); })))
        return failure();
    }
    if (failed(write(path, [&](raw_ostream &out) { wire.write(out); }))) {
      if (external)
        llvm::sys::fs::remove(dataPath);
      return failure();
    }
    return success();
  } catch (const std::exception &e) {
    return emitError(loc) << "cannot be written as ONNX: " << onnx::cleanMessage(e.what());
  }
}

LogicalResult exportModel(ModuleOp module, raw_ostream &out, const ExportOptions &options) {
  try {
    ModelProto model;
    GraphWriter writer;
    if (failed(makeModel(module, options, model, writer)))
      return failure();
    WireWriter wire(writer.weights);
    if (options.externalData || !wire.measure(model))
      return emitError(module.getLoc()) << "cannot be written to a stream: expected at most 2 GB, got more";
    wire.write(out);
    return success();
  } catch (const std::exception &e) {
    return emitError(module.getLoc()) << "cannot be written as ONNX: " << onnx::cleanMessage(e.what());
  }
}

} // namespace burin
