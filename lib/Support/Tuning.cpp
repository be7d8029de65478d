// Shapes and choices as text, and the candidates for a shape.
#include "lib/Support/Tuning.h"
#include "lib/Support/Winograd.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <algorithm>
#include <cstdio>

using namespace burin;

std::string KernelShape::text() const {
  return llvm::formatv("{0}-{1}-{2}x{3}x{4}-{5}-{6}-k{7}x{8}-s{9}x{10}-d{11}x{12}", kind, type, batch, rows, columns,
                       in, out, kernelRows, kernelColumns, strideRows, strideColumns, dilationRows, dilationColumns)
      .str();
}

std::optional<KernelShape> KernelShape::parse(llvm::StringRef text) {
  KernelShape s;
  auto [kind, rest] = text.split('-');
  auto [type, numbers] = rest.split('-');
  s.kind = kind.str();
  s.type = type.str();
  int end = 0;
  std::string copy = numbers.str();
  auto *format = "%ldx%ldx%ld-%ld-%ld-k%ldx%ld-s%ldx%ld-d%ldx%ld%n";
  if (std::sscanf(copy.c_str(), format, &s.batch, &s.rows, &s.columns, &s.in, &s.out, &s.kernelRows, &s.kernelColumns,
                  &s.strideRows, &s.strideColumns, &s.dilationRows, &s.dilationColumns, &end) != 11)
    return std::nullopt;
  // Whatever it reads, it must be what text() writes: no signs, spaces or leading zeros.
  bool known = (kind == "conv" || kind == "matmul") && llvm::is_contained({"f32", "f16", "bf16", "i8"}, type);
  return known && s.text() == text ? std::optional(s) : std::nullopt;
}

bool KernelChoice::operator==(const KernelChoice &other) const {
  return winograd == other.winograd && block == other.block && tile.rows == other.tile.rows &&
         tile.columns == other.tile.columns;
}

std::string KernelChoice::text() const {
  llvm::SmallVector<std::string> parts;
  if (winograd)
    parts.push_back("winograd=" + std::to_string(*winograd));
  if (block)
    parts.push_back("block=" + std::to_string(*block));
  if (tile.rows)
    parts.push_back("tile=" + std::to_string(tile.rows) + "x" + std::to_string(tile.columns));
  return parts.empty() ? "default" : llvm::join(parts, ";");
}

std::optional<KernelChoice> KernelChoice::parse(llvm::StringRef text) {
  KernelChoice choice;
  if (text == "default")
    return choice;
  llvm::SmallVector<llvm::StringRef> parts;
  text.split(parts, ';');
  for (llvm::StringRef part : parts) {
    auto [name, value] = part.split('=');
    int64_t number = 0, second = 0;
    if (name == "tile") {
      auto [rows, columns] = value.split('x');
      if (rows.getAsInteger(10, number) || columns.getAsInteger(10, second) || number < 1 || second < 1 ||
          number * second > 64)
        return std::nullopt;
      choice.tile = {number, second};
      continue;
    }
    if (value.getAsInteger(10, number))
      return std::nullopt;
    if (name == "winograd" && (number == 0 || number == 2 || number == 4))
      choice.winograd = number;
    else if (name == "block" && number >= 1 && number <= 1024)
      choice.block = number;
    else
      return std::nullopt;
  }
  return choice;
}

llvm::SmallVector<KernelChoice> burin::kernelCandidates(const Machine &machine, const KernelShape &shape,
                                                        double error) {
  constexpr size_t mostTiles = 3, most = 8;
  llvm::SmallVector<KernelChoice> candidates;
  bool isFloat = shape.type != "i8";
  if (shape.kind == "conv" && shape.type == "f32" && shape.kernelRows == 3 && shape.kernelColumns == 3 &&
      shape.strideRows == 1 && shape.strideColumns == 1 && shape.dilationRows == 1 && shape.dilationColumns == 1) {
    WinogradShape w{shape.rows, shape.columns, shape.in, shape.out};
    int64_t modelled = chooseWinograd(machine, w, error);
    for (int64_t results : {4, 2, 0})
      if (results != modelled &&
          (results == 0 || (winogradError(results) <= error && std::min(shape.rows, shape.columns) >= results)))
        candidates.push_back({results, std::nullopt, {0, 0}});
  }
  // Tiles of the block that the model takes: the next best ones by its own estimate, and other blocks.
  int64_t lanes = std::max<int64_t>(1, machine.lanes(32));
  int64_t block = isFloat ? packingBlock(machine, shape.in * shape.kernelRows * shape.kernelColumns, shape.out)
                          : dotBlock(machine, shape.out);
  if (block > 0) {
    auto vectors = splitChannels(lanes, std::min(block, shape.out));
    int64_t rows = shape.kernelRows == 1 ? shape.rows : 1;
    PixelTile modelled = choosePixelTile(machine, 32, vectors, rows, shape.columns);
    struct Ranked {
      double cycles;
      PixelTile tile;
    };
    llvm::SmallVector<Ranked> ranked;
    for (int64_t r = 1; r <= std::min<int64_t>(rows, 32); ++r)
      for (int64_t c = 1; c <= std::min<int64_t>(shape.columns, 32); ++c)
        if (r * c != modelled.pixels() && tileFits(machine, r * c, vectors))
          ranked.push_back({tileCycles(machine, 32, vectors, {r, c}, rows, shape.columns), {r, c}});
    llvm::stable_sort(ranked, [](const Ranked &a, const Ranked &b) { return a.cycles < b.cycles; });
    llvm::SmallVector<int64_t> pixels;
    for (const Ranked &entry : ranked)
      if (pixels.size() < mostTiles && !llvm::is_contained(pixels, entry.tile.pixels())) {
        pixels.push_back(entry.tile.pixels());
        candidates.push_back({std::nullopt, std::nullopt, entry.tile});
      }
  }
  if (isFloat)
    for (int64_t registers : {2, 4, 1, 3})
      if (registers * lanes != block && registers * lanes <= shape.out)
        candidates.push_back({std::nullopt, registers * lanes, {0, 0}});
  if (candidates.size() > most)
    candidates.resize(most);
  return candidates;
}
