// One layer explained: remarks that carry its kernel's name, and its code compiled alone.
#include "lib/Pipeline/ExplainLayer.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace burin;

// "kernel_conv_2" and its parts "kernel_conv_2_part0", which cpu-parallelize-kernels names so.
static bool belongsTo(StringRef function, StringRef kernel) {
  if (!function.consume_front(kernel))
    return false;
  return function.empty() || (function.consume_front("_part") && llvm::all_of(function, llvm::isDigit));
}

// Removes all functions that the kernel does not need, so that only its code is compiled.
static void keepOnly(ModuleOp module, StringRef kernel) {
  SymbolTable symbols(module);
  SmallVector<Operation *> open;
  llvm::DenseSet<Operation *> needed;
  for (auto function : module.getOps<LLVM::LLVMFuncOp>())
    if (belongsTo(function.getSymName(), kernel))
      open.push_back(function);
  while (!open.empty()) {
    Operation *op = open.pop_back_val();
    if (!needed.insert(op).second)
      continue;
    if (auto uses = SymbolTable::getSymbolUses(op))
      for (const SymbolTable::SymbolUse &use : *uses)
        if (Operation *target = symbols.lookup(use.getSymbolRef().getRootReference()))
          open.push_back(target);
  }
  for (auto function : llvm::make_early_inc_range(module.getOps<LLVM::LLVMFuncOp>()))
    if (!needed.contains(function))
      function.erase();
}

namespace {
struct Loop {
  size_t first, last; // lines
  unsigned products = 0;
};
} // namespace

// Mnemonics of vectors that multiply: on what most kernels spend their time.
static bool isProduct(StringRef line) {
  StringRef mnemonic = line.ltrim().take_until([](char c) { return c == ' ' || c == '\t'; });
  for (StringRef part : {"vfm", "vfnm", "vmul", "pdpb", "pmadd", "fmla", "fmul", "mlal", "dot", "mulps", "f32x4.mul"})
    if (mnemonic.contains(part))
      return true;
  return false;
}

std::string burin::innerLoopOf(StringRef assembly, StringRef function) {
  SmallVector<StringRef> lines;
  assembly.split(lines, '\n');
  std::string best;
  unsigned bestProducts = 0;
  for (size_t begin = 0; begin < lines.size(); ++begin) {
    StringRef label = lines[begin].split(':').first.trim('"');
    if (!lines[begin].contains(':') || label.empty() || llvm::isSpace(label[0]) || label[0] == '.')
      continue;
    // The prefix of the model stands before the name.
    size_t at = label.find(function);
    if (at == StringRef::npos || !belongsTo(label.substr(at), function))
      continue;
    llvm::StringMap<size_t> labels;
    SmallVector<Loop> loops;
    for (size_t i = begin + 1; i < lines.size() && !lines[i].contains(".size\t") && !lines[i].contains("end_function");
         ++i) {
      StringRef text = lines[i].split('#').first.rtrim();
      if (!text.empty() && text[0] == '.' && text.ends_with(":")) {
        labels[text.drop_back()] = i;
        continue;
      }
      // A jump backwards closes a loop.
      StringRef target = text.rsplit('\t').second;
      target = target.substr(target.rfind(' ') + 1);
      if (auto known = labels.find(target); known != labels.end())
        loops.push_back({known->second, i});
    }
    for (Loop &loop : loops) {
      bool holdsAnother = llvm::any_of(loops, [&](const Loop &other) {
        return &other != &loop && other.first >= loop.first && other.last <= loop.last &&
               (other.first > loop.first || other.last < loop.last);
      });
      if (holdsAnother)
        continue;
      for (size_t i = loop.first; i <= loop.last; ++i)
        loop.products += isProduct(lines[i]);
      if (!best.empty() && loop.products <= bestProducts)
        continue;
      bestProducts = loop.products;
      best.clear();
      for (size_t i = loop.first; i <= loop.last; ++i)
        best += lines[i].rtrim().str() + "\n";
    }
  }
  return best;
}

FailureOr<std::string> burin::explainLayer(ModuleOp code, const Machine &machine, const CodegenOptions &codegen,
                                           const ModelDescription &model, uint64_t number, const RemarkLog &log) {
  if (number >= model.layers.size())
    return code.emitError() << "--explain-layer: expected a layer from 0 to " << model.layers.size() - 1 << ", got "
                            << number;
  const LayerDescription &layer = model.layers[number];
  std::string text;
  llvm::raw_string_ostream out(text);
  out << "layer " << number << ": " << layer.kind << " '" << layer.name << "', " << layer.flops << " operations, "
      << layer.bytes << " bytes, of which weights " << layer.weightBytes << "; " << layer.symbol << "\n";
  if (layer.symbol.empty())
    return code.emitError("--explain-layer: this module does not say which kernels its layers have; compile the model "
                          "itself");
  for (const RemarkEntry &entry : log.entries)
    if (belongsTo(entry.function, layer.symbol))
      out << "  " << entry.pass << ", " << entry.rewrite << (entry.kind == RemarkEntry::Missed ? " not done: " : ": ")
          << entry.text << "\n";
  OwningOpRef<ModuleOp> copy(code.clone());
  keepOnly(*copy, layer.symbol);
  FailureOr<std::string> assembly = compileToText(*copy, machine, codegen, model, TextKind::Assembly);
  if (failed(assembly))
    return failure();
  std::string loop = innerLoopOf(*assembly, layer.symbol);
  out << "  innermost loop on " << machine.name << (loop.empty() ? ": none\n" : ":\n") << loop;
  return text;
}
