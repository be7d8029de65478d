// The machine table, and the table of boards. A new CPU is a new row; of one architecture, the more able row comes
// first.
#include "lib/Support/Machine.h"

#include "burin/runtime.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"
#include <map>
#include <mutex>

using namespace burin;

namespace {
constexpr unsigned KiB = 1024;
constexpr char linuxX86[] = "x86_64-unknown-linux-gnu", linuxArm[] = "aarch64-unknown-linux-gnu",
               linuxArm32[] = "armv7a-unknown-linux-gnueabihf", linuxRiscv[] = "riscv64-unknown-linux-gnu",
               wasm[] = "wasm32-unknown-unknown", bareM0[] = "thumbv6m-unknown-none-eabi",
               bareM3[] = "thumbv7m-unknown-none-eabi", bareM4[] = "thumbv7em-unknown-none-eabihf",
               bareM33[] = "thumbv8m.main-unknown-none-eabihf", bareM55[] = "thumbv8.1m.main-unknown-none-eabihf";
// Microcontrollers have no caches, or small ones before memory that is nearly as fast: what loop blocking may assume.
constexpr unsigned nearBytes = 16 * KiB, farBytes = 256 * KiB;

// clang-format off
// name, triple, cpu, features, vector bits, registers, FMAs a cycle, lane operand, masks, L1, L2, half arithmetic, byte products, run-time features
const Machine table[] = {
    {"x86-64-v4+avx512vnni", linuxX86, "x86-64-v4", "+avx512vnni,-prefer-256-bit", 512, 32, 2, false, true, 32 * KiB, 1024 * KiB, false, ByteProducts::Vnni,
     BURIN_CPU_AVX2_FMA | BURIN_CPU_AVX512 | BURIN_CPU_AVX512_VNNI},
    {"x86-64-v4", linuxX86, "x86-64-v4", "-prefer-256-bit", 512, 32, 2, false, true, 32 * KiB, 1024 * KiB, false, ByteProducts::WordPairs, BURIN_CPU_AVX2_FMA | BURIN_CPU_AVX512},
    // As the first, with vectors of 512 bits in two halves: one product a cycle.
    {"znver4", linuxX86, "x86-64-v4", "+avx512vnni,-prefer-256-bit", 512, 32, 1, false, true, 32 * KiB, 1024 * KiB, false, ByteProducts::Vnni,
     BURIN_CPU_AVX2_FMA | BURIN_CPU_AVX512 | BURIN_CPU_AVX512_VNNI},
    {"x86-64-v3+avxvnni", linuxX86, "x86-64-v3", "+avxvnni", 256, 16, 2, false, false, 32 * KiB, 1024 * KiB, false, ByteProducts::Vnni,
     BURIN_CPU_AVX2_FMA | BURIN_CPU_AVX_VNNI},
    {"x86-64-v3", linuxX86, "x86-64-v3", "", 256, 16, 2, false, false, 32 * KiB, 256 * KiB, false, ByteProducts::WordPairs, BURIN_CPU_AVX2_FMA},
    {"x86-64", linuxX86, "x86-64", "", 128, 16, 1, false, false, 32 * KiB, 256 * KiB, false, ByteProducts::WordPairs, 0},
    {"cortex-a78ae", linuxArm, "cortex-a78ae", "", 128, 32, 2, true, false, 64 * KiB, 256 * KiB, true, ByteProducts::NeonDot, BURIN_CPU_ARM_DOTPROD | BURIN_CPU_ARM_FP16},
    {"aarch64+dotprod+fp16+i8mm", linuxArm, "generic", "+neon,+dotprod,+fullfp16,+i8mm", 128, 32, 2, true, false, 64 * KiB, 512 * KiB, true, ByteProducts::NeonMixed,
     BURIN_CPU_ARM_DOTPROD | BURIN_CPU_ARM_FP16 | BURIN_CPU_ARM_I8MM},
    {"aarch64+dotprod+i8mm", linuxArm, "generic", "+neon,+dotprod,+i8mm", 128, 32, 2, true, false, 64 * KiB, 512 * KiB, false, ByteProducts::NeonMixed,
     BURIN_CPU_ARM_DOTPROD | BURIN_CPU_ARM_I8MM},
    {"aarch64+i8mm", linuxArm, "generic", "+neon,+dotprod,+i8mm", 128, 32, 2, true, false, 64 * KiB, 512 * KiB, false, ByteProducts::NeonMixed,
     BURIN_CPU_ARM_DOTPROD | BURIN_CPU_ARM_I8MM},
    {"aarch64+dotprod+fp16", linuxArm, "generic", "+neon,+dotprod,+fullfp16", 128, 32, 2, true, false, 64 * KiB, 512 * KiB, true, ByteProducts::NeonDot,
     BURIN_CPU_ARM_DOTPROD | BURIN_CPU_ARM_FP16},
    {"aarch64+dotprod", linuxArm, "generic", "+neon,+dotprod", 128, 32, 2, true, false, 64 * KiB, 512 * KiB, false, ByteProducts::NeonDot, BURIN_CPU_ARM_DOTPROD},
    {"aarch64+fp16", linuxArm, "generic", "+neon,+fullfp16", 128, 32, 2, true, false, 64 * KiB, 512 * KiB, true, ByteProducts::NeonPairs, BURIN_CPU_ARM_FP16},
    {"aarch64", linuxArm, "generic", "+neon", 128, 32, 2, true, false, 32 * KiB, 512 * KiB, false, ByteProducts::NeonPairs, 0},
    {"cortex-a53", linuxArm, "cortex-a53", "", 128, 32, 1, true, false, 32 * KiB, 512 * KiB, false, ByteProducts::NeonPairs, 0},
    {"cortex-a72", linuxArm, "cortex-a72", "", 128, 32, 2, true, false, 32 * KiB, 1024 * KiB, false, ByteProducts::NeonPairs, 0},
    {"cortex-a76", linuxArm, "cortex-a76", "", 128, 32, 2, true, false, 64 * KiB, 512 * KiB, true, ByteProducts::NeonDot, BURIN_CPU_ARM_DOTPROD | BURIN_CPU_ARM_FP16},
    {"cortex-a55", linuxArm, "cortex-a55", "", 128, 32, 1, true, false, 32 * KiB, 128 * KiB, true, ByteProducts::NeonDot, BURIN_CPU_ARM_DOTPROD | BURIN_CPU_ARM_FP16},
    {"cortex-a57", linuxArm, "cortex-a57", "", 128, 32, 1, true, false, 32 * KiB, 1024 * KiB, false, ByteProducts::NeonPairs, 0},
    {"armv7", linuxArm32, "cortex-a7", "+neon,+vfp4", 128, 16, 1, false, false, 32 * KiB, 512 * KiB, false, ByteProducts::None, 0},
    {"riscv64+v", linuxRiscv, "generic-rv64", "+m,+a,+f,+d,+c,+v,+zvl128b", 128, 32, 1, false, false, 32 * KiB, 512 * KiB, false, ByteProducts::None, BURIN_CPU_RISCV_V},
    {"riscv64", linuxRiscv, "generic-rv64", "+m,+a,+f,+d,+c", 32, 32, 1, false, false, 32 * KiB, 512 * KiB, false, ByteProducts::None, 0},
    {"wasm32+threads", wasm, "generic", "+simd128,+atomics,+bulk-memory,+nontrapping-fptoint,+sign-ext", 128, 16, 1, false, false, 32 * KiB, 512 * KiB, false, ByteProducts::WordPairs, 0},
    {"wasm32+relaxed", wasm, "generic", "+simd128,+relaxed-simd,+bulk-memory,+nontrapping-fptoint,+sign-ext", 128, 16, 1, false, false, 32 * KiB, 512 * KiB, false, ByteProducts::WordPairs, 0},
    {"wasm32", wasm, "generic", "+simd128,+bulk-memory,+nontrapping-fptoint,+sign-ext", 128, 16, 1, false, false, 32 * KiB, 512 * KiB, false, ByteProducts::WordPairs, 0},
    {"wasm32-scalar", wasm, "generic", "+bulk-memory,+nontrapping-fptoint,+sign-ext", 32, 16, 1, false, false, 32 * KiB, 512 * KiB, false, ByteProducts::None, 0},
    {"cortex-m55+mve", bareM55, "cortex-m55", "", 128, 8, 1, false, false, nearBytes, farBytes, false, ByteProducts::None, 0},
    {"cortex-m55", bareM55, "cortex-m55", "-mve,-mve.fp", 32, 32, 1, false, false, nearBytes, farBytes, false, ByteProducts::None, 0},
    {"cortex-m33", bareM33, "cortex-m33", "", 32, 32, 1, false, false, nearBytes, farBytes, false, ByteProducts::None, 0},
    {"cortex-m7", bareM4, "cortex-m7", "", 32, 32, 1, false, false, nearBytes, farBytes, false, ByteProducts::None, 0},
    {"cortex-m4", bareM4, "cortex-m4", "", 32, 32, 1, false, false, nearBytes, farBytes, false, ByteProducts::None, 0},
    {"cortex-m3", bareM3, "cortex-m3", "", 32, 12, 1, false, false, nearBytes, farBytes, false, ByteProducts::None, 0},
    {"cortex-m0plus", bareM0, "cortex-m0plus", "", 32, 8, 1, false, false, nearBytes, farBytes, false, ByteProducts::None, 0},
};

// name, row of the machine table, cores that are its, smaller ones beside them (of a family of modules the least)
const Board boards[] = {
    {"rpi2", "armv7", 4, 0}, {"rpi3", "cortex-a53", 4, 0}, {"rpi4", "cortex-a72", 4, 0}, {"rpi5", "cortex-a76", 4, 0},
    {"rpi-zero2", "cortex-a53", 4, 0}, {"rpi-pico", "cortex-m0plus", 2, 0}, {"rpi-pico2", "cortex-m33", 2, 0}, {"jetson-nano", "cortex-a57", 4, 0},
    {"jetson-orin", "cortex-a78ae", 6, 0}, {"orangepi5", "cortex-a76", 4, 4}, {"rock5", "cortex-a76", 4, 4}, {"visionfive2", "riscv64", 4, 0},
    {"nrf52840", "cortex-m4", 1, 0}, {"stm32f4", "cortex-m4", 1, 0}, {"stm32f7", "cortex-m7", 1, 0}, {"stm32h7", "cortex-m7", 1, 0},
    {"teensy4", "cortex-m7", 1, 0}, {"portenta-h7", "cortex-m7", 1, 1}, {"nano33ble", "cortex-m4", 1, 0}, {"mps2-an386", "cortex-m4", 1, 0},
    {"mps2-an500", "cortex-m7", 1, 0}, {"mps3-an547", "cortex-m55", 1, 0},
};
// clang-format on

std::string bestArm(const llvm::StringMap<bool> &features) {
  bool half = features.lookup("fullfp16");
  if (!features.lookup("dotprod"))
    return half ? "aarch64+fp16" : "aarch64";
  return std::string("aarch64+dotprod") + (half ? "+fp16" : "") + (features.lookup("i8mm") ? "+i8mm" : "");
}

const Machine *bestForHost() {
  llvm::Triple host(llvm::sys::getProcessTriple());
  llvm::StringMap<bool> features = llvm::sys::getHostCPUFeatures();
  if (host.getArch() == llvm::Triple::aarch64)
    return findMachine(bestArm(features));
  if (host.getArch() != llvm::Triple::x86_64)
    return nullptr;
  auto has = [&](std::initializer_list<const char *> names) {
    return llvm::all_of(names, [&](const char *n) { return features.lookup(n); });
  };
  if (!has({"avx2", "fma", "f16c", "bmi2"}))
    return findMachine("x86-64");
  if (!has({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}))
    return findMachine(has({"avxvnni"}) ? "x86-64-v3+avxvnni" : "x86-64-v3");
  if (llvm::sys::getHostCPUName() == "znver4")
    return findMachine("znver4");
  return findMachine(has({"avx512vnni"}) ? "x86-64-v4+avx512vnni" : "x86-64-v4");
}
} // namespace

