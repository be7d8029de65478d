// Resolution of memref views: those of a static type by the type alone, others composed from their operations. What
// cannot be resolved is refused by whoever asks.
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
  if (layout)
    return 1;
  for (auto [size, stride] : llvm::zip(shape, strides)) {
    if (size == 0)
      return 0;
    last += (size - 1) * stride;
  }
  return last + 1;
}
int64_t View::beginBytes() const { return baseBytes + offset * storageBytes(element); }
int64_t View::endBytes() const { return beginBytes() + span() * storageBytes(element); }

void View::shift(const Size &amount) {
  if (amount.isStatic())
    baseBytes += amount.value();
  else if (amount.values().size() == 1)
    dynamic.push_back({amount.values()[0], amount.constantFactor()});
  else
    products.push_back(amount);
}

// Boxes of one grid, such as a buffer's frame and what it surrounds, that are apart in some dim. The grid begins at the
// earlier box; there must be room in it for both, so that an element has one place only.
static bool areApartInGrid(const View &a, const View &b) {
  if (a.isDynamic() || b.isDynamic() || a.element != b.element || a.strides != b.strides)
    return false;
  if (b.beginBytes() < a.beginBytes())
    return areApartInGrid(b, a);
  int64_t distance = b.beginBytes() - a.beginBytes(), bytes = storageBytes(a.element);
  if (distance % bytes)
    return false;
  distance /= bytes;
  bool apart = false;
  int64_t room = INT64_MAX;
  for (auto [stride, mine, its] : llvm::zip(a.strides, a.shape, b.shape)) {
    if (stride <= 0)
      return false;
    int64_t from = distance / stride;
    distance %= stride;
    if (std::max(mine, from + its) > room / stride)
      return false;
    room = stride;
    apart |= from >= mine;
  }
  return apart && distance == 0;
}

bool View::mayOverlap(const View &other) const {
  if (root != other.root || slot != other.slot)
    return false;
  bool meet = reach().first < other.reach().second && other.reach().first < reach().second;
  return meet && !areApartInGrid(*this, other);
}

static Layout denseLayout(ArrayRef<OpFoldResult> sizes) {
  Layout layout;
  Size run(1);
  for (OpFoldResult size : sizes)
    layout.sizes.push_back(Size(size));
  layout.strides.resize(sizes.size());
  for (size_t dim = sizes.size(); dim-- > 0;) {
    layout.strides[dim] = run;
    run = run * layout.sizes[dim];
  }
  return layout;
}

// What `memref` is a view of, an argument or the result of an operation that is no view.
static FailureOr<View> resolveRoot(Value memref, MemRefType type, OpBuilder *builder) {
  View view;
  view.root = memref;
  view.element = type.getElementType();
  view.shape.assign(type.getShape().begin(), type.getShape().end());
  if (failed(type.getStridesAndOffset(view.strides, view.offset)) || ShapedType::isDynamic(view.offset))
    return failure();
  if (type.hasStaticShape() && llvm::none_of(view.strides, ShapedType::isDynamic))
    return view;
  if (!type.getLayout().isIdentity() || !builder)
    return failure();
  SmallVector<OpFoldResult> sizes;
  for (auto [dim, size] : llvm::enumerate(type.getShape())) {
    if (!ShapedType::isDynamic(size)) {
      sizes.push_back(builder->getIndexAttr(size));
      continue;
    }
    Value found; // asked for at the start of the function already
    for (Operation *user : memref.getUsers())
      if (auto ask = dyn_cast<memref::DimOp>(user);
          ask && isa<BlockArgument>(memref) && ask->getBlock() == memref.getParentBlock() &&
          ask.getConstantIndex() == int64_t(dim) && (!found || ask->isBeforeInBlock(found.getDefiningOp())))
        found = ask;
    sizes.push_back(found ? found : builder->createOrFold<memref::DimOp>(memref.getLoc(), memref, dim));
  }
  view.layout = denseLayout(sizes);
  view.shape.assign(type.getShape().begin(), type.getShape().end());
  return view;
}

