// The cost model behind Winograd convolution: products at the speed of a matrix product, two transforms, and
// transformed weights, which come from memory once and from the last cache, where that holds them, in all but the first
// band. They are read ahead, so that the slower of products and weights counts.
#include "lib/Support/Winograd.h"

#include "llvm/Support/MathExtras.h"
#include <algorithm>

using namespace burin;

constexpr int64_t leastTiles = 5;
// Bytes a cycle, from memory and from the cache behind L2.
constexpr double memoryBytes = 4, cacheBytes = 16;
constexpr double lastCache = 16 << 20; // what one core may count on of the cache behind L2

static double weightBytes(int64_t results, const WinogradShape &shape) {
  return double(results + 2) * (results + 2) * shape.ic * shape.oc * sizeof(float);
}

static int64_t tileBytes(int64_t results, const WinogradShape &shape) {
  return (results + 2) * (results + 2) * (shape.ic + shape.oc) * sizeof(float);
}

WinogradBand burin::winogradBand(const Machine &machine, int64_t results, const WinogradShape &shape) {
  WinogradBand band;
  band.tileRows = llvm::divideCeil(shape.rows, results);
  band.tileColumns = llvm::divideCeil(shape.columns, results);
  // Weights that stay in L2 leave a quarter of it to a band; where they do not, fewer bands read them less often.
  bool near = weightBytes(results, shape) <= machine.l2Bytes / 2;
  int64_t room = machine.l2Bytes / (near ? 4 : 2);
  int64_t tiles = std::max<int64_t>(1, std::min(room, machine.stackBytes()) / tileBytes(results, shape));
  auto evenly = [](int64_t all, int64_t most) { return llvm::divideCeil(all, llvm::divideCeil(all, most)); };
  band.columns = evenly(band.tileColumns, std::min(tiles, band.tileColumns));
  band.rows = evenly(band.tileRows, std::clamp<int64_t>(tiles / band.tileColumns, 1, band.tileRows));
  // A thread takes whole bands, so that no tile moves from core to core: two at least, that share no rows. Products
  // with fewer tiles would read weights for too little.
  if (near && band.tileRows < 2 * band.rows)
    for (int64_t rows = band.tileRows / 2; rows * band.columns >= leastTiles; --rows)
      if (band.tileRows % rows == 0) {
        band.rows = rows;
        break;
      }
  return band;
}

int64_t burin::winogradBandBytes(const Machine &machine, int64_t results, const WinogradShape &shape) {
  return winogradBand(machine, results, shape).tiles() * tileBytes(results, shape);
}

double burin::convCycles(const Machine &machine, int64_t results, const WinogradShape &shape) {
  double lanes = machine.lanes(32),
         products = double(shape.ic) * shape.oc / (lanes * std::max(1u, machine.fmaPerCycle));
  auto reading = [&](double bytes, double times) {
    double again = bytes / (bytes > lastCache ? memoryBytes : cacheBytes);
    return bytes > machine.l2Bytes / 2 ? bytes / memoryBytes + (times - 1) * again : 0;
  };
  if (results == 0)
    return std::max(double(shape.rows) * shape.columns * 9 * products / 0.9,
                    reading(9.0 * shape.ic * shape.oc * sizeof(float), 1));
  WinogradBand band = winogradBand(machine, results, shape);
  double tiles = double(band.tileRows) * band.tileColumns, positions = (results + 2) * (results + 2);
  double bands = double(llvm::divideCeil(band.tileRows, band.rows)) * llvm::divideCeil(band.tileColumns, band.columns);
  // Loads, stores and additions of one vector of channels, and the registers that F(4x4) has not.
  double in = results == 2 ? 35 : 150, out = results == 2 ? 30 : 110;
  return std::max(tiles * positions * products / 0.75, reading(weightBytes(results, shape), bands)) +
         tiles * (in * shape.ic + out * shape.oc) / lanes;
}

double burin::winogradError(int64_t results) { return results == 2 ? 1e-6 : 1e-5; }

int64_t burin::chooseWinograd(const Machine &machine, const WinogradShape &shape, double error) {
  int64_t best = 0;
  double bestCycles = convCycles(machine, 0, shape) * 0.9;
  for (int64_t results : {2, 4}) {
    if (winogradError(results) > error || std::min(shape.rows, shape.columns) < results)
      continue;
    double cycles = convCycles(machine, results, shape);
    if (cycles < bestCycles) {
      best = results;
      bestCycles = cycles;
    }
  }
  return best;
}
