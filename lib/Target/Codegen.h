// The one road to machine code: the LLVM dialect of one model -> LLVM IR -> objects, in partitions that compile side by
// side. The same module and options give the same bytes, whatever the number of threads.
#ifndef BURIN_LIB_TARGET_CODEGEN_H
#define BURIN_LIB_TARGET_CODEGEN_H

#include "lib/Support/Machine.h"
#include "lib/Target/Description.h"
#include "mlir/IR/BuiltinOps.h"
#include <string>
#include <vector>

namespace llvm {
class Module;
}

namespace burin {

struct CodegenOptions {
  std::string prefix;    // of every symbol: a C identifier
  unsigned optLevel = 2; // 0: fast to compile, 1 and 2: kernels come unrolled and need no more, 3: LLVM's own O2 on top
};

/// One relocatable object in memory.
struct ObjectCode {
  std::string name; // "NAME.code0.o"
  llvm::SmallVector<char, 0> bytes;
};

/// What the target calls `@entry` under this prefix.
std::string entrySymbol(llvm::StringRef prefix);

/// Compiles the functions of `module` (contract: passes/Cpu/Passes.h) for `machine`. Consumes the module's functions.
/// One error when LLVM refuses something, or when the code would call anything but memcpy, memmove and memset.
mlir::FailureOr<std::vector<ObjectCode>> compileToObjects(mlir::ModuleOp module, const Machine &machine,
                                                          const CodegenOptions &options);

/// The object of the model's description.
mlir::FailureOr<ObjectCode> describeToObject(mlir::ModuleOp module, const Machine &machine,
                                             const ModelDescription &model);

/// Optimizes LLVM IR that another compiler made and writes its object: all inlined that says so, floats as they stand.
/// False with a reason where that fails or the object would call anything but memcpy, memmove and memset.
bool compileLLVM(llvm::Module &module, const Machine &machine, llvm::SmallVectorImpl<char> &object, std::string &why);

enum class TextKind { LLVM, Assembly };

/// Code and description as one text; the weights stay an undefined symbol. Consumes the module's functions.
mlir::FailureOr<std::string> compileToText(mlir::ModuleOp module, const Machine &machine, const CodegenOptions &options,
                                           const ModelDescription &model, TextKind kind);

} // namespace burin

#endif
