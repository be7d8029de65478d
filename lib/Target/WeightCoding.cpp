// Coding weights: each tensor is cut into runs (see runtime/freestanding/weights.c), tried in a few ways, and the way
// of the fewest bytes is taken.
//
//   whole        one codebook
//   pieces       2, 4, ... equal parts with a codebook each: weights shared by groups of channels lie so, since packing
//                keeps blocks of output channels together
//   bytes        the i-th byte of every element by itself: exponents of floats repeat, their last bits do not
//   as it is
#include "lib/Target/WeightCoding.h"
#include "lib/Target/WeightSection.h"
#include "runtime/freestanding/lock.h"
#include "runtime/hosted/key.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/Support/EndianStream.h"
#include "llvm/Support/raw_ostream.h"
#include <cmath>
#include <cstring>
#include <openssl/rand.h>

using namespace burin;
using llvm::ArrayRef;

namespace {
constexpr unsigned scaleBits = 12, scale = 1 << scaleBits;
constexpr uint32_t lowestState = 1u << 23;
constexpr size_t mostSymbols = 256, mostPieces = 64, headerBytes = 16, runHeaderBytes = 28;

struct Run {
  uint64_t offset = 0, count = 0; // of bytes in the section, of elements
  unsigned width = 1, stride = 1; // bytes
  std::vector<uint64_t> codebook; // empty: as it is
  std::vector<uint64_t> frequency;
  std::vector<uint8_t> index; // of each element
  std::vector<char> plain;

  // Bytes it will take, near enough to choose by.
  double estimate() const {
    double bytes = runHeaderBytes + plain.size() + codebook.size() * (width + 2.0);
    for (uint64_t f : frequency)
      bytes -= f * std::log2(double(f) / count) / 8;
    return bytes;
  }
};

// `count` elements of `width` bytes, `stride` apart, as codes of one codebook; nothing where it would be too large.
std::optional<Run> withCodebook(const char *bytes, uint64_t count, unsigned width, unsigned stride) {
  Run run;
  run.count = count;
  run.width = width;
  run.stride = stride;
  run.index.reserve(count);
  // The largest and second largest key are the map's own.
  llvm::DenseMap<std::pair<uint32_t, uint32_t>, uint8_t> known;
  for (uint64_t i = 0; i < count; ++i) {
    uint64_t value = 0;
    std::memcpy(&value, bytes + i * stride, width);
    std::pair<uint32_t, uint32_t> key{uint32_t(value), uint32_t(value >> 32) & 0x7fffffff};
    if (key.second != uint32_t(value >> 32))
      return std::nullopt; // doubles and negative i64: rare, and never shared
    auto [place, isNew] = known.try_emplace(key, uint8_t(run.codebook.size()));
    if (isNew) {
      if (run.codebook.size() == mostSymbols)
        return std::nullopt;
      run.codebook.push_back(value);
      run.frequency.push_back(0);
    }
    ++run.frequency[place->second];
    run.index.push_back(place->second);
  }
  return run;
}

Run asItIs(const char *bytes, uint64_t count, unsigned width, unsigned stride) {
  Run run;
  run.count = count;
  run.width = width;
  run.stride = stride;
  run.plain.resize(count * width);
  for (uint64_t i = 0; i < count; ++i)
    std::memcpy(run.plain.data() + i * width, bytes + i * stride, width);
  return run;
}

double estimate(ArrayRef<Run> runs) {
  double bytes = 0;
  for (const Run &run : runs)
    bytes += run.estimate();
  return bytes;
}

// Frequencies that add up to `scale`, none 0: the rest after rounding down goes to the most frequent.
std::vector<uint32_t> normalized(const Run &run) {
  std::vector<uint32_t> result;
  int64_t left = scale;
  for (uint64_t f : run.frequency) {
    result.push_back(std::max<uint64_t>(1, f * scale / run.count));
    left -= result.back();
  }
  while (left != 0) {
    auto most = std::max_element(result.begin(), result.end());
    int64_t change = left > 0 ? left : std::max<int64_t>(left, -int64_t(*most / 2));
    *most += change;
    left -= change;
  }
  return result;
}

std::vector<char> codedIndices(const Run &run, ArrayRef<uint32_t> frequency) {
  std::vector<uint32_t> start(frequency.size(), 0);
  for (size_t s = 1; s < start.size(); ++s)
    start[s] = start[s - 1] + frequency[s - 1];
  std::vector<char> reversed;
  uint32_t state[2] = {lowestState, lowestState};
  for (uint64_t i = run.count; i-- > 0;) {
    uint32_t &x = state[i & 1], f = frequency[run.index[i]];
    while (x >= ((lowestState >> scaleBits) << 8) * f) {
      reversed.push_back(char(x));
      x >>= 8;
    }
    x = ((x / f) << scaleBits) + x % f + start[run.index[i]];
  }
  for (uint32_t x : {state[1], state[0]})
    for (int shift = 24; shift >= 0; shift -= 8)
      reversed.push_back(char(x >> shift));
  return std::vector<char>(reversed.rbegin(), reversed.rend());
}

void write(const Run &run, llvm::raw_ostream &out) {
  std::string body;
  llvm::raw_string_ostream stream(body);
  llvm::support::endian::Writer little(stream, llvm::endianness::little);
  if (run.codebook.empty()) {
    stream.write(run.plain.data(), run.plain.size());
  } else {
    for (uint64_t value : run.codebook)
      stream.write(reinterpret_cast<const char *>(&value), run.width);
    if (run.codebook.size() > 1) {
      std::vector<uint32_t> frequency = normalized(run);
      for (uint32_t f : frequency)
        little.write<uint16_t>(f);
      std::vector<char> coded = codedIndices(run, frequency);
      stream.write(coded.data(), coded.size());
    }
  }
  llvm::support::endian::Writer header(out, llvm::endianness::little);
  header.write<uint64_t>(run.offset);
  header.write<uint64_t>(run.count);
  header.write<uint64_t>(body.size());
  header.write<uint8_t>(run.width);
  header.write<uint8_t>(run.stride);
  header.write<uint16_t>(run.codebook.size());
  out << body;
}

// The cheapest runs for one tensor, offsets from its start.
std::vector<Run> chooseRuns(ArrayRef<char> bytes, unsigned width) {
  uint64_t count = bytes.size() / width;
  std::vector<Run> best{asItIs(bytes.data(), count, width, width)};
  double least = best.front().estimate();
  auto offer = [&](std::vector<Run> runs) {
    if (double cost = estimate(runs); cost < least) {
      least = cost;
      best = std::move(runs);
    }
  };
  for (size_t pieces = 1; pieces <= mostPieces && pieces * 64 <= std::max<uint64_t>(count, 64); pieces *= 2) {
    std::vector<Run> runs;
    for (size_t p = 0; p < pieces; ++p) {
      uint64_t from = count * p / pieces, to = count * (p + 1) / pieces;
      auto run = withCodebook(bytes.data() + from * width, to - from, width, width);
      if (!run)
        break;
      run->offset = from * width;
      runs.push_back(std::move(*run));
    }
    if (runs.size() == pieces)
      offer(std::move(runs));
  }
  std::vector<Run> planes;
  for (unsigned b = 0; width > 1 && b < width; ++b) {
    auto run = withCodebook(bytes.data() + b, count, 1, width);
    Run plain = asItIs(bytes.data() + b, count, 1, width);
    planes.push_back(run && run->estimate() < plain.estimate() ? std::move(*run) : std::move(plain));
    planes.back().offset = b;
  }
  if (!planes.empty())
    offer(std::move(planes));
  return best;
}
} // namespace

