// The user's rewrites, written in PDLL and handed over as PDL: applied until none fires. The functions a pattern may
// call are here; dialects/Onnx/Patterns.pdll declares them. PDL resolves names without checking them and would call
// another function in the place of an unknown one, so every name is checked first.
#include "passes/Graph/Fold.h"
#include "passes/Graph/Passes.h"
#include "passes/Graph/Rewriting.h"

#include "mlir/Dialect/PDL/IR/PDL.h"
#include "mlir/Dialect/PDL/IR/PDLOps.h"
#include "mlir/Dialect/PDLInterp/IR/PDLInterp.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;
using namespace burin;

namespace burin {
#define GEN_PASS_DEF_APPLYPATTERNS
#include "passes/Graph/Passes.h.inc"
} // namespace burin

namespace {
constexpr char passName[] = "ApplyPatterns";
// Patterns that undo each other would otherwise run forever: rewrites for each operator of the graph, on average.
constexpr int64_t maxRewrites = 16;

//===------------------------------------ what patterns may call ------------------------------------===//

bool isPresent(PatternRewriter &, Value value) { return !onnx::isNone(value); }
bool isAbsent(PatternRewriter &, Value value) { return onnx::isNone(value); }
bool isConstant(PatternRewriter &, Value value) { return bool(onnx::getConstantAttr(value)); }
bool hasOneUse(PatternRewriter &, Value value) { return value.hasOneUse(); }
bool isFloat(PatternRewriter &, Value value) { return isa<FloatType>(getElementTypeOrSelf(value)); }

std::optional<double> numberOf(Attribute attr) {
  if (auto number = dyn_cast<FloatAttr>(attr))
    return number.getValueAsDouble();
  if (auto number = dyn_cast<IntegerAttr>(attr))
    return double(number.getInt());
  return std::nullopt;
}

bool isAbout(PatternRewriter &, Value value, Attribute number) {
  std::optional<double> wanted = numberOf(number), found = graph::uniform(value);
  return wanted && found && (*wanted == *found || graph::isAbout(value, *wanted));
}

bool holdsInts(PatternRewriter &, Value value, Attribute numbers) {
  auto wanted = dyn_cast<DenseI64ArrayAttr>(numbers);
  std::optional<SmallVector<int64_t>> found = onnx::getConstantInts(value);
  return wanted && found && ArrayRef<int64_t>(*found) == wanted.asArrayRef();
}

// Equal and known: two dims of unknown size need not be the same size.
bool sameShape(PatternRewriter &, Value a, Value b) {
  RankedTensorType x = graph::staticType(a), y = graph::staticType(b);
  return x && y && x.getShape() == y.getShape();
}
bool sameType(PatternRewriter &rewriter, Value a, Value b) {
  return sameShape(rewriter, a, b) && getElementTypeOrSelf(a) == getElementTypeOrSelf(b);
}

bool hasRank(PatternRewriter &, Value value, Attribute rank) {
  RankedTensorType type = graph::rankedType(value);
  auto wanted = dyn_cast<IntegerAttr>(rank);
  return type && wanted && type.getRank() == wanted.getInt();
}
bool hasShape(PatternRewriter &, Value value, Attribute shape) {
  RankedTensorType type = graph::rankedType(value);
  auto wanted = dyn_cast<DenseI64ArrayAttr>(shape);
  if (!type || !wanted || type.getRank() != wanted.size())
    return false;
  for (auto [have, want] : llvm::zip(type.getShape(), wanted.asArrayRef()))
    if (want >= 0 && have != want)
      return false;
  return true;
}

// Tells which condition stopped a pattern whose operators all matched: PDL checks conditions after those.
template <typename... Args> auto checked(const char *name, bool (*test)(PatternRewriter &, Value, Args...)) {
  return [name, test](PatternRewriter &rewriter, Value value, Args... args) -> LogicalResult {
    if (test(rewriter, value, args...))
      return success();
    Operation *user = value.use_empty() ? value.getDefiningOp() : *value.getUsers().begin();
    if (user)
      graph::missed(user, passName, name, Twine(name) + " does not hold for an operand");
    return failure();
  };
}

Value fold(PatternRewriter &, Value value) {
  // The operator goes when it folds; the driver must not hear of it twice, so only what the pattern has just made is
  // given here.
  return graph::foldOrKeep(value.getDefiningOp());
}

Value makeNumber(PatternRewriter &rewriter, Attribute number, Value like) {
  return graph::scalar(rewriter, like.getLoc(), getElementTypeOrSelf(like), numberOf(number).value_or(0));
}

void addFunctions(PDLPatternModule &patterns) {
  patterns.registerConstraintFunction("Present", checked("Present", isPresent));
  patterns.registerConstraintFunction("Absent", checked("Absent", isAbsent));
  patterns.registerConstraintFunction("IsConstant", checked("IsConstant", isConstant));
  patterns.registerConstraintFunction("IsAbout", checked("IsAbout", isAbout));
  patterns.registerConstraintFunction("HoldsInts", checked("HoldsInts", holdsInts));
  patterns.registerConstraintFunction("OneUse", checked("OneUse", hasOneUse));
  patterns.registerConstraintFunction("SameType", checked("SameType", sameType));
  patterns.registerConstraintFunction("SameShape", checked("SameShape", sameShape));
  patterns.registerConstraintFunction("HasRank", checked("HasRank", hasRank));
  patterns.registerConstraintFunction("HasShape", checked("HasShape", hasShape));
  patterns.registerConstraintFunction("IsFloat", checked("IsFloat", isFloat));
  patterns.registerRewriteFunction("Fold", fold);
  patterns.registerRewriteFunction("Number", makeNumber);
}

//===------------------------------------ checking and completing PDL ------------------------------------===//

LogicalResult checkNames(ModuleOp pdl, const PDLPatternModule &patterns) {
  auto refuse = [&](Operation *op, StringRef what, StringRef name, auto &known) {
    SmallVector<StringRef> names(known.keys());
    llvm::sort(names);
    InFlightDiagnostic error = op->emitError();
    error << "unknown " << what << " '" << name << "', expected one of ";
    llvm::interleaveComma(names, error);
    return WalkResult::interrupt();
  };
  WalkResult result = pdl.walk([&](Operation *op) -> WalkResult {
    if (auto call = dyn_cast<pdl::ApplyNativeConstraintOp>(op)) {
      if (!patterns.getConstraintFunctions().contains(call.getName()))
        return refuse(op, "constraint", call.getName(), patterns.getConstraintFunctions());
    } else if (auto call = dyn_cast<pdl::ApplyNativeRewriteOp>(op)) {
      if (!patterns.getRewriteFunctions().contains(call.getName()))
        return refuse(op, "rewrite", call.getName(), patterns.getRewriteFunctions());
    } else if (auto operation = dyn_cast<pdl::OperationOp>(op)) {
      std::optional<StringRef> name = operation.getOpName();
      if (name && !RegisteredOperationName::lookup(*name, op->getContext()))
        return op->emitError() << "unknown operator '" << *name << "'", WalkResult::interrupt();
    }
    return WalkResult::advance();
  });
  return failure(result.wasInterrupted());
}

unsigned resultCount(OperationName name, pdl::OperationOp op) {
  if (name.hasTrait<OpTrait::OneResult>())
    return 1;
  if (name.hasTrait<OpTrait::NResults<2>::Impl>())
    return 2;
  if (name.hasTrait<OpTrait::NResults<3>::Impl>())
    return 3;
  if (name.hasTrait<OpTrait::NResults<4>::Impl>())
    return 4;
  unsigned count = 1;
  for (Operation *user : op->getUsers())
    if (auto result = dyn_cast<pdl::ResultOp>(user))
      count = std::max<unsigned>(count, result.getIndex() + 1);
  return count;
}

// A new operator takes the types of what it replaces. Any other gets `any` for its first results, up to the last that
// is used, and `none` behind them; its true types are inferred as soon as it exists.
void giveTypes(ModuleOp pdl) {
  pdl.walk([&](pdl::OperationOp op) {
    bool isNew = op->getParentOfType<pdl::RewriteOp>() && op.getTypeValues().empty();
    bool replaces = llvm::any_of(op->getUsers(), [&](Operation *user) {
      auto replace = dyn_cast<pdl::ReplaceOp>(user);
      return replace && replace.getReplOperation() == op.getOp();
    });
    std::optional<StringRef> opName = op.getOpName();
    if (!isNew || replaces || !opName)
      return;
    OperationName name(*opName, op.getContext());
    unsigned used = 1;
    for (Operation *user : op->getUsers())
      if (auto result = dyn_cast<pdl::ResultOp>(user))
        used = std::max<unsigned>(used, result.getIndex() + 1);
    OpBuilder builder(op);
    Type any = onnx::AnyType::get(op.getContext()), none = builder.getNoneType();
    bool isNone = *opName == onnx::NoValueOp::getOperationName();
    for (unsigned i = 0, n = resultCount(name, op); i < n; ++i)
      op.getTypeValuesMutable().append(Value(pdl::TypeOp::create(builder, op.getLoc(), builder.getType<pdl::TypeType>(),
                                                                 TypeAttr::get(i < used && !isNone ? any : none))));
  });
}

// MLIR forgets the names of patterns, so each gets a call that tells it.
constexpr char firedName[] = "burin.fired";
void tellNames(ModuleOp pdl) {
  pdl.walk([&](pdl::RewriteOp rewrite) {
    auto pattern = rewrite->getParentOfType<pdl::PatternOp>();
    if (rewrite.getBodyRegion().empty())
      return;
    OpBuilder builder = OpBuilder::atBlockBegin(&rewrite.getBodyRegion().front());
    Attribute name = builder.getStringAttr(pattern.getSymName().value_or("pattern"));
    Value value =
        pdl::AttributeOp::create(builder, rewrite.getLoc(), builder.getType<pdl::AttributeType>(), Value(), name);
    pdl::ApplyNativeRewriteOp::create(builder, rewrite.getLoc(), TypeRange(), builder.getStringAttr(firedName),
                                      ValueRange(value));
  });
}

//===------------------------------------ the pass ------------------------------------===//

// Infers what patterns make.
struct Watch : RewriterBase::Listener {
  void notifyOperationInserted(Operation *op, OpBuilder::InsertPoint previous) override {
    if (previous.isSet() || !isa<onnx::OnnxDialect>(op->getDialect()))
      return;
    bool isOpen = llvm::any_of(op->getResultTypes(), [](Type type) { return isa<onnx::AnyType>(type); });
    if (!isOpen)
      return;
    onnx::ShapeValues values;
    SmallVector<Type> types;
    ScopedDiagnosticHandler silence(op->getContext(), [](Diagnostic &) { return success(); });
    if (succeeded(onnx::inferReturnTypes(op, types, values)))
      for (auto [result, type] : llvm::zip(op->getResults(), types))
        result.setType(type);
  }
};

struct ApplyPatterns : burin::impl::ApplyPatternsBase<ApplyPatterns> {
  using burin::impl::ApplyPatternsBase<ApplyPatterns>::ApplyPatternsBase;

