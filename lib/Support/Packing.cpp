// The cost model behind tiles and packing: FMA throughput, load ports, issue width and latency of one reduction step.
// It ranks, it does not predict; measured ceilings of the tiles it should prefer: 14x32 on AVX-512, 4x24 and 6x16 on
// AVX2.
#include "lib/Support/Packing.h"

#include "llvm/Support/MathExtras.h"
#include "llvm/TargetParser/Triple.h"
#include <algorithm>
#include <cmath>

using namespace burin;

llvm::SmallVector<ChannelVector> burin::splitChannels(int64_t maxLanes, int64_t width) {
  llvm::SmallVector<ChannelVector> vectors;
  int64_t offset = 0;
  for (; offset + maxLanes <= width; offset += maxLanes)
    vectors.push_back({offset, maxLanes});
  int64_t rest = width - offset;
  if (rest == 0)
    return vectors;
  int64_t up = llvm::PowerOf2Ceil(rest), down = int64_t(1) << llvm::Log2_64(rest);
  if (up == rest || up <= width) {
    // One register, ending where the channels end; it may reach back over the one before.
    vectors.push_back({width - up, up});
    return vectors;
  }
  vectors.push_back({offset, down});
  int64_t last = llvm::PowerOf2Ceil(rest - down);
  vectors.push_back({width - last, last});
  return vectors;
}

// Cycles an FMA of `lanes` takes. A narrow vector costs as much as a full one on some cores and its share on others.
static double fmaCycles(const Machine &machine, unsigned elementBits, int64_t lanes) {
  double share = double(lanes * elementBits) / machine.vectorBits;
  if (lanes * elementBits <= 256)
    share = std::max(share, 256.0 / std::max(256u, machine.vectorBits));
  return (0.5 + 0.5 * std::min(share, 1.0)) / std::max(1u, machine.fmaPerCycle);
}

// Where products take inputs from lanes, a register of neighbours is kept a pixel: accumulators, weights and those
// leave one of 32 unused (7x12: none goes through the stack), two on narrow cores, for which LLVM loads earlier.
// JavaScript engines load all inputs of a step before the first product, and keep one register for themselves.
// Elsewhere accumulators, weights and one broadcast, with room for what LLVM 22 does where registers are many: it loads
// the next step's weights early when there are three or more of them, and puts each sum of a second, narrower width in
// a new register. Without that room every accumulator goes through the stack (measured on AVX-512: 9x48 at half the
// speed of 8x48, 13x24 at 0.75 of 9x24).
bool burin::tileFits(const Machine &machine, int64_t pixels, llvm::ArrayRef<ChannelVector> vectors) {
  int64_t count = vectors.size(), narrow = 0, early = count >= 3 ? count : 0;
  if (machine.laneOperand || machine.isWebAssembly())
    return pixels * count + pixels + count + (machine.fmaPerCycle < 2) < (int64_t)machine.vectorRegisters;
  for (ChannelVector v : vectors)
    narrow += v.lanes != vectors.front().lanes;
  int64_t room = machine.vectorRegisters >= 32 ? std::max(early, narrow * pixels) : 0;
  return pixels * count + count + room + 1 <= (int64_t)machine.vectorRegisters;
}

static double stepCycles(const Machine &machine, unsigned elementBits, llvm::ArrayRef<ChannelVector> vectors,
                         int64_t pixels) {
  double fma = 0;
  for (ChannelVector v : vectors)
    fma += fmaCycles(machine, elementBits, v.lanes) * pixels;
  double count = vectors.size(), inputs = pixels, issued = pixels * count + pixels + count, width = 5, latency = 4;
  if (machine.laneOperand) {
    // One load brings the inputs of as many steps as a register has lanes. It takes two of the slots in which such a
    // core starts instructions, a pair of weights three; there are 3 for each two products.
    inputs /= machine.lanes(elementBits);
    issued = pixels * count + 2 * inputs + 1.5 * count;
    width = machine.fmaPerCycle > 1 ? 3 : 2;
  }
  double loads = 0.5 * (inputs + count), issue = issued / width;
  // A weight vector comes from L2 and a wide one takes a whole line; inputs are in L1. Ranks 14x32 before 9x48 before
  // 6x64 before 28x16 on AVX-512 and 4x24 before 6x16 before 12x8 on AVX2, as measured.
  // And 13x32 twice before 5x32 five times on 25 pixels, whose weights come from L3.
  double wide = machine.vectorBits / 256.0;
  double traffic = 0.06 * inputs + 0.1 * count * std::pow(wide, wide > 1 ? 1.75 : 1.4);
  return std::max({fma, loads, issue, latency}) + traffic;
}

double burin::tileCycles(const Machine &machine, unsigned elementBits, llvm::ArrayRef<ChannelVector> vectors,
                         PixelTile tile, int64_t rows, int64_t columns) {
  double tiles = double(llvm::divideCeil(rows, tile.rows)) * llvm::divideCeil(columns, tile.columns);
  return tiles * (stepCycles(machine, elementBits, vectors, tile.pixels()) + 0.02);
}