// Only where the bytes of `memref` begin matters.
static FailureOr<View> resolveBytes(Value memref, OpBuilder *builder) {
  if (auto cast = memref.getDefiningOp<UnrealizedConversionCastOp>(); cast && cast.getNumOperands() == 1)
    return resolveBytes(cast.getOperand(0), builder);
  if (auto type = dyn_cast<MemRefType>(memref.getType());
      type && type.getRank() == 1 && !memref.getDefiningOp<ViewLikeOpInterface>() && type.getLayout().isIdentity()) {
    View view;
    view.root = memref;
    view.element = type.getElementType();
    return view;
  }
  return resolveView(memref, builder);
}

// A view whose type hides something: composed from its operations.
static FailureOr<View> compose(Value memref, MemRefType type, OpBuilder *builder) {
  Operation *op = memref.getDefiningOp();
  bool isView = op && isa<memref::ViewOp, memref::SubViewOp, memref::CastOp, memref::CollapseShapeOp,
                          memref::ExpandShapeOp, memref::ReinterpretCastOp, memref::TransposeOp>(op);
  if (!isView)
    return op && isa<ViewLikeOpInterface, UnrealizedConversionCastOp>(op) ? FailureOr<View>(failure())
                                                                          : resolveRoot(memref, type, builder);
  View view;
  Layout layout;
  FailureOr<View> source =
      isa<memref::ViewOp>(op) ? resolveBytes(op->getOperand(0), builder) : resolveView(op->getOperand(0), builder);
  if (failed(source))
    return failure();
  view = *source;
  view.within = isa<memref::ViewOp>(op) ? View().within : source->reach();
  view.element = type.getElementType();
  int64_t bytes = storageBytes(view.element);
  if (source->layout) {
    layout = *source->layout;
  } else {
    layout.sizes.assign(source->shape.begin(), source->shape.end());
    layout.strides.assign(source->strides.begin(), source->strides.end());
  }
  if (auto slice = dyn_cast<memref::SubViewOp>(op)) {
    Layout part;
    llvm::SmallBitVector dropped = slice.getDroppedDims();
    for (unsigned dim = 0; dim < layout.sizes.size(); ++dim) {
      Size begin(slice.getMixedOffsets()[dim]), stride = layout.strides[dim] * Size(slice.getMixedStrides()[dim]);
      Size distance = begin * layout.strides[dim];
      if (distance.isStatic())
        view.offset += distance.value();
      else
        view.shift(distance * Size(bytes));
      if (dropped.test(dim))
        continue;
      part.sizes.push_back(Size(slice.getMixedSizes()[dim]));
      part.strides.push_back(stride);
    }
    layout = part;
  } else if (auto shift = dyn_cast<memref::ViewOp>(op)) {
    view.shift(Size(shift.getByteShift()));
    if (!view.slot && !getConstantIntValue(shift.getByteShift()))
      view.slot = shift.getByteShift();
    layout = denseLayout(getMixedValues(type.getShape(), shift.getSizes(), type.getContext()));
  } else if (auto again = dyn_cast<memref::ReinterpretCastOp>(op)) {
    // Its offset counts from the source's pointer, not from its first element.
    Size begin(again.getMixedOffsets()[0]);
    view.offset = 0;
    if (source->offset != 0 && !begin.is(source->offset))
      return failure();
    view.shift(begin * Size(bytes));
    layout.sizes = llvm::map_to_vector(again.getMixedSizes(), [](OpFoldResult s) { return Size(s); });
    layout.strides = llvm::map_to_vector(again.getMixedStrides(), [](OpFoldResult s) { return Size(s); });
  } else if (auto collapse = dyn_cast<memref::CollapseShapeOp>(op)) {
    Layout merged;
    for (ReassociationIndices group : collapse.getReassociationIndices()) {
      Size size(1), stride(1);
      for (int64_t dim : group) {
        size = size * layout.sizes[dim];
        if (!layout.sizes[dim].is(1))
          stride = layout.strides[dim];
      }
      merged.sizes.push_back(size);
      merged.strides.push_back(stride);
    }
    layout = merged;
  } else if (auto expand = dyn_cast<memref::ExpandShapeOp>(op)) {
    Layout split;
    SmallVector<OpFoldResult> sizes = expand.getMixedOutputShape();
    split.sizes = llvm::map_to_vector(sizes, [](OpFoldResult s) { return Size(s); });
    split.strides.assign(sizes.size(), Size(1));
    for (auto [dim, group] : llvm::enumerate(expand.getReassociationIndices())) {
      Size stride = layout.strides[dim];
      for (int64_t inner : llvm::reverse(group)) {
        split.strides[inner] = stride;
        stride = stride * split.sizes[inner];
      }
    }
    layout = split;
  } else if (auto transpose = dyn_cast<memref::TransposeOp>(op)) {
    Layout turned;
    for (AffineExpr expr : transpose.getPermutation().getResults()) {
      unsigned dim = cast<AffineDimExpr>(expr).getPosition();
      turned.sizes.push_back(layout.sizes[dim]);
      turned.strides.push_back(layout.strides[dim]);
    }
    layout = turned;
  }
  view.shape.assign(type.getShape().begin(), type.getShape().end());
  for (auto [size, known] : llvm::zip(layout.sizes, view.shape)) {
    if (!ShapedType::isDynamic(known))
      size = Size(known);
    known = size.isStatic() ? size.value() : ShapedType::kDynamic;
  }
  view.strides = llvm::map_to_vector(layout.strides,
                                     [](const Size &s) { return s.isStatic() ? s.value() : ShapedType::kDynamic; });
  bool unknown = llvm::any_of(view.shape, ShapedType::isDynamic) || llvm::any_of(view.strides, ShapedType::isDynamic);
  view.layout = unknown ? std::optional<Layout>(layout) : std::nullopt;
  if (unknown && !builder)
    return failure();
  return view;
}

