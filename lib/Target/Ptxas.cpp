// NVIDIA's assembler: where it is, what it says. Run by ourselves, since MLIR swallows its -v.
#include "lib/Target/CudaProgram.h"
#include "lib/Target/Files.h"
#include "runtime/cuda/program.h"

#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Process.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/Regex.h"

using namespace llvm;
using namespace burin;

static bool isProgram(const Twine &path) { return sys::fs::can_execute(path); }

std::optional<std::string> burin::findPtxas() {
  if (auto given = sys::Process::GetEnv("BURIN_PTXAS"))
    return isProgram(*given) ? given : std::nullopt;
  for (StringRef variable : {"CUDA_HOME", "CUDA_PATH"})
    if (auto root = sys::Process::GetEnv(variable); root && isProgram(*root + "/bin/ptxas"))
      return *root + "/bin/ptxas";
  if (auto found = sys::findProgramByName("ptxas"))
    return *found;
  if (isProgram("/usr/local/cuda/bin/ptxas"))
    return std::string("/usr/local/cuda/bin/ptxas");
  // PyPI's nvidia-cuda-nvcc: <prefix>/lib/python3.N/site-packages/nvidia/cu13/bin/ptxas.
  for (StringRef name : {"python", "python3"}) {
    auto python = sys::findProgramByName(name);
    if (!python)
      continue;
    SmallString<128> library(sys::path::parent_path(sys::path::parent_path(*python)));
    sys::path::append(library, "lib");
    std::error_code error;
    for (sys::fs::directory_iterator at(library, error), end; at != end && !error; at.increment(error))
      for (StringRef toolkit : {"cu13", "cuda_nvcc"}) {
        SmallString<128> path(at->path());
        sys::path::append(path, "site-packages/nvidia", toolkit, "bin/ptxas");
        if (isProgram(path))
          return std::string(path);
      }
  }
  return std::nullopt;
}

// "Compiling entry function 'conv_3' for 'sm_80'", "32 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads",
// "Used 40 registers, used 1 barriers, 48 bytes smem".
static void readFacts(StringRef log, std::vector<CudaKernelFacts> &facts) {
  static const Regex entry("Compiling entry function '([^']*)'"),
      stack("([0-9]+) bytes stack frame, ([0-9]+) bytes spill stores, ([0-9]+) bytes spill loads"),
      used("Used ([0-9]+) registers"), shared("([0-9]+) bytes smem");
  SmallVector<StringRef> lines, parts;
  log.split(lines, '\n');
  auto number = [&](unsigned i) {
    unsigned value = 0;
    parts[i].getAsInteger(10, value);
    return value;
  };
  for (StringRef line : lines) {
    if (entry.match(line, &parts))
      facts.push_back({parts[1].str()});
    if (facts.empty())
      continue;
    if (stack.match(line, &parts)) {
      facts.back().stackBytes = number(1);
      facts.back().spillBytes = number(2) + number(3);
    }
    if (line.contains("wgmma") && line.contains("serialized"))
      facts.back().isSerialized = true;
    if (used.match(line, &parts))
      facts.back().registers = number(1);
    if (shared.match(line, &parts))
      facts.back().sharedBytes = number(1);
  }
}

Expected<CudaBinary> burin::assemblePtx(StringRef ptxas, StringRef ptx, unsigned arch, bool isExact,
                                        std::vector<CudaKernelFacts> &facts) {
  Expected<ScratchFolder> folder = ScratchFolder::create();
  if (!folder)
    return folder.takeError();
  std::string in = folder->file("kernels.ptx"), out = folder->file("kernels.cubin"), log = folder->file("log"), why;
  if (Error error = writeFile(in, [&](raw_ostream &stream) { return stream << ptx, Error::success(); }))
    return std::move(error);
  std::string name = std::to_string(arch) + (isExact ? "a" : ""), chip = "--gpu-name=sm_" + name;
  SmallVector<StringRef> arguments = {ptxas, "-v", "-O3", chip, in, "-o", out};
  int status =
      sys::ExecuteAndWait(ptxas, arguments, std::nullopt, {StringRef(""), StringRef(log), StringRef(log)}, 0, 0, &why);
  auto text = MemoryBuffer::getFile(log);
  if (status != 0) {
    if (text && !(*text)->getBuffer().trim().empty())
      why = (*text)->getBuffer().trim().split('\n').first.str();
    return createStringError("ptxas refuses the kernels for sm_%s: %s", name.c_str(), why.c_str());
  }
  if (text)
    readFacts((*text)->getBuffer(), facts);
  auto cubin = MemoryBuffer::getFile(out, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!cubin)
    return createStringError("ptxas wrote nothing for sm_%s", name.c_str());
  return CudaBinary{uint32_t(isExact ? BURIN_CUDA_CUBIN_EXACT : BURIN_CUDA_CUBIN), arch, (*cubin)->getBuffer().str()};
}
