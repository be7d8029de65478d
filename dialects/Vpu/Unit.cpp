// The table of vision units and how a target names a share of one.
#include "dialects/Vpu/Unit.h"

#include "llvm/ADT/SmallVector.h"

using namespace llvm;
using namespace burin::vpu;

static const Unit units[] = {
    {/*name=*/"myriad",
     /*maxShaves=*/16,
     /*maxSlices=*/19,
     /*maxThreads=*/3,
     /*sliceBytes=*/128 * 1024,
     /*shaveBufferBytes=*/100 * 1024,
     /*megahertz=*/700,
     /*engineSustained=*/0.88,
     /*secondEngine=*/0.8,
     /*modes=*/{{1, 256, 0}, {2, 128, 5}, {4, 64, 11}, {8, 32, 19}, {16, 16, 31}},
     /*engineCoefficients=*/256,
     /*engineBytes=*/128 * 1024,
     /*engineChannels=*/2048,
     /*engineWidth=*/16,
     /*engineNarrow=*/8,
     /*layerMilliseconds=*/0.05,
     /*gigabytesPerSecond=*/2.6,
     /*postShaves=*/2,
     /*shaveMove=*/1.0,
     /*shaveSimple=*/0.25,
     /*shaveFunction=*/2.0,
     /*shaveMacs=*/4,
     /*threadShare=*/0.88,
     /*picojoulesPerMac=*/1.2,
     /*picojoulesPerByte=*/60,
     /*picojoulesPerShaveCycle=*/50,
     /*watts=*/0.4},
};

int64_t UnitConfig::dataBytes() const {
  int64_t buffers = std::min(2u, slices / 2);
  return slices * unit->sliceBytes - buffers * unit->shaveBufferBytes;
}

static const Unit *findUnit(StringRef target) {
  for (const Unit &unit : units)
    if (unit.name == target.split(':').first)
      return &unit;
  return nullptr;
}

bool burin::vpu::isUnit(StringRef target) { return findUnit(target); }

Expected<UnitConfig> burin::vpu::parseUnit(StringRef target) {
  UnitConfig config;
  config.unit = findUnit(target);
  if (!config.unit)
    return createStringError("unknown vision unit '%s', expected myriad", target.str().c_str());
  bool hasSlices = false;
  SmallVector<StringRef> parts;
  target.split(':').second.split(parts, ',', -1, /*KeepEmpty=*/false);
  for (StringRef part : parts) {
    auto [key, value] = part.split('=');
    if (key == "acc" && (value == "f16" || value == "f32")) {
      config.halfSums = value == "f16";
      continue;
    }
    unsigned *field = key == "shaves"    ? &config.shaves
                      : key == "cmx"     ? &config.slices
                      : key == "threads" ? &config.threads
                                         : nullptr;
    if (!field || value.getAsInteger(10, *field) || *field == 0)
      return createStringError(
          "--target=%s: expected %s[:shaves=N,cmx=N,threads=N], each at least 1, and acc=f32 or f16, got '%s'",
          target.str().c_str(), config.unit->name.data(), part.str().c_str());
    hasSlices |= key == "cmx";
  }
  if (!hasSlices)
    config.slices = config.shaves;
  const Unit &unit = *config.unit;
  if (config.threads > unit.maxThreads || config.shaves * config.threads > unit.maxShaves ||
      config.slices * config.threads > unit.maxSlices)
    return createStringError("--target=%s: %u threads of %u shaves and %u CMX slices take %u shaves and %u slices; the "
                             "unit has %u shaves, %u "
                             "slices and at most %u threads: lower shaves=, cmx= or threads=",
                             target.str().c_str(), config.threads, config.shaves, config.slices,
                             config.threads * config.shaves, config.threads * config.slices, unit.maxShaves,
                             unit.maxSlices, unit.maxThreads);
  return config;
}
