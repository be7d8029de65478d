// The table of compile options. A new flag is a row here and a case in setOption.
#include "lib/Pipeline/CompileOptions.h"
#include "lib/Support/Machine.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/xxhash.h"

using namespace llvm;
using namespace burin;

namespace {
const StringRef stageNames[] = {"import", "graph", "lower", "tensor", "target", "emit"};
const StringRef emitNames[] = {"exe",           "lib",  "shared", "obj", "asm", "llvm", "mlir", "onnx",
                               "custom-header", "blob", "wasm",   "js",  "jni", "ptx",  "cubin"};

const OptionInfo table[] = {
    {"output", "FILE", "where to write; - is standard output for text"},
    {"emit", "KIND",
     "exe (default), lib, shared, obj, asm, llvm, mlir, onnx, custom-header (what --custom-op asks for), blob, wasm, "
     "js (a "
     "module and what loads it), jni (a library and its Java class), ptx or cubin (the kernels alone); without it the "
     "extension of FILE decides"},
    {"target", "T",
     "host (default), x86-64-v3, x86-64-v4, aarch64, armv7, riscv64, wasm32, cortex-a53, cortex-m7, aarch64-android29 "
     "(API level 29), or a board: rpi4, jetson-orin, ...; several, T,T: the program picks at run time; or a vision "
     "unit, "
     "myriad[:shaves=N,cmx=N,threads=N,acc=f16] (acc=f16: as if the engine summed in f16); or a GPU beside a "
     "processor, "
     "cuda[:sm_80,sm_90,...,PROCESSOR]"},
    {"budget", "fps=N,latency=Nms,traffic=NMB,share=S",
     "vision unit: exit 1 where the modelled rates miss this; share is what other processes leave"},
    {"sweep-shaves", "", "vision unit: also print the modelled rates with 1, 2, ... shaves, and recommend a number"},
    {"shape", "INPUT=1x3x224x224", "bind the shape of an input; may be repeated"},
    {"dim", "NAME=N", "bind a symbolic dim; may be repeated"},
    {"specialize", "NAME=N,N...",
     "beside the code for all sizes, faster code for these sizes of a free dim; may be repeated"},
    {"length", "INPUT=N", "how many elements a sequence has; none or 1 for an optional; may be repeated"},
    {"custom-op", "DOMAIN.OP=FUNCTION[:FILE]",
     "compute an operator by a C function (burin_function of burin/runtime.h) that FILE holds, an object, archive or "
     "shared library; may be repeated"},
    {"name", "NAME", "prefix of the symbols and of the C header"},
    {"header", "FILE",
     "libraries and objects: where the C header goes, default NAME.h beside the output; none for no header"},
    {"arena-limit", "BYTES",
     "the arena must not be larger (K and M count): other orders of the work, then bands of rows"},
    {"arena-section", "NAME", "put an arena, NAME_arena, into this section of a library or object"},
    {"max-flash", "BYTES", "weights, code and its constants must not take more"},
    {"self-test", "",
     "put an input and what the model makes of it into the artifact: NAME_selftest() then says whether a device "
     "computes "
     "the right thing, as does a program's --self-test"},
    {"self-test-data", "FILE.npz", "--self-test with these inputs, and with outputs of the same file if it holds any"},
    {"encrypt", "FILE|env:NAME",
     "encrypt the weights with a key of 32 bytes or 64 hexadecimal digits: NAME_unlock of a library opens them into "
     "the arena, a program takes --key or BURIN_KEY"},
    {"sign", "KEY.pem", "write OUTPUT.sig, the Ed25519 signature of the output by this private key"},
    {"O", "0..3",
     "optimization level, default 2 (written -O2); -O3 also measures which form of each kernel is fastest on this "
     "machine"},
    {"tune-seconds", "N", "-O3: measure about so long, default 30; 0: take what the cache knows and measure nothing"},
    {"tune-cache", "FILE", "-O3: where measurements are kept and taken from; can be shipped"},
    {"tune-on", "COMMAND",
     "-O3: measure programs through this command, which is given the program and its flags (an emulator, a script "
     "around ssh)"},
    {"winograd", "MODE",
     "3x3 convolutions by fewer products: off, f2, f4 (wherever possible) or auto (default: where it gains)"},
    {"winograd-error", "E",
     "auto: largest rounding error to expect, as a share of a layer's largest result, default 1e-4 (f2 1e-6, f4 1e-5)"},
    {"fast-math", "",
     "exp, tanh, erf, sin, cos and pow of f32, and what is made of them, with fewer operations and errors of 3 to 14 "
     "units of the last place (passes/Cpu/README.md)"},
    {"flush-denormals", "",
     "take floats too small for a normal number as zero while the model runs: many CPUs compute slowly with them"},
    {"precision", "P",
     "storage and arithmetic of float layers: f32, f16, bf16 or tf32: f32, whose factors a GPU's tensor cores round to "
     "10 bits; without it as the model has them, where tensor cores multiply f32 as sums of two tf32"},
    {"keep-f32", "NODE,...", "nodes or operators that --precision leaves in f32; may be repeated"},
    {"convert-io", "", "--precision converts inputs and outputs too"},
    {"stop-after", "STAGE", "import, graph, lower, tensor or target; writes what that stage leaves"},
    {"lora", "FILE[:SCALE]", "merge a LoRA adapter (safetensors) into the weights; may be repeated"},
    {"lora-mode", "MODE",
     "merge (default), or switch: adapters stay inputs, whose values are written as OUTPUT.ADAPTER.npz"},
    {"extract", "IN1,IN2:OUT1", "compile only what lies between these tensors; -> for : where names hold one"},
    {"batch", "N", "size of the first dim of every input that leaves it open"},
    {"input-type", "T", "element type of the image input: u8, f16 or f32"},
    {"layout", "L", "order of the image input's dims: NHWC or NCHW"},
    {"source-size", "HxW", "size of the image input, which is resized to the network's"},
    {"image-input", "[NAME=]FMT:WxH",
     "this input takes a camera's frames: NV12, I420, YUYV, RGB, BGR, RGBA, GRAY or a Bayer mosaic (RGGB, GRBG, "
     "GBRG, BGGR), then [:stride=BYTES][:matrix=709][:range=full][:region=WxH+X+Y][:rotate=90|180|270]"
     "[:flip=horizontal|vertical]; region=run: each run says it by an input NAME_region, int32[4] of x, y, width, "
     "height, four zeros for all; the options from fit to scale say how it becomes what the network takes"},
    {"plain-images", "", "resize pictures by the code of any tensor, not by an image stage made for them"},
    {"fit", "F", "how: stretch (default), letterbox or crop"},
    {"resize-mode", "M", "linear (default), cubic, nearest or area"},
    {"pad-value", "V", "what letterbox pads with, default 0"},
    {"reverse-channels", "", "the image holds its channels in reverse order (BGR for RGB)"},
    {"mean", "A,B,C", "subtracted from the image, one or one a channel in the network's order"},
    {"scale", "A,B,C", "then divides it: y = (x - mean) / scale"},
    {"preprocess-input", "NAME", "the image input, where there are several"},
    {"early-exit", "HEAD[:threshold=T]",
     "stop at this output where its confidence reaches T, else an input; may be repeated"},
    {"append", "POST",
     "softmax, sigmoid, argmax, topk,k=5 or nms,boxes=A,scores=B on outputs; picture,scale=255 (bytes of floats), "
     "colors (of classes), upsample,size=HxW|frame (masks), boxes,format=corners|center,shares=0|1 (to pixels of the "
     "frame); "
     "KIND:OUTPUT where there are several; may be repeated"},
    {"passes", "[POINT:]P",
     "passes to run: a pipeline as burin-opt --pass-pipeline takes it, or a Python file (see burin.passes). POINT: "
     "after-import, after-graph (default), before-target, before-FLAG or after-FLAG of a graph pass; may be repeated"},
    {"patterns", "[POINT:]F.pdll", "rewrites to apply; may be repeated"},
    {"load-pass-plugin", "X.so", "load a plugin (include/burin/Plugin.h); may be repeated"},
    {"pass-limit", "N", "run only the first N passes of the graph stage, to find the one that goes wrong"},
    {"report", "DIR",
     "write DIR/index.html: the graph before and after, what each pass changed, layers, memory over time"},
    {"explain", "PASS", "tell where PASS (a flag, or all) fired and why it did not elsewhere; may be repeated"},
    {"explain-layer", "N",
     "tell how layer N of the program (--profile numbers them) is computed: schedule, predicted time, innermost loop"},
    {"opset", "N", "opset that --emit=onnx writes, default the newest that ONNX Runtime loads: 26, 20 for QDQ"},
    {"compress-weights", "", "programs: store the weights coded, without loss; decoded once when the program starts"},
    {"static", "", "programs: take the C library in"},
    {"runtime-dir", "DIR", "folder of the runtime libraries"},
    {"dynamic", "", "burin-run: leave free dims free instead of compiling for the shapes at hand"},
    {"verify-each", "", "verify the IR after every pass, not only between stages"},
    {"verbose", "", "print stage times, memory, arena, weights and code sizes (written -v)"},
};

// Flags that the design names and that no code stands behind yet: said so, rather than unknown.
bool isPlanned(StringRef name) {
  static const StringRef planned[] = {"weights", "strict-precision"};
  return is_contained(planned, name);
}

template <typename Enum, size_t N>
Expected<Enum> parseEnum(const StringRef (&names)[N], StringRef option, StringRef value) {
  for (size_t i = 0; i < N; ++i)
    if (names[i] == value)
      return static_cast<Enum>(i);
  return createStringError("--%s: unknown '%s', expected one of %s", option.str().c_str(), value.str().c_str(),
                           llvm::join(ArrayRef<StringRef>(names), ", ").c_str());
}

Error checkBinding(StringRef option, StringRef value, bool isShape) {
  auto wrong = [&] {
    return createStringError("--%s: expected %s, got '%s'", option.str().c_str(),
                             isShape ? "INPUT=1x3x224x224" : "NAME=N", value.str().c_str());
  };
  auto [name, numbers] = value.rsplit('=');
  if (name.empty() || name.size() == value.size() || (numbers.empty() && !isShape))
    return wrong();
  SmallVector<StringRef> parts;
  numbers.split(parts, isShape ? 'x' : '\0', -1, /*KeepEmpty=*/true);
  for (StringRef part : parts) {
    int64_t number;
    if (!(isShape && numbers.empty()) && (part.getAsInteger(10, number) || number < 0))
      return wrong();
  }
  return Error::success();
}

Expected<bool> parseSwitch(StringRef option, StringRef value) {
  if (value.empty() || value == "1" || value == "true")
    return true;
  if (value == "0" || value == "false")
    return false;
  return createStringError("--%s takes no value, got '%s'", option.str().c_str(), value.str().c_str());
}
} // namespace

