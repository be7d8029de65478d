// Resolution of memref views. Outside of loops the tensor stage leaves only static ones; what cannot be resolved is
// refused by whoever asks.
#include "passes/Cpu/Views.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

using namespace mlir;
using namespace burin::cpu;

int64_t burin::cpu::storageBytes(Type element) {
  if (isa<IndexType>(element))
    return 8;
  if (auto complex = dyn_cast<ComplexType>(element))
    return 2 * storageBytes(complex.getElementType());
  return std::max<int64_t>(1, (element.getIntOrFloatBitWidth() + 7) / 8);
}

int64_t View::span() const {
  int64_t last = 0;
  for (auto [size, stride] : llvm::zip(shape, strides)) {
    if (size == 0)
      return 0;
    last += (size - 1) * stride;
  }
  return last + 1;
}
int64_t View::beginBytes() const { return baseBytes + offset * storageBytes(element); }
int64_t View::endBytes() const { return beginBytes() + span() * storageBytes(element); }

// A view of `source` whose type hides the offset: composed from its operations.
static FailureOr<View> resolveDynamic(Value memref, View view) {
  auto staticStrides = [&] { return llvm::none_of(view.strides, ShapedType::isDynamic); };
  Operation *op = memref.getDefiningOp();
  if (!op || !staticStrides() ||
      !isa<memref::SubViewOp, memref::CastOp, memref::CollapseShapeOp, memref::ExpandShapeOp>(op))
    return failure();
  FailureOr<View> source = resolveView(op->getOperand(0));
  if (failed(source))
    return failure();
  view.root = source->root;
  view.baseBytes = source->baseBytes;
  view.offset = source->offset;
  view.dynamic = source->dynamic;
  view.within = source->reach();
  if (auto slice = dyn_cast<memref::SubViewOp>(op)) {
    for (auto [offset, stride] : llvm::zip(slice.getMixedOffsets(), source->strides)) {
      if (std::optional<int64_t> known = getConstantIntValue(offset))
        view.offset += *known * stride;
      else
        view.dynamic.push_back({cast<Value>(offset), stride * storageBytes(view.element)});
    }
  }
  return view;
}

FailureOr<View> burin::cpu::resolveView(Value memref) {
  auto type = dyn_cast<MemRefType>(memref.getType());
  if (!type || !type.hasStaticShape())
    return failure();
  View view;
  if (failed(type.getStridesAndOffset(view.strides, view.offset)))
    return failure();
  view.shape.assign(type.getShape().begin(), type.getShape().end());
  view.element = type.getElementType();
  if (llvm::any_of(view.strides, ShapedType::isDynamic)) {
    // A cast may have hidden what its source still says.
    auto cast = memref.getDefiningOp<memref::CastOp>();
    return cast ? resolveView(cast.getSource()) : FailureOr<View>(failure());
  }
  if (ShapedType::isDynamic(view.offset))
    return resolveDynamic(memref, view);
  while (Operation *op = memref.getDefiningOp()) {
    if (auto cast = dyn_cast<UnrealizedConversionCastOp>(op); cast && cast.getNumOperands() == 1) {
      memref = cast.getOperand(0); // the same bytes as another type
      continue;
    }
    auto viewLike = dyn_cast<ViewLikeOpInterface>(op);
    if (!viewLike)
      return failure();
    if (auto shift = dyn_cast<memref::ViewOp>(op)) {
      APInt bytes;
      if (matchPattern(shift.getByteShift(), m_ConstantInt(&bytes)))
        view.baseBytes += bytes.getSExtValue();
      else
        view.dynamic.push_back({shift.getByteShift(), 1});
    }
    memref = viewLike.getViewSource();
  }
  if (!isa<MemRefType>(memref.getType()))
    return failure();
  view.root = memref;
  if (!view.dynamic.empty()) // made by this stage; nobody asks for its reach
    view.within = {INT64_MIN, INT64_MAX};
  return view;
}
