// Static resolution of memref views. The tensor stage leaves only static ones; anything else is refused by whoever
// asks.
#include "passes/Cpu/Views.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
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

FailureOr<View> burin::cpu::resolveView(Value memref) {
  auto type = dyn_cast<MemRefType>(memref.getType());
  if (!type || !type.hasStaticShape())
    return failure();
  View view;
  bool isStatic = succeeded(type.getStridesAndOffset(view.strides, view.offset)) &&
                  !ShapedType::isDynamic(view.offset) && llvm::none_of(view.strides, ShapedType::isDynamic);
  if (!isStatic) {
    // A cast may have hidden what its source still says.
    auto cast = memref.getDefiningOp<memref::CastOp>();
    return cast ? resolveView(cast.getSource()) : FailureOr<View>(failure());
  }
  view.shape.assign(type.getShape().begin(), type.getShape().end());
  view.element = type.getElementType();
  while (Operation *op = memref.getDefiningOp()) {
    auto viewLike = dyn_cast<ViewLikeOpInterface>(op);
    if (!viewLike)
      return failure();
    if (auto shift = dyn_cast<memref::ViewOp>(op)) {
      APInt bytes;
      if (!matchPattern(shift.getByteShift(), m_ConstantInt(&bytes)))
        return failure();
      view.baseBytes += bytes.getSExtValue();
    }
    memref = viewLike.getViewSource();
  }
  if (!isa<MemRefType>(memref.getType()))
    return failure();
  view.root = memref;
  return view;
}
