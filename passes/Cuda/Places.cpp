// See Places.h.
#include "passes/Cuda/Places.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

using namespace mlir;
using namespace burin;

static int64_t bytesOf(Type element) {
  return element.isIndex() ? 8 : std::max<int64_t>(1, element.getIntOrFloatBitWidth() / 8);
}
int64_t cuda::bytesOf(MemRefType type) { return type.getNumElements() * ::bytesOf(type.getElementType()); }

std::optional<cuda::Place> cuda::resolve(Value memref) {
  auto type = dyn_cast<MemRefType>(memref.getType());
  Place place;
  Value value = memref;
  while (!(place.root = dyn_cast<BlockArgument>(value))) {
    Operation *op = value.getDefiningOp();
    if (auto view = dyn_cast<memref::ViewOp>(op)) {
      std::optional<int64_t> shift = getConstantIntValue(view.getByteShift());
      if (!shift)
        return std::nullopt;
      place.base += *shift;
      value = view.getSource();
    } else if (isa<ViewLikeOpInterface, UnrealizedConversionCastOp>(op)) {
      value = op->getOperand(0);
    } else {
      return std::nullopt;
    }
  }
  SmallVector<int64_t> strides;
  int64_t offset;
  if (!type || !type.hasStaticShape() || failed(type.getStridesAndOffset(strides, offset)) ||
      ShapedType::isDynamic(offset) || llvm::any_of(strides, ShapedType::isDynamic))
    return std::nullopt;
  int64_t element = ::bytesOf(type.getElementType()), reach = 1;
  for (auto [size, stride] : llvm::zip(type.getShape(), strides))
    reach += (size - 1) * stride;
  if (type.getNumElements() == 0)
    reach = 0;
  place.begin = place.base + offset * element;
  place.end = place.begin + reach * element;
  place.isDense = reach == type.getNumElements();
  return place;
}
