// tensor-choose-winograd: 3x3 convolutions that take fewer products as Winograd convolutions get transformed filters.
// Before packing, which then sees a filter like any other; after the epilogues, which it does not touch.
#include "dialects/Nn/Nn.h"
#include "dialects/Nn/Winograd.h"
#include "lib/Support/Tuning.h"
#include "lib/Support/Winograd.h"
#include "passes/Tensor/PackSparse.h"
#include "passes/Tensor/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/Remarks.h"
#include "llvm/Support/FormatVariadic.h"

namespace burin {
#define GEN_PASS_DEF_CHOOSEWINOGRAD
#include "passes/Tensor/Passes.h.inc"
} // namespace burin

using namespace mlir;
using namespace burin;

// The elements of an f32 constant, a splat's repeated; empty when they are not at hand.
static SmallVector<float> elementsOf(ElementsAttr attribute) {
  int64_t count = attribute.getNumElements();
  if (auto dense = dyn_cast<DenseElementsAttr>(attribute))
    return llvm::to_vector(dense.getValues<float>());
  SmallVector<float> result;
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(attribute))
    if (AsmResourceBlob *blob = resource.getRawHandle().getBlob())
      if (blob->getData().size() >= count * sizeof(float)) {
        result.resize(count);
        std::memcpy(result.data(), blob->getData().data(), count * sizeof(float));
      }
  return result;
}

// U = G g G^T for each pair of channels, in f64 and rounded once: [3, 3, channels] -> [positions, channels].
static void transform(const nn::Winograd &w, ArrayRef<float> filter, int64_t channels, float *target) {
  SmallVector<double> half(w.inputs * 3);
  for (int64_t c = 0; c < channels; ++c) {
    auto g = [&](int64_t y, int64_t x) { return (double)filter[(y * 3 + x) * channels + c]; };
    for (int64_t i = 0; i < w.inputs; ++i)
      for (int64_t x = 0; x < 3; ++x)
        half[i * 3 + x] = w.tap[i * 3] * g(0, x) + w.tap[i * 3 + 1] * g(1, x) + w.tap[i * 3 + 2] * g(2, x);
    for (int64_t i = 0; i < w.inputs; ++i)
      for (int64_t j = 0; j < w.inputs; ++j) {
        const double *row = &half[i * 3], *tap = &w.tap[j * 3];
        target[(i * w.inputs + j) * channels + c] = float(row[0] * tap[0] + row[1] * tap[1] + row[2] * tap[2]);
      }
  }
}

namespace {
struct ChooseWinogradPass : burin::impl::ChooseWinogradBase<ChooseWinogradPass> {
  using ChooseWinogradBase::ChooseWinogradBase;

  void runOnOperation() override {
    func::FuncOp function = getOperation();
    const Machine *machine = findMachine(machineName);
    if (!machine) {
      emitError(function.getLoc()) << "unknown machine '" << machineName << "'; expected one of " << machineNames();
      return signalPassFailure();
    }
    if (!llvm::is_contained({"off", "f2", "f4", "auto"}, StringRef(mode))) {
      emitError(function.getLoc()) << "unknown winograd mode '" << mode << "'; expected off, f2, f4 or auto";
      return signalPassFailure();
    }
    if (mode == "off")
      return;
    function.walk([&](nn::ConvOp conv) {
      // Only those that could be: a remark for each pointwise convolution would hide the others.
      auto filter = dyn_cast<RankedTensorType>(conv.getFilter().getType());
      if (!filter || conv.getPacked() || conv.getWinograd() || filter.getRank() != 4 || filter.getDimSize(0) != 3 ||
          filter.getDimSize(1) != 3)
        return;
      std::string reason;
      if (int64_t results = choose(*machine, conv, reason)) {
        rewrite(conv, results);
        remark::passed(conv.getLoc(), options("Winograd"))
            << llvm::formatv("F({0}x{0}, 3x3)", results).str() << remark::metric("error", error(results));
      } else {
        remark::missed(conv.getLoc(), options("NotWinograd")) << remark::reason("{0}", reason);
      }
    });
  }

  static remark::RemarkOpts options(StringRef name) {
    return remark::RemarkOpts::name(name).category("tensor-choose-winograd");
  }
  static std::string error(int64_t results) { return llvm::formatv("{0:e0}", winogradError(results)).str(); }

