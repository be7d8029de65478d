// vpu-narrow-floats: the unit computes in half precision. Every f32 value becomes f16 but the results of reductions and
// what is computed of those alone (means, variances, norms): they are small, and sums in f16 lose what they sum.
// nn operations keep their f32 epilogues between a widened accumulator and one rounding, as the engine has them, and
// f32 biases in them.
#include "dialects/Nn/Nn.h"
#include "passes/Vpu/HalfConstants.h"
#include "passes/Vpu/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Remarks.h"

namespace burin::vpu {
#define GEN_PASS_DEF_NARROWFLOATS
#include "passes/Vpu/Passes.h.inc"
} // namespace burin::vpu

using namespace mlir;
using namespace burin;
using namespace burin::vpu;

namespace {

bool isWide(Type type) { return getElementTypeOrSelf(type).isF32(); }
bool isHalf(Type type) { return getElementTypeOrSelf(type).isF16(); }

class Narrower {
public:
  explicit Narrower(func::FuncOp function) : function(function), half(Float16Type::get(function.getContext())) {}

  LogicalResult run() {
    Block &entry = function.getBody().front();
    OpBuilder builder = OpBuilder::atBlockBegin(&entry);
    SmallVector<Operation *> ops;
    for (Operation &op : entry)
      ops.push_back(&op);
    for (Operation *op : ops)
      if (failed(checkFixed(op)))
        return failure();
    for (BlockArgument argument : entry.getArguments())
      if (isWide(argument.getType())) {
        Value in = convert(builder, argument, half);
        argument.replaceAllUsesExcept(in, in.getDefiningOp());
      }
    for (Operation *op : ops)
      if (failed(narrow(op)))
        return failure();
    for (Operation *op : llvm::reverse(ops))
      if (isOpTriviallyDead(op))
        op->erase();
    return success();
  }

  Losses losses;

private:
  /// What runs a number of times, or gives a size, that is known only then has no list of tasks.
  static LogicalResult checkFixed(Operation *op) {
    StringRef way = ": --fallback=cpu leaves it and what follows to the CPU, --cut=TENSOR says from where";
    if (op->getNumRegions() && !isa<nn::ComputeOp, tensor::PadOp, tensor::GenerateOp, linalg::LinalgOp>(op))
      return op->emitError("control flow ('") << op->getName() << "') has no task on the vision unit" << way;
    for (Type type : op->getResultTypes())
      if (auto shaped = dyn_cast<ShapedType>(type); shaped && !shaped.hasStaticShape())
        return op->emitError("makes ") << type << ", whose size depends on data: the vision unit runs fixed shapes"
                                       << way;
    return success();
  }

  LogicalResult narrow(Operation *op) {
    OpBuilder builder(op);
    if (isa<arith::ConstantOp, tensor::EmptyOp, linalg::FillOp>(op))
      return success(); // made anew in the type that each use wants
    if (auto ret = dyn_cast<func::ReturnOp>(op)) {
      for (auto [operand, type] : llvm::zip(ret->getOpOperands(), function.getResultTypes()))
        if (operand.get().getType() != type)
          operand.set(as(builder, operand.get(), getElementTypeOrSelf(type)));
      return success();
    }
    if (auto compute = dyn_cast<nn::ComputeOp>(op))
      return narrowCompute(builder, compute);
    if (auto generic = dyn_cast<linalg::GenericOp>(op))
      return narrowGeneric(builder, generic);
    if (auto generate = dyn_cast<tensor::GenerateOp>(op); generate && isWide(generate.getType()))
      return op->emitError("'tensor.generate' of floats has no task on the vision unit");
    bool any = llvm::any_of(op->getOperandTypes(), [](Type t) { return isWide(t) || isHalf(t); });
    if (!any && !llvm::any_of(op->getResultTypes(), isWide))
      return success();
    // Movement: all operands of the first one's type, or of f16 where they differ.
    Type element = movedType(op);
    for (OpOperand &operand : op->getOpOperands())
      if (isa<TensorType>(operand.get().getType()) &&
          (isWide(operand.get().getType()) || isHalf(operand.get().getType())))
        operand.set(as(builder, operand.get(), element));
    for (Value result : op->getResults())
      if (isWide(result.getType()))
        retype(result, element);
    if (auto pad = dyn_cast<tensor::PadOp>(op); pad && element == half)
      narrowBody(pad.getRegion().front(), half);
    if (isa<linalg::LinalgOp>(op) && op->getNumRegions())
      for (BlockArgument argument : op->getRegion(0).front().getArguments())
        if (isWide(argument.getType()))
          argument.setType(element);
    return success();
  }

