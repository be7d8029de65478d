#include "lib/Support/NodeNames.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;

void burin::collectNodeNames(Location loc, llvm::SmallVectorImpl<llvm::StringRef> &names) {
  if (auto fused = dyn_cast<FusedLoc>(loc)) {
    for (Location part : fused.getLocations())
      collectNodeNames(part, names);
  } else if (auto name = dyn_cast<NameLoc>(loc)) {
    if (!llvm::is_contained(names, name.getName().getValue()))
      names.push_back(name.getName().getValue());
  } else if (auto call = dyn_cast<CallSiteLoc>(loc)) {
    collectNodeNames(call.getCallee(), names);
  }
}
