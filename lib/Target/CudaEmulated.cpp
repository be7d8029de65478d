// Kernels as a shared object of this processor: what the emulator of the driver loads where a driver loads a cubin.
#include "lib/Target/Codegen.h"
#include "lib/Target/CudaProgram.h"
#include "lib/Target/Files.h"
#include "lib/Target/Link.h"
#include "runtime/cuda/program.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace mlir;
using namespace burin;

FailureOr<CudaBinary> burin::compileEmulated(ModuleOp kernels, const Machine &machine, unsigned arch) {
  std::vector<std::string> exports;
  for (auto function : kernels.getOps<LLVM::LLVMFuncOp>())
    if (function.getLinkage() == LLVM::Linkage::External)
      exports.push_back(function.getName().str());
  for (auto global : kernels.getOps<LLVM::GlobalOp>())
    exports.push_back(global.getSymName().str());

  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module = translateModuleToLLVMIR(kernels, context);
  std::string why = "the kernels cannot be translated";
  llvm::SmallVector<char, 0> object;
  if (!module || !compileLLVM(*module, machine, object, why))
    return kernels.emitError() << why, failure();
  auto link = [&]() -> llvm::Expected<std::string> {
    auto folder = ScratchFolder::create();
    if (!folder)
      return folder.takeError();
    LinkInput input;
    input.triple = machine.triple.str();
    input.objects = {folder->file("kernels.o")};
    if (llvm::Error error = writeFile(input.objects.front(), [&](llvm::raw_ostream &out) {
          out.write(object.data(), object.size());
          return llvm::Error::success();
        }))
      return std::move(error);
    std::string path = folder->file("kernels.so");
    if (llvm::Error error = linkShared(input, "kernels.so", exports, path))
      return std::move(error);
    auto bytes = llvm::MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
    if (!bytes)
      return llvm::createStringError("the linker wrote nothing");
    return (*bytes)->getBuffer().str();
  };
  llvm::Expected<std::string> bytes = link();
  if (!bytes)
    return kernels.emitError() << llvm::toString(bytes.takeError()), failure();
  return CudaBinary{BURIN_CUDA_EMULATED, arch, std::move(*bytes)};
}
