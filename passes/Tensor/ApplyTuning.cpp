// tensor-apply-tuning: operations whose kernels were measured get what was found fastest. The passes behind it and the
// builders of kernels read the attributes; without them they ask their cost models.
#include "dialects/Nn/Nn.h"
#include "lib/Support/Tuning.h"
#include "passes/Tensor/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/Remarks.h"

namespace burin {
#define GEN_PASS_DEF_APPLYTUNING
#include "passes/Tensor/Passes.h.inc"
} // namespace burin

using namespace mlir;
using namespace burin;

static std::string typeName(Value value) {
  Type type = getElementTypeOrSelf(value);
  return type.isF32() ? "f32" : type.isF16() ? "f16" : type.isBF16() ? "bf16" : type.isInteger(8) ? "i8" : "";
}

// Nothing where the operation has no such kernel: groups, sizes known at run time only, weights that are not constant.
static std::optional<KernelShape> shapeOf(nn::ConvOp conv) {
  auto out = dyn_cast<RankedTensorType>(conv.getInit().getType()),
       filter = dyn_cast<RankedTensorType>(conv.getFilter().getType());
  if (!out || !filter || out.getRank() != 4 || filter.getRank() != 4 || !out.hasStaticShape() ||
      conv.getGroups() != 1 || conv.getPacked() || !matchPattern(conv.getFilter(), m_Constant()))
    return std::nullopt;
  KernelShape s;
  s.kind = "conv";
  s.type = typeName(conv.getFilter());
  s.batch = out.getDimSize(0);
  s.rows = out.getDimSize(1);
  s.columns = out.getDimSize(2);
  s.kernelRows = filter.getDimSize(0);
  s.kernelColumns = filter.getDimSize(1);
  s.in = filter.getDimSize(2);
  s.out = filter.getDimSize(3);
  s.strideRows = conv.getStrides()[0];
  s.strideColumns = conv.getStrides()[1];
  s.dilationRows = conv.getDilations()[0];
  s.dilationColumns = conv.getDilations()[1];
  return s;
}

static std::optional<KernelShape> shapeOf(nn::MatmulOp matmul) {
  auto out = dyn_cast<RankedTensorType>(matmul.getInit().getType()),
       rhs = dyn_cast<RankedTensorType>(matmul.getRhs().getType());
  if (!out || !rhs || rhs.getRank() != 2 || out.getRank() < 2 || !out.hasStaticShape() || matmul.getTransposeRhs() ||
      matmul.getPacked() || !matchPattern(matmul.getRhs(), m_Constant()))
    return std::nullopt;
  KernelShape s;
  s.kind = "matmul";
  s.type = typeName(matmul.getRhs());
  for (int64_t size : out.getShape().drop_back(2))
    s.batch *= size;
  s.columns = out.getDimSize(out.getRank() - 2);
  s.in = rhs.getDimSize(0);
  s.out = rhs.getDimSize(1);
  return s;
}

namespace {
struct ApplyTuning : burin::impl::ApplyTuningBase<ApplyTuning> {
  using ApplyTuningBase::ApplyTuningBase;

  void runOnOperation() override {
    llvm::StringMap<KernelChoice> table;
    for (StringRef entry : choices) {
      auto [key, text] = entry.split(':');
      auto choice = KernelChoice::parse(text);
      if (!choice || !KernelShape::parse(key)) {
        getOperation().emitError()
            << "expected SHAPE:CHOICE as in conv-f32-1x56x56-64-64-k3x3-s1x1-d1x1:winograd=4, got '" << entry << "'";
        return signalPassFailure();
      }
      table[key] = *choice;
    }
    getOperation().walk([&](Operation *op) {
      std::optional<KernelShape> shape;
      if (auto conv = dyn_cast<nn::ConvOp>(op))
        shape = shapeOf(conv);
      else if (auto matmul = dyn_cast<nn::MatmulOp>(op))
        shape = shapeOf(matmul);
      if (!shape || shape->type.empty())
        return;
      Builder b(op);
      std::string key = shape->text();
      op->setAttr(kernelKeyAttr, b.getStringAttr(key));
      auto found = table.find(key);
      if (found == table.end() || found->second.isDefault())
        return;
      const KernelChoice &choice = found->second;
      op->setAttr(kernelChoiceAttr, b.getStringAttr(choice.text()));
      if (choice.tile.rows)
        op->setAttr(kernelTileAttr, b.getDenseI64ArrayAttr({choice.tile.rows, choice.tile.columns}));
      remark::passed(op->getLoc(), remark::RemarkOpts::name("Tuned").category("tensor-apply-tuning")) << choice.text();
    });
  }
};
} // namespace
