// What of a kernel is decided by measuring at -O3, and the text in which decisions travel: from the driver
// (lib/Pipeline/Tune) through pass options to the tensor stage, and into cache files. Pure functions.
#ifndef BURIN_LIB_SUPPORT_TUNING_H
#define BURIN_LIB_SUPPORT_TUNING_H

#include "lib/Support/Packing.h"
#include <optional>
#include <string>

namespace burin {

/// On an nn operation: its KernelShape as text, and the tile that was chosen for it, [rows, columns].
inline constexpr char kernelKeyAttr[] = "burin.key";
inline constexpr char kernelTileAttr[] = "burin.tile";
/// On an nn operation until its weights are packed: block and winograd of the choice.
inline constexpr char kernelChoiceAttr[] = "burin.choice";

/// All that a kernel's speed depends on but the machine: equal shapes are tuned once. A matrix product is a convolution
/// of one tap, its rows the columns.
struct KernelShape {
  std::string kind, type; // "conv" or "matmul"; "f32", "f16", "bf16" or "i8"
  int64_t batch = 1, rows = 1, columns = 1, in = 1, out = 1;
  int64_t kernelRows = 1, kernelColumns = 1, strideRows = 1, strideColumns = 1, dilationRows = 1, dilationColumns = 1;

  /// "conv-f32-1x56x56-64-64-k3x3-s1x1-d1x1"
  std::string text() const;
  static std::optional<KernelShape> parse(llvm::StringRef text);
};

/// What is decided; what has no value is left to the cost model.
struct KernelChoice {
  std::optional<int64_t> winograd, block; // results a tile, 0: direct; channels a packed block
  PixelTile tile = {0, 0};

  bool isDefault() const { return !winograd && !block && tile.rows == 0; }
  bool operator==(const KernelChoice &other) const;
  /// "winograd=4;block=32;tile=1x14", "default" for none.
  std::string text() const;
  static std::optional<KernelChoice> parse(llvm::StringRef text);
};

/// Choices worth measuring beside the cost model's own, the most promising ones first: at most eight.
llvm::SmallVector<KernelChoice> kernelCandidates(const Machine &machine, const KernelShape &shape,
                                                 double winogradError);

} // namespace burin

#endif