PixelTile burin::choosePixelTile(const Machine &machine, unsigned elementBits, llvm::ArrayRef<ChannelVector> vectors,
                                 int64_t rows, int64_t columns, PixelTile measured) {
  if (measured.rows > 0 && measured.rows <= rows && measured.columns <= columns &&
      tileFits(machine, measured.pixels(), vectors))
    return measured;
  PixelTile best;
  double bestCycles = tileCycles(machine, elementBits, vectors, best, rows, columns);
  for (int64_t r = 1; r <= rows; ++r)
    for (int64_t c = 1; c <= columns; ++c) {
      PixelTile tile{r, c};
      if (!tileFits(machine, tile.pixels(), vectors))
        break;
      double cycles = tileCycles(machine, elementBits, vectors, tile, rows, columns);
      if (cycles < bestCycles * 0.999) {
        best = tile;
        bestCycles = cycles;
      }
    }
  return best;
}

// The block of channels that takes the fewest estimated cycles for all `n`; only whole registers, or also parts of
// them.
static int64_t bestBlock(const Machine &machine, int64_t n, unsigned elementBits, bool whole) {
  int64_t lanes = std::max<int64_t>(1, machine.lanes(elementBits)), quantum = std::max<int64_t>(1, lanes / 4);
  // What a block of `width` channels costs at its best tile, on a map large enough for any.
  auto blockCycles = [&](int64_t width) {
    auto vectors = splitChannels(lanes, width);
    if (!tileFits(machine, 1, vectors))
      return 1e30;
    double best = 1e30;
    for (int64_t pixels = 1; tileFits(machine, pixels, vectors) && pixels <= 16; ++pixels)
      best = std::min(best, stepCycles(machine, elementBits, vectors, pixels) / pixels);
    return best;
  };
  int64_t best = std::min(n, lanes);
  double bestCycles = 1e30;
  auto consider = [&](int64_t block) {
    // The last block is another body of code: worth two percent.
    double cycles = double(n / block) * blockCycles(block) + (n % block ? blockCycles(n % block) * 1.02 : 0);
    if (cycles < bestCycles * 0.999) {
      best = block;
      bestCycles = cycles;
    }
  };
  for (int64_t block = lanes; block <= std::min(n, 6 * lanes); block += lanes)
    consider(block);
  if (whole)
    return best;
  for (int64_t block = quantum; block <= std::min(n, 4 * lanes); block += quantum)
    if (n % block == 0)
      consider(block);
  if (n <= 4 * lanes)
    consider(n);
  return best;
}

int64_t burin::packingBlock(const Machine &machine, int64_t k, int64_t n, unsigned elementBits) {
  (void)k;
  return bestBlock(machine, n, elementBits, /*whole=*/false);
}

// A page: as far as the prefetchers of x86 go by themselves. On Zen 4 2 to 8 KiB gain 1 to 5 % of whole networks whose
// weights come from beyond L2 and cost nothing elsewhere; 4 is best. Other machines are not measured.
int64_t burin::weightPrefetch(const Machine &machine) { return llvm::Triple(machine.triple).isX86() ? 4096 : 0; }

int64_t burin::dotBlock(const Machine &machine, int64_t n) {
  if (machine.byteProducts == ByteProducts::None)
    return 0;
  Machine dots = machine;
  dots.laneOperand = dotsByLane(machine);
  return bestBlock(dots, llvm::alignTo(n, machine.lanes(32)), 32, /*whole=*/true);
}

int64_t burin::depthwiseDotBlock(const Machine &machine, int64_t channels) {
  if (machine.byteProducts == ByteProducts::None)
    return 0;
  int64_t best = 16;
  for (int64_t block = 32; block <= machine.lanes(8) && block <= channels; block *= 2)
    if (llvm::alignTo(channels, block) * 8 <= llvm::alignTo(channels, best) * 9)
      best = block;
  return best;
}

int64_t burin::storedBlock(const Machine &machine, int64_t n) {
  return std::min<int64_t>(n, 4 * std::max<int64_t>(1, machine.lanes(32)));
}

bool burin::dotsByLane(const Machine &machine) {
  return machine.laneOperand &&
         (machine.byteProducts == ByteProducts::NeonDot || machine.byteProducts == ByteProducts::NeonMixed);
}

bool burin::canSparse(const Machine &machine) {
  int64_t lanes = machine.lanes(32);
  return lanes >= 4 && tileFits(machine, 2, splitChannels(lanes, sparseBlock));
}

int64_t burin::dotShift(const Machine &machine, bool inputUnsigned) {
  switch (machine.byteProducts) {
  case ByteProducts::Vnni:
    return inputUnsigned ? 0 : 128;
  case ByteProducts::NeonPairs:
  case ByteProducts::NeonDot:
    return inputUnsigned ? -128 : 0;
  case ByteProducts::None:
  case ByteProducts::WordPairs:
  case ByteProducts::NeonMixed:
    return 0;
  }
  return 0;
}

llvm::SmallVector<ChannelVector> burin::dotVectors(int64_t maxLanes, int64_t width) {
  llvm::SmallVector<ChannelVector> vectors;
  int64_t offset = 0;
  for (; offset + maxLanes <= width; offset += maxLanes)
    vectors.push_back({offset, maxLanes});
  if (offset < width)
    vectors.push_back({offset, std::max<int64_t>(4, llvm::PowerOf2Ceil(width - offset))});
  return vectors;
}
