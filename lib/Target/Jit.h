// Runs objects of compileToObjects in this process: what folding and in-process sessions stand on. No linker, about a
// millisecond.
#ifndef BURIN_LIB_TARGET_JIT_H
#define BURIN_LIB_TARGET_JIT_H

#include "lib/Target/Codegen.h"
#include "llvm/Support/Error.h"
#include <memory>

namespace llvm::orc {
class LLJIT;
}

namespace burin {

class Jit {
public:
  /// Takes the objects over. `symbols` are addresses of this process that they may use beside memcpy, memmove and
  /// memset.
  static llvm::Expected<std::unique_ptr<Jit>> create(std::vector<ObjectCode> objects,
                                                     llvm::ArrayRef<std::pair<std::string, const void *>> symbols = {});
  ~Jit();

  /// The address of a symbol; code and constants live as long as this object.
  llvm::Expected<void *> lookup(llvm::StringRef symbol);

private:
  explicit Jit(std::unique_ptr<llvm::orc::LLJIT> jit);
  std::unique_ptr<llvm::orc::LLJIT> jit;
};

} // namespace burin

#endif
