// tensor-make-destinations: results become memrefs of the caller, known before bufferization, so that it can place
// producers there.
#include "passes/Tensor/Passes.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

namespace burin {
#define GEN_PASS_DEF_MAKEDESTINATIONS
#include "passes/Tensor/Passes.h.inc"
} // namespace burin

using namespace mlir;
using namespace burin;

namespace {
struct MakeDestinationsPass : burin::impl::MakeDestinationsBase<MakeDestinationsPass> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isExternal() || function.getNumResults() == 0)
      return;
    auto ret = cast<func::ReturnOp>(function.getBody().front().getTerminator());
    OpBuilder builder(ret);
    for (unsigned i = 0; i < function.getNumArguments(); ++i)
      function.setArgAttr(i, "bufferization.writable", builder.getBoolAttr(false));
    for (auto [index, value] : llvm::enumerate(ret.getOperands())) {
      auto type = dyn_cast<RankedTensorType>(value.getType());
      if (!type) {
        emitError(function.getLoc()) << "expected results that are ranked tensors, got " << value.getType();
        return signalPassFailure();
      }
      unsigned at = function.getNumArguments();
      DictionaryAttr attributes = function.getResultAttrDict(index);
      if (failed(function.insertArgument(at, MemRefType::get(type.getShape(), type.getElementType()), attributes,
                                         value.getLoc())))
        return signalPassFailure();
      auto write = bufferization::MaterializeInDestinationOp::create(builder, value.getLoc(), Type(), value,
                                                                     function.getArgument(at));
      write.setRestrict(true);
      write.setWritable(true);
    }
    ret->setOperands({});
    function.setType(builder.getFunctionType(function.getArgumentTypes(), {}));
    function.removeResAttrsAttr();
  }
};
} // namespace
