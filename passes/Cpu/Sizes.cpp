// Products of constants and run-time values, and the layouts of buffers in terms of them: see the header.
#include "passes/Cpu/Sizes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;
using namespace burin::cpu;

Size::Size(Value index) : scale(1) {
  if (std::optional<int64_t> known = getConstantIntValue(index)) {
    scale = *known;
  } else if (auto product = index.getDefiningOp<arith::MulIOp>()) {
    *this = Size(product.getLhs()) * Size(product.getRhs());
  } else {
    factors.push_back(index);
  }
}

Size::Size(OpFoldResult sizeOrStride) : scale(1) {
  if (std::optional<int64_t> known = getConstantIntValue(sizeOrStride))
    scale = *known;
  else
    *this = Size(cast<Value>(sizeOrStride));
}

int64_t Size::estimate(int64_t guess) const {
  int64_t result = scale;
  for (size_t i = 0; i < factors.size() && std::abs(result) < (int64_t(1) << 30) / guess; ++i)
    result *= guess;
  return result;
}

Size Size::operator*(const Size &other) const {
  Size result(scale * other.scale);
  if (result.scale == 0)
    return result;
  result.factors = factors;
  result.factors.append(other.factors.begin(), other.factors.end());
  return result;
}

bool Size::operator==(const Size &other) const {
  return scale == other.scale && factors.size() == other.factors.size() &&
         std::is_permutation(factors.begin(), factors.end(), other.factors.begin());
}

std::optional<Size> Size::dividedBy(const Size &divisor) const {
  if (divisor.scale == 0 || scale % divisor.scale != 0)
    return std::nullopt;
  Size result = *this;
  result.scale /= divisor.scale;
  for (Value factor : divisor.factors) {
    auto found = llvm::find(result.factors, factor);
    if (found == result.factors.end())
      return std::nullopt;
    result.factors.erase(found);
  }
  return result;
}

Value Size::emit(OpBuilder &b, Location loc) const {
  if (isStatic())
    return arith::ConstantIndexOp::create(b, loc, scale);
  Value product = factors.front();
  for (Value factor : llvm::drop_begin(factors))
    product = b.createOrFold<arith::MulIOp>(loc, product, factor);
  if (scale == 1)
    return product;
  return b.createOrFold<arith::MulIOp>(loc, product, arith::ConstantIndexOp::create(b, loc, scale).getResult());
}

Size Size::map(llvm::function_ref<Size(Value)> replace) const {
  Size result(scale);
  for (Value factor : factors)
    result = result * replace(factor);
  return result;
}

std::optional<Size> Size::plus(const Size &other) const {
  if (is(0))
    return other;
  if (other.is(0))
    return *this;
  Size a = *this, b = other;
  a.scale = b.scale = 1;
  if (a != b)
    return std::nullopt;
  return scale + other.scale == 0 ? Size(0) : Size(scale + other.scale) * a;
}

FailureOr<Layout> burin::cpu::layoutOf(OpBuilder &b, Location loc, Value memref) {
  auto type = dyn_cast<MemRefType>(memref.getType());
  SmallVector<int64_t> strides;
  int64_t offset;
  if (!type || failed(type.getStridesAndOffset(strides, offset)))
    return failure();
  Layout layout;
  auto view = memref.getDefiningOp<memref::ReinterpretCastOp>();
  SmallVector<OpFoldResult> sizes, steps;
  if (view) {
    sizes = view.getMixedSizes();
    steps = view.getMixedStrides();
  }
  for (auto [dim, size] : llvm::enumerate(type.getShape())) {
    if (!ShapedType::isDynamic(size))
      layout.sizes.push_back(size);
    else if (view)
      layout.sizes.push_back(Size(sizes[dim]));
    else
      layout.sizes.push_back(Size(b.createOrFold<memref::DimOp>(loc, memref, dim)));
  }
  bool dense = type.getLayout().isIdentity();
  Size run(1);
  memref::ExtractStridedMetadataOp metadata;
  for (int64_t dim = type.getRank() - 1; dim >= 0; --dim) {
    Size stride(strides[dim]);
    if (ShapedType::isDynamic(strides[dim])) {
      if (dense) {
        stride = run;
      } else if (view) {
        stride = Size(steps[dim]);
      } else {
        if (!metadata)
          metadata = memref::ExtractStridedMetadataOp::create(b, loc, memref);
        stride = Size(metadata.getStrides()[dim]);
      }
    } else if (strides[dim] < 0) {
      return failure();
    }
    layout.strides.insert(layout.strides.begin(), stride);
    run = run * layout.sizes[dim];
  }
  return layout;
}

Value burin::cpu::flatBuffer(OpBuilder &b, Location loc, Value memref, const Layout &layout) {
  auto type = cast<MemRefType>(memref.getType());
  SmallVector<int64_t> unused;
  int64_t offset = 0;
  (void)type.getStridesAndOffset(unused, offset);
  bool dynamic = llvm::any_of(layout.sizes, [](const Size &s) { return !s.isStatic(); }) ||
                 llvm::any_of(layout.strides, [](const Size &s) { return !s.isStatic(); });
  if (dynamic && offset == 0)
    if (auto view = memref.getDefiningOp<memref::ReinterpretCastOp>())
      if (auto source = dyn_cast<MemRefType>(view.getSource().getType());
          source && source.getRank() == 1 && source.getLayout().isIdentity())
        return view.getSource();
  if (type.getRank() == 1 && layout.strides[0].is(1))
    return memref;
  int64_t span = ShapedType::kDynamic;
  OpFoldResult size, at = b.getIndexAttr(offset);
  if (!dynamic) {
    span = 1;
    for (auto [extent, stride] : llvm::zip(layout.sizes, layout.strides))
      span += (extent.value() - 1) * stride.value();
    span = std::max<int64_t>(span, 0);
    size = b.getIndexAttr(span);
  } else {
    // Only a bound for whoever prints it: elements are reached by offsets.
    Size elements(1);
    for (const Size &extent : layout.sizes)
      elements = elements * extent;
    size = elements.emit(b, loc);
    if (std::optional<int64_t> known = getConstantIntValue(size))
      size = arith::ConstantIndexOp::create(b, loc, *known).getResult();
  }
  if (ShapedType::isDynamic(offset))
    at = memref::ExtractStridedMetadataOp::create(b, loc, memref).getOffset();
  auto flat = MemRefType::get({span}, type.getElementType(), StridedLayoutAttr::get(b.getContext(), offset, {1}),
                              type.getMemorySpace());
  return memref::ReinterpretCastOp::create(b, loc, flat, memref, at, ArrayRef<OpFoldResult>{size},
                                           ArrayRef<OpFoldResult>{b.getIndexAttr(1)});
}
