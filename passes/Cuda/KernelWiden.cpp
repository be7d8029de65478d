// Stored weights (nn::StoredLayout) on a GPU: reading their words, and, for products of many rows, writing what they
// stand for to scratch memory once a run, where tensor cores' kernels find it.
#include "passes/Cuda/ContractionProblem.h"
#include "passes/Cuda/Families.h"
#include "passes/Cuda/Kernels.h"
#include "passes/Cuda/StoredWords.h"

using namespace mlir;
using namespace burin;
using namespace burin::cuda;

bool StoredWords::fit(nn::MatmulOp op, std::string &why) {
  nn::StoredLayout layout = nn::storedLayout(op);
  if (layout.block != layout.n)
    return why = "weights lie in blocks of columns", false;
  if (layout.run % layout.perWord() || layout.k % layout.perWord())
    return why = "rows of a run do not fill words", false;
  if (layout.n * layout.headBytes() % 4 || alignmentOf(op.getRhs()) % 4)
    return why = "words are not aligned", false;
  return true;
}

// 2^23 + u, for u below 2^23, by its bits: an integer becomes a float without a conversion, of which a GPU makes few.
static Value withOffset(OpBuilder &b, Location loc, Value u) {
  Value bits = arith::OrIOp::create(b, loc, u, arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(0x4b000000)));
  return arith::BitcastOp::create(b, loc, b.getF32Type(), bits);
}

StoredWords::Run StoredWords::open(Value group, Value column) {
  OpBuilder &b = f.b;
  Location loc = f.loc;
  int64_t last = layout.groups() - 1;
  Run run{group, f.number(layout.wordsOf(0)), {}, {}, {}};
  if (layout.wordsOf(last) != layout.wordsOf(0))
    run.words = arith::SelectOp::create(b, loc, f.below(group, last), run.words, f.number(layout.wordsOf(last)));
  Value start = f.add(f.addressOf(weights), f.mul(group, layout.groupBytes() * layout.n));
  run.address = f.add(f.add(start, f.number(layout.headBytes() * layout.n)), f.mul(column, 4));
  run.scale = f.loadGlobal(f.add(start, f.mul(column, layout.scaleBytes)), scaleType);
  if (!scaleType.isF32())
    run.scale = arith::ExtFOp::create(b, loc, b.getF32Type(), run.scale);
  if (layout.zeros) {
    Value zero = f.loadGlobal(f.add(start, f.add(f.number(layout.scaleBytes * layout.n), column)), b.getI8Type());
    run.zero = withOffset(b, loc, arith::ExtUIOp::create(b, loc, b.getI32Type(), zero));
  } else {
    run.zero = arith::ConstantOp::create(b, loc, b.getF32FloatAttr(float((1 << 23) + layout.middle())));
  }
  return run;
}

Value StoredWords::rowOf(const Run &run, Value word) {
  return f.add(f.mul(run.group, layout.run), f.mul(word, layout.perWord()));
}

SmallVector<Value> StoredWords::load(const Run &run, Value word) {
  OpBuilder &b = f.b;
  Location loc = f.loc;
  Value bits = f.loadGlobalWord(f.add(run.address, f.mul(word, 4 * layout.n)));
  auto constant = [&](int64_t value) { return arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(value)); };
  SmallVector<Value> numbers;
  for (int64_t i = 0; i < layout.perWord(); ++i) {
    Value u = arith::ShRUIOp::create(b, loc, bits, constant(i * layout.bits));
    u = arith::AndIOp::create(b, loc, u, constant(layout.mask()));
    numbers.push_back(arith::SubFOp::create(b, loc, withOffset(b, loc, u), run.zero));
  }
  return numbers;
}

FailureOr<nn::MatmulOp> cuda::emitWidening(OpBuilder &b, nn::MatmulOp op, std::string &why) {
  if (!StoredWords::fit(op, why))
    return failure();
  constexpr int64_t blockSize = 256;
  Location loc = op.getLoc();
  nn::StoredLayout layout = nn::storedLayout(op);
  Type element = cast<MemRefType>(op.getLhs().getType()).getElementType();
  Value wide = memref::AllocOp::create(b, loc, MemRefType::get({layout.k, layout.n}, element));
  int64_t words = layout.k / layout.perWord();
  launchThreads(b, loc, words * layout.n, blockSize, [&](OpBuilder &inside, Value linear) {
    SmallVector<Value> at = positionOf(inside, loc, linear, {words, layout.n});
    Fragments f{inside, loc, Products::Exact, {}};
    StoredWords stored{f, layout, op.getStoredAttr().getScale(), op.getRhs()};
    StoredWords::Run run = stored.open(f.div(at[0], layout.wordsOf(0)), at[1]);
    Value word = f.rem(at[0], layout.wordsOf(0)), row = stored.rowOf(run, word);
    for (auto [i, number] : llvm::enumerate(stored.load(run, word))) {
      Value value = arith::MulFOp::create(inside, loc, number, run.scale);
      if (!element.isF32())
        value = arith::TruncFOp::create(inside, loc, element, value);
      memref::StoreOp::create(inside, loc, value, wide, ValueRange{f.add(row, f.number(i)), at[1]});
    }
  });
  auto product = cast<nn::MatmulOp>(b.clone(*op));
  product.getRhsMutable().assign(wide);
  product.removePackedAttr();
  product.removeStoredAttr();
  return product;
}
