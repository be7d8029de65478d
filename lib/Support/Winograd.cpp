// The cost model behind Winograd convolution: products at the speed of a matrix product, two transforms, and
// transformed weights that come from beyond L2 once a band.
#include "lib/Support/Winograd.h"

#include "llvm/Support/MathExtras.h"
#include <algorithm>

using namespace burin;

constexpr int64_t leastTiles = 5;

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
  if (results == 0)
    return double(shape.rows) * shape.columns * 9 * products / 0.9;
  WinogradBand band = winogradBand(machine, results, shape);
  double tiles = double(band.tileRows) * band.tileColumns, positions = (results + 2) * (results + 2);
  // Loads, stores and additions of one vector of channels, and the registers that F(4x4) has not.
  double in = results == 2 ? 35 : 150, out = results == 2 ? 30 : 110;
  double cycles = tiles * (positions * products / 0.75 + (in * shape.ic + out * shape.oc) / lanes);
  double weights = weightBytes(results, shape);
  if (weights > machine.l2Bytes / 2)
    cycles += tiles / band.tiles() * weights / 8;
  return cycles;
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
