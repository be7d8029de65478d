// See ContractionProblem.h.
#include "passes/Cuda/ContractionProblem.h"
#include "passes/Cuda/Kernels.h"

using namespace mlir;
using namespace burin;
using namespace burin::cuda;

SmallVector<int64_t> burin::cuda::stridesOf(Value memref) {
  SmallVector<int64_t> strides;
  int64_t offset;
  (void)cast<MemRefType>(memref.getType()).getStridesAndOffset(strides, offset);
  return strides;
}

int64_t burin::cuda::alignmentOf(Value memref) {
  auto argument = dyn_cast<BlockArgument>(memref);
  auto function = argument ? dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp()) : func::FuncOp();
  auto align = function ? function.getArgAttrOfType<IntegerAttr>(argument.getArgNumber(), "llvm.align") : IntegerAttr();
  return align ? align.getInt() : 16;
}

namespace {
// The most elements that one copy of at most 16 bytes takes: what all places are multiples of. 0: not even 4 bytes.
int64_t grainOf(Value memref, int64_t run, ArrayRef<int64_t> strides, int64_t bytes) {
  SmallVector<int64_t> ignored;
  int64_t offset;
  (void)cast<MemRefType>(memref.getType()).getStridesAndOffset(ignored, offset);
  for (int64_t grain = 16 / bytes; grain * bytes >= 4; grain /= 2)
    if (run % grain == 0 && offset % grain == 0 && llvm::all_of(strides, [&](int64_t s) { return s % grain == 0; }))
      return grain;
  return 0;
}

bool describeConv(nn::ConvOp conv, Problem &p, std::string &why) {
  auto input = cast<MemRefType>(conv.getInput().getType()), filter = cast<MemRefType>(conv.getFilter().getType());
  auto init = cast<MemRefType>(conv.getInit().getType());
  if (conv.getPacked() || conv.getWinograd() || !filter.getLayout().isIdentity())
    return why = "its filter is packed", false;
  unsigned spatial = conv.getStrides().size();
  SmallVector<int64_t> strides = stridesOf(conv.getInput());
  if (strides.back() != 1)
    return why = "channels do not lie side by side", false;
  p.isConv = true;
  p.signs = {bool(conv.getInputUnsigned()), bool(conv.getFilterUnsigned())};
  p.lhsZeroPoint = conv.getInputZeroPoint();
  p.rhsZeroPoint = conv.getFilterZeroPoint();
  p.lhs = conv.getInput();
  p.rhs = conv.getFilter();
  p.groups = p.batches = conv.getGroups();
  p.channels = filter.getDimSize(spatial);
  p.columns = filter.getDimSize(spatial + 1) / p.groups;
  p.rows = init.getNumElements() / init.getShape().back();
  p.depth = p.channels;
  p.imageStride = strides[0];
  p.rhsRow = filter.getDimSize(spatial + 1);
  p.strides.assign(conv.getStrides().begin(), conv.getStrides().end());
  p.dilations.assign(conv.getDilations().begin(), conv.getDilations().end());
  p.pads.assign(conv.getPads().begin(), conv.getPads().end());
  for (unsigned s = 0; s < spatial; ++s) {
    p.kernel.push_back(filter.getDimSize(s));
    p.out.push_back(init.getDimSize(s + 1));
    p.in.push_back(input.getDimSize(s + 1));
    p.pixelStrides.push_back(strides[s + 1]);
    p.depth *= p.kernel.back();
    int64_t last = (p.out[s] - 1) * p.strides[s] - p.pads[s] + (p.kernel[s] - 1) * p.dilations[s];
    p.hasPadding |= p.pads[s] > 0 || last >= p.in[s];
  }
  return true;
}

bool describeMatmul(nn::MatmulOp matmul, Problem &p, std::string &why) {
  auto init = cast<MemRefType>(matmul.getInit().getType());
  int64_t rank = init.getRank();
  SmallVector<int64_t> left = stridesOf(matmul.getLhs()), right = stridesOf(matmul.getRhs());
  if (matmul.getPacked())
    return why = "its weights are packed", false;
  if (left.back() != 1 || right.back() != 1)
    return why = "elements of a row do not lie side by side", false;
  if ((int64_t)left.size() != rank || ((int64_t)right.size() != rank && right.size() != 2))
    return why = "ranks differ", false;
  p.lhs = matmul.getLhs();
  p.rhs = matmul.getRhs();
  p.transposed = matmul.getTransposeRhs();
  p.signs = {bool(matmul.getLhsUnsigned()), bool(matmul.getRhsUnsigned())};
  p.lhsZeroPoint = matmul.getLhsZeroPoint();
  p.rhsZeroPoint = matmul.getRhsZeroPoint();
  p.rows = init.getDimSize(rank - 2);
  p.columns = init.getDimSize(rank - 1);
  p.batches = init.getNumElements() / (p.rows * p.columns);
  p.depth = cast<MemRefType>(matmul.getLhs().getType()).getShape().back();
  p.lhsRow = left[rank - 2];
  p.rhsRow = right[right.size() - 2];
  return true;
}

} // namespace

std::optional<Problem> burin::cuda::describeContraction(nn::ComputeOp op, Products wide, std::string &why) {
  Problem p;
  auto conv = dyn_cast<nn::ConvOp>(*op);
  if (conv ? !describeConv(conv, p, why) : !describeMatmul(cast<nn::MatmulOp>(*op), p, why))
    return std::nullopt;
  if (p.depth == 0 || p.rows == 0 || p.columns == 0)
    return why = "it is empty", std::nullopt;
  Type left = cast<MemRefType>(p.lhs.getType()).getElementType(),
       right = cast<MemRefType>(p.rhs.getType()).getElementType(), acc = op.getAccumulatorType();
  bool isFloat = (left.isF32() || left.isF16() || left.isBF16()) && acc.isF32();
  bool isInteger = left.isInteger(8) && acc.isInteger(32);
  if (left != right || !(isFloat || isInteger))
    return why = "factors are not of one type of floats or bytes", std::nullopt;
  p.products = isInteger ? Products::Int8 : left.isF16() ? Products::F16 : left.isBF16() ? Products::BF16 : wide;
  // Zeros stand for what lies outside an image; with a zero point they would be another number.
  if (p.hasPadding && p.lhsZeroPoint)
    return why = "padding of an input with a zero point", std::nullopt;
  int64_t bytes = left.getIntOrFloatBitWidth() / 8;
  auto grain = [&](Value memref, int64_t run) {
    SmallVector<int64_t> steps = stridesOf(memref);
    steps.pop_back();
    return std::min(grainOf(memref, run, steps, bytes), alignmentOf(memref) / bytes);
  };
  p.lhsGrain = grain(p.lhs, conv ? p.channels : p.depth);
  p.rhsGrain = grain(p.rhs, p.transposed ? p.depth : p.columns);
  if (p.lhsGrain * bytes < 4 || p.rhsGrain * bytes < 4)
    return why = "rows are not multiples of 4 bytes", std::nullopt;
  return p;
}