FailureOr<View> burin::cpu::resolveView(Value memref, OpBuilder *builder) {
  auto type = dyn_cast<MemRefType>(memref.getType());
  if (!type)
    return failure();
  View view;
  if (failed(type.getStridesAndOffset(view.strides, view.offset)))
    return failure();
  if (!type.hasStaticShape() || ShapedType::isDynamic(view.offset) || llvm::any_of(view.strides, ShapedType::isDynamic))
    return compose(memref, type, builder);
  view.shape.assign(type.getShape().begin(), type.getShape().end());
  view.element = type.getElementType();
  while (Operation *op = memref.getDefiningOp()) {
    if (auto cast = dyn_cast<UnrealizedConversionCastOp>(op); cast && cast.getNumOperands() == 1) {
      memref = cast.getOperand(0); // the same bytes as another type
      continue;
    }
    auto viewLike = dyn_cast<ViewLikeOpInterface>(op);
    if (!viewLike)
      break;
    if (auto shift = dyn_cast<memref::ViewOp>(op)) {
      Size bytes(shift.getByteShift());
      view.shift(bytes);
      if (!bytes.isStatic() && !view.slot)
        view.slot = shift.getByteShift();
    } else if (auto from = cast<MemRefType>(viewLike.getViewSource().getType()); isa<memref::ReinterpretCastOp>(op)) {
      // Of a buffer with an offset of its own; this stage makes none, and the type says the rest.
      SmallVector<int64_t> unused;
      int64_t offset;
      if (failed(from.getStridesAndOffset(unused, offset)) || ShapedType::isDynamic(offset))
        return failure();
    }
    memref = viewLike.getViewSource();
  }
  if (!isa<MemRefType>(memref.getType()))
    return failure();
  view.root = memref;
  return view;
}
