// What a vision unit is, as data: the one table that tiling, the cost model and the container's header read. Another
// unit is another row. Times, rates and energies are modelled: see lib/Cost/README.md for what they were held against.
#ifndef BURIN_DIALECTS_VPU_UNIT_H
#define BURIN_DIALECTS_VPU_UNIT_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>

namespace burin::vpu {

/// The engine forms n * m products a cycle: n blocks of input channels for m output channels.
struct EngineMode {
  unsigned inputs, outputs, overhead; // cycles a pixel and descriptor, beside its coefficients
};

struct Unit {
  llvm::StringRef name;
  unsigned maxShaves, maxSlices, maxThreads; // slices: those that networks may use
  int64_t sliceBytes, shaveBufferBytes;      // the second: of a shave at work, in a slice of its own

  double megahertz;
  double engineSustained; // share of the engine's cycles that do work
  double secondEngine;    // share of its rate that each of two engines of one thread reaches
  EngineMode modes[5];
  int64_t engineCoefficients, engineBytes, engineChannels; // of a block; of its data memory; at most
  int64_t engineWidth, engineNarrow;                       // rows are computed in steps of the first, or are the second
  double layerMilliseconds;                                // that each layer costs beside its work
  double gigabytesPerSecond;                               // of main memory, for each thread while all run
  unsigned postShaves;                                     // that elementwise work gets at most
  double shaveMove, shaveSimple, shaveFunction; // cycles an element and shave: loads and stores, an operation, exp
  double shaveMacs;                             // a cycle and shave, of convolutions in software
  double threadShare;                           // of its own rate that each of several threads reaches

  double picojoulesPerMac, picojoulesPerByte, picojoulesPerShaveCycle, watts; // the last: whatever it does
};

/// A share of a unit that one thread gets: `shaves=N` also gives N slices of CMX.
struct UnitConfig {
  const Unit *unit = nullptr;
  unsigned shaves = 8, slices = 8, threads = 2;
  bool halfSums = false; // the engine rounds each product and each sum to f16, as if it had no wider accumulator

  /// Bytes of CMX that data may take: post-operations run on two shaves at most, so two working buffers are kept free,
  /// or those of half the slices where there are fewer than four.
  int64_t dataBytes() const;
};

/// `myriad[:shaves=N,cmx=N,threads=N,acc=f16|f32]`. The error says what the unit has.
llvm::Expected<UnitConfig> parseUnit(llvm::StringRef target);

/// Whether a target is a vision unit's.
bool isUnit(llvm::StringRef target);

} // namespace burin::vpu

#endif