StringRef burin::stageName(Stage stage) { return stageNames[static_cast<int>(stage)]; }
StringRef burin::emitName(EmitKind kind) { return emitNames[static_cast<int>(kind)]; }
StringRef burin::version() { return BURIN_VERSION; }
ArrayRef<OptionInfo> burin::compileOptions() { return table; }

const OptionInfo *burin::findOption(StringRef name) {
  if (name == "o")
    name = "output";
  else if (name == "v")
    name = "verbose";
  auto found = find_if(table, [&](const OptionInfo &o) { return o.name == name; });
  return found == std::end(table) ? nullptr : found;
}

Error burin::setOption(CompileOptions &options, StringRef given, StringRef value) {
  const OptionInfo *info = findOption(given);
  std::string name = given.str();
  if (!info)
    return isPlanned(given) ? createStringError("--%s is not supported by this version", name.c_str())
                            : createStringError("unknown option '--%s'; --help lists them", name.c_str());
  StringRef key = info->name;
  if (info->value.empty()) {
    Expected<bool> on = parseSwitch(key, value);
    if (!on)
      return on.takeError();
    bool *edit = modelEditSwitch(options.edits, key);
    (edit                        ? *edit
     : key == "flush-denormals"  ? options.flushDenormals
     : key == "fast-math"        ? options.fastMath
     : key == "static"           ? options.isStatic
     : key == "compress-weights" ? options.compressWeights
     : key == "dynamic"          ? options.isDynamic
     : key == "sweep-shaves"     ? options.sweepShaves
     : key == "verify-each"      ? options.verifyEach
     : key == "self-test"        ? options.selfTest
                                 : options.verbose) = *on;
    return Error::success();
  }
  if (value.empty())
    return createStringError("--%s needs a value: %s", name.c_str(), info->value.str().c_str());
  if (auto isEdit = setModelEdit(options.edits, key, value); !isEdit)
    return isEdit.takeError();
  else if (*isEdit)
    return Error::success();
  if (key == "budget") {
    if (std::string why = checkBudgetText(value); !why.empty())
      return createStringError(why);
    options.budget = value.str();
  } else if (key == "encrypt") {
    options.encrypt = value.str();
  } else if (key == "sign") {
    options.signingKey = value.str();
  } else if (key == "self-test-data") {
    options.selfTest = true;
    options.selfTestData = value.str();
  } else if (key == "output") {
    options.output = value.str();
  } else if (key == "emit") {
    Expected<EmitKind> kind = parseEnum<EmitKind>(emitNames, key, value);
    if (!kind)
      return kind.takeError();
    options.emit = *kind;
  } else if (key == "stop-after") {
    Expected<Stage> stage = parseEnum<Stage>(stageNames, key, value);
    if (!stage)
      return stage.takeError();
    options.stopAfter = *stage;
  } else if (key == "target") {
    options.targets.clear();
    options.unitText.clear();
    options.cuda = {};
    if (isCudaTarget(value)) {
      Expected<CudaTarget> cuda = parseCudaTarget(value);
      if (!cuda)
        return cuda.takeError();
      options.cuda = *cuda;
      options.targets.assign(1, cuda->host);
      return Error::success();
    }
    if (vpu::isUnit(value)) {
      Expected<vpu::UnitConfig> unit = vpu::parseUnit(value);
      if (!unit)
        return unit.takeError();
      options.unit = *unit;
      options.unitText = value.str();
      return Error::success();
    }
    SmallVector<StringRef> names;
    value.split(names, ',');
    for (StringRef target : names)
      if (!findMachine(target))
        return createStringError("unknown target '%s', expected one of %s", target.str().c_str(),
                                 machineNames().c_str());
    options.targets.assign(names.begin(), names.end());
  } else if (key == "shape" || key == "dim") {
    if (Error error = checkBinding(key, value, key == "shape"))
      return error;
    (key == "shape" ? options.shapes : options.dims).push_back(value.str());
  } else if (key == "specialize") {
    StringRef dim = value.rsplit('=').first;
    SmallVector<StringRef> parts;
    value.rsplit('=').second.split(parts, ',');
    std::vector<int64_t> numbers;
    for (StringRef part : parts)
      if (int64_t number; !part.getAsInteger(10, number) && number >= 0 && !is_contained(numbers, number))
        numbers.push_back(number);
    if (dim.empty() || dim.size() == value.size() || numbers.size() != parts.size())
      return createStringError("--specialize: expected NAME=N,N..., got '%s'", value.str().c_str());
    if (any_of(options.specialize, [&](const auto &other) { return other.first == dim; }))
      return createStringError("--specialize: '%s' is given twice", dim.str().c_str());
    options.specialize.push_back({dim.str(), std::move(numbers)});
  } else if (key == "custom-op") {
    auto [op, target] = value.split('=');
    auto [function, file] = target.split(':');
    auto [domain, name] = op.rsplit('.');
    if (name.empty() && !op.contains('.'))
      std::swap(domain, name);
    bool good = !name.empty() && !function.empty() && !isDigit(function[0]) &&
                all_of(function, [](char c) { return isAlnum(c) || c == '_'; });
    if (!good)
      return createStringError("--custom-op: expected DOMAIN.OP=FUNCTION[:FILE], FUNCTION a C identifier, got '%s'",
                               value.str().c_str());
    options.customOps.push_back({domain.str(), name.str(), function.str(), file.str()});
  } else if (key == "length") {
    auto [input, length] = value.rsplit('=');
    uint64_t number;
    if (input.empty() || input.size() == value.size() || (length != "none" && length.getAsInteger(10, number)))
      return createStringError("--length: expected INPUT=N or INPUT=none, got '%s'", value.str().c_str());
    options.lengths.push_back(value.str());
  } else if (key == "arena-limit" || key == "max-flash") {
    StringRef digits = value;
    uint64_t unit = digits.consume_back("K") ? 1024 : digits.consume_back("M") ? 1 << 20 : 1, number;
    if (digits.getAsInteger(10, number) || number == 0 || number > (uint64_t(1) << 40))
      return createStringError("--%s: expected a number of bytes, 96K or 2M, got '%s'", name.c_str(),
                               value.str().c_str());
    (key == "max-flash" ? options.maxFlash : options.arenaLimit) = number * unit;
  } else if (key == "arena-section") {
    options.arenaSection = value.str();
  } else if (key == "name") {
    bool good = (isAlpha(value[0]) || value[0] == '_') &&
                all_of(value, [](char c) { return isAlnum(c) || c == '_'; }) && value != "burin";
    if (!good)
      return createStringError("--name: expected a C identifier other than burin, got '%s'", value.str().c_str());
    options.name = value.str();
  } else if (key == "O") {
    unsigned level;
    if (value.getAsInteger(10, level) || level > 3)
      return createStringError("unknown optimization level '-O%s', expected -O0 to -O3", value.str().c_str());
    options.optLevel = level;
  } else if (key == "tune-seconds") {
    if (value.getAsDouble(options.tuneSeconds) || !(options.tuneSeconds >= 0 && options.tuneSeconds <= 86400))
      return createStringError("--tune-seconds: expected a number from 0 to 86400, got '%s'", value.str().c_str());
  } else if (key == "tune-cache") {
    options.tuneCache = value.str();
  } else if (key == "tune-on") {
    options.tuneOn = value.str();
  } else if (key == "winograd") {
    if (!is_contained({"off", "f2", "f4", "auto"}, value))
      return createStringError("--winograd: unknown '%s', expected one of off, f2, f4, auto", value.str().c_str());
    options.winograd = value.str();
  } else if (key == "winograd-error") {
    if (value.getAsDouble(options.winogradError) || !(options.winogradError >= 0))
      return createStringError("--winograd-error: expected a number >= 0, got '%s'", value.str().c_str());
  } else if (key == "passes") {
    return addPasses(options.steps, value);
  } else if (key == "patterns") {
    return addPatterns(options.steps, value);
  } else if (key == "load-pass-plugin") {
    return addPlugin(options.steps, value);
  } else if (key == "pass-limit") {
    if (value.getAsInteger(10, options.passLimit) || options.passLimit < 0)
      return createStringError("--pass-limit: expected a number, got '%s'", value.str().c_str());
  } else if (key == "report") {
    options.reportFolder = value.str();
  } else if (key == "explain") {
    options.explain.push_back(value.str());
  } else if (key == "explain-layer") {
    if (value.getAsInteger(10, options.explainLayer) || options.explainLayer < 0)
      return createStringError("--explain-layer: expected the number of a layer, got '%s'", value.str().c_str());
  } else if (key == "opset") {
    if (value.getAsInteger(10, options.opset) || options.opset < 1)
      return createStringError("--opset: expected a number, got '%s'", value.str().c_str());
  } else if (key == "header") {
    options.header = value.str();
  } else if (key == "runtime-dir") {
    options.runtimeFolder = value.str();
  }
  return Error::success();
}

