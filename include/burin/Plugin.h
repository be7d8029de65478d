// A pass plugin: a shared library that burin-opt, burin-compile, burin-run and the Python package load with
// --load-pass-plugin=X.so. It registers passes by their flags, as any MLIR plugin does, and may put passes at three
// points of the road, where every model then passes through them. tools/example-plugin is a whole one.
//
//   BURIN_PLUGIN("mine", "1.0", [] { PassRegistration<MyPass>(); },
//                [](burin::PluginHooks &hooks) {
//                  hooks.add(burin::PipelinePoint::AfterImport, [](OpPassManager &pm) { pm.addPass(...); });
//                })
#ifndef BURIN_PLUGIN_H
#define BURIN_PLUGIN_H

#include "mlir/Tools/Plugins/PassPlugin.h"
#include "llvm/Config/llvm-config.h"
#include <functional>
#include <utility>
#include <vector>

namespace mlir {
class OpPassManager;
}

namespace burin {

/// Changes with this header; a plugin built against another is refused.
constexpr uint32_t pluginApiVersion = 1;

/// AfterImport: the graph as imported, at the working opset. AfterGraph: canonical onnx, the last form that exports.
/// BeforeTarget: nn and linalg on buffers, as the target's passes take them.
enum class PipelinePoint { AfterImport, AfterGraph, BeforeTarget };

/// What a plugin adds to the road. The functions are called once a compilation, with a pass manager for
/// `builtin.module`.
class PluginHooks {
public:
  using AddPasses = std::function<void(mlir::OpPassManager &)>;
  void add(PipelinePoint point, AddPasses passes) { entries.emplace_back(point, std::move(passes)); }

  std::vector<std::pair<PipelinePoint, AddPasses>> entries;
};

struct PluginInfo {
  uint32_t apiVersion;     // pluginApiVersion
  const char *llvmVersion; // LLVM_VERSION_STRING: C++ of another one does not fit
  void (*addHooks)(PluginHooks &hooks);
};

} // namespace burin

/// The two entry points of a plugin. `registerPasses` and `addHooks` are functions or lambdas without captures.
#define BURIN_PLUGIN(name, version, registerPasses, addHooks)                                                          \
  extern "C" __attribute__((visibility("default"))) ::mlir::PassPluginLibraryInfo mlirGetPassPluginInfo() {            \
    return {MLIR_PLUGIN_API_VERSION, name, version, registerPasses};                                                   \
  }                                                                                                                    \
  extern "C" __attribute__((visibility("default"))) void burinGetPluginInfo(::burin::PluginInfo *info) {               \
    *info = {::burin::pluginApiVersion, LLVM_VERSION_STRING, addHooks};                                                \
  }

#endif
