// libFuzzer target: any bytes as an ONNX model. Whatever they are, the importer ends with a module that verifies or
// with one error: no exception, no abort, no read outside the bytes. Corpus: the importer's test models, good and
// broken.
#include "lib/Import/Import.h"
#include "test/Fuzz/wire_mutator.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/Verifier.h"

#include <cstdio>
#include <cstdlib>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  unsigned errors = 0;
  mlir::ScopedDiagnosticHandler handler(&context, [&](mlir::Diagnostic &diagnostic) {
    errors += diagnostic.getSeverity() == mlir::DiagnosticSeverity::Error;
  });
  // An exact copy, so that a read past the end is seen.
  auto bytes = std::make_shared<std::vector<char>>(data, data + size);
  mlir::OwningOpRef<mlir::ModuleOp> module =
      burin::importModel(llvm::StringRef(bytes->data(), size), "fuzz.onnx", bytes, context);
  if (!module != (errors > 0)) {
    fprintf(stderr, "%s with %u errors\n", module ? "a module" : "no module", errors);
    abort();
  }
  if (module && failed(mlir::verify(*module)))
    abort();
  return 0;
}