// Generic code is ordered for the wide cores it gains most on; of the Cortex-A76 LLVM knows the server's sibling alone.
llvm::StringRef Machine::tuneCpu() const {
  bool isWideArm = triple.starts_with("aarch64") && (cpu == "generic" || cpu == "cortex-a76" || cpu == "cortex-a78ae");
  return isWideArm ? "neoverse-n1" : "";
}

unsigned Machine::indexBits() const { return llvm::Triple(triple).isArch64Bit() ? 64 : 32; }

// Of x86, all came together with AVX2 but the last; the small Arm cores have them from the v8 architecture on.
static bool isBasicX86(const Machine &m) { return m.cpu == "x86-64"; }
static bool isSoftFloat(const Machine &m) { return m.cpu == "cortex-m3" || m.cpu == "cortex-m0plus"; }
bool Machine::fusesMultiplyAdd() const { return !isBasicX86(*this) && !isSoftFloat(*this) && !isWebAssembly(); }
bool Machine::rounds() const {
  bool isOld = llvm::is_contained({"cortex-a7", "cortex-m4", "cortex-m33"}, cpu);
  return !isBasicX86(*this) && !isSoftFloat(*this) && !isOld;
}
bool Machine::convertsHalf() const { return fusesMultiplyAdd() && !triple.starts_with("riscv"); }
bool Machine::keepsNaN() const { return triple.starts_with("aarch64") || isWebAssembly() || cpu == "cortex-a7"; }
bool Machine::isBareMetal() const { return triple.contains("-none-"); }
bool Machine::isWebAssembly() const { return triple.starts_with("wasm"); }
int64_t Machine::stackBytes() const { return isBareMetal() ? 8 * KiB : isWebAssembly() ? 32 * KiB : 512 * KiB; }