std::string burin::optionsText(const CompileOptions &options) {
  std::string text;
  raw_string_ostream out(text);
  auto list = [&](StringRef key, ArrayRef<std::string> values) {
    for (const std::string &v : values)
      out << key << "=" << v << "\n";
  };
  out << "emit=" << (options.emit ? emitName(*options.emit) : "")
      << "\nstop-after=" << (options.stopAfter ? stageName(*options.stopAfter) : "") << "\n";
  list("target", options.targets);
  out << "cuda=" << options.cuda.text << "\nunit=" << options.unitText << " " << options.budget << "\n";
  list("shape", options.shapes);
  list("dim", options.dims);
  list("length", options.lengths);
  for (const CompileOptions::CustomOp &op : options.customOps)
    out << "custom-op=" << op.domain << "." << op.name << "=" << op.function << ":" << op.file << "\n";
  out << "O=" << options.optLevel << "\nname=" << options.name << "\nruntime-dir=" << options.runtimeFolder
      << "\narena-limit=" << options.arenaLimit << "\narena-section=" << options.arenaSection
      << "\nmax-flash=" << options.maxFlash << "\nself-test=" << options.selfTest << options.selfTestData
      << "\nstatic=" << options.isStatic << options.flushDenormals << options.fastMath
      << "\ncompress-weights=" << options.compressWeights << "\nencrypt=" << options.encrypt
      << "\nopset=" << options.opset << "\n";
  for (const auto &[name, sizes] : options.specialize) {
    out << "specialize=" << name << ":";
    interleave(sizes, out, ",");
    out << "\n";
  }
  if (options.optLevel >= 3) {
    auto cache = MemoryBuffer::getFile(options.tuneCache);
    out << "tune=" << options.tuneSeconds << " " << options.tuneCache << " "
        << (cache ? xxh3_64bits((*cache)->getBuffer()) : 0) << " " << options.tuneOn << "\n";
  }
  out << "winograd=" << options.winograd << " " << options.winogradError << "\n";
  printModelEdits(options.edits, out);
  for (const UserStep &step : options.steps)
    out << "step=" << step.point << ":" << step.origin << ":" << step.stamp << "\n";
  out << "pass-limit=" << options.passLimit << "\n";
  for (const auto &[name, dims] : options.inputHints) {
    out << "hint=" << name << ":";
    interleave(dims, out, "x");
    out << "\n";
  }
  return text;
}
