// The C header of a compiled model: what a person needs to call it, and nothing of Burin's own headers.
#ifndef BURIN_LIB_TARGET_HEADER_H
#define BURIN_LIB_TARGET_HEADER_H

#include "lib/Target/Description.h"
#include "llvm/Support/raw_ostream.h"

namespace burin {

/// An input or output as C sees it.
struct Parameter {
  const TensorDescription *tensor;
  bool isInput;
  std::string identifier, macro; // unique among all; the prefix of its constants
  int64_t count = 1;             // elements; where a dim is free, 0
};

std::vector<Parameter> parametersOf(const ModelDescription &model);

/// The C type of an element, and the bytes it takes.
llvm::StringRef cTypeOf(int32_t dtype);
unsigned bytesOfDtype(int32_t dtype);

/// A C identifier made of `text`: other characters become '_', a leading digit gets one before it, keywords one behind.
std::string toIdentifier(llvm::StringRef text);

/// `library` is the file to link, as the comment shows it.
void writeHeader(const ModelDescription &model, llvm::StringRef library, llvm::StringRef version,
                 llvm::raw_ostream &out);

} // namespace burin

#endif
