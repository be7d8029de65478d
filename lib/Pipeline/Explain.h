// What passes said about themselves: remarks collected, then told for people (--explain) or as data (--report); and
// what runs in order, with reasons (--list-pipelines).
#ifndef BURIN_LIB_PIPELINE_EXPLAIN_H
#define BURIN_LIB_PIPELINE_EXPLAIN_H

#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"
#include <memory>
#include <string>
#include <vector>

namespace mlir {
class OpPassManager;
}

namespace burin {

struct RemarkEntry {
  enum Kind { Passed, Missed, Other } kind;
  std::string pass, rewrite, where, text; // FuseConvBn, Conv, "net.onnx: node 'conv1' (Conv, opset 13)", the reason
  std::string function;                   // of the kernel, from the target stage on
};

struct RemarkLog {
  std::vector<RemarkEntry> entries;
};

/// Collects the remarks of every pass from now on, as long as the context lives.
std::shared_ptr<RemarkLog> collectRemarks(mlir::MLIRContext &context);

/// For each pass asked for (its flag, its name in remarks, or "all"): how often it fired, and each near miss with its
/// node and the first condition that failed. Passes that said nothing are named too.
void printExplanation(const RemarkLog &log, llvm::ArrayRef<std::string> passes, llvm::raw_ostream &out);

/// [{pass, fired: [{node, rewrite}], missed: [{node, rewrite, reason}]}], in running order.
llvm::json::Array toJson(const RemarkLog &log);

/// The passes of a manager in order, one a line: number, flag, why it is there.
void printPasses(mlir::OpPassManager &pm, llvm::raw_ostream &out);

} // namespace burin

#endif
