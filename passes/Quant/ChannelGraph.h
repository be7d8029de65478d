// Which channels of which values belong together: a channel may only go if it goes everywhere, through sums,
// activations, depthwise convolutions, pools and concatenations. Private to the room.
#ifndef BURIN_PASSES_QUANT_CHANNELGRAPH_H
#define BURIN_PASSES_QUANT_CHANNELGRAPH_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/ADT/DenseMap.h"

namespace burin::quant {

class ChannelGraph {
public:
  explicit ChannelGraph(mlir::func::FuncOp function);

  /// Of a value whose channels are known: the class of each entry of its dim 1. Channels of one class stay or go
  /// together.
  llvm::ArrayRef<unsigned> classesOf(mlir::Value value) const;
  unsigned numClasses() const { return parents.size(); }
  /// It must stay: an input, an output, or something reads it that no channel can be taken from.
  bool isFixed(unsigned c) const { return fixed[c]; }
  /// The convolutions and products whose output channels are of class `c`, with the channel.
  using Makers = llvm::SmallVector<std::pair<mlir::Operation *, int64_t>, 2>;
  const Makers &makersOf(unsigned c) const { return makers[c]; }

  /// Takes the channels of these classes out of weights, constants and types.
  void remove(const llvm::BitVector &classes);

private:
  void visit(mlir::Operation *op);
  bool visitProduct(mlir::Operation *op);
  bool visitBinary(mlir::Operation *op);
  llvm::SmallVector<unsigned> &channels(mlir::Value value);
  unsigned fresh(bool isFixed);
  unsigned find(unsigned c);
  void join(llvm::ArrayRef<unsigned> a, llvm::ArrayRef<unsigned> b);
  void fix(mlir::Value value);
  void same(mlir::Value from, mlir::Value to);

  mlir::func::FuncOp function;
  std::vector<unsigned> parents;
  llvm::BitVector fixed;
  std::vector<Makers> makers;
  llvm::DenseMap<mlir::Value, llvm::SmallVector<unsigned>> known; // by value, of dim 1
};

} // namespace burin::quant

#endif
