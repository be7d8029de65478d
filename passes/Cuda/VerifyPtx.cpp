// verify-ptx: external functions in PTX. LLVM lowers exp and its relatives to calls into libdevice and links that only
// where it finds a toolkit; without one it succeeds and leaves declarations that fail when the program is loaded. This
// turns the late failure into an early one.
#include "passes/Cuda/Passes.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"

namespace burin::cuda {
#define GEN_PASS_DEF_VERIFYPTX
#include "passes/Cuda/Passes.h.inc"
} // namespace burin::cuda

using namespace mlir;

namespace {

/// Name of the first function that `ptx` declares and does not define, empty when there is none:
/// ".extern .func  (.param .b32 func_retval0) NAME" or ".extern .func NAME", then a newline or a parameter list.
StringRef externalFunction(StringRef ptx) {
  auto [before, after] = ptx.split(".extern .func");
  if (after.empty())
    return {};
  after = after.ltrim();
  if (after.starts_with("("))
    after = after.split(')').second.ltrim();
  return after.take_until([](char c) { return c == '(' || llvm::isSpace(c); });
}

struct VerifyPtxPass : burin::cuda::impl::VerifyPtxBase<VerifyPtxPass> {
  void runOnOperation() override {
    getOperation().walk([&](gpu::BinaryOp binary) {
      for (Attribute attr : binary.getObjects()) {
        auto object = cast<gpu::ObjectAttr>(attr);
        if (object.getFormat() != gpu::CompilationTarget::Assembly)
          continue;
        StringRef name = externalFunction(object.getObject().getValue());
        if (name.empty())
          continue;
        binary.emitError("expected kernels that call nothing outside themselves, got a call of '") << name << "'";
        signalPassFailure();
      }
    });
  }
};
} // namespace
