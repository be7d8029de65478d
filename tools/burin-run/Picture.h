// --image and --draw: picture files as inputs, and outputs as pictures. For tools alone: programs take arrays.
#ifndef BURIN_TOOLS_BURIN_RUN_PICTURE_H
#define BURIN_TOOLS_BURIN_RUN_PICTURE_H

#include "burin/runtime.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <string>
#include <vector>

namespace burin {

/// A picture of bytes, red first.
struct Picture {
  int64_t width = 0, height = 0;
  std::vector<uint8_t> pixels; // height x width x 3

  /// Reads JPEG, PNG, WebP, JPEG 2000, BMP, PNM or TIFF.
  static llvm::Expected<Picture> read(llvm::StringRef path);
  /// Writes PNG; the file appears whole or not at all.
  llvm::Error write(llvm::StringRef path) const;
};

/// Writes `picture` as the only array of an npz, under the name of the input that takes it: the named one, or the only
/// one of bytes with its size and three channels.
llvm::Error feedPicture(const Picture &picture, llvm::StringRef name, const burin_model &model, llvm::StringRef npz);

/// What the arrays of `npz` show: the first that is a picture (one or three channels, bytes or floats up to 1 or 255),
/// else the boxes of the first float array [n, 4] (corners, in pixels or as shares of the sides) on `picture`.
llvm::Expected<Picture> drawOutputs(const Picture &picture, llvm::StringRef npz);

} // namespace burin

#endif