std::vector<char> burin::codeWeights(const ModelDescription &model, std::vector<CodedWeight> &report) {
  std::string body;
  llvm::raw_string_ostream out(body);
  uint32_t count = 0;
  std::vector<char> bytes;
  for (const WeightDescription &weight : model.weights) {
    if (weight.bytes == 0)
      continue;
    bytes.resize(weight.bytes);
    MemoryStream stream(bytes.data());
    writeWeight(weight, stream);
    // Complex numbers of 16 bytes count as two elements.
    unsigned width = std::min<uint64_t>(8, bytesOfElement(weight.data.getElementType()));
    uint64_t before = body.size();
    std::vector<Run> runs = chooseRuns(bytes, width);
    CodedWeight entry{weight.name, weight.bytes};
    bool isCodebook = runs.front().width == width && !runs.front().codebook.empty();
    for (Run &run : runs) {
      entry.values += isCodebook ? run.codebook.size() : 0;
      run.offset += weight.offset;
      write(run, out);
      ++count;
    }
    entry.codedBytes = body.size() - before;
    report.push_back(std::move(entry));
  }
  std::string head;
  llvm::raw_string_ostream headOut(head);
  llvm::support::endian::Writer header(headOut, llvm::endianness::little);
  headOut << "BCW1";
  header.write<uint32_t>(count);
  header.write<uint64_t>(headerBytes + body.size());
  std::vector<char> all(head.begin(), head.end());
  all.insert(all.end(), body.begin(), body.end());
  return all;
}

llvm::Expected<std::vector<char>> burin::lockWeights(const ModelDescription &model, const std::string &place) {
  std::vector<char> plain = model.codedWeights;
  if (plain.empty()) {
    plain.resize(model.weightsBytes);
    MemoryStream stream(plain.data());
    writeWeights(model, stream);
  }
  uint8_t key[BURIN_KEY_BYTES], nonce[BURIN_NONCE_BYTES];
  burin_error error;
  if (burin_read_key(place.c_str(), key, &error))
    return llvm::createStringError(llvm::Twine("--encrypt: ") + error.text);
  if (RAND_bytes(nonce, sizeof nonce) != 1)
    return llvm::createStringError("--encrypt: the system gives no random numbers");
  std::vector<char> closed(plain.size() + BURIN_LOCK_BYTES);
  burin_lock(reinterpret_cast<const uint8_t *>(plain.data()), plain.size(), key, nonce,
             reinterpret_cast<uint8_t *>(closed.data()));
  burin_forget_key(key);
  return closed;
}