  LogicalResult initialize(MLIRContext *context) override {
    for (StringRef dialect : {"onnx", "pdl", "pdl_interp"})
      context->getOrLoadDialect(dialect);
    ParserConfig config(context, /*verifyAfterParse=*/false);
    OwningOpRef<ModuleOp> module =
        parseSourceString<ModuleOp>(pdl, config, file.empty() ? "patterns" : file.getValue());
    if (!module)
      return failure();
    PDLPatternModule patterns(std::move(module));
    addFunctions(patterns);
    if (failed(checkNames(patterns.getModule(), patterns)))
      return failure();
    giveTypes(patterns.getModule());
    tellNames(patterns.getModule());
    patterns.registerRewriteFunction(firedName, [fired = fired](PatternRewriter &rewriter, Attribute name) {
      Operation *root = &*rewriter.getInsertionPoint(); // PDL stands there when a rewrite begins
      ++fired->count;
      fired->last = cast<StringAttr>(name).str();
      graph::passed(root, passName, fired->last);
    });
    if (failed(verify(patterns.getModule())))
      return failure();
    RewritePatternSet set(context);
    set.add(std::move(patterns));
    frozen = std::make_shared<FrozenRewritePatternSet>(std::move(set));
    return success();
  }

  void runOnOperation() override {
    Watch watch;
    *fired = {};
    int64_t count = 0;
    getOperation()->walk([&](Operation *) { ++count; });
    // No folding and no merging: what fires is what the user wrote.
    GreedyRewriteConfig config;
    config.setUseTopDownTraversal(true)
        .setRegionSimplificationLevel(GreedySimplifyRegionLevel::Disabled)
        .setMaxIterations(maxRewrites)
        .setMaxNumRewrites(maxRewrites * count + 64)
        .setListener(&watch)
        .enableFolding(false)
        .enableConstantCSE(false);
    if (failed(applyPatternsGreedily(getOperation(), *frozen, config))) {
      getOperation()->emitError() << (file.empty() ? "patterns" : file.getValue())
                                  << ": the patterns do not settle within " << fired->count
                                  << " rewrites; the last to fire was '" << fired->last << "'";
      return signalPassFailure();
    }
    graph::eraseAllDead(getOperation());
    graph::counted(getOperation(), passName, fired->count);
  }

  struct Fired {
    unsigned count = 0;
    std::string last;
  };
  std::shared_ptr<Fired> fired = std::make_shared<Fired>();
  std::shared_ptr<FrozenRewritePatternSet> frozen;
};
} // namespace
