// Operators that ONNX defines by other operators, and that no later stage lowers, become their body. What is lowered is
// the caller's list; this pass knows no target.
#include "passes/Graph/Passes.h"
#include "passes/Graph/Rewriting.h"

#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_EXPANDFUNCTIONS
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "ExpandFunctions";

class ExpandFunctions : public impl::ExpandFunctionsBase<ExpandFunctions> {
public:
  using ExpandFunctionsBase::ExpandFunctionsBase;

  void runOnOperation() override {
    llvm::StringSet<> lowered, named;
    for (const std::string &name : keep)
      lowered.insert(name);
    for (const std::string &name : only)
      named.insert(name);
    unsigned count = 0;
    // Bodies hold operators with bodies of their own; ONNX nests them three deep at most.
    for (unsigned round = 0; round < 8; ++round) {
      unsigned fired = rewriteForward(getOperation(), [&](Operation *op) {
        StringRef type = onnx::getOpType(op);
        if (lowered.contains(type) || (!named.empty() && !named.contains(type)) || !onnx::hasFunctionBody(op))
          return false;
        passed(op, passName, "Expand", type);
        return succeeded(onnx::expandFunctionBody(op));
      });
      count += fired;
      if (!fired)
        break;
    }
    eraseAllDead(getOperation());
    // A body may infer more, or other dim names, than the operator declared.
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (!func.isExternal())
        func.setType(FunctionType::get(&getContext(), func.front().getArgumentTypes(),
                                       func.front().getTerminator()->getOperandTypes()));
    counted(getOperation(), passName, count);
  }
};

} // namespace
} // namespace burin