  Type movedType(Operation *op) {
    Type element;
    for (Value operand : op->getOperands()) {
      Operation *source = operand.getDefiningOp();
      if (!isa<TensorType>(operand.getType()) ||
          isa_and_nonnull<tensor::EmptyOp, arith::ConstantOp, linalg::FillOp>(source))
        continue;
      if (isHalf(operand.getType()))
        return half;
      if (isWide(operand.getType()))
        element = getElementTypeOrSelf(operand.getType());
    }
    return element ? element : half;
  }

  LogicalResult narrowCompute(OpBuilder &builder, nn::ComputeOp op) {
    Value init = op.getInitOperand().get();
    if (!isWide(init.getType()) && !isHalf(init.getType()))
      return op->emitOpError(
          "of integers is not supported on the vision unit, which computes in f16: compile the model "
          "before quantization, or leave this part to the host");
    scaleWeights(builder, op);
    SmallVector<bool> staysWide(op.getEpilogueOperands().size(), false);
    for (OpOperand &operand : op->getOpOperands()) {
      unsigned extra = operand.getOperandNumber() - op.getEpilogueOperandsBegin();
      if (extra < staysWide.size() && isWide(operand.get().getType()) && isOfChannels(op, extra))
        staysWide[extra] = true;
      else if (isWide(operand.get().getType()) || isHalf(operand.get().getType()))
        operand.set(as(builder, operand.get(), half));
    }
    if (op->getNumResults() && isWide(op->getResult(0).getType()))
      retype(op->getResult(0), half);
    if (op.getEpilogueRegion().empty())
      return success();
    Block &block = op.getEpilogueRegion().front();
    OpBuilder body = OpBuilder::atBlockBegin(&block);
    for (BlockArgument argument : block.getArguments().drop_front())
      if (isWide(argument.getType()) && !staysWide[argument.getArgNumber() - 1]) {
        argument.setType(half);
        auto wide = arith::ExtFOp::create(body, argument.getLoc(), body.getF32Type(), argument);
        argument.replaceAllUsesExcept(wide, wide);
      }
    Operation *yield = block.getTerminator();
    if (isWide(yield->getOperand(0).getType())) {
      body.setInsertionPoint(yield);
      yield->setOperand(0, arith::TruncFOp::create(body, yield->getLoc(), half, yield->getOperand(0)));
    }
    return success();
  }

