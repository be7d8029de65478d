// What options leave open for a model is filled in, and what does not go together is found, before any work.
#include "lib/Pipeline/Pipeline.h"
#include "lib/Support/Machine.h"
#include "lib/Target/Header.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace burin;

bool burin::hasOwnName(EmitKind kind) {
  return llvm::is_contained(
      {EmitKind::Lib, EmitKind::Shared, EmitKind::Obj, EmitKind::Wasm, EmitKind::Js, EmitKind::Jni}, kind);
}

CompileOptions burin::completeOptions(const CompileOptions &given, StringRef modelPath) {
  CompileOptions options = given;
  StringRef extension = llvm::sys::path::extension(options.output);
  if (!options.emit) {
    bool stopsEarly = options.stopAfter && *options.stopAfter != Stage::Emit;
    options.emit = llvm::StringSwitch<EmitKind>(extension)
                       .Cases({".mlir", ".mlirbc"}, EmitKind::MLIR)
                       .Case(".onnx", EmitKind::Onnx)
                       .Case(".a", EmitKind::Lib)
                       .Case(".so", EmitKind::Shared)
                       .Case(".o", EmitKind::Obj)
                       .Case(".js", EmitKind::Js)
                       .Case(".wasm", EmitKind::Wasm)
                       .Case(".s", EmitKind::Asm)
                       .Case(".ll", EmitKind::LLVM)
                       .Case(".blob", EmitKind::Blob)
                       .Case(".ptx", EmitKind::Ptx)
                       .Case(".cubin", EmitKind::Cubin)
                       .Default(stopsEarly          ? EmitKind::MLIR
                                : options.unit.unit ? EmitKind::Blob
                                                    : EmitKind::Exe);
  }
  StringRef model = llvm::sys::path::stem(modelPath), out = llvm::sys::path::stem(options.output);
  bool isLibrary = hasOwnName(*options.emit);
  if (options.name.empty()) {
    // A library's file name is its interface; a program's is not, and the same model then makes the same bytes under
    // any name.
    StringRef base = isLibrary && !out.empty() && options.output != "-" ? out : model;
    if (isLibrary && base.size() > 3)
      base.consume_front("lib");
    options.name = toIdentifier(base);
    if (options.name == "burin")
      options.name = "burin_";
  }
  if (options.output.empty()) {
    static const char *const suffixes[] = {"",          ".a",    ".so",   ".o",  ".s", ".ll",  ".mlir", ".opt.onnx",
                                           "_custom.h", ".blob", ".wasm", ".js", ".a", ".ptx", ".cubin"};
    options.output =
        (llvm::is_contained({EmitKind::Lib, EmitKind::Shared, EmitKind::Jni}, *options.emit) ? "lib" + options.name
                                                                                             : model.str()) +
        suffixes[static_cast<int>(*options.emit)];
  }
  return options;
}

std::string burin::conflictOf(const CompileOptions &options) {
  EmitKind kind = *options.emit;
  bool ofUnit = kind == EmitKind::Blob || kind == EmitKind::MLIR || kind == EmitKind::Onnx;
  if (kind == EmitKind::Blob && !options.unit.unit)
    return "--emit=blob is of a vision unit: give --target=myriad[:shaves=N,cmx=N,threads=N]";
  if (options.unit.unit && !ofUnit)
    return ("--emit=" + emitName(kind) + " is of a processor; --target=" + options.unitText + " makes --emit=blob")
        .str();
  if (const std::string &precision = options.edits.precision;
      kind == EmitKind::Blob && (precision == "f32" || precision == "bf16"))
    return "--precision=" + precision +
           ": the vision unit computes in half precision only; --check-fp16=X.npz tells whether that is enough";
  if (options.compressWeights && kind != EmitKind::Exe)
    return ("--compress-weights makes weights that a program decodes when it starts, which --emit=" + emitName(kind) +
            " has no place for; use --emit=exe")
        .str();
  if (options.selfTest && options.compressWeights)
    return "--self-test and --compress-weights do not go together: the test runs on weights as they are stored";
  if (!options.encrypt.empty() && !hasOwnName(kind) && kind != EmitKind::Exe)
    return ("--encrypt is of programs, libraries, objects and modules, not of --emit=" + emitName(kind)).str();
  if (!options.encrypt.empty() && options.cuda)
    return "--encrypt and --target=cuda do not go together: a GPU's part holds weights of its own";
  if ((kind == EmitKind::Ptx || kind == EmitKind::Cubin) && !options.cuda)
    return ("--emit=" + emitName(kind) + " is of a GPU: give --target=cuda[:sm_80,...]").str();
  if (kind == EmitKind::Cubin && options.cuda.archs.size() != 1)
    return "--emit=cubin holds one architecture: give --target=cuda:sm_80";
  if (options.cuda && !options.specialize.empty())
    return "--specialize and --target=cuda do not go together: bind the dims with --dim";
  const Machine *machine = options.targets.empty() ? nullptr : findMachine(options.targets.front());
  if (machine && machine->isAndroid() && (kind == EmitKind::Exe || kind == EmitKind::Shared))
    return ("--emit=" + emitName(kind) +
            " for Android needs the NDK's C library: --emit=lib, obj and jni make what its clang links")
        .str();
  if ((kind == EmitKind::Wasm || kind == EmitKind::Js) && !(machine && machine->isWebAssembly()))
    return ("--emit=" + emitName(kind) + " needs --target=wasm32").str();
  if (kind == EmitKind::Onnx && options.stopAfter && *options.stopAfter > Stage::Graph)
    return ("--stop-after=" + stageName(*options.stopAfter) +
            " leaves nothing that ONNX can hold; --emit=onnx ends with graph at the latest")
        .str();
  if (kind != EmitKind::Onnx && kind != EmitKind::MLIR && options.stopAfter && *options.stopAfter != Stage::Emit)
    return ("--stop-after=" + stageName(*options.stopAfter) + " leaves IR, which --emit=" + emitName(kind) +
            " cannot hold; use --emit=mlir")
        .str();
  if (options.selfTest && !llvm::is_contained({EmitKind::Exe, EmitKind::Lib, EmitKind::Shared, EmitKind::Obj}, kind))
    return ("--self-test is of programs, libraries and objects, not of --emit=" + emitName(kind)).str();
  if (!options.signingKey.empty() && options.output == "-")
    return "--sign writes FILE.sig beside the output; give -o FILE";
  bool needsOne = kind == EmitKind::LLVM || kind == EmitKind::Asm || kind == EmitKind::Wasm || kind == EmitKind::Js ||
                  (kind == EmitKind::MLIR && (!options.stopAfter || *options.stopAfter >= Stage::Target));
  if (options.targets.size() > 1 && needsOne)
    return ("--emit=" + emitName(kind) + " shows the code of one target, got " + Twine(options.targets.size())).str();
  bool isText = kind == EmitKind::MLIR || kind == EmitKind::LLVM || kind == EmitKind::Asm;
  if (options.output == "-" && !isText)
    return ("--emit=" + emitName(kind) + " is not text and is not written to standard output; give -o FILE").str();
  return "";
}
