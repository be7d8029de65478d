// See WarpgroupProblem.h.
#include "passes/Cuda/WarpgroupProblem.h"

#include <functional>

using namespace mlir;
using namespace burin;
using namespace burin::cuda;

namespace {
constexpr int64_t bytes = 2;       // of an element
constexpr unsigned mostDims = 5;   // of a tensor map
constexpr int64_t mostOfBox = 256; // elements that a box spans along a dim

int64_t tilesOf(ArrayRef<RowDim> dims) {
  int64_t tiles = 1;
  for (const RowDim &dim : dims)
    tiles *= llvm::divideCeil(dim.out, dim.box);
  return tiles;
}

// Neighbouring dims that lie in memory like one are one: pixels of a convolution of one tap become rows of a matrix.
void joinDims(SmallVector<RowDim> &dims) {
  auto isPlain = [](const RowDim &d) { return d.taps == 1 && d.step == 1 && d.pad == 0 && d.in == d.out; };
  for (unsigned i = dims.size() - 1; i-- > 0;) {
    RowDim &outer = dims[i], &inner = dims[i + 1];
    if (!isPlain(outer) || !isPlain(inner) || (outer.out != 1 && outer.stride != inner.in * inner.stride))
      continue;
    inner.in = inner.out *= outer.out;
    dims.erase(dims.begin() + i);
  }
}

// The fewest tiles; of equals, the one with the most of the innermost dim.
void chooseBoxes(SmallVector<RowDim> &dims) {
  SmallVector<RowDim> trial(dims);
  int64_t best = INT64_MAX;
  std::function<void(unsigned, int64_t)> choose = [&](unsigned d, int64_t left) {
    if (d == trial.size()) {
      if (left == 1 && tilesOf(trial) < best) {
        best = tilesOf(trial);
        dims = trial;
      }
      return;
    }
    for (int64_t box = 1; box <= left; box *= 2)
      if (box * trial[d].step <= mostOfBox) {
        trial[d].box = box;
        choose(d + 1, left / box);
      }
  };
  choose(0, WarpgroupProblem::tileRows);
}

void describeRows(WarpgroupProblem &w) {
  const Problem &p = w.p;
  if (!p.isConv) {
    w.dims.push_back({p.rows, p.rows, p.lhsRow * bytes});
  } else {
    int64_t images = p.rows;
    for (int64_t size : p.out)
      images /= size;
    w.dims.push_back({images, images, p.imageStride * bytes});
    for (unsigned s = 0; s < p.out.size(); ++s)
      w.dims.push_back(
          {p.out[s], p.in[s], p.pixelStrides[s] * bytes, p.strides[s], p.pads[s], p.dilations[s], p.kernel[s]});
    joinDims(w.dims);
  }
  chooseBoxes(w.dims);
}

void addBatches(TensorMap &map, SmallVector<unsigned> &batches, Value memref, unsigned rank) {
  auto type = cast<MemRefType>(memref.getType());
  SmallVector<int64_t> strides = stridesOf(memref);
  for (unsigned d = type.getRank() == 2 ? 0 : rank; d-- > 0;)
    if (type.getDimSize(d) != 1) {
      batches.push_back(d);
      map.dims.push_back(type.getDimSize(d));
      map.strides.push_back(strides[d] * bytes);
      map.box.push_back(1);
      map.steps.push_back(1);
    }
}

void describeLhs(WarpgroupProblem &w, nn::ComputeOp op) {
  const Problem &p = w.p;
  w.lhs = {{p.isConv ? p.channels * p.groups : p.depth}, {}, {WarpgroupProblem::chunk}, {1}};
  for (const RowDim &dim : llvm::reverse(w.dims)) {
    w.lhs.dims.push_back(dim.in);
    w.lhs.strides.push_back(dim.stride);
    w.lhs.box.push_back(dim.box * dim.step);
    w.lhs.steps.push_back(dim.step);
  }
  if (!p.isConv)
    addBatches(w.lhs, w.lhsBatches, p.lhs, cast<MemRefType>(op.getInitOperand().get().getType()).getRank() - 2);
}

void describeRhs(WarpgroupProblem &w, nn::ComputeOp op) {
  const Problem &p = w.p;
  int64_t channels = p.isConv ? p.channels : p.depth, columns = p.isConv ? p.rhsRow : p.columns;
  if (p.transposed)
    w.rhs = {{channels, columns}, {p.rhsRow * bytes}, {WarpgroupProblem::chunk, w.tile.columns}, {1, 1}};
  else
    w.rhs = {{columns, channels}, {p.rhsRow * bytes}, {WarpgroupProblem::chunk, WarpgroupProblem::chunk}, {1, 1}};
  if (w.taps > 1) {
    w.rhs.dims.push_back(w.taps);
    w.rhs.strides.push_back(channels * p.rhsRow * bytes);
    w.rhs.box.push_back(1);
    w.rhs.steps.push_back(1);
  }
  if (!p.isConv)
    addBatches(w.rhs, w.rhsBatches, p.rhs, cast<MemRefType>(op.getInitOperand().get().getType()).getRank() - 2);
}

// Sizes and strides as the driver takes them.
bool isEncodable(const TensorMap &map, Value memref) {
  SmallVector<int64_t> ignored;
  int64_t offset;
  (void)cast<MemRefType>(memref.getType()).getStridesAndOffset(ignored, offset);
  return map.dims.size() <= mostDims && alignmentOf(memref) % 16 == 0 && offset * bytes % 16 == 0 &&
         llvm::all_of(map.strides, [](int64_t s) { return s > 0 && s % 16 == 0 && s < int64_t(1) << 40; });
}
} // namespace

int64_t WarpgroupProblem::rowTiles() const { return tilesOf(dims); }

std::optional<WarpgroupProblem> cuda::describeWarpgroups(nn::ComputeOp op, std::string &why) {
  std::optional<Problem> problem = describeContraction(op, Products::Split, why);
  if (!problem)
    return std::nullopt;
  WarpgroupProblem w{*problem, {}, {}, {}, {}, {}, {}, 0, 1};
  const Problem &p = w.p;
  if (p.products != Products::F16 && p.products != Products::BF16)
    return why = "factors are not floats of 16 bits", std::nullopt;
  int64_t channels = p.isConv ? p.channels : p.depth;
  if (p.rows < 64 || p.columns < 32 || channels < 32)
    return why = "a tile for warpgroups would be mostly empty", std::nullopt;
  // What lies beside a group's channels would be multiplied by zeros, and must not be infinite.
  if (p.groups > 1 && channels % WarpgroupProblem::chunk)
    return why = "channels of a group are no multiple of 64", std::nullopt;
  w.chunks = llvm::divideCeil(channels, WarpgroupProblem::chunk);
  for (int64_t size : p.kernel)
    w.taps *= size;
  describeRows(w);
  w.tile = chooseWarpgroupTile(w.rowTiles() * p.batches, p.columns);
  describeLhs(w, op);
  describeRhs(w, op);
  if (!isEncodable(w.lhs, p.lhs) || !isEncodable(w.rhs, p.rhs))
    return why = "no tensor map describes a factor", std::nullopt;
  double share = double(p.rows * p.columns) /
                 double(w.rowTiles() * WarpgroupProblem::tileRows * llvm::alignTo(p.columns, w.tile.columns));
  if (share < 0.4)
    return why = "a tile for warpgroups would be mostly empty", std::nullopt;
  return w;
}