  //   nn.conv ins(%x, %w) epilogue { f(%acc) }
  //   ->  nn.conv ins(%x, %halves) extras(%scale) epilogue { f(%acc * %scale) }
  // Constant weights, scaled so that halves hold them better; the engine multiplies sums by a number a channel anyway.
  // An epilogue that begins so already is left alone: the engine multiplies once.
  void scaleWeights(OpBuilder &builder, nn::ComputeOp op) {
    if (!isa<nn::ConvOp, nn::DepthwiseConvOp, nn::ConvTransposeOp, nn::MatmulOp>(*op))
      return;
    Value weights = op->getOperand(1);
    auto constant = weights.getDefiningOp<arith::ConstantOp>();
    auto transposed = dyn_cast<nn::ConvTransposeOp>(*op);
    if (!constant || !isWide(weights.getType()) || (transposed && transposed.getGroups() != 1) ||
        (isa<nn::MatmulOp>(*op) && cast<ShapedType>(weights.getType()).getRank() != 2))
      return;
    Region &region = op.getEpilogueRegion();
    if (!region.empty() && llvm::any_of(region.getArgument(0).getUsers(), llvm::IsaPred<arith::MulFOp>))
      return;
    SmallVector<float> scales;
    TypedAttr halves = narrowed(constant.getValue(), losses, sumsOf(weights), &scales);
    if (!halves || scales.empty())
      return;
    Location loc = op.getLoc();
    op->setOperand(1, arith::ConstantOp::create(builder, loc, halves));
    auto type = RankedTensorType::get({(int64_t)scales.size()}, builder.getF32Type());
    Value scale = arith::ConstantOp::create(builder, loc, DenseElementsAttr::get(type, ArrayRef<float>(scales)));
    unsigned rank = cast<ShapedType>(op.getInitOperand().get().getType()).getRank();
    SmallVector<Attribute> maps(op.getEpilogueMaps().begin(), op.getEpilogueMaps().end());
    maps.push_back(AffineMapAttr::get(AffineMap::get(rank, 0, builder.getAffineDimExpr(rank - 1))));
    op->insertOperands(op.getInitOperand().getOperandNumber(), scale);
    op->setAttr("extra_maps", builder.getArrayAttr(maps));
    OpBuilder::InsertionGuard guard(builder);
    if (region.empty()) {
      Block *block = builder.createBlock(&region, {}, builder.getF32Type(), loc);
      Value sum = block->getArgument(0);
      if (Type given = getElementTypeOrSelf(op.getInitOperand().get().getType()); given != sum.getType())
        sum = changeType(builder, loc, sum, given);
      nn::YieldOp::create(builder, loc, sum);
    }
    Block &block = region.front();
    builder.setInsertionPointToStart(&block);
    Value sum = block.getArgument(0), factor = block.addArgument(builder.getF32Type(), loc);
    Value scaled = arith::MulFOp::create(builder, loc, sum, factor);
    sum.replaceAllUsesExcept(scaled, scaled.getDefiningOp());
  }

  /// A bias or scale: constant, one number a channel. The engine adds it to an f32 sum, where it may cancel what it
  /// meets, so that rounding it would be the largest error of the layer; in f32 it takes two bytes a channel more.
  static bool isOfChannels(nn::ComputeOp op, unsigned extra) {
    AffineMap map = cast<AffineMapAttr>(op.getEpilogueMaps()[extra]).getValue();
    return isa<nn::ConvOp, nn::DepthwiseConvOp, nn::ConvTransposeOp, nn::MatmulOp>(*op) &&
           op.getEpilogueOperands()[extra].getDefiningOp<arith::ConstantOp>() && map.getNumResults() == 1 &&
           map.getResult(0) == getAffineDimExpr(map.getNumDims() - 1, op.getContext());
  }

  static bool onlyFeedsReductions(linalg::GenericOp op) {
    return op->getNumResults() == 1 && !op->use_empty() && isWide(op->getResult(0).getType()) &&
           llvm::all_of(op->getUsers(), [](Operation *user) {
             auto reduction = dyn_cast<linalg::GenericOp>(user);
             return reduction && reduction.getNumReductionLoops() > 0;
           });
  }

  /// Whether no layer lies between the network's inputs and a value.
  static bool readsInput(Value value) {
    while (Operation *op = value.getDefiningOp()) {
      if (isa<nn::ComputeOp>(op) || op->getNumOperands() == 0)
        return false;
      value = op->getOperand(0);
    }
    return true;
  }

  /// Which numbers of a tensor are weights of one sum, if it is a filter, perhaps after reshapes of its other dims.
  static Sums sumsOf(Value value) {
    for (OpOperand &use : value.getUses()) {
      Operation *user = use.getOwner();
      if (isa<tensor::CollapseShapeOp, tensor::ExpandShapeOp>(user)) {
        auto from = cast<RankedTensorType>(value.getType()), to = cast<RankedTensorType>(user->getResult(0).getType());
        if (!from.getRank() || !to.getRank() || from.getShape().back() != to.getShape().back())
          continue;
        if (Sums sums = sumsOf(user->getResult(0)); sums.kind == Sums::Columns)
          return sums;
      }
      if (use.getOperandNumber() != 1 || !isa<nn::ConvOp, nn::DepthwiseConvOp, nn::ConvTransposeOp, nn::MatmulOp>(user))
        continue;
      ArrayRef<int64_t> shape = cast<RankedTensorType>(value.getType()).getShape();
      Sums sums;
      sums.kind = Sums::Columns;
      if (readsInput(user->getOperand(0)))
        sums.mean = 0.8f; // bytes of a picture, as most first layers read them, are far from zero
      if (auto matmul = dyn_cast<nn::MatmulOp>(user); matmul && matmul.getTransposeRhs())
        sums.kind = Sums::Rows;
      else if (isa<nn::ConvOp, nn::DepthwiseConvOp>(user))
        llvm::append_range(sums.window, shape.drop_back(isa<nn::ConvOp>(user) ? 2 : 1));
      return sums;
    }
    return {};
  }

