// See CudaTarget.h.
#include "lib/Pipeline/CudaTarget.h"
#include "lib/Support/Machine.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"

using namespace llvm;
using namespace burin;

// With the processor of the board for those that only boards have: Jetson Nano, Xavier, Orin.
static const struct {
  unsigned arch;
  StringRef host;
} known[] = {{53, "cortex-a57"},   {60, ""}, {61, ""}, {70, ""},  {72, "aarch64"}, {75, ""},  {80, ""}, {86, ""},
             {87, "cortex-a78ae"}, {89, ""}, {90, ""}, {100, ""}, {103, ""},       {120, ""}, {121, ""}};

bool burin::isCudaTarget(StringRef text) { return text == "cuda" || text.starts_with("cuda:"); }

Expected<CudaTarget> burin::parseCudaTarget(StringRef text) {
  CudaTarget target;
  target.text = text.str();
  SmallVector<StringRef> parts;
  text.split(':').second.split(parts, ',', -1, /*KeepEmpty=*/text.contains(':'));
  for (StringRef part : parts) {
    StringRef digits = part;
    unsigned arch = 0;
    bool isArch = digits.consume_front("sm_") && !digits.getAsInteger(10, arch);
    auto found = find_if(known, [&](const auto &row) { return row.arch == arch; });
    if (isArch && found != std::end(known)) {
      if (!is_contained(target.archs, arch))
        target.archs.push_back(arch);
    } else if (part == "emulated") {
      target.isEmulated = true;
    } else if (findMachine(part) && !part.empty()) {
      target.host = part.str();
    } else {
      std::string names;
      for (const auto &row : known)
        names += "sm_" + std::to_string(row.arch) + ", ";
      return createStringError("--target=cuda: unknown '%s', expected %sor a processor for the host's part",
                               part.str().c_str(), names.c_str());
    }
  }
  if (target.archs.empty())
    target.archs = target.isEmulated ? std::vector<unsigned>{80} : std::vector<unsigned>{80, 90};
  llvm::sort(target.archs);
  if (target.host.empty()) {
    auto first = find_if(known, [&](const auto &row) { return row.arch == target.archs.front(); });
    target.host = first->host.empty() ? "host" : first->host.str();
  }
  return target;
}
