// cuda-lower-nn: nn operations become kernels. Each family of fast kernels is asked first; what none of them takes gets
// the reference kernel: as many threads as the result has elements, each of which runs the operation's definition.
#include "dialects/Nn/Element.h"
#include "passes/Cuda/Families.h"
#include "passes/Cuda/Kernels.h"
#include "passes/Cuda/Passes.h"
#include "passes/Cuda/WarpgroupProblem.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/IR/Remarks.h"

namespace burin::cuda {
#define GEN_PASS_DEF_LOWERNN
#include "passes/Cuda/Passes.h.inc"
} // namespace burin::cuda

using namespace mlir;
using namespace burin;

namespace {

//   nn.op ins(...) outs(%o)    ->    gpu.launch blocks(ceil(elements / size)) threads(size) {
//                                      if (block * size + thread < elements) %o[position] = element(position) }
void launchReference(nn::ComputeOp op, int64_t blockSize) {
  OpBuilder builder(op);
  Location loc = op.getLoc();
  Value init = op.getInitOperand().get();
  auto type = cast<MemRefType>(init.getType());
  cuda::launchThreads(builder, loc, type.getNumElements(), blockSize, [&](OpBuilder &b, Value linear) {
    SmallVector<Value> at = cuda::positionOf(b, loc, linear, type.getShape());
    memref::StoreOp::create(b, loc, nn::buildElement(b, loc, op, at), init, at);
  });
}

struct LowerNnPass : cuda::impl::LowerNnBase<LowerNnPass> {
  using Base::Base;

  void runOnOperation() override {
    if (blockSize < 1 || blockSize > 1024) {
      getOperation().emitError("expected block-size from 1 to 1024, got ") << (int64_t)blockSize;
      return signalPassFailure();
    }
    SmallVector<nn::ComputeOp> ops;
    SmallVector<nn::AttentionOp> attentions;
    getOperation().walk([&](Operation *op) {
      if (auto compute = dyn_cast<nn::ComputeOp>(op))
        ops.push_back(compute);
      if (auto attention = dyn_cast<nn::AttentionOp>(op))
        attentions.push_back(attention);
    });
    llvm::for_each(attentions, [&](nn::AttentionOp op) { lower(op); });
    unsigned count = attentions.size();
    for (nn::ComputeOp op : ops) {
      if (std::string why = cuda::whyNoKernel(op); !why.empty()) {
        remark::missed(op.getLoc(), remark::RemarkOpts::name("NoKernel").category("cuda-lower-nn"))
            << remark::reason("{0}", why);
        continue;
      }
      if (cast<MemRefType>(op.getInitOperand().get().getType()).getNumElements() == 0) {
        op.erase();
        continue;
      }
      std::string why = "no faster kernel for it";
      StringRef family = lower(op, why);
      if (family.empty()) {
        launchReference(op, blockSize);
        remark::missed(op.getLoc(), remark::RemarkOpts::name("Reference").category("cuda-lower-nn"))
            << op->getName().getStringRef() << remark::reason("{0}", why);
      } else {
        remark::passed(op.getLoc(), remark::RemarkOpts::name("Kernel").category("cuda-lower-nn"))
            << op->getName().getStringRef() << " by " << family;
      }
      op.erase();
      ++count;
    }
    remark::analysis(getOperation().getLoc(), remark::RemarkOpts::name("Kernels").category("cuda-lower-nn"))
        << remark::metric("count", count);
  }

  void lower(nn::AttentionOp op) {
    OpBuilder builder(op);
    std::string why = "no tensor cores";
    bool inTiles = tensorCores && succeeded(cuda::emitAttention(builder, op, wide(), why));
    if (!inTiles) {
      cuda::emitAttentionRows(builder, op);
      remark::missed(op.getLoc(), remark::RemarkOpts::name("Rows").category("cuda-lower-nn"))
          << op->getName().getStringRef() << remark::reason("{0}", why);
    } else {
      remark::passed(op.getLoc(), remark::RemarkOpts::name("Kernel").category("cuda-lower-nn"))
          << op->getName().getStringRef() << " by attention";
    }
    op.erase();
  }

  cuda::Products wide() { return exact ? cuda::Products::Exact : tf32 ? cuda::Products::Tf32 : cuda::Products::Split; }

  // The family whose kernel computes `op`, in front of it; empty with a reason where none does.
  StringRef lower(nn::ComputeOp op, std::string &why) {
    OpBuilder builder(op);
    bool hasWarpgroups = warpgroups || getOperation()->hasAttr(cuda::warpgroupsAttr);
    if (hasWarpgroups && isa<nn::ConvOp, nn::MatmulOp>(*op) && succeeded(cuda::emitWarpgroups(builder, op, why)))
      return "warpgroups";
    if (auto softmax = dyn_cast<nn::SoftmaxOp>(*op)) {
      cuda::emitSoftmax(builder, softmax);
      return "softmax";
    }
    if (auto matmul = dyn_cast<nn::MatmulOp>(*op); matmul && succeeded(cuda::emitFewRows(builder, matmul, why)))
      return matmul.getStored() ? "few rows of stored weights" : "few rows";
    if (auto matmul = dyn_cast<nn::MatmulOp>(*op); matmul && matmul.getStored()) {
      FailureOr<nn::MatmulOp> product = cuda::emitWidening(builder, matmul, why);
      if (failed(product))
        return "";
      auto compute = cast<nn::ComputeOp>(product->getOperation());
      builder.setInsertionPoint(compute);
      if (!tensorCores || failed(cuda::emitContraction(builder, compute, wide(), why)))
        launchReference(compute, blockSize);
      product->erase();
      return "widened weights";
    }
    if (isa<nn::ConvOp, nn::MatmulOp>(*op) && tensorCores && succeeded(cuda::emitContraction(builder, op, wide(), why)))
      return "contraction";
    return "";
  }
};
} // namespace
