// One diagnostic, one line: `error: model.onnx: node 'conv1' (Conv, opset 13): text`.
#include "lib/Support/Diagnostics.h"

#include "mlir/IR/Location.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace burin {

std::string describeLocation(Location loc) {
  if (auto fused = dyn_cast<FusedLoc>(loc)) {
    for (Location part : fused.getLocations())
      if (std::string text = describeLocation(part); !text.empty())
        return text;
    return {};
  }
  if (auto call = dyn_cast<CallSiteLoc>(loc))
    return describeLocation(call.getCallee());
  if (auto file = dyn_cast<FileLineColLoc>(loc)) {
    std::string text = file.getFilename().str();
    // Line 0 is the file as a whole; column 0 marks an ONNX file, whose "lines" count nodes and mean nothing to a
    // person.
    if (file.getLine() && file.getColumn())
      text += ":" + std::to_string(file.getLine()) + ":" + std::to_string(file.getColumn());
    return text;
  }
  if (auto name = dyn_cast<NameLoc>(loc)) {
    // NameLoc(node, NameLoc("Conv, opset 13", file)) as the importer writes it.
    if (auto kind = dyn_cast<NameLoc>(name.getChildLoc())) {
      std::string file = describeLocation(kind.getChildLoc());
      return file + (file.empty() ? "" : ": ") + "node '" + name.getName().str() + "' (" + kind.getName().str() + ")";
    }
    std::string child = describeLocation(name.getChildLoc());
    return child.empty() ? "'" + name.getName().str() + "'" : child + ": '" + name.getName().str() + "'";
  }
  return {};
}

ScopedDiagnosticHandler::ScopedDiagnosticHandler(MLIRContext *context, raw_ostream &out)
    : mlir::ScopedDiagnosticHandler(context) {
  setHandler([this, &out](Diagnostic &diagnostic) {
    auto print = [&](Diagnostic &d) {
      switch (d.getSeverity()) {
      case DiagnosticSeverity::Error:
        ++errors;
        out << "error: ";
        break;
      case DiagnosticSeverity::Warning:
        out << "warning: ";
        break;
      case DiagnosticSeverity::Note:
        out << "note: ";
        break;
      case DiagnosticSeverity::Remark:
        out << "remark: ";
        break;
      }
      std::string where = describeLocation(d.getLocation());
      if (!where.empty())
        out << where << ": ";
      out << d.str() << '\n';
    };
    print(diagnostic);
    for (Diagnostic &note : diagnostic.getNotes())
      // MLIR adds the operation itself as a note on request; a user's model is better named than dumped.
      if (!StringRef(note.str()).starts_with("see current operation"))
        print(note);
    out.flush();
    return success();
  });
}

int fail(const llvm::Twine &text) {
  llvm::errs() << "error: " << text << '\n';
  return 1;
}

} // namespace burin