  LogicalResult narrowGeneric(OpBuilder &builder, linalg::GenericOp op) {
    bool reduces = op.getNumReductionLoops() > 0, anyHalf = false, anyWide = false;
    for (OpOperand *input : op.getDpsInputOperands()) {
      Operation *source = input->get().getDefiningOp();
      bool isConstant = isa_and_nonnull<arith::ConstantOp>(source);
      anyHalf |= isHalf(input->get().getType());
      anyWide |= isWide(input->get().getType()) && !isConstant;
    }
    op.getBody()->walk([&](tensor::ExtractOp extract) { anyHalf |= isHalf(extract.getTensor().getType()); });
    // What reductions gave stays wide until it meets something that is not; so does what only reductions read.
    bool isWideHere = reduces || (anyWide && !anyHalf) || onlyFeedsReductions(op);
    Type element = isWideHere ? Type(builder.getF32Type()) : half;
    // The body computes as it did, between conversions of what it reads and one rounding of what it gives.
    Block &block = *op.getBody();
    OpBuilder body = OpBuilder::atBlockBegin(&block);
    auto retypeArgument = [&](BlockArgument argument, Type stored) {
      Type old = argument.getType();
      argument.setType(stored);
      if (stored == old || argument.use_empty())
        return;
      Value changed = changeType(body, argument.getLoc(), argument, old);
      argument.replaceAllUsesExcept(changed, changed.getDefiningOp());
    };
    for (OpOperand *input : op.getDpsInputOperands()) {
      if (!isWide(input->get().getType()) && !isHalf(input->get().getType()))
        continue;
      if (Operation *source = input->get().getDefiningOp(); source && isa<arith::ConstantOp, linalg::FillOp>(source))
        input->set(as(builder, input->get(), half));
      retypeArgument(op.getMatchingBlockArgument(input), getElementTypeOrSelf(input->get().getType()));
    }
    // Tensors read by index.
    block.walk([&](tensor::ExtractOp extract) {
      if (!isWide(extract.getTensor().getType()) && !isHalf(extract.getTensor().getType()))
        return;
      builder.setInsertionPoint(op);
      if (Operation *source = extract.getTensor().getDefiningOp();
          source && isa<arith::ConstantOp, linalg::FillOp>(source))
        extract.getTensorMutable().assign(as(builder, extract.getTensor(), half));
      Type stored = getElementTypeOrSelf(extract.getTensor().getType()), old = extract.getType();
      extract.getResult().setType(stored);
      if (stored == old)
        return;
      OpBuilder here(extract);
      here.setInsertionPointAfter(extract);
      Value changed = changeType(here, extract.getLoc(), extract.getResult(), old);
      extract.getResult().replaceAllUsesExcept(changed, changed.getDefiningOp());
    });
    Operation *yield = block.getTerminator();
    for (auto [i, init] : llvm::enumerate(op.getDpsInitsMutable())) {
      if (!isWide(init.get().getType()) && !isHalf(init.get().getType()))
        continue;
      builder.setInsertionPoint(op);
      init.set(as(builder, init.get(), element));
      retypeArgument(op.getMatchingBlockArgument(&init), element);
      retype(op->getResult(i), element);
      if (Value value = yield->getOperand(i); value.getType() != element) {
        body.setInsertionPoint(yield);
        yield->setOperand(i, changeType(body, yield->getLoc(), value, element));
        body.setInsertionPointToStart(&block);
      }
    }
    return success();
  }

