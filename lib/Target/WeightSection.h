// The weight section: constant data that never enters LLVM IR. Written straight from the resources (the mapped model file, or folded
// blobs) into an object of one section, so compile time and memory do not grow with it.
#ifndef BURIN_LIB_TARGET_WEIGHTSECTION_H
#define BURIN_LIB_TARGET_WEIGHTSECTION_H

#include "lib/Target/Description.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"

namespace burin {

/// Writes exactly model.weightsBytes bytes: each weight at its offset, zeros between. Splats are expanded on the fly.
void writeWeights(const ModelDescription &model, llvm::raw_ostream &out);

/// Writes an ELF object for `triple` that defines model.weightsSymbol(), hidden, BURIN_ALIGNMENT-aligned, in `.rodata.burin.weights`.
llvm::Error writeWeightObject(const ModelDescription &model, llvm::StringRef triple, llvm::raw_ostream &out);

/// The raw bytes of elements in memory order, one byte a boolean; empty for a splat of more than one element and for types without bytes.
/// `scratch` owns them when the attribute's own storage differs.
llvm::ArrayRef<char> bytesOfElements(mlir::ElementsAttr elements, llvm::SmallVectorImpl<char> &scratch);

} // namespace burin

#endif
