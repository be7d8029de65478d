// Private header of EmitLoops.cpp: what happens at a place in the loops of a nest: operands are read, the operations of
// the body written on vectors, results stored. Knows the loops that are open, but opens none.
#ifndef BURIN_PASSES_CPU_EMITPOINTS_H
#define BURIN_PASSES_CPU_EMITPOINTS_H

#include "passes/Cpu/LoopForms.h"
#include "passes/Cpu/LoopNest.h"
#include "passes/Cpu/VectorMemory.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace burin::cpu {

class PointEmitter {
public:
  PointEmitter(mlir::OpBuilder &builder, const LoopNest &nest, const LoopPlan &plan, const Machine &machine);

protected:
  // --- Sizes
  mlir::Value index(int64_t value);
  /// What is known at run time only is computed once, before all loops.
  void keep(const Size &size);
  mlir::Value valueOf(const Size &size);
  mlir::Value times(mlir::Value value, const Size &factor);
  /// offset + count * stride
  mlir::Value plus(mlir::Value offset, int64_t count, const Size &stride);
  static uint64_t bit(unsigned dim) { return uint64_t(1) << dim; }

  /// No loop is open.
  State outside();

  // --- Values of the body
  mlir::Value yielded(unsigned output) { return nest.body().getTerminator()->getOperand(output); }
  const Form *formOf(mlir::Value value, const Instance &instance);
  mlir::Value splat(mlir::TypedAttr value, unsigned width);
  mlir::Value inLanes(const Form &form, unsigned width);
  mlir::Value combine(const Combiner &combiner, mlir::Value a, mlir::Value c);
  /// The lanes of a partial vector that are real.
  mlir::Value maskOf(const Instance &instance);
  /// Everything not yet computed whose dims are all open, in the order of the body.
  void emitReady(const State &state, llvm::ArrayRef<Instance> instances, bool accumulatorsKnown);

  // --- Operands
  Form loadOperand(unsigned i, const State &state, const Instance &instance);
  void storeOutput(unsigned i, const State &state, const Instance &instance, const Form &form);
  bool isInterleavedHere(const NestOperand &o, llvm::ArrayRef<Instance> instances);
  void storeInterleaved(unsigned i, const State &state, llvm::ArrayRef<Instance> instances);

  mlir::ImplicitLocOpBuilder b;
  const LoopNest &nest;
  const LoopPlan &plan;
  const Machine &machine;
  VectorMemory memory;
  llvm::SmallVector<mlir::Value> flat; // of each operand: its buffer as one of rank 1
  bool streaming = false; // whole vectors of the output begin at multiples of their size and go past the caches

private:
  mlir::Value widen(mlir::Value value);
  llvm::SmallVector<mlir::Value> build(mlir::Operation *op, llvm::ArrayRef<mlir::Value> operands,
                                       mlir::TypeRange types);
  bool isTransposed(const NestOperand &o);
  mlir::Value placeOf(unsigned operand, const State &state, const Instance &instance);
  mlir::Value lanesApart(mlir::Value offset, const Size &step, unsigned width);
  Form load(mlir::Value buffer, mlir::Type element, const Form &offset, const Instance &instance);
  bool isMove() { return nest.body().getOperations().size() == 1 && plan.reductionOrder.empty(); }
  void loadTransposed(unsigned i, const State &state, llvm::ArrayRef<Instance> instances);
  void loadInterleaved(unsigned i, const State &state, llvm::ArrayRef<Instance> instances);
  mlir::Value stored(mlir::Value value, mlir::Type element);
  void emitOp(mlir::Operation *op, const State &state, const Instance &instance);
  llvm::SmallVector<mlir::Value> convert(mlir::Operation *op, llvm::SmallVector<mlir::Value> operands, unsigned width);
  std::optional<Form> emitLinear(mlir::Operation *op, llvm::ArrayRef<Form> forms);
  Form emitLoad(mlir::memref::LoadOp op, const Instance &instance);

  llvm::SmallVector<std::pair<Size, mlir::Value>> kept;
  llvm::DenseMap<mlir::Operation *, llvm::SmallVector<Size>> loadStrides;
  llvm::DenseMap<mlir::Operation *, mlir::Value> flatLoads;
};

} // namespace burin::cpu

#endif
