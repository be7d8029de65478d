// Tile geometry op by op: see the header. Images are cut along their first spatial dim, where a tile is contiguous rows
// of memory.
#include "passes/Vpu/TileGeometry.h"

#include "mlir/IR/AffineExpr.h"
#include "mlir/IR/AffineMap.h"

using namespace mlir;
using namespace burin;
using namespace burin::vpu;

namespace {

ArrayRef<int64_t> shapeOf(Value value) { return cast<ShapedType>(value.getType()).getShape(); }
Box whole(Value value) {
  return {SmallVector<int64_t, 6>(shapeOf(value).size(), 0), SmallVector<int64_t, 6>(shapeOf(value))};
}
void restrict(Box &box, unsigned dim, int64_t begin, int64_t size) {
  box.offsets[dim] = begin;
  box.sizes[dim] = size;
}
int64_t floorDiv(int64_t x, int64_t y) { return llvm::divideFloorSigned(x, y); }
int64_t ceilDiv(int64_t x, int64_t y) { return llvm::divideCeilSigned(x, y); }

struct Channels {
  int64_t total, group, unit; // channels in all, in a group, in a block of a packed filter
};
Channels channelsOf(nn::ComputeOp op) {
  int64_t total = shapeOf(op.getInitOperand().get()).back();
  if (auto conv = dyn_cast<nn::ConvOp>(*op))
    return {total, total / (int64_t)conv.getGroups(), (int64_t)conv.getPacked().value_or(1)};
  if (auto conv = dyn_cast<nn::ConvTransposeOp>(*op))
    return {total, total / (int64_t)conv.getGroups(), 1};
  if (auto matmul = dyn_cast<nn::MatmulOp>(*op))
    return {total, total, (int64_t)matmul.getPacked().value_or(1)};
  return {total, total, 1};
}

/// Bounds, both included, of `expr` over `box`; nothing where they are not simple.
std::optional<std::pair<int64_t, int64_t>> bounds(AffineExpr expr, const Box &box) {
  using Bounds = std::pair<int64_t, int64_t>;
  if (auto dim = dyn_cast<AffineDimExpr>(expr)) {
    int64_t begin = box.offsets[dim.getPosition()];
    return Bounds(begin, begin + box.sizes[dim.getPosition()] - 1);
  }
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return Bounds(constant.getValue(), constant.getValue());
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return std::nullopt;
  auto left = bounds(binary.getLHS(), box), right = bounds(binary.getRHS(), box);
  if (!left || !right)
    return std::nullopt;
  if (binary.getKind() == AffineExprKind::Add)
    return Bounds(left->first + right->first, left->second + right->second);
  int64_t by = right->first;
  if (by != right->second || (by <= 0 && binary.getKind() != AffineExprKind::Mul))
    return std::nullopt;
  switch (binary.getKind()) {
  case AffineExprKind::Mul:
    return Bounds(std::min(left->first * by, left->second * by), std::max(left->first * by, left->second * by));
  case AffineExprKind::FloorDiv:
    return Bounds(floorDiv(left->first, by), floorDiv(left->second, by));
  case AffineExprKind::CeilDiv:
    return Bounds(ceilDiv(left->first, by), ceilDiv(left->second, by));
  default:
    return Bounds(0, by - 1); // mod
  }
}

/// The part of `extra` that `map` reads from a tile at `result`, and the map from the tile's own indices into that
/// part.
std::pair<Box, AffineMap> tileExtra(Value extra, AffineMap map, const Box &result) {
  Box box = whole(extra);
  MLIRContext *context = map.getContext();
  SmallVector<AffineExpr> moved;
  for (auto [d, offset] : llvm::enumerate(result.offsets))
    moved.push_back(getAffineDimExpr(d, context) + offset);
  SmallVector<AffineExpr> exprs;
  for (auto [d, expr] : llvm::enumerate(map.getResults())) {
    int64_t begin = 0;
    if (auto range = bounds(expr, result)) {
      begin = std::max<int64_t>(range->first, 0);
      restrict(box, d, begin, std::min(range->second, shapeOf(extra)[d] - 1) - begin + 1);
    }
    exprs.push_back(simplifyAffineExpr(expr.replaceDims(moved) - begin, map.getNumDims(), 0));
  }
  return {box, AffineMap::get(map.getNumDims(), 0, exprs, context)};
}

struct TileBuilder {
  nn::ComputeOp op;
  const Box &result;
  Tile tile;
  int64_t channel = result.offsets.back(), channels = result.sizes.back();

