// The safetensors container, read without trust: names, types, shapes and the bytes of each tensor, and the text
// metadata.
//   8 bytes: header length N, little endian
//   N bytes: JSON {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ..., "__metadata__": {"k":
//   "v"}} the rest: data; offsets count from its start, cover it without holes and do not overlap
#pragma once

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/JSON.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace burin {

struct SafetensorsEntry {
  std::string name;
  std::string dtype; // as the file spells it: "F32", "BF16", ...
  llvm::SmallVector<int64_t, 4> shape;
  llvm::StringRef bytes; // into the file, any alignment; exactly what dtype and shape need
};

struct Safetensors {
  std::vector<SafetensorsEntry> tensors; // by name
  std::vector<std::pair<std::string, std::string>> metadata;
};

/// Bits of one element; 0 for a type that the format does not know.
unsigned safetensorsBits(llvm::StringRef dtype);

/// Reads `file`, which must outlive what is returned. Nothing, with `error` set to "expected ..., got ...", where the
/// file breaks a rule of the format. Caps: header of 100 MB, 1,000,000 tensors, rank 16.
std::optional<Safetensors> parseSafetensors(llvm::StringRef file, std::string &error);

/// JSON with a cap on nesting, which LLVM's recursive parser lacks. Nothing, with `error` set, where it is none.
std::optional<llvm::json::Value> parseJson(llvm::StringRef text, std::string &error);

} // namespace burin
