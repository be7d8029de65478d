// Private header of EmitLoops.cpp: what it knows of the body's values at a place in the loops. Holds no emission.
#ifndef BURIN_PASSES_CPU_LOOPFORMS_H
#define BURIN_PASSES_CPU_LOOPFORMS_H

#include "mlir/IR/Value.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallVector.h"

namespace burin::cpu {

/// A value along the vector dim. With a step it is `value + lane * step`; vectors have `isVector`.
struct Form {
  mlir::Value value;
  int64_t step = 0;
  bool isVector = false;
};

/// Forms known at some place and in those around it.
struct Scope {
  const Scope *parent = nullptr;
  llvm::DenseMap<mlir::Value, Form> forms;
  const Form *find(mlir::Value value) const {
    for (const Scope *scope = this; scope; scope = scope->parent)
      if (auto found = scope->forms.find(value); found != scope->forms.end())
        return &found->second;
    return nullptr;
  }
};

/// One of the points written side by side: where it lies relative to the loop variables, and how many of its lanes are
/// real: the first `active`, or, where that is known at run time only, those of `lanes`.
struct Instance {
  int64_t vectorShift = 0, tileShift = 0;
  unsigned width = 1, active = 1;
  mlir::Value lanes;
  Scope *scope = nullptr;
  bool isPartial() const { return lanes || active < width; }
};

/// What is known at some depth of the loops.
struct State {
  llvm::SmallVector<mlir::Value> variables; // one a dim, null while its loop is not open
  llvm::SmallVector<mlir::Value> offsets;   // one an operand: the part of the flat index that the open loops give
  uint64_t open = 0;                        // dims whose loops are open
};

} // namespace burin::cpu

#endif