  void setPads(ArrayRef<int64_t> old, int64_t begin, int64_t end) {
    SmallVector<int64_t> pads(old);
    pads[0] = begin;
    pads[pads.size() / 2] = std::max<int64_t>(end, 0);
    tile.attributes.set("pads", DenseI64ArrayAttr::get(op.getContext(), pads));
  }
  Box input(Value value, int64_t row, int64_t rows) {
    Box box = whole(value);
    restrict(box, 0, result.offsets[0], result.sizes[0]);
    restrict(box, 1, row, rows);
    return box;
  }

  // Rows of the input that the windows of the result's rows touch; the rows they miss become the tile's own padding.
  template <typename Op> FailureOr<Box> windowedInput(Op conv, int64_t taps) {
    int64_t size = shapeOf(conv.getInput())[1], spatial = conv.getStrides().size();
    int64_t stride = conv.getStrides()[0], dilation = conv.getDilations()[0];
    int64_t from = result.offsets[1] * stride - conv.getPads()[0];
    int64_t to = from + (result.sizes[1] - 1) * stride + (taps - 1) * dilation;
    int64_t lo = std::max<int64_t>(from, 0), hi = std::max(lo, std::min(to, size - 1));
    if (lo >= size)
      return failure();
    // Padding behind the input counts in averages only as far as the whole op has it.
    setPads(conv.getPads(), lo - from, std::min(to, size - 1 + conv.getPads()[spatial]) - hi);
    return input(conv.getInput(), lo, hi - lo + 1);
  }

  // Input channels that the result's channels read, in whole groups.
  template <typename Op> std::pair<int64_t, int64_t> groups(Op conv) {
    int64_t perGroup = channelsOf(op).group, first = channel / perGroup,
            count = (channel + channels - 1) / perGroup + 1 - first;
    tile.attributes.set("groups", IntegerAttr::get(IntegerType::get(op.getContext(), 64), count));
    return {first, count};
  }

  LogicalResult add(nn::ConvOp conv) {
    bool packed = conv.getPacked().has_value();
    FailureOr<Box> in = windowedInput(conv, shapeOf(conv.getFilter())[packed ? 1 : 0]);
    if (failed(in))
      return failure();
    auto [group, count] = groups(conv);
    int64_t rank = result.sizes.size(), inputChannels = shapeOf(conv.getInput()).back() / (int64_t)conv.getGroups();
    restrict(*in, rank - 1, group * inputChannels, count * inputChannels);
    Box filter = whole(conv.getFilter());
    if (packed)
      restrict(filter, 0, channel / (int64_t)*conv.getPacked(), ceilDiv(channels, *conv.getPacked()));
    else
      restrict(filter, rank - 1, channel, channels);
    tile.operands = {*in, filter};
    return success();
  }

  LogicalResult add(nn::DepthwiseConvOp conv) {
    FailureOr<Box> in = windowedInput(conv, shapeOf(conv.getFilter())[0]);
    if (failed(in))
      return failure();
    Box filter = whole(conv.getFilter());
    restrict(*in, in->sizes.size() - 1, channel, channels);
    restrict(filter, filter.sizes.size() - 1, channel, channels);
    tile.operands = {*in, filter};
    return success();
  }

  // Input row d reaches result rows d * stride - pad + [0, (taps - 1) * dilation].
  LogicalResult add(nn::ConvTransposeOp conv) {
    int64_t size = shapeOf(conv.getInput())[1], rank = result.sizes.size();
    int64_t stride = conv.getStrides()[0], reach = (shapeOf(conv.getFilter())[0] - 1) * conv.getDilations()[0];
    int64_t from = result.offsets[1] + conv.getPads()[0], to = from + result.sizes[1] - 1;
    // A row that reaches nothing may stand for none: the tile's padding must not be negative, nor its input empty.
    int64_t lo = std::clamp<int64_t>(std::min(ceilDiv(from - reach, stride), floorDiv(from, stride)), 0, size - 1);
    int64_t hi = std::clamp<int64_t>(floorDiv(to, stride), lo, size - 1);
    setPads(conv.getPads(), from - lo * stride, conv.getPads()[conv.getPads().size() / 2]);
    auto [group, count] = groups(conv);
    int64_t perGroup = channelsOf(op).group,
            inputChannels = shapeOf(conv.getInput()).back() / (int64_t)conv.getGroups();
    Box in = input(conv.getInput(), lo, hi - lo + 1), filter = whole(conv.getFilter());
    restrict(in, rank - 1, group * inputChannels, count * inputChannels);
    restrict(filter, rank - 2, group * inputChannels, count * inputChannels);
    if (count == 1)
      restrict(filter, rank - 1, channel - group * perGroup, channels);
    tile.operands = {in, filter};
    return success();
  }

