// Private header of the room: the state of one walk over @main and the table of lowering functions.
//
// The idea: a value is a tensor in memory plus the order its dims lie in. Physical dim i of a value placed with `order`
// holds its logical (ONNX) dim order[i]. Transpose only changes the order; an op asks for its operands in the order it
// wants (`getIn`), or takes them as they lie (`get`), and answers with a tensor and the order it made (`set`). Data
// moves only where two orders really meet, and each value is brought to an order once.
//
// A lowering function must not touch the onnx ops: it reads them, builds at `l.b` and calls `set` for every present
// result. It reports what it cannot do through `l.unsupported` or `l.error` and returns failure.
#ifndef BURIN_PASSES_LOWER_LOWERING_H
#define BURIN_PASSES_LOWER_LOWERING_H

#include "dialects/Nn/Nn.h"
#include "dialects/Onnx/Onnx.h"
#include "dialects/Onnx/OnnxUtils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "passes/Lower/Extents.h"

#include <functional>
#include <optional>

namespace burin::lower {

using Dims = llvm::SmallVector<int64_t, 4>;
using Order = Dims;

/// What a tensor is to be: its extents in memory, numbers or handles of `Extents`, and its storage type.
struct Shaped {
  Dims shape;
  mlir::Type element;

  Shaped(llvm::ArrayRef<int64_t> shape, mlir::Type element) : shape(shape), element(element) {}
  Shaped(mlir::RankedTensorType type) : shape(type.getShape()), element(type.getElementType()) {}
  int64_t getRank() const { return shape.size(); }
  llvm::ArrayRef<int64_t> getShape() const { return shape; }
  int64_t getDimSize(int64_t dim) const { return shape[dim]; }
  mlir::Type getElementType() const { return element; }
  operator mlir::RankedTensorType() const; // handles become `?`
};

/// A tensor (signless element type) and the order its dims lie in.
struct Placed {
  mlir::Value value;
  Order order;
  mlir::RankedTensorType type() const { return llvm::cast<mlir::RankedTensorType>(value.getType()); }
};

// --- Orders and shapes -----------------------------------------------------------------------------------------------

Order identityOrder(int64_t rank);
/// [0, 2, ..., rank-1, 1]: batch, spatial dims, channels. The identity below rank 3.
Order channelsLast(int64_t rank);
bool isIdentity(llvm::ArrayRef<int64_t> order);
/// Where logical dim `dim` lies.
int64_t positionOf(llvm::ArrayRef<int64_t> order, int64_t dim);
/// Shape in memory of a tensor of logical `shape` placed in `order`: result[i] = shape[order[i]].
Dims permuted(llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<int64_t> order);
/// True if both orders put the elements of a tensor of this logical shape at the same addresses (dims of 1 may lie
/// anywhere).
bool sameMemory(llvm::ArrayRef<int64_t> shape, llvm::ArrayRef<int64_t> a, llvm::ArrayRef<int64_t> b);
/// `order` with only the dims that `keep` says, renumbered to the tensor that has only those.
Order withoutDims(llvm::ArrayRef<int64_t> order, llvm::function_ref<bool(int64_t)> keep);
/// axis in [-rank, rank) -> [0, rank). The caller has checked the range (ONNX's inference does).
int64_t normalizeAxis(int64_t axis, int64_t rank);
/// Of numbers; 0 where one is 0, -1 where one is free (`Lowering::product` multiplies those).
int64_t product(llvm::ArrayRef<int64_t> dims);
/// The type signless memory holds for an ONNX element type: ui8 and narrow ones (Narrow.h) -> i8; others as they are.
mlir::Type storageType(mlir::Type element);

/// Builds one element of a result from one element of each operand. Arguments and answer have the tensors' element
/// types.
using Body = llvm::function_ref<mlir::Value(mlir::ImplicitLocOpBuilder &b, mlir::ValueRange args)>;

class Lowering {
public:
  Lowering(mlir::OpBuilder builder, mlir::Location loc) : b(loc, builder) {}

  /// Where everything is built; its location is that of the op being lowered.
  mlir::ImplicitLocOpBuilder b;

  // --- What an onnx value is (v is a value of the onnx function) -----------------------------------------------------
  bool isAbsent(mlir::Value v) { return onnx::isNone(v); }
  llvm::ArrayRef<int64_t> shape(mlir::Value v); // logical; numbers, and handles where the graph does not know
  int64_t rank(mlir::Value v) { return shape(v).size(); }
  mlir::Type element(mlir::Value v); // storage type
  bool isUnsigned(mlir::Value v);    // ONNX's own type is unsigned (or bool)
  /// The type memory has for `v` placed in `order`.
  Shaped typeIn(mlir::Value v, llvm::ArrayRef<int64_t> order);

