// The options that change the model itself, and their passes in order.
#include "lib/Pipeline/ModelEdits.h"
#include "lib/Import/Adapter.h"
#include "passes/Graph/Passes.h"

#include "mlir/Pass/PassManager.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace burin;

llvm::Expected<bool> burin::setModelEdit(ModelEdits &edits, StringRef name, StringRef value) {
  if (name == "lora")
    edits.loras.push_back(value.str());
  else
    return false;
  return true;
}

void burin::printModelEdits(const ModelEdits &edits, raw_ostream &out) {
  for (const std::string &spec : edits.loras)
    out << "lora=" << describeAdapter(spec) << "\n";
}

LogicalResult burin::loadModelEdits(ModuleOp module, const ModelEdits &edits) {
  for (const std::string &spec : edits.loras)
    if (failed(addAdapter(module, spec)))
      return failure();
  return success();
}

void burin::addModelEdits(OpPassManager &pm, const ModelEdits &edits, bool verbose) {
  // Before anything renames or folds the weights that the adapters' keys name.
  if (!edits.loras.empty()) {
    MergeLoraOptions lora;
    lora.list = verbose;
    pm.addPass(createMergeLora(lora));
  }
}
