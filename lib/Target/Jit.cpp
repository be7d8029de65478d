// See Jit.h.
#include "lib/Target/Jit.h"
#include "llvm/ExecutionEngine/Orc/AbsoluteSymbols.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/Support/TargetSelect.h"
#include <cstring>

using namespace llvm;

burin::Jit::Jit(std::unique_ptr<orc::LLJIT> jit) : jit(std::move(jit)) {}
burin::Jit::~Jit() = default;

namespace {
// Object bytes whose owner travels with them.
class OwnedObject : public MemoryBuffer {
public:
  explicit OwnedObject(burin::ObjectCode &&code) : code(std::move(code)) {
    init(this->code.bytes.begin(), this->code.bytes.end(), /*RequiresNullTerminator=*/false);
  }
  BufferKind getBufferKind() const override { return MemoryBuffer_Malloc; }
  StringRef getBufferIdentifier() const override { return code.name; }

private:
  burin::ObjectCode code;
};
} // namespace

Expected<std::unique_ptr<burin::Jit>> burin::Jit::create(std::vector<ObjectCode> objects,
                                                         ArrayRef<std::pair<std::string, const void *>> symbols) {
  InitializeNativeTarget();
  InitializeNativeTargetAsmPrinter();
  auto jit = orc::LLJITBuilder().create();
  if (!jit)
    return jit.takeError();
  orc::SymbolMap map;
  auto define = [&](StringRef name, const void *address) {
    map[(*jit)->mangleAndIntern(name)] = {orc::ExecutorAddr::fromPtr(address), JITSymbolFlags::Exported};
  };
  define("memcpy", reinterpret_cast<const void *>(&std::memcpy));
  define("memmove", reinterpret_cast<const void *>(&std::memmove));
  define("memset", reinterpret_cast<const void *>(&std::memset));
  for (const auto &[name, address] : symbols)
    define(name, address);
  if (Error error = (*jit)->getMainJITDylib().define(orc::absoluteSymbols(std::move(map))))
    return std::move(error);
  for (ObjectCode &object : objects)
    if (Error error = (*jit)->addObjectFile(std::make_unique<OwnedObject>(std::move(object))))
      return std::move(error);
  return std::unique_ptr<Jit>(new Jit(std::move(*jit)));
}

Expected<void *> burin::Jit::lookup(StringRef symbol) {
  auto address = jit->lookup(symbol);
  if (!address)
    return address.takeError();
  return address->toPtr<void *>();
}