  // --- Extents: each takes and gives numbers or handles
  // ---------------------------------------------------------------
  Extents extents;
  int64_t add(int64_t x, int64_t y) { return extents.add(x, y); }
  int64_t sub(int64_t x, int64_t y) { return extents.sub(x, y); }
  int64_t mul(int64_t x, int64_t y) { return extents.mul(x, y); }
  int64_t floorDiv(int64_t x, int64_t y) { return extents.floorDiv(b, x, y); }
  int64_t ceilDiv(int64_t x, int64_t y) { return floorDiv(add(x, sub(y, 1)), y); }
  int64_t min(int64_t x, int64_t y) { return extents.min(b, x, y); }
  int64_t max(int64_t x, int64_t y) { return extents.max(b, x, y); }
  int64_t product(llvm::ArrayRef<int64_t> dims);
  /// As an index value, and as what slices take: an attribute where it is a number.
  mlir::Value index(int64_t extent) { return extents.materialize(b, extent); }
  mlir::OpFoldResult fold(int64_t extent);
  llvm::SmallVector<mlir::OpFoldResult> fold(llvm::ArrayRef<int64_t> extents);
  /// Extents of a tensor that was built here.
  Dims extentsOf(mlir::Value physical);
  Shaped typeOf(mlir::Value physical);
  /// True if the shape can be told where things are built now, and not only inside a branch or body.
  bool isVisible(llvm::ArrayRef<int64_t> shape);
  /// The extent that two operands agree on along one dim; where that cannot be proved the program checks it.
  int64_t agree(int64_t x, int64_t y);
  /// The extent of a result of broadcast operands of extents x and y. A dim that is not known to be 1 does not repeat.
  int64_t broadcastExtent(int64_t x, int64_t y);
  /// What shape inference answers for a value: its extents, and its elements where it is a small tensor of integers
  /// that are known as extents (what Shape gives, and arithmetic on it).
  void setShape(mlir::Value v, llvm::ArrayRef<int64_t> shape) { shapes[v] = Dims(shape); }
  void setScalars(mlir::Value v, llvm::ArrayRef<int64_t> elements) { scalars[v] = Dims(elements); }
  std::optional<Dims> getScalars(mlir::Value v);
  /// The same, reading the elements of a small integer tensor at run time where nothing is known of them. `isSize`:
  /// they are never negative. Nothing where their number is not known.
  std::optional<Dims> readScalars(mlir::Value v, bool isSize);
  /// True if the program's extents are in v's shape or, where they are known, in its elements.
  bool hasSymbols(mlir::Value v) { return scalars.contains(v) || anyFree(shape(v)); }

  // --- Constants
  // -------------------------------------------------------------------------------------------------------
  bool isConstant(mlir::Value v) { return bool(constant(v)); }
  mlir::ElementsAttr constant(mlir::Value v); // null unless constant; ONNX's own element type
  /// The one value all elements of a constant have, as a scalar of the storage type; null otherwise.
  mlir::TypedAttr splat(mlir::Value v);
  /// All integers of a constant operand; emits the error and fails when it is not one. `name`: ONNX's name of the
  /// operand.
  mlir::FailureOr<Dims> requireInts(mlir::Operation *op, mlir::Value v, llvm::StringRef name);
  /// A new constant of bytes in ONNX's raw layout.
  mlir::Value makeTensor(mlir::RankedTensorType type, llvm::ArrayRef<char> raw);
  mlir::Value makeTensor(mlir::ElementsAttr attr);
  mlir::Value makeSplat(const Shaped &type, mlir::TypedAttr scalar);
  mlir::Value makeScalar(mlir::TypedAttr scalar);
  /// `value` converted to `type` (float: rounded; integer: truncated; i1: non zero).
  mlir::TypedAttr scalarAttr(mlir::Type type, double value);
  mlir::TypedAttr zero(mlir::Type type) { return b.getZeroAttr(type); }

  // --- Asking for operands
  // --------------------------------------------------------------------------------------------
  /// As it lies.
  Placed get(mlir::Value v);
  /// With its dims in `order`; moved at most once a value and order, at compile time when constant.
  mlir::Value getIn(mlir::Value v, llvm::ArrayRef<int64_t> order);
  mlir::Value getIdentity(mlir::Value v) { return getIn(v, identityOrder(rank(v))); }

