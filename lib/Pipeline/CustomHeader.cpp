// --emit=custom-header: what a user has to write for the operators that Burin does not know, as a C header: one
// function an operator, with its tensors and attributes in the comment above it.
#include "dialects/Onnx/DataType.h"
#include "dialects/Onnx/OnnxUtils.h"
#include "lib/Pipeline/Pipeline.h"
#include "lib/Target/Header.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace burin;

static void describe(llvm::raw_ostream &out, StringRef what, unsigned index, Type type) {
  out << " *   " << what << "[" << index << "]: ";
  if (isa<NoneType>(type))
    out << "absent";
  else if (isa<onnx::AnyType>(type))
    out << "of unknown type; declare it in the model (value_info)";
  else
    out << type;
  out << "\n";
}

LogicalResult burin::writeCustomHeader(ModuleOp module, StringRef name, llvm::raw_ostream &out) {
  std::string guard = StringRef(toIdentifier(name)).upper() + "_CUSTOM_H";
  out << "/* The operators of " << name
      << " that a C function has to compute: compile with --custom-op=DOMAIN.OP=FUNCTION[:FILE].\n"
      << " * burin/runtime.h says what a function is given (burin_function); elements lie row-major. */\n"
      << "#ifndef " << guard << "\n#define " << guard << "\n\n#include \"burin/runtime.h\"\n\n"
      << "#ifdef __cplusplus\nextern \"C\" {\n#endif\n";
  llvm::StringSet<> seen;
  module.walk([&](onnx::CustomOp op) {
    auto given = op->getAttrOfType<StringAttr>(onnx::calleeAttr);
    std::string own = (op.getDomain().empty() ? op.getOpType() : op.getDomain() + "_" + op.getOpType()).str();
    std::string function = given ? given.str() : toIdentifier(own);
    if (!seen.insert(function).second)
      return;
    out << "\n/* " << op.getDomain() << (op.getDomain().empty() ? "" : ".") << op.getOpType() << "\n";
    for (auto [i, type] : llvm::enumerate(op->getOperandTypes()))
      describe(out, "inputs", i, type);
    for (auto [i, type] : llvm::enumerate(op->getResultTypes()))
      describe(out, "outputs", i, type);
    for (NamedAttribute attribute : op.getNodeAttributes()) {
      std::string text;
      llvm::raw_string_ostream(text) << attribute.getValue();
      // A string may hold what ends a comment.
      for (size_t at = 0; (at = text.find("*/", at)) != std::string::npos;)
        text.replace(at, 2, "* /");
      out << " *   attribute " << attribute.getName().getValue() << " = " << StringRef(text).take_front(120) << "\n";
    }
    out << " */\nint32_t " << function
        << "(const burin_call *call, const burin_tensor *inputs, uint32_t num_inputs, burin_tensor *outputs,\n"
        << std::string(function.size() + 9, ' ') << "uint32_t num_outputs);\n";
  });
  if (seen.empty())
    return module.emitError("the model has no operator that a C function would have to compute");
  out << "\n#ifdef __cplusplus\n}\n#endif\n#endif\n";
  return success();
}
