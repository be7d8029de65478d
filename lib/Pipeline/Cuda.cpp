// The GPU's part of a compilation: kernels leave @main, become PTX and what ptxas makes of it, and come back as one
// block of bytes that the program holds.
#include "burin/InitAll.h"
#include "dialects/Foreign/Foreign.h"
#include "lib/Pipeline/Pipeline.h"
#include "passes/Cuda/Passes.h"
#include "runtime/cuda/program.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"
#include <thread>

using namespace mlir;
using namespace burin;

// The text in the gpu.binary of this name that buildPtxPipeline leaves; empty where there is none.
static std::string ptxOf(ModuleOp device, StringRef name) {
  std::string text;
  device.walk([&](gpu::BinaryOp binary) {
    if (binary.getName() != name)
      return;
    for (Attribute object : binary.getObjects())
      text += cast<gpu::ObjectAttr>(object).getObject().getValue();
  });
  while (!text.empty() && text.back() == '\0')
    text.pop_back();
  return text;
}

// One note a reason, with how many kernels of which kind have it.
void Compilation::noteHostCalls(ModuleOp device) {
  auto calls = device->getAttrOfType<ArrayAttr>(cuda::hostCallsAttr);
  auto onDevice = device->getAttrOfType<IntegerAttr>(cuda::deviceCallsAttr);
  llvm::raw_string_ostream out(report.notes);
  if (options.verbose)
    out << llvm::formatv("cuda: {0} kernels on the GPU, {1} on the host\n", onDevice.getInt(), calls.size());
  llvm::MapVector<StringRef, unsigned> reasons;
  for (auto text : calls.getAsRange<StringAttr>())
    ++reasons[text.getValue()];
  for (auto [text, count] : reasons)
    out << llvm::formatv("note: on the host: {0} x {1}\n", count, text);
}

LogicalResult Compilation::runCudaTarget() {
  StageOptions stage{options, *base};
  if (failed(runCudaSplit(*module, stage)))
    return failure();
  auto device = module->lookupSymbol<ModuleOp>(cuda::deviceModuleName);
  noteHostCalls(device);

  OwningOpRef<ModuleOp> copy = device.clone();
  bool hasKernels = !device.getOps<gpu::GPUModuleOp>().empty();
  if (hasKernels && options.cuda.isEmulated) {
    if (failed(runCudaEmulation(*copy, stage)))
      return failure();
    FailureOr<CudaBinary> code = compileEmulated(*copy, *base, options.cuda.archs.back());
    if (failed(code))
      return failure();
    cudaBinaries.push_back(std::move(*code));
  } else if (hasKernels) {
    unsigned least = options.cuda.archs.front();
    if (failed(runCudaPtx(*copy, "sm_" + std::to_string(least), stage)))
      return failure();
    cudaBinaries.push_back({BURIN_CUDA_PTX, least, ptxOf(*copy, cuda::kernelsModule)});
    if (failed(assembleKernels(ptxOf(*copy, cuda::warpgroupKernelsModule))))
      return failure();
  }

  auto weights = module->lookupSymbol<FunctionOpInterface>("main").getArgumentTypes().back();
  FailureOr<std::string> program = writeCudaProgram(device, sourceHash + optionsText(options),
                                                    cast<MemRefType>(weights).getNumElements(), cudaBinaries);
  if (failed(program))
    return failure();
  Builder builder(context.get());
  NamedAttribute bytes = builder.getNamedAttr(cuda::programAttr, builder.getStringAttr(*program));
  module->walk([&](foreign::CallOp call) {
    if (call.getCallee() != cuda::runFunction)
      return;
    NamedAttrList attributes(call.getNodeAttributes());
    attributes.push_back(bytes);
    call.setNodeAttributesAttr(attributes.getDictionary(context.get()));
  });
  device.erase();
  return runCudaHost(*module, stage);
}

// One cubin an architecture, side by side; `exact`: PTX that sm_90a alone takes, or empty.
LogicalResult Compilation::assembleKernels(StringRef exact) {
  llvm::raw_string_ostream notes(report.notes);
  std::optional<std::string> ptxas = findPtxas();
  bool needsCubin = options.emit == EmitKind::Cubin;
  if (!ptxas) {
    StringRef how = "install a CUDA toolkit or PyPI's nvidia-cuda-nvcc, or name one in BURIN_PTXAS";
    if (needsCubin)
      return module->emitError() << "--emit=cubin needs ptxas, which was not found: " << how;
    notes << "note: no ptxas was found, so the program holds PTX alone, which the driver compiles at every start; "
          << how << "\n";
    return success();
  }
  struct Work {
    unsigned arch;
    bool isExact;
    std::string name() const { return std::to_string(arch) + (isExact ? "a" : ""); }
  };
  std::vector<Work> archs;
  for (unsigned arch : options.cuda.archs)
    if (arch >= oldestCubinArch)
      archs.push_back({arch, false});
    else if (needsCubin)
      return module->emitError() << "ptxas assembles for sm_" << oldestCubinArch << " and newer, not for sm_" << arch
                                 << "; --emit=ptx is for its driver";
    else
      notes << "note: sm_" << arch << " gets PTX for its driver: ptxas assembles for sm_" << oldestCubinArch
            << " and newer\n";
  if (!exact.empty())
    archs.push_back({90, true});
  std::vector<CudaBinary> cubins(archs.size());
  std::vector<std::string> errors(archs.size());
  std::vector<std::vector<CudaKernelFacts>> facts(archs.size());
  std::vector<std::thread> workers;
  for (size_t i = 0; i < archs.size(); ++i)
    workers.emplace_back([&, i] {
      StringRef ptx = archs[i].isExact ? exact : StringRef(cudaBinaries.front().bytes);
      auto cubin = assemblePtx(*ptxas, ptx, archs[i].arch, archs[i].isExact, facts[i]);
      if (cubin)
        cubins[i] = std::move(*cubin);
      else
        errors[i] = llvm::toString(cubin.takeError());
    });
  for (std::thread &worker : workers)
    worker.join();
  for (size_t i = 0; i < archs.size(); ++i) {
    if (!errors[i].empty())
      return module->emitError() << errors[i];
    for (const CudaKernelFacts &kernel : facts[i])
      if (kernel.spillBytes || kernel.stackBytes)
        notes << llvm::formatv("note: sm_{0}: kernel '{1}' spills {2} bytes and has {3} bytes of stack\n",
                               archs[i].name(), kernel.name, kernel.spillBytes, kernel.stackBytes);
    for (const CudaKernelFacts &kernel : facts[i])
      if (kernel.isSerialized)
        notes << llvm::formatv("note: sm_{0}: kernel '{1}': products of warpgroups are serialized\n", archs[i].name(),
                               kernel.name);
    if (options.verbose)
      for (const CudaKernelFacts &kernel : facts[i])
        notes << llvm::formatv("cuda: sm_{0}: {1}: {2} registers, {3} bytes shared\n", archs[i].name(), kernel.name,
                               kernel.registers, kernel.sharedBytes);
    cudaBinaries.push_back(std::move(cubins[i]));
  }
  return success();
}
