// What the files of this room ask a graph for. Private to the room.
#ifndef BURIN_LIB_CALIBRATE_GRAPH_H
#define BURIN_LIB_CALIBRATE_GRAPH_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

namespace burin {

/// The function of the model: `main`, or the first.
inline mlir::func::FuncOp mainOf(mlir::ModuleOp module) {
  auto main = module.lookupSymbol<mlir::func::FuncOp>("main");
  return main ? main : *module.getOps<mlir::func::FuncOp>().begin();
}

/// A list of integers among an operator's attributes; `count` times `other` where it is absent.
inline llvm::SmallVector<int64_t> integersOf(mlir::Operation *op, llvm::StringRef name, size_t count, int64_t other) {
  llvm::SmallVector<int64_t> values;
  if (auto list = op->getAttrOfType<mlir::ArrayAttr>(name))
    for (mlir::Attribute value : list)
      values.push_back(llvm::cast<mlir::IntegerAttr>(value).getInt());
  else if (auto dense = op->getAttrOfType<mlir::DenseI64ArrayAttr>(name))
    values.assign(dense.asArrayRef().begin(), dense.asArrayRef().end());
  if (values.size() != count)
    values.assign(count, other);
  return values;
}

/// Whether a window's pads are those of the attribute `pads`.
inline bool hasExplicitPads(mlir::Operation *op) {
  auto padding = op->getAttrOfType<mlir::StringAttr>("auto_pad");
  return !padding || padding.getValue() == "NOTSET";
}

} // namespace burin

#endif
