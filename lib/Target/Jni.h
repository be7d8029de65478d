// Java's door to a static library: a class and the C functions behind its native methods.
#ifndef BURIN_LIB_TARGET_JNI_H
#define BURIN_LIB_TARGET_JNI_H

#include "lib/Target/Description.h"
#include "llvm/Support/raw_ostream.h"

namespace burin {

/// The class's name: the model's with a capital.
std::string javaClass(const ModelDescription &model);

/// A class with a method run(ByteBuffer...) over direct buffers, also for Kotlin. Of static models.
void writeJava(const ModelDescription &model, llvm::StringRef version, llvm::raw_ostream &out);

/// The C file to compile with the library and its header into lib<NAME>.so.
void writeJniShim(const ModelDescription &model, llvm::StringRef version, llvm::raw_ostream &out);

} // namespace burin

#endif