  // --- Answering
  // --------------------------------------------------------------------------------------------------------
  void set(mlir::Value result, mlir::Value physical, llvm::ArrayRef<int64_t> order);
  void set(mlir::Value result, mlir::Value physical) { set(result, physical, identityOrder(rank(result))); }
  void set(mlir::Value result, const Placed &placed) { set(result, placed.value, placed.order); }
  bool isSet(mlir::Value v) { return placed.contains(v) || scalars.contains(v) || isConstant(v); }

  // --- Building tensors (physical, no orders)
  // ----------------------------------------------------------------------------
  mlir::Value empty(const Shaped &type);
  mlir::Value empty(llvm::ArrayRef<int64_t> shape, mlir::Type element) { return empty(Shaped(shape, element)); }
  mlir::Value filled(const Shaped &type, mlir::TypedAttr scalar); // linalg.fill of tensor.empty
  /// Remembers the extents of a tensor built by other means.
  mlir::Value built(mlir::Value physical, llvm::ArrayRef<int64_t> shape);
  /// Same elements in row-major order, another shape: tensor.collapse_shape and expand_shape.
  mlir::Value reshape(mlir::Value tensor, llvm::ArrayRef<int64_t> shape);
  /// Dim `dim` as dims `parts`, and `count` dims from `dim` on as one of `extent`: reshapes whose sizes the program
  /// checks where they cannot be proved to fit.
  mlir::Value split(mlir::Value tensor, int64_t dim, llvm::ArrayRef<int64_t> parts);
  mlir::Value merge(mlir::Value tensor, int64_t dim, int64_t count, int64_t extent);
  /// Result dim i is dim permutation[i] of `tensor`: linalg.transpose, a reshape where only dims of 1 move.
  mlir::Value transpose(mlir::Value tensor, llvm::ArrayRef<int64_t> permutation);
  /// One linalg.generic, all loops parallel, over the result's dims; maps go from them to each operand's dims.
  mlir::Value map(const Shaped &result, mlir::ValueRange operands, llvm::ArrayRef<mlir::AffineMap> maps, Body body);
  /// One linalg.generic over the dims of `tensor` that reduces physical `axes` (dropped from the result). The body gets
  /// an element and the accumulator (of `init`'s type).
  mlir::Value reduce(mlir::Value tensor, llvm::ArrayRef<int64_t> axes, mlir::TypedAttr init, Body body);
  /// The same over loops of the given extents, with operands read through maps from them.
  mlir::Value reduce(llvm::ArrayRef<int64_t> loops, mlir::ValueRange operands, llvm::ArrayRef<mlir::AffineMap> maps,
                     llvm::ArrayRef<int64_t> axes, mlir::TypedAttr init, Body body);
  /// Constant padding: `low` and `high` a dim, >= 0 (linalg.fill and tensor.insert_slice: no new buffer beside the
  /// result).
  mlir::Value pad(mlir::Value tensor, llvm::ArrayRef<int64_t> low, llvm::ArrayRef<int64_t> high,
                  mlir::TypedAttr scalar);
  mlir::Value slice(mlir::Value tensor, llvm::ArrayRef<int64_t> offsets, llvm::ArrayRef<int64_t> sizes,
                    llvm::ArrayRef<int64_t> strides = {});
  /// `tensor` written over the slice of `whole` at `offsets`, steps of 1.
  mlir::Value insert(mlir::Value tensor, mlir::Value whole, llvm::ArrayRef<int64_t> offsets);
  /// Memory that is no other value's, unlike `empty`, which equal ones share.
  mlir::Value fresh(const Shaped &type);
  /// `tensor` in a buffer of its own, for a loop that updates it in place.
  mlir::Value own(mlir::Value tensor);
  /// `tensor` in the memory of `target`, of the same type: ends every loop body and branch, so that what they hand on
  /// lies in one buffer known before.
  mlir::Value moveInto(mlir::Value tensor, mlir::Value target);

  // --- Whole steps in terms of onnx values
  // ---------------------------------------------------------------------------------
  /// Lowers an elementwise op with ONNX broadcasting as one linalg.generic and sets `result`. It lies in the order of
  /// the widest full-rank non-constant operand; splat constants become scalars inside the body.
  void elementwise(mlir::Value result, mlir::ValueRange operands, Body body);
  /// `v` broadcast (dims aligned at the right) to logical `shape` placed in `order`: the tensor to read, without the
  /// dims that repeat, and the map that reads it from the result's physical dims. A projected permutation always.
  std::pair<mlir::Value, mlir::AffineMap> broadcast(mlir::Value v, llvm::ArrayRef<int64_t> shape,
                                                    llvm::ArrayRef<int64_t> order);
  /// `v` seen with another logical shape (row-major, as ONNX's Reshape): keeps the data where it lies when every group
  /// of merged or split dims is contiguous there, else goes through the identity order.
  Placed reshaped(mlir::Value v, llvm::ArrayRef<int64_t> shape);
  /// The order in which the elements of an elementwise result of `operands` had best lie.
  Order preferredOrder(mlir::ValueRange operands, int64_t rank);

