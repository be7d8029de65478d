// The model file without its weights: a copy of the protobuf bytes in which each large raw_data is a short marker. The
// library then parses kilobytes where the file has gigabytes, and converters that copy tensors copy markers.
#pragma once

#include "llvm/ADT/StringRef.h"

#include <optional>
#include <string>
#include <vector>

namespace burin {

struct Skeleton {
  std::string bytes;
  /// The data each marker stands for, in the mapped file (or in an external one, added later).
  std::vector<llvm::StringRef> weights;
};

/// Walks the wire format of a ModelProto. False with `error` set where the bytes are none, or end too early.
bool makeSkeleton(llvm::StringRef file, uint64_t threshold, Skeleton &skeleton, std::string &error);

/// The marker of weight `index`, and back; nothing for bytes that are no marker.
std::string makeMarker(uint64_t index);
std::optional<uint64_t> readMarker(llvm::StringRef bytes);

} // namespace burin
