// An Einsum of two operands is a product of matrices with dims in another order: what Keras and einops write becomes
// Transpose, MatMul and Reshape, which every later pattern knows. Must not run where a letter would need a loop of its
// own: sums over one operand alone, outer products, diagonals.
#include "passes/Graph/Passes.h"
#include "passes/Graph/Rewriting.h"

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_RAISEEINSUM
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "RaiseEinsum";

// The letters of both operands and of the result, by what the product does with them.
struct Equation {
  std::string terms[2], result;
  std::string batch, rows, columns, summed; // rows are of the left operand alone
  unsigned left = 0;                        // which operand is the left one
};

// Empty where the equation is one of a product, else why it is none.
StringRef read(onnx::EinsumOp op, Equation &made) {
  if (op->getNumOperands() != 2)
    return "it has not two operands";
  std::string text = op.getEquation().str();
  llvm::erase(text, ' ');
  if (StringRef(text).contains('.') || !StringRef(text).contains("->"))
    return "its equation leaves dims or the result unnamed";
  auto [operands, result] = StringRef(text).split("->");
  auto [first, second] = operands.split(',');
  made.terms[0] = first.str(), made.terms[1] = second.str(), made.result = result.str();
  for (StringRef term : {first, second, result})
    for (char letter : term)
      if (term.count(letter) != 1)
        return "a letter occurs twice in one term";
  std::string own[2];
  for (char letter : made.result) {
    bool in[2] = {first.contains(letter), second.contains(letter)};
    if (in[0] && in[1])
      made.batch += letter;
    else
      own[in[0] ? 0 : 1] += letter;
  }
  for (unsigned i : {0, 1})
    for (char letter : made.terms[i])
      if (!result.contains(letter)) {
        if (!StringRef(made.terms[1 - i]).contains(letter))
          return "a dim of one operand alone is summed";
        if (i == 0)
          made.summed += letter;
      }
  if (made.summed.empty() || own[0].empty() || own[1].empty())
    return "it is no product of matrices";
  made.left = made.result.find(own[0][0]) < made.result.find(own[1][0]) ? 0 : 1;
  made.rows = own[made.left], made.columns = own[1 - made.left];
  return "";
}

Value transposed(OpBuilder &builder, Location loc, Value value, StringRef from, StringRef to) {
  if (from == to || !value)
    return value;
  SmallVector<int64_t> perm;
  for (char letter : to)
    perm.push_back(from.find(letter));
  return build<onnx::TransposeOp>(builder, loc, value,
                                  builder.getNamedAttr("perm", builder.getDenseI64ArrayAttr(perm)));
}

// value with the dims from `at` on as `sizes`, those before as they are.
Value regrouped(OpBuilder &builder, Location loc, Value value, int64_t at, ArrayRef<int64_t> sizes) {
  RankedTensorType type = value ? rankedType(value) : RankedTensorType();
  if (!type || type.getShape().drop_front(at) == sizes)
    return value;
  SmallVector<int64_t> shape(at, 0);
  shape.append(sizes.begin(), sizes.end());
  return build<onnx::ReshapeOp>(builder, loc, {value, onnx::createI64s(builder, loc, shape)});
}

// Einsum(%a, %b)   ->   Transpose(MatMul(Transpose(%a), Transpose(%b))), each Transpose and a Reshape where dims are
// several only if needed
//  - letters of both operands are of equal size: nothing broadcasts
//  - several rows only without batch dims, several columns or summed dims only of known sizes
bool visit(Operation *op) {
  auto einsum = dyn_cast<onnx::EinsumOp>(op);
  if (!einsum)
    return false;
  auto miss = [&](StringRef why) { return missed(op, passName, "MatMul", why); };
  Equation equation;
  if (StringRef why = read(einsum, equation); !why.empty())
    return miss(why);
  Value operands[2] = {op->getOperand(equation.left), op->getOperand(1 - equation.left)};
  StringRef terms[2] = {equation.terms[equation.left], equation.terms[1 - equation.left]};
  RankedTensorType types[2] = {rankedType(operands[0]), rankedType(operands[1])};
  for (unsigned i : {0, 1})
    if (!types[i] || types[i].getRank() != int64_t(terms[i].size()) || !isa<FloatType>(types[i].getElementType()))
      return miss("its operands are not floats of as many dims as letters");
  for (char letter : equation.batch + equation.summed)
    if (!sameDim(types[0], terms[0].find(letter), types[1], terms[1].find(letter)))
      return miss("dims of one letter are not known to be equal");
  if (equation.rows.size() > 1 && !equation.batch.empty())
    return miss("it has several rows and batch dims");
  auto sizesOf = [&](StringRef letters) {
    SmallVector<int64_t> sizes;
    for (char letter : letters)
      sizes.push_back(types[1].getDimSize(terms[1].find(letter)));
    return sizes;
  };
  SmallVector<int64_t> summed = sizesOf(equation.summed), columns = sizesOf(equation.columns);
  bool isGrouped = summed.size() > 1 || columns.size() > 1;
  if (isGrouped &&
      (llvm::is_contained(summed, ShapedType::kDynamic) || llvm::is_contained(columns, ShapedType::kDynamic)))
    return miss("several columns or summed dims are not of known size");
  OpBuilder builder(op);
  Location loc = op->getLoc();
  int64_t batch = equation.batch.size(), rows = equation.rows.size();
  Value left = transposed(builder, loc, operands[0], terms[0], equation.batch + equation.rows + equation.summed);
  Value right = transposed(builder, loc, operands[1], terms[1], equation.batch + equation.summed + equation.columns);
  if (isGrouped) {
    int64_t depth = 1, width = 1;
    for (int64_t size : summed)
      depth *= size;
    for (int64_t size : columns)
      width *= size;
    left = regrouped(builder, loc, left, batch + rows, depth);
    right = regrouped(builder, loc, right, batch, {depth, width});
  }
  Value made = left && right ? build<onnx::MatMulOp>(builder, loc, {left, right}) : Value();
  if (made && columns.size() > 1)
    made = regrouped(builder, loc, made, batch + rows, columns);
  made = transposed(builder, loc, made, equation.batch + equation.rows + equation.columns, equation.result);
  return made && replaceBy(op, made, passName, "MatMul");
}

class RaiseEinsum : public burin::impl::RaiseEinsumBase<RaiseEinsum> {
public:
  void runOnOperation() override {
    unsigned count = rewriteForward(getOperation(), visit);
    counted(getOperation(), passName, count);
  }
};

} // namespace
} // namespace burin
