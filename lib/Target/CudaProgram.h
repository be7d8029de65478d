// The device's part of a model: PTX and what ptxas makes of it, and the tables that the runtime follows, as one block
// of bytes (runtime/cuda/program.h).
#ifndef BURIN_LIB_TARGET_CUDAPROGRAM_H
#define BURIN_LIB_TARGET_CUDAPROGRAM_H

#include "lib/Support/Machine.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"
#include <optional>
#include <string>
#include <vector>

namespace burin {

/// All kernels in one form.
struct CudaBinary {
  uint32_t format; // as in runtime/cuda/program.h
  unsigned arch;   // 90 is sm_90
  std::string bytes;
};

/// What `ptxas -v` says of one kernel.
struct CudaKernelFacts {
  std::string name;
  unsigned registers = 0, sharedBytes = 0, stackBytes = 0, spillBytes = 0;
  bool isSerialized = false; // products of warpgroups wait for one another, which a barrier or fence at fault causes
};

/// The path of NVIDIA's assembler: $BURIN_PTXAS, a toolkit ($CUDA_HOME, $CUDA_PATH, /usr/local/cuda), PATH, or PyPI's
/// nvidia-cuda-nvcc beside the Python that is first in PATH. Nothing where there is none.
std::optional<std::string> findPtxas();

/// Assembles PTX for sm_<arch>, or for sm_<arch>a where the kernels are for no later one. The error holds the
/// assembler's first line.
llvm::Expected<CudaBinary> assemblePtx(llvm::StringRef ptxas, llvm::StringRef ptx, unsigned arch, bool isExact,
                                       std::vector<CudaKernelFacts> &facts);

/// Kernels in the LLVM dialect (cuda-emulate-kernels) as a shared object for the emulator of the driver, which plays
/// sm_<arch>.
mlir::FailureOr<CudaBinary> compileEmulated(mlir::ModuleOp kernels, const Machine &machine, unsigned arch);

/// The block of bytes, from the attributes that cuda-plan-steps sets on `device` (passes/Cuda/Passes.h). `source`: what
/// tells this model from others.
mlir::FailureOr<std::string> writeCudaProgram(mlir::ModuleOp device, llvm::StringRef source, uint64_t weightsBytes,
                                              llvm::ArrayRef<CudaBinary> binaries);

} // namespace burin

#endif
