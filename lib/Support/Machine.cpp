// The machine table. A new CPU is a new row.
#include "lib/Support/Machine.h"

#include "burin/runtime.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"

using namespace burin;

namespace {
constexpr unsigned KiB = 1024;
constexpr char linuxX86[] = "x86_64-unknown-linux-gnu", linuxArm[] = "aarch64-unknown-linux-gnu";

// clang-format off
// name, triple, cpu, features, vector bits, registers, FMAs a cycle, broadcast operand, masks, L1, L2, narrow float arithmetic, run-time features
const Machine table[] = {
    {"x86-64-v4+avx512vnni", linuxX86, "x86-64-v4", "+avx512vnni,-prefer-256-bit", 512, 32, 2, true, true, 32 * KiB, 1024 * KiB, false,
     BURIN_CPU_AVX2_FMA | BURIN_CPU_AVX512 | BURIN_CPU_AVX512_VNNI},
    {"x86-64-v4", linuxX86, "x86-64-v4", "-prefer-256-bit", 512, 32, 2, true, true, 32 * KiB, 1024 * KiB, false, BURIN_CPU_AVX2_FMA | BURIN_CPU_AVX512},
    {"x86-64-v3", linuxX86, "x86-64-v3", "", 256, 16, 2, false, false, 32 * KiB, 256 * KiB, false, BURIN_CPU_AVX2_FMA},
    {"x86-64", linuxX86, "x86-64", "", 128, 16, 1, false, false, 32 * KiB, 256 * KiB, false, 0},
    {"aarch64", linuxArm, "generic", "+neon", 128, 32, 2, true, false, 32 * KiB, 512 * KiB, false, 0},
    {"cortex-a53", linuxArm, "cortex-a53", "", 128, 32, 1, true, false, 32 * KiB, 512 * KiB, false, 0},
    {"cortex-a72", linuxArm, "cortex-a72", "", 128, 32, 2, true, false, 32 * KiB, 1024 * KiB, false, 0},
    {"cortex-a76", linuxArm, "cortex-a76", "", 128, 32, 2, true, false, 64 * KiB, 512 * KiB, false, BURIN_CPU_ARM_DOTPROD | BURIN_CPU_ARM_FP16},
};
// clang-format on

const Machine *bestForHost() {
  llvm::Triple host(llvm::sys::getProcessTriple());
  if (host.getArch() == llvm::Triple::aarch64)
    return findMachine("aarch64");
  if (host.getArch() != llvm::Triple::x86_64)
    return nullptr;
  llvm::StringMap<bool> features = llvm::sys::getHostCPUFeatures();
  auto has = [&](std::initializer_list<const char *> names) {
    return llvm::all_of(names, [&](const char *n) { return features.lookup(n); });
  };
  if (!has({"avx2", "fma", "f16c", "bmi2"}))
    return findMachine("x86-64");
  if (!has({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}))
    return findMachine("x86-64-v3");
  return findMachine(has({"avx512vnni"}) ? "x86-64-v4+avx512vnni" : "x86-64-v4");
}
} // namespace

const Machine *burin::findMachine(llvm::StringRef name) {
  if (name == "host" || name.empty())
    return bestForHost();
  auto found = llvm::find_if(table, [&](const Machine &m) { return m.name == name; });
  return found == std::end(table) ? nullptr : found;
}

llvm::ArrayRef<Machine> burin::allMachines() { return table; }

std::string burin::machineNames() {
  std::string names = "host";
  for (const Machine &m : table)
    names += ", " + m.name.str();
  return names;
}
