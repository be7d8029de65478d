// See Warpgroups.h.
#include "passes/Cuda/Warpgroups.h"

using namespace mlir;
using namespace burin::cuda;

Value TensorMap::of(OpBuilder &b, Location loc, Value memref) const {
  Type pointer = LLVM::LLVMPointerType::get(b.getContext());
  auto cast = UnrealizedConversionCastOp::create(b, loc, pointer, memref);
  cast->setAttr(tensorMapAttr, b.getDictionaryAttr({b.getNamedAttr("box", b.getDenseI64ArrayAttr(box)),
                                                    b.getNamedAttr("dims", b.getDenseI64ArrayAttr(dims)),
                                                    b.getNamedAttr("steps", b.getDenseI64ArrayAttr(steps)),
                                                    b.getNamedAttr("strides", b.getDenseI64ArrayAttr(strides))}));
  return cast.getResult(0);
}

static Value word(Fragments &f, int64_t value) {
  return arith::ConstantOp::create(f.b, f.loc, f.b.getI32IntegerAttr(value));
}

Value Warpgroups::pointerTo(Value address) {
  return LLVM::IntToPtrOp::create(f.b, f.loc, LLVM::LLVMPointerType::get(f.b.getContext(), /*shared*/ 3),
                                  f.b.createOrFold<arith::IndexCastOp>(f.loc, f.b.getI64Type(), address));
}

void Warpgroups::makeBarrier(Value barrier, int64_t arrivals) {
  NVVM::MBarrierInitOp::create(f.b, f.loc, pointerTo(barrier), word(f, arrivals), Value());
}

void Warpgroups::showBarriersToCopies() {
  auto space = NVVM::SharedSpaceAttr::get(f.b.getContext(), NVVM::SharedSpace::shared_cta);
  NVVM::FenceProxyOp::create(f.b, f.loc, NVVM::ProxyKind::async_shared, space);
}

void Warpgroups::arrive(Value barrier) {
  NVVM::MBarrierArriveOp::create(f.b, f.loc, f.b.getI64Type(), pointerTo(barrier), Value());
}

void Warpgroups::arriveExpecting(Value barrier, int64_t bytes) {
  NVVM::MBarrierArriveExpectTxOp::create(f.b, f.loc, Type(), pointerTo(barrier), word(f, bytes),
                                         NVVM::MemScopeKind::CTA, false, Value());
}

void Warpgroups::wait(Value barrier, Value parity) {
  constexpr int64_t nanoseconds = 10000000; // before it asks again
  NVVM::MBarrierTryWaitParityOp::create(f.b, f.loc, pointerTo(barrier), parity, word(f, nanoseconds));
}

void Warpgroups::copyBox(Value to, Value map, ArrayRef<Value> at, Value barrier) {
  // The form for clusters of blocks, of which each block is one: the other needs a newer version of PTX.
  Type cluster = LLVM::LLVMPointerType::get(f.b.getContext(), 7);
  Value target = LLVM::AddrSpaceCastOp::create(f.b, f.loc, cluster, pointerTo(to));
  SmallVector<Value> coordinates = llvm::map_to_vector(
      at, [&](Value x) { return f.b.createOrFold<arith::IndexCastOp>(f.loc, f.b.getI32Type(), x); });
  NVVM::CpAsyncBulkTensorGlobalToSharedClusterOp::create(f.b, f.loc, target, map, coordinates, pointerTo(barrier), {},
                                                         Value(), Value(), NVVM::TMALoadMode::TILE, false,
                                                         NVVM::CTAGroupKindAttr(), Value());
}

Value Warpgroups::noSums(int64_t columns) {
  auto type = LLVM::LLVMStructType::getLiteral(f.b.getContext(), SmallVector<Type>(columns / 2, f.b.getF32Type()));
  return LLVM::ZeroOp::create(f.b, f.loc, type);
}

// Bits 0-13: address / 16, 16-29: leading bytes / 16, 32-45: bytes from 8 rows to the next 8 / 16, 62-63: 1, rows of
// 128 bytes swizzled (PTX ISA, "Matrix-Descriptor Format").
Value Warpgroups::descriptor(Value address, int64_t leadingBytes) {
  Type type = f.b.getI64Type();
  auto constant = [&](int64_t value) {
    return arith::ConstantOp::create(f.b, f.loc, f.b.getI64IntegerAttr(value)).getResult();
  };
  Value at = f.b.createOrFold<arith::IndexCastOp>(f.loc, type, address);
  at = arith::AndIOp::create(f.b, f.loc, at, constant(0x3ffff));
  at = arith::ShRUIOp::create(f.b, f.loc, at, constant(4));
  uint64_t rest = uint64_t(1) << 62 | uint64_t(swizzledBytes / 16) << 32 | uint64_t(leadingBytes / 16) << 16;
  return arith::OrIOp::create(f.b, f.loc, at, constant(int64_t(rest)));
}

Value Warpgroups::multiply(Value lhs, Value rhs, Value sums, int64_t columns, int64_t steps) {
  MLIRContext *ctx = f.b.getContext();
  auto type = f.products == Products::F16 ? NVVM::WGMMATypes::f16 : NVVM::WGMMATypes::bf16;
  auto layout = rhsByRows ? NVVM::MMALayout::col : NVVM::MMALayout::row;
  // The next 16 of k: 32 bytes on in a row, or 16 rows on. The address bits hold no carry into what follows them.
  int64_t lhsStep = stepK * 2 / 16, rhsStep = rhsByRows ? lhsStep : stepK * rowBytes / 16;
  Value a = descriptor(lhs, 16), b = descriptor(rhs, rhsByRows ? 16 : 64 * rowBytes);
  auto ahead = [&](Value descriptor, int64_t by) -> Value {
    Value distance = arith::ConstantOp::create(f.b, f.loc, f.b.getI64IntegerAttr(by));
    return f.b.createOrFold<arith::AddIOp>(f.loc, descriptor, distance);
  };
  NVVM::WgmmaFenceAlignedOp::create(f.b, f.loc);
  for (int64_t k = 0; k < steps; ++k)
    sums = NVVM::WgmmaMmaAsyncOp::create(
        f.b, f.loc, sums.getType(), sums, ahead(a, k * lhsStep), ahead(b, k * rhsStep),
        NVVM::MMAShapeAttr::get(ctx, rows, columns, stepK), type, type, NVVM::WGMMATypes::f32, NVVM::WGMMAScaleOut::one,
        NVVM::WGMMAScaleIn::one, NVVM::WGMMAScaleIn::one, NVVM::MMALayout::row, layout, NVVM::MMAIntOverflowAttr());
  NVVM::WgmmaGroupSyncAlignedOp::create(f.b, f.loc);
  return sums;
}

void Warpgroups::waitProducts(int64_t pending) { NVVM::WgmmaWaitGroupSyncOp::create(f.b, f.loc, uint64_t(pending)); }
