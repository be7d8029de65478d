// The weight section: constant data that never enters LLVM IR. Written straight from the resources (the mapped model
// file, or folded blobs) into an object of one section, so compile time and memory do not grow with it.
#ifndef BURIN_LIB_TARGET_WEIGHTSECTION_H
#define BURIN_LIB_TARGET_WEIGHTSECTION_H

#include "lib/Target/Description.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"

namespace burin {

/// Writes exactly model.weightsBytes bytes: each weight at its offset, zeros between. Splats are expanded on the fly.
void writeWeights(const ModelDescription &model, llvm::raw_ostream &out);

/// One of them, weight.bytes bytes.
void writeWeight(const WeightDescription &weight, llvm::raw_ostream &out);

/// A stream into memory that is large enough.
class MemoryStream : public llvm::raw_ostream {
public:
  explicit MemoryStream(char *to) : llvm::raw_ostream(/*unbuffered=*/true), to(to) {}

private:
  void write_impl(const char *from, size_t size) override {
    std::copy(from, from + size, to + at);
    at += size;
  }
  uint64_t current_pos() const override { return at; }
  char *to;
  uint64_t at = 0;
};

/// Writes an object (ELF or WebAssembly) for `triple` that defines model.weightsSymbol(), hidden,
/// BURIN_ALIGNMENT-aligned, in `.rodata.burin.weights`: model.codedWeights, or else the weights as they are.
llvm::Error writeWeightObject(const ModelDescription &model, llvm::StringRef triple, llvm::raw_ostream &out);

/// The raw bytes of elements in memory order, one byte a boolean; empty for a splat of more than one element and for
/// types without bytes. `scratch` owns them when the attribute's own storage differs.
llvm::ArrayRef<char> bytesOfElements(mlir::ElementsAttr elements, llvm::SmallVectorImpl<char> &scratch);

} // namespace burin

#endif
