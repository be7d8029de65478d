// The names of the nodes an operation came from, as the importer put them into its location. It reads locations and
// nothing else.
#ifndef BURIN_SUPPORT_NODENAMES_H
#define BURIN_SUPPORT_NODENAMES_H

#include "mlir/IR/Location.h"
#include "llvm/ADT/SmallVector.h"

namespace burin {

/// Appends each name once. They lie in the outermost NameLoc of each part; what is inside says operator and line.
void collectNodeNames(mlir::Location loc, llvm::SmallVectorImpl<llvm::StringRef> &names);

} // namespace burin

#endif