  // --- Bodies
  // -------------------------------------------------------------------------------------------------------------
  /// What is cached while a scope lives lies inside a branch or body and is forgotten with it.
  class Scope {
  public:
    explicit Scope(Lowering &l) : l(l), extents(l.extents.memory()), moved(l.moved) {}
    ~Scope() {
      l.moved = std::move(moved);
      l.extents.restore(std::move(extents));
    }

  private:
    Lowering &l;
    Extents::Memory extents;
    llvm::DenseMap<std::pair<mlir::Value, mlir::Attribute>, mlir::Value> moved;
  };
  /// Lowers the operators of a nested block at `b`; its arguments are set.
  mlir::LogicalResult lowerBody(mlir::Block &body);
  std::function<mlir::LogicalResult(mlir::Operation *)> lowerOp; // set by the pass
  bool storesWeights = false;                                    // the pass's option: see StoredWeights.h
  /// Set with an error that no implementation could avoid: the node contradicts the shapes it gets. In a branch that is
  /// never taken it is none.
  bool impossible = false;

  // --- Errors
  // -------------------------------------------------------------------------------------------------------------
  /// `node 'n' (Op, opset 13): ...`: the caller streams the rest, lower case, expected and actual.
  mlir::InFlightDiagnostic error(mlir::Operation *op) { return onnx::emitNodeError(op); }
  /// `... operator is not supported by the CPU target yet: <what>`; answers failure. `what` names the attribute or type
  /// that is in the way, and the nearest form that works.
  mlir::LogicalResult unsupported(mlir::Operation *op, const llvm::Twine &what);

private:
  llvm::DenseMap<mlir::Value, Placed> placed;
  llvm::DenseMap<mlir::Value, Dims> shapes, scalars; // of onnx values
  llvm::DenseMap<mlir::Value, Dims> builtShapes;     // of tensors built here that have free dims
  llvm::DenseMap<std::pair<mlir::Value, mlir::Attribute>, mlir::Value> moved; // value and order -> tensor
  mlir::Value materialize(mlir::Value v, llvm::ArrayRef<int64_t> order);      // of a constant
  mlir::Value materializeScalars(mlir::Value v);
};

// --- The table
// -----------------------------------------------------------------------------------------------------------

/// From "onnx.Conv" to its lowering. Families add to it: `registry.add(lowerConv)` with
/// `LogicalResult lowerConv(Lowering &l, onnx::ConvOp op)`.
class Registry {
public:
  using Function = std::function<mlir::LogicalResult(Lowering &, mlir::Operation *)>;
  template <typename OpTy> void add(mlir::LogicalResult (*lower)(Lowering &, OpTy)) {
    table[OpTy::getOperationName()] = [lower](Lowering &l, mlir::Operation *op) {
      return lower(l, llvm::cast<OpTy>(op));
    };
  }
  void add(llvm::StringRef name, Function lower) { table[name] = std::move(lower); }
  const Function *find(llvm::StringRef name) const {
    auto it = table.find(name);
    return it == table.end() ? nullptr : &it->second;
  }

  /// "Conv", "Relu", ... in alphabetical order.
  std::vector<std::string> operators() const;

private:
  llvm::StringMap<Function> table;
};

/// All families' lowerings.
const Registry &getRegistry();

/// True for the operators of Math.cpp's table: their operands broadcast.
bool isElementwise(llvm::StringRef name);

/// Constants, absent operands and the terminator: read where they are used.
bool needsNoLowering(mlir::Operation *op);
/// @main, null where there is none with a body.
mlir::func::FuncOp getMain(mlir::ModuleOp module);
/// Erases what nothing uses, from the end to the start.
void eraseDead(mlir::Block &block);

// One a family file, spelled as the family.
void populateControlFlowLowerings(Registry &registry);
void populateMathLowerings(Registry &registry);
void populateNNLowerings(Registry &registry);
void populateReductionLowerings(Registry &registry);
void populateTensorLowerings(Registry &registry);
void populateImageLowerings(Registry &registry);
void populateQuantLowerings(Registry &registry);
void populateRecurrentLowerings(Registry &registry);
void populateSignalLowerings(Registry &registry);
void populateDetectionLowerings(Registry &registry);
void populateMiscLowerings(Registry &registry);

} // namespace burin::lower

#endif
