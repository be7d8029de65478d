// The end of a requantization: floats become bytes by saturate(round half to even(x) + zero point). Kernels that have
// several registers of such floats at hand narrow them together, which is where a machine's packing instructions pay:
// each register takes half of one instead of a truncation of its own.
#ifndef BURIN_PASSES_CPU_KERNELBYTES_H
#define BURIN_PASSES_CPU_KERNELBYTES_H

#include "passes/Cpu/KernelSupport.h"

namespace burin::cpu {

/// What an epilogue ends in, maybe before a lookup.
struct Saturation {
  Value input; // of the rounding, a value of the epilogue's body
  int64_t zero = 0;
  bool isUnsigned = false;
  mlir::DenseElementsAttr table; // a lookup behind it; null for none
};

/// Of a body that yields `result`, where it ends so and the machine narrows vectors together.
std::optional<Saturation> matchSaturation(const Machine &machine, Value result);

/// Stores vectors of floats as bytes, up to four at a time.
class ByteStores {
public:
  ByteStores(Emitter &e, const Machine &machine, const Flat &out, const Saturation &saturation)
      : e(e), machine(machine), out(out), saturation(saturation) {}
  /// Are there instructions for vectors of so many floats?
  static bool takes(const Machine &machine, int64_t lanes);
  /// The first `valid` elements of `floats`, to `at`. `follows`: right behind the ones before.
  void add(Value floats, Value at, int64_t valid, bool follows);
  /// What was added and not stored yet. Called last.
  void flush();
  /// Four vectors of floats as one of bytes: in 128 bits four of each.
  Value narrow(llvm::ArrayRef<Value> floats);

private:
  struct Entry {
    Value floats, at;
    int64_t valid;
    bool follows;
  };
  Emitter &e;
  const Machine &machine;
  const Flat &out;
  const Saturation &saturation;
  llvm::SmallVector<Entry, 4> entries;

  Value intrinsic(llvm::StringRef name, Type type, mlir::ValueRange operands);
  Value toIntegers(Value floats);
  Value pack(Value low, Value high);
  Value addZero(Value words);
};

} // namespace burin::cpu

#endif