  LogicalResult add(nn::MatmulOp matmul) {
    unsigned rank = result.sizes.size();
    auto batches = [&](Box &box) {
      for (unsigned d = 0; d + 2 < rank; ++d)
        if (box.sizes[d] != 1)
          restrict(box, d, result.offsets[d], result.sizes[d]);
    };
    Box lhs = whole(matmul.getLhs()), rhs = whole(matmul.getRhs());
    batches(lhs);
    restrict(lhs, rank - 2, result.offsets[rank - 2], result.sizes[rank - 2]);
    if (matmul.getPacked()) {
      restrict(rhs, 0, channel / (int64_t)*matmul.getPacked(), ceilDiv(channels, *matmul.getPacked()));
    } else {
      if (rhs.sizes.size() == rank)
        batches(rhs);
      restrict(rhs, rhs.sizes.size() - (matmul.getTransposeRhs() ? 2 : 1), channel, channels);
    }
    tile.operands = {lhs, rhs};
    return success();
  }

  LogicalResult add(nn::PoolOp pool) {
    FailureOr<Box> in = windowedInput(pool, pool.getKernel()[0]);
    if (failed(in))
      return failure();
    restrict(*in, in->sizes.size() - 1, channel, channels);
    tile.operands = {*in};
    return success();
  }
};

} // namespace

unsigned vpu::rowDim(nn::ComputeOp op) {
  return isa<nn::MatmulOp>(*op) ? shapeOf(op.getInitOperand().get()).size() - 2 : 1;
}

SmallVector<std::pair<int64_t, int64_t>> vpu::channelBlocks(nn::ComputeOp op, int64_t size) {
  Channels channels = channelsOf(op);
  // Blocks of whole groups run on through all channels, smaller ones start anew in each group.
  int64_t span = size >= channels.group ? channels.total : channels.group;
  SmallVector<std::pair<int64_t, int64_t>> blocks;
  for (int64_t from = 0; from < channels.total; from += span)
    for (int64_t begin = from; begin < from + span; begin += size)
      blocks.push_back({begin, std::min(begin + size, from + span)});
  return blocks;
}

SmallVector<int64_t> vpu::channelSizes(nn::ComputeOp op) {
  Channels channels = channelsOf(op);
  SmallVector<int64_t> sizes;
  for (int64_t groups = channels.total / channels.group; groups > 1; groups = ceilDiv(groups, 2))
    sizes.push_back(groups * channels.group);
  for (int64_t units = ceilDiv(channels.group, channels.unit); units > 1; units = ceilDiv(units, 2))
    sizes.push_back(std::min(units * channels.unit, channels.group));
  sizes.push_back(std::min(channels.unit, channels.group));
  return sizes;
}

FailureOr<Tile> vpu::tileOf(nn::ComputeOp op, const Box &result) {
  TileBuilder builder{op, result, {}};
  builder.tile.attributes = NamedAttrList(op->getAttrDictionary());
  LogicalResult added = llvm::TypeSwitch<Operation *, LogicalResult>(op)
                            .Case<nn::ConvOp, nn::DepthwiseConvOp, nn::ConvTransposeOp, nn::MatmulOp, nn::PoolOp>(
                                [&](auto concrete) { return builder.add(concrete); })
                            .Default([](Operation *) { return failure(); });
  if (failed(added))
    return failure();
  SmallVector<Attribute> maps;
  for (auto [extra, attr] : llvm::zip(op.getEpilogueOperands(), op.getEpilogueMaps())) {
    auto [box, map] = tileExtra(extra, cast<AffineMapAttr>(attr).getValue(), result);
    builder.tile.operands.push_back(box);
    maps.push_back(AffineMapAttr::get(map));
  }
  builder.tile.attributes.set("extra_maps", ArrayAttr::get(op.getContext(), maps));
  builder.tile.operands.push_back(result);
  return std::move(builder.tile);
}
