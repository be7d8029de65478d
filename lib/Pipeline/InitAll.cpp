// Registration of every dialect, pass and named pipeline; the only file that lists them all.
#include "burin/InitAll.h"
#include "dialects/Foreign/Foreign.h"
#include "dialects/Nn/Nn.h"
#include "dialects/Onnx/Onnx.h"
#include "dialects/Vpu/Vpu.h"
#include "lib/Pipeline/Evaluator.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"
#include "mlir/InitAllPasses.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Dialect/All.h"
#include "passes/Cpu/Passes.h"
#include "passes/Cuda/Passes.h"
#include "passes/Graph/Passes.h"
#include "passes/Lower/Passes.h"
#include "passes/Quant/Passes.h"
#include "passes/Tensor/Passes.h"
#include "passes/Vpu/Passes.h"

using namespace mlir;

void burin::registerAllDialects(DialectRegistry &registry) {
  mlir::registerAllDialects(registry);
  mlir::registerAllExtensions(registry);
  registry.insert<onnx::OnnxDialect, nn::NnDialect, foreign::ForeignDialect, vpu::VpuDialect>();
  foreign::registerBufferizableOpInterface(registry);
  nn::registerBufferizableOpInterface(registry);
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  // What gpu-module-to-binary needs to write PTX.
  registerGPUDialectTranslation(registry);
  registerNVVMDialectTranslation(registry);
}

namespace {
const burin::NamedPipeline pipelines[] = {
    {"graph", "onnx -> canonical onnx: shapes, folding, fusion (exports as standard ONNX)"},
    {"lower", "canonical onnx -> nn + linalg + tensor, channels last"},
    {"tensor", "nn + linalg on tensors -> memrefs in one arena and one weight section"},
    {"cpu", "nn + linalg on memrefs -> kernels in the LLVM dialect"},
    {"all", "graph, lower, tensor and cpu, one after the other"},
};
} // namespace

llvm::ArrayRef<burin::NamedPipeline> burin::namedPipelines() { return pipelines; }

LogicalResult
burin::buildNamedPipeline(llvm::StringRef name, llvm::StringRef target, OpPassManager &pm, std::string &error,
                          const std::function<LogicalResult(llvm::StringRef point, OpPassManager &pm)> &atPoint) {
  const Machine *machine = findMachine(target);
  if (!machine) {
    error = llvm::formatv("unknown target '{0}', expected one of {1}", target, machineNames());
    return failure();
  }
  bool all = name == "all", known = all;
  auto is = [&](llvm::StringRef stage) {
    known |= stage == name;
    return all || stage == name;
  };
  if (is("graph")) {
    buildGraphPipeline(pm, GraphOptions(), createEvaluator());
    if (atPoint && failed(atPoint("after-graph", pm)))
      return failure();
  }
  if (is("lower"))
    buildLowerPipeline(pm);
  if (is("tensor"))
    buildTensorPipeline(pm, *machine);
  if (is("cpu")) {
    if (atPoint && failed(atPoint("before-target", pm)))
      return failure();
    buildCpuPipeline(pm, *machine);
  }
  if (known)
    return success();
  error = llvm::formatv("unknown pipeline '{0}', expected one of ", name);
  llvm::raw_string_ostream out(error);
  llvm::interleaveComma(pipelines, out, [&](const NamedPipeline &p) { out << p.name; });
  return failure();
}

void burin::registerAllPasses() {
  mlir::registerAllPasses();
  registerGraphPasses(createEvaluator());
  quant::registerQuantPasses();
  registerLowerPasses();
  registerTensorPasses();
  registerCpuPasses();
  cuda::registerCudaPasses();
  vpu::registerVpuPasses();
  for (const NamedPipeline &p : pipelines)
    registerPassPipeline(
        ("burin-" + p.name).str(), p.description,
        [name = p.name](OpPassManager &pm, StringRef target, function_ref<LogicalResult(const Twine &)> fail) {
          std::string error;
          return failed(buildNamedPipeline(name, target, pm, error)) ? fail(error) : success();
        },
        [](function_ref<void(const detail::PassOptions &)>) {});
}