  /// Results a tile has in one dim, or 0 and why not.
  int64_t choose(const Machine &machine, nn::ConvOp conv, std::string &reason) {
    auto no = [&](const Twine &why) {
      reason = why.str();
      return 0;
    };
    auto input = cast<RankedTensorType>(conv.getInput().getType()),
         out = cast<RankedTensorType>(conv.getInit().getType()),
         filter = cast<RankedTensorType>(conv.getFilter().getType());
    auto isOne = [](int64_t v) { return v == 1; };
    if (!llvm::all_of(conv.getStrides(), isOne) || !llvm::all_of(conv.getDilations(), isOne) || conv.getGroups() != 1)
      return no("it has steps, dilations or groups");
    if (!input.getElementType().isF32() || !filter.getElementType().isF32() || !conv.getAccumulatorType().isF32())
      return no("it is not f32");
    if (!matchPattern(conv.getFilter(), m_Constant()))
      return no("the filter is not constant");
    if (ShapedType::isDynamicShape(out.getShape().drop_front()) || filter.getNumElements() == 0)
      return no("sizes are known at run time only");
    std::optional<int64_t> measured = choiceOf(conv);
    if (measured == 0 && mode == "auto")
      return no("the plain kernel was measured to be faster");
    WinogradShape shape{out.getDimSize(1), out.getDimSize(2), filter.getDimSize(2), filter.getDimSize(3)};
    auto fits = [&](int64_t results) { return winogradBandBytes(machine, results, shape) <= machine.stackBytes(); };
    if (measured && mode == "auto" && winogradError(*measured) > maxError)
      return no("what was measured to be faster is less accurate than asked for");
    if (mode != "auto" || measured) {
      int64_t wanted = mode == "auto" ? *measured : mode == "f2" ? 2 : 4;
      if (!fits(wanted))
        return no("its tiles are too large for the stack");
      if (std::min(shape.rows, shape.columns) < wanted)
        return no("the result is smaller than a tile");
      return wanted;
    }
    ElementsAttr weights;
    if (matchPattern(conv.getFilter(), m_Constant(&weights)) && gainsBySparse(machine, weights) &&
        zeroBlocks(weights) >= sparseOverWinograd)
      return no("more of its filter is zero than transforming it would save");
    int64_t results = chooseWinograd(machine, shape, maxError);
    if (!results)
      return no("the plain kernel is estimated to be as fast");
    if (!fits(results))
      return no("its tiles are too large for the stack");
    return results;
  }

  // What tensor-apply-tuning says.
  static std::optional<int64_t> choiceOf(nn::ConvOp conv) {
    auto text = conv->getAttrOfType<StringAttr>(kernelChoiceAttr);
    auto choice = text ? KernelChoice::parse(text) : std::nullopt;
    return choice ? choice->winograd : std::nullopt;
  }

  void rewrite(nn::ConvOp conv, int64_t results) {
    ElementsAttr value;
    matchPattern(conv.getFilter(), m_Constant(&value));
    auto type = cast<RankedTensorType>(conv.getFilter().getType());
    OpBuilder builder(conv);
    Value &transformed = done[builder.getArrayAttr({value, builder.getI64IntegerAttr(results)})];
    if (!transformed) {
      nn::Winograd w = nn::Winograd::get(results);
      SmallVector<float> source = elementsOf(value);
      if (source.empty())
        return;
      int64_t ic = type.getDimSize(2), oc = type.getDimSize(3);
      auto newType = RankedTensorType::get({w.positions(), ic, oc}, type.getElementType());
      AsmResourceBlob blob = HeapAsmResourceBlob::allocate(newType.getNumElements() * sizeof(float), 64);
      transform(w, source, ic * oc, reinterpret_cast<float *>(blob.getMutableData().data()));
      // The constant stands at the start of the function so that every later user may share it.
      OpBuilder start = OpBuilder::atBlockBegin(&getOperation().getBody().front());
      transformed = arith::ConstantOp::create(start, conv.getFilter().getLoc(), newType,
                                              DenseResourceElementsAttr::get(newType, "winograd", std::move(blob)));
    }
    conv.getFilterMutable().assign(transformed);
    conv.setWinograd(results);
  }

  DenseMap<Attribute, Value> done;
};
} // namespace
