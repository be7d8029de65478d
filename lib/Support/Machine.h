// What code generation must know of a processor, as data: one row a --target name. Passes read a row and never ask the
// host.
#ifndef BURIN_LIB_SUPPORT_MACHINE_H
#define BURIN_LIB_SUPPORT_MACHINE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <cstdint>
#include <string>

namespace burin {

/// What multiplies bytes into sums of 32 bits, none of them with saturation.
enum class ByteProducts {
  None,      // nothing better than widened elements
  WordPairs, // x86 pmaddwd: pairs of 16 bits
  Vnni,      // x86 vpdpbusd: four unsigned by four signed bytes
  NeonPairs, // Arm smull, saddlp: pairs of bytes
  NeonDot,   // Arm sdot: four signed bytes
  NeonMixed, // Arm sdot and usdot: the first four may be unsigned
};

struct Machine {
  llvm::StringRef name;      // as given to --target
  llvm::StringRef triple;    // LLVM's
  llvm::StringRef cpu;       // LLVM's -mcpu
  llvm::StringRef features;  // LLVM's -mattr
  unsigned vectorBits;       // of one SIMD register; 32 where there is none
  unsigned vectorRegisters;  // how many of them
  unsigned fmaPerCycle;      // vector FMAs started a cycle (for the tile choice, and as a first guess of the peak)
  bool laneOperand;          // an FMA takes a factor for all lanes from one lane of a register (NEON of 64 bits)
  bool maskedMemory;         // masked loads and stores cost about as much as plain ones
  unsigned l1Bytes, l2Bytes; // data caches of one core; what loop blocking assumes
  bool halfArithmetic;       // computes in f16 at twice the rate of f32, not only converts it
  ByteProducts byteProducts; // dot products of 8-bit integers
  uint64_t runtimeFeatures;  // burin_cpu_feature bits the code needs at run time

  unsigned lanes(unsigned elementBits) const { return vectorBits / elementBits; }
  llvm::StringRef tuneCpu() const; // LLVM's name of the core whose schedule orders instructions; empty: `cpu`
  unsigned indexBits() const;      // of sizes and addresses: 32 or 64
  bool fusesMultiplyAdd() const;   // has x * y + z in one rounding as an instruction, as the next ones
  bool rounds() const;             // floats to whole numbers
  bool convertsHalf() const;       // f16 to f32 and back
  bool keepsNaN() const;           // maxima and minima that give NaN where an operand is one
  bool isBareMetal() const;        // no operating system: libraries and objects only, no programs
  bool isWebAssembly() const;
  bool isAndroid() const;
  int64_t stackBytes() const;    // that one kernel may take
  int64_t streamedBytes() const; // a result from here on is stored past the caches; 0: never
};

/// The row named `name`; `host` gives the best row this CPU runs, the name of a board that of its processor, and
/// features behind a + may stand in any order. -androidN behind the name of a 64-bit Arm row makes it code for Android
/// from API level N on. Null when there is no such row.
const Machine *findMachine(llvm::StringRef name);

/// All rows, for --help and error messages.
llvm::ArrayRef<Machine> allMachines();

/// A board and the row of its processor. Of cores that differ the row is the faster ones', and so is the number of
/// threads that programs for it start with.
struct Board {
  llvm::StringRef name, machine;
  unsigned cores, littleCores;
};

/// Null when no board is called `name`.
const Board *findBoard(llvm::StringRef name);

/// All boards, for --help and error messages.
llvm::ArrayRef<Board> allBoards();

/// The names of all rows and boards, comma separated.
std::string machineNames();

} // namespace burin

#endif