// Half of the last cache of the usual server core's group: one that is written and read again at once loses from here
// on by staying in it. Stores of other architectures that miss need no line read first.
int64_t Machine::streamedBytes() const { return triple.starts_with("x86_64") ? 16 * 1024 * KiB : 0; }

bool Machine::isAndroid() const { return triple.contains("-android"); }

// "a+c+b" -> "a+b+c"
static std::string inOrder(llvm::StringRef name) {
  llvm::SmallVector<llvm::StringRef> parts;
  name.split(parts, '+');
  std::sort(parts.begin() + 1, parts.end());
  return llvm::join(parts, "+");
}

const Board *burin::findBoard(llvm::StringRef name) {
  auto found = llvm::find_if(boards, [&](const Board &b) { return b.name == name; });
  return found == std::end(boards) ? nullptr : found;
}

// "aarch64-android29+dotprod": the row "aarch64+dotprod" with Android's triple. Levels below 21 know no 64-bit Arm.
static const Machine *findAndroid(llvm::StringRef name) {
  auto [core, rest] = name.split("-android");
  auto [level, features] = rest.split('+');
  unsigned number;
  if (level.getAsInteger(10, number) || number < 21 || number > 999)
    return nullptr;
  const Machine *row = findMachine((core + (features.empty() ? "" : "+") + features).str());
  if (!row || !row->triple.starts_with("aarch64"))
    return nullptr;
  // Made when asked for, and kept like the table: a row refers to its texts.
  struct Made {
    std::string name, triple;
    Machine machine;
  };
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<Made>> all;
  std::lock_guard<std::mutex> lock(mutex);
  std::unique_ptr<Made> &made = all[name.str()];
  if (!made) {
    made.reset(new Made{name.str(), "aarch64-unknown-linux-android" + level.str(), *row});
    made->machine.name = made->name;
    made->machine.triple = made->triple;
  }
  return &made->machine;
}

const Machine *burin::findMachine(llvm::StringRef name) {
  if (name == "host" || name.empty())
    return bestForHost();
  if (name.contains("-android"))
    return findAndroid(name);
  const Board *board = findBoard(name);
  std::string wanted = inOrder(board ? board->machine : name);
  auto found = llvm::find_if(table, [&](const Machine &m) { return m.name == wanted; });
  return found == std::end(table) ? nullptr : found;
}

llvm::ArrayRef<Machine> burin::allMachines() { return table; }
llvm::ArrayRef<Board> burin::allBoards() { return boards; }

std::string burin::machineNames() {
  std::string names = "host";
  for (const Machine &m : table)
    names += ", " + m.name.str();
  for (const Board &b : boards)
    names += ", " + b.name.str();
  return names + ", aarch64-android29 or another API level";
}