  /// All arithmetic of a body in `element`: its f32 results, constants from outside included.
  void narrowBody(Block &block, Type element) {
    SmallVector<Operation *> ops;
    block.walk([&](Operation *op) { ops.push_back(op); });
    for (Operation *op : ops) {
      for (OpOperand &operand : op->getOpOperands()) {
        auto constant = operand.get().getDefiningOp<arith::ConstantOp>();
        if (!constant || !constant.getType().isF32())
          continue;
        OpBuilder builder(op);
        operand.set(arith::ConstantOp::create(builder, constant.getLoc(), narrowed(constant.getValue(), losses)));
      }
      if (isa<arith::ConstantOp>(op))
        continue;
      if (isa<arith::ExtFOp, arith::TruncFOp>(op) && op->getOperand(0).getType().isF16() &&
          !op->getResult(0).getType().isF64()) {
        op->getResult(0).replaceAllUsesWith(op->getOperand(0));
        op->erase();
        continue;
      }
      bool keeps = isa<arith::TruncFOp>(op) && op->getOperand(0).getType().isF32(); // a wide operand's own rounding
      for (Value result : op->getResults())
        if (result.getType().isF32() && !keeps)
          result.setType(element);
    }
  }

  static Value changeType(OpBuilder &builder, Location loc, Value value, Type type) {
    if (type.isF32())
      return arith::ExtFOp::create(builder, loc, type, value);
    return arith::TruncFOp::create(builder, loc, type, value);
  }

  static void retype(Value value, Type element) { value.setType(cast<ShapedType>(value.getType()).clone(element)); }

  /// `value` with elements of `element`, made anew where it is a constant or holds nothing yet.
  Value as(OpBuilder &builder, Value value, Type element) {
    auto type = cast<RankedTensorType>(value.getType());
    if (type.getElementType() == element)
      return value;
    auto wanted = cast<RankedTensorType>(type.clone(element));
    Location loc = value.getLoc();
    OpBuilder::InsertionGuard guard(builder);
    if (auto empty = value.getDefiningOp<tensor::EmptyOp>())
      return tensor::EmptyOp::create(builder, loc, wanted.getShape(), element);
    if (auto fill = value.getDefiningOp<linalg::FillOp>()) {
      Value scalar = fill.value();
      if (auto constant = scalar.getDefiningOp<arith::ConstantOp>(); constant && element == half)
        scalar = arith::ConstantOp::create(builder, loc, narrowed(constant.getValue(), losses));
      else if (scalar.getType() != element)
        scalar = changeType(builder, loc, scalar, element);
      Value out = tensor::EmptyOp::create(builder, loc, wanted.getShape(), element);
      return linalg::FillOp::create(builder, loc, scalar, out).getResult(0);
    }
    if (auto constant = value.getDefiningOp<arith::ConstantOp>(); constant && element == half) {
      Value &made = constants[constant];
      if (!made) {
        OpBuilder there(constant);
        if (TypedAttr attr = narrowed(constant.getValue(), losses, sumsOf(constant)))
          made = arith::ConstantOp::create(there, loc, attr);
      }
      if (made)
        return made;
    }
    return convert(builder, value, element);
  }

  // An elementwise loop from one float type to another.
  static Value convert(OpBuilder &builder, Value in, Type element) {
    auto type = cast<RankedTensorType>(in.getType());
    Value out = tensor::EmptyOp::create(builder, in.getLoc(), type.getShape(), element);
    SmallVector<AffineMap> maps(2, builder.getMultiDimIdentityMap(type.getRank()));
    SmallVector<utils::IteratorType> loops(type.getRank(), utils::IteratorType::parallel);
    return linalg::GenericOp::create(builder, in.getLoc(), out.getType(), in, out, maps, loops,
                                     [&](OpBuilder &body, Location loc, ValueRange arguments) {
                                       linalg::YieldOp::create(body, loc, changeType(body, loc, arguments[0], element));
                                     })
        .getResult(0);
  }

  func::FuncOp function;
  Type half;
  DenseMap<Operation *, Value> constants;
};

struct NarrowFloatsPass : vpu::impl::NarrowFloatsBase<NarrowFloatsPass> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isExternal() || !function.getBody().hasOneBlock())
      return;
    Narrower narrower(function);
    if (failed(narrower.run()))
      return signalPassFailure();
    remark::passed(function.getLoc(), remark::RemarkOpts::name("Narrowed").category("vpu-narrow-floats"))
        << remark::metric("clamped", narrower.losses.clamped) << remark::metric("vanished", narrower.losses.vanished);
  }
};
} // namespace
