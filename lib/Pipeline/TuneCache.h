// What -O3 has measured, in a file that can be kept, merged and shipped (JSON):
//
//   {"burin_tune_cache": 1, "entries": [
//     {"compiler": "0.1.0", "target": "x86-64-v4+avx512vnni", "cpu": "znver4",
//      "kernel": "conv-f32-1x56x56-64-64-k3x3-s1x1-d1x1", "choice": "winograd=4",
//      "microseconds": 310.2, "default_microseconds": 411.0}, ...]}
//
// Entries of another compiler, target or processor are kept and not used.
#ifndef BURIN_LIB_PIPELINE_TUNECACHE_H
#define BURIN_LIB_PIPELINE_TUNECACHE_H

#include "lib/Support/Tuning.h"
#include "llvm/Support/Error.h"
#include <map>
#include <string>
#include <tuple>
#include <vector>

namespace burin {

struct TuneEntry {
  KernelChoice choice;
  double microseconds = 0, defaultMicroseconds = 0; // of the choice and of the cost model's own
};

class TuneCache {
public:
  /// What of the entries holds: made by this version for this row of the machine table and, unless it is empty,
  /// measured on this processor.
  TuneCache(std::string compiler, std::string target, std::string cpu)
      : compiler(std::move(compiler)), target(std::move(target)), cpu(std::move(cpu)) {}

  /// Reads a file; one that is not there is empty. One error, with the path, where it is no such cache.
  llvm::Error read(llvm::StringRef path);
  /// Writes all that was read and what was put, sorted. Whole or not at all.
  llvm::Error write(llvm::StringRef path) const;

  const TuneEntry *find(llvm::StringRef kernel) const;
  void put(llvm::StringRef kernel, const TuneEntry &entry);
  /// "KERNEL:CHOICE" of every entry that holds, as tensor-apply-tuning takes them.
  std::vector<std::string> choices() const;

private:
  struct Key {
    std::string compiler, target, cpu, kernel;
    bool operator<(const Key &other) const {
      return std::tie(compiler, target, cpu, kernel) < std::tie(other.compiler, other.target, other.cpu, other.kernel);
    }
  };
  bool holds(const Key &key) const;

  std::string compiler, target, cpu;
  std::map<Key, TuneEntry> entries;
};

} // namespace burin

#endif
