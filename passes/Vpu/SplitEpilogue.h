// What of an nn op's epilogue the convolution engine computes by itself, and what is left for the shaves.
#ifndef BURIN_PASSES_VPU_SPLITEPILOGUE_H
#define BURIN_PASSES_VPU_SPLITEPILOGUE_H

#include "dialects/Nn/Nn.h"
#include <optional>

namespace burin::vpu {

/// min(max(leaky(acc * scale + bias), low), high): as much of the epilogue as this holds.
struct Epilogue {
  mlir::Value scale, bias, slope;         // memrefs of one element a channel, or null
  std::optional<float> leak, low, high;   // `leak`: a slope that all channels share
  mlir::Value taken;                      // the value in the region that all of that gives
  bool rest = false;                      // whether something follows
  llvm::SmallVector<unsigned> restExtras; // extras that the rest reads
};

/// Pools take no operands and softmax nothing, so more of their epilogues is left.
Epilogue splitEpilogue(nn::ComputeOp op);

/// The rest as code on `elements`: one of each of restExtras, then the engine's result. Returns a value of the result's
/// element type.
mlir::Value cloneRest(mlir::OpBuilder &builder, nn::ComputeOp op, const Epilogue &epilogue, mlir::ValueRange elements);

} // namespace burin::vpu

#endif
