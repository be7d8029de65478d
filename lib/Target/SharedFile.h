// Shared libraries as files: closed by a checksum when they are made, checked before they are loaded, since the dynamic
// loader maps a truncated or damaged file as readily as a whole one.
#ifndef BURIN_TARGET_SHAREDFILE_H
#define BURIN_TARGET_SHAREDFILE_H

#include "llvm/Support/Error.h"

namespace burin {

/// Appends the checksum. Nothing that reads ELF files looks behind the last section.
llvm::Error sealSharedFile(llvm::StringRef path);

/// Success for bytes that end in their own checksum, and for a 64-bit ELF file without one (stripped after it was made)
/// whose segments lie within it.
llvm::Error checkSharedBytes(llvm::StringRef bytes);
llvm::Error checkSharedFile(llvm::StringRef path);

} // namespace burin

#endif
