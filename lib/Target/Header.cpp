// See Header.h. It reads as if a person had written it for this one model: names, types and shapes of the model, no
// generic structs.
#include "lib/Target/Header.h"
#include "burin/runtime.h"
#include "lib/Target/SelfTest.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FormatVariadic.h"

using namespace llvm;
using namespace burin;

StringRef burin::cTypeOf(int32_t dtype) {
  switch (dtype) {
  case BURIN_FLOAT:
    return "float";
  case BURIN_DOUBLE:
    return "double";
  case BURIN_UINT8:
    return "uint8_t";
  case BURIN_INT8:
    return "int8_t";
  case BURIN_BOOL:
  case BURIN_FLOAT8E4M3FN:
  case BURIN_FLOAT8E4M3FNUZ:
  case BURIN_FLOAT8E5M2:
  case BURIN_FLOAT8E5M2FNUZ:
  case BURIN_UINT4:
  case BURIN_INT4:
  case BURIN_FLOAT4E2M1:
  case BURIN_FLOAT8E8M0:
  case BURIN_UINT2:
  case BURIN_INT2:
    return "uint8_t";
  case BURIN_UINT16:
    return "uint16_t";
  case BURIN_INT16:
    return "int16_t";
  case BURIN_FLOAT16:
  case BURIN_BFLOAT16:
    return "uint16_t";
  case BURIN_INT32:
    return "int32_t";
  case BURIN_UINT32:
    return "uint32_t";
  case BURIN_INT64:
    return "int64_t";
  case BURIN_UINT64:
    return "uint64_t";
  default:
    return "void";
  }
}

unsigned burin::bytesOfDtype(int32_t dtype) {
  StringRef type = cTypeOf(dtype);
  return type == "float"                           ? 4
         : type == "double" || type.contains("64") ? 8
         : type.contains("16")                     ? 2
         : type.contains("32")                     ? 4
                                                   : 1;
}

static StringRef remarkOnType(int32_t dtype) {
  switch (dtype) {
  case BURIN_BOOL:
    return ", 0 or 1";
  case BURIN_FLOAT16:
    return ", the bits of an IEEE half";
  case BURIN_BFLOAT16:
    return ", the bits of a bfloat16";
  case BURIN_FLOAT8E4M3FN:
  case BURIN_FLOAT8E4M3FNUZ:
  case BURIN_FLOAT8E5M2:
  case BURIN_FLOAT8E5M2FNUZ:
  case BURIN_FLOAT8E8M0:
    return ", the bits of a float of 8 bits";
  case BURIN_FLOAT4E2M1:
    return ", the bits of a float of 4 bits in the low half of each";
  case BURIN_UINT4:
  case BURIN_INT4:
    return ", 4 bits in the low half of each";
  case BURIN_UINT2:
  case BURIN_INT2:
    return ", the low 2 bits of each";
  default:
    return "";
  }
}

std::string burin::toIdentifier(StringRef text) {
  std::string result;
  for (char c : text)
    result += isAlnum(c) ? c : '_';
  if (result.empty() || isDigit(result.front()))
    result = "_" + result;
  static const StringSet<> keywords = {
      "auto",   "break",    "case",     "char",     "const",    "continue", "default", "do",     "double",
      "else",   "enum",     "extern",   "float",    "for",      "goto",     "if",      "inline", "int",
      "long",   "register", "restrict", "return",   "short",    "signed",   "sizeof",  "static", "struct",
      "switch", "typedef",  "union",    "unsigned", "void",     "volatile", "while",   "arena",  "class",
      "new",    "delete",   "this",     "template", "operator", "private",  "public",  "bool"};
  return keywords.contains(result) ? result + "_" : result;
}

static std::string dimsText(const TensorDescription &tensor) {
  std::string text;
  for (auto [i, dim] : enumerate(tensor.dims))
    text += "[" +
            (dim >= 0                                                ? std::to_string(dim)
             : tensor.dimNames.empty() || tensor.dimNames[i].empty() ? "?"
                                                                     : tensor.dimNames[i]) +
            "]";
  return text.empty() ? "(one value)" : text;
}

// A comment must not end early, whatever a tensor is called.
static std::string inComment(StringRef text) {
  std::string result;
  for (char c : text)
    result += c == '*' || c == '\\' || !isPrint(c) ? '?' : c;
  return result;
}

static std::string bytesText(uint64_t bytes) {
  if (bytes >= 1 << 20)
    return formatv("{0:f1} MB", bytes / 1048576.0);
  if (bytes >= 1 << 10)
    return formatv("{0:f1} KB", bytes / 1024.0);
  return formatv("{0} bytes", bytes);
}

// How a program calls it, as a comment.
static void writeExample(const ModelDescription &model, ArrayRef<Parameter> parameters, StringRef call,
                         StringRef library, raw_ostream &out) {
  const std::string &name = model.name;
  std::string upper = StringRef(name).upper();
  out << formatv(
      " *\n * It allocates nothing and keeps nothing between calls. The caller lends {0} of memory (the arena); the "
      "weights, {1},\n"
      " * are constants of the library. Calls may run at the same time, each with an arena of its own.\n *\n",
      bytesText(model.lentBytes()), bytesText(model.weightsBytes));
  out << " *   #include \"" << name << ".h\"\n *\n";
  out << " *   static _Alignas(64) unsigned char arena[" << upper << "_ARENA_BYTES];\n";
  for (const Parameter &p : parameters)
    out << formatv(" *   static {0} {1}[{2}_COUNT];\n", cTypeOf(p.tensor->dtype), p.identifier, p.macro);
  out << " *\n *   int main(void) {\n *     // fill ";
  interleaveComma(make_filter_range(parameters, [](const Parameter &p) { return p.isInput; }), out,
                  [&](const Parameter &p) { out << p.identifier; });
  out << "\n *     return " << name << "_run(" << call << "arena);\n *   }\n *\n *   cc main.c " << library
      << "\n */\n";
}

// A class that owns what C leaves to the caller. For hosted C++ alone: it allocates, once.
static void writeCxxClass(const ModelDescription &model, ArrayRef<Parameter> parameters, raw_ostream &out) {
  std::string upper = StringRef(model.name).upper(), prototype, call;
  for (const Parameter &p : parameters) {
    prototype += formatv("{0}{1}{2} *{3}", prototype.empty() ? "" : ", ", p.isInput ? "const " : "",
                         cTypeOf(p.tensor->dtype), p.identifier);
    call += p.identifier + ", ";
  }
  out << "\n#if __STDC_HOSTED__ && __cplusplus >= 201703L\n#include <memory>\n#include <new>\n\n"
      << "/* The network with an arena of its own: one object for each call that runs at the same time. */\nnamespace "
      << model.name << "_network {\nclass Network {\npublic:\n"
      << (model.unlockedBytes()
              ? "  int unlock(const uint8_t *key) { return " + model.name + "_unlock(key, memory.get()); }\n"
              : "")
      << "  int run(" << prototype << ") { return " << model.name << "_run(" << call << "memory.get()); }\n\n"
      << "private:\n  struct Release {\n    void operator()(unsigned char *bytes) const { ::operator delete[](bytes, "
         "std::align_val_t(64)); }\n  };\n"
      << "  std::unique_ptr<unsigned char[], Release> memory{\n      static_cast<unsigned char *>(::operator new[]("
      << upper << "_ARENA_BYTES, std::align_val_t(64)))};\n};\n} // namespace " << model.name << "_network\n#endif\n";
}

static void writeSelfTest(const ModelDescription &model, raw_ostream &out) {
  std::string upper = StringRef(model.name).upper();
  out << formatv(
             "/* Whether this device computes what it should: runs the network on an input that the library holds and "
             "compares with what it\n"
             " * should give (floats to {0} of an output's largest, halves to {1}, integers of 8 bits to one step, "
             "all else exactly).\n"
             " * `outputs` lends {2}_SELFTEST_BYTES, aligned to 64. Returns 0 when all agree, {3} + i when output i "
             "differs, else what\n * {4}_run returned. */\n",
             selfTestTolerance(BURIN_FLOAT), selfTestTolerance(BURIN_FLOAT16), upper, selfTestDiffers, model.name)
      << "#define " << upper << "_SELFTEST_BYTES " << std::max<uint64_t>(selfTestOffsets(model).back(), 64) << "\nint "
      << model.name << "_selftest(void *arena, void *outputs);\n\n";
}

std::vector<burin::Parameter> burin::parametersOf(const ModelDescription &model) {
  std::vector<Parameter> parameters;
  StringSet<> taken;
  auto add = [&](const TensorDescription &tensor, bool isInput) {
    Parameter p{&tensor, isInput, toIdentifier(tensor.name), ""};
    while (!taken.insert(p.identifier).second)
      p.identifier += isInput ? "_in" : "_out";
    p.macro = (model.name + "_" + Twine(p.identifier)).str();
    p.macro = StringRef(p.macro).upper();
    for (int64_t dim : tensor.dims)
      p.count *= std::max<int64_t>(dim, 0);
    parameters.push_back(p);
  };
  for (const TensorDescription &t : model.inputs)
    add(t, true);
  for (const TensorDescription &t : model.outputs)
    add(t, false);
  return parameters;
}

void burin::writeHeader(const ModelDescription &model, StringRef library, StringRef version, raw_ostream &out) {
  const std::string &name = model.name;
  std::string upper = StringRef(name).upper();
  std::vector<Parameter> parameters = parametersOf(model);
  StringSet<> taken;
  for (const Parameter &p : parameters)
    taken.insert(p.identifier);

  size_t width = 0;
  for (const Parameter &p : parameters)
    width = std::max(width, inComment(p.tensor->name).size());
  auto padded = [&](std::string text) { return text + std::string(width - text.size(), ' '); };
  // Sizes that the caller gives come first.
  bool isDynamic = !model.plan.empty(), hasRun = !(model.flags & BURIN_NEEDS_ALLOCATOR);
  std::string prototype, call, sizes;
  for (const SizeParameter &size : sizeParameters(model)) {
    std::string identifier = toIdentifier(size.name);
    while (!taken.insert(identifier).second)
      identifier += "_size";
    sizes += "int64_t " + identifier + ", ";
    call += identifier + ", ";
  }
  prototype = sizes;
  for (const Parameter &p : parameters) {
    prototype += formatv("{0}{1} *{2}, ", p.isInput ? "const " : "", cTypeOf(p.tensor->dtype), p.identifier).str();
    call += p.identifier + ", ";
  }

  out << "/* " << name << ": a neural network as one C function, made by Burin " << version << " for "
      << (model.variants.empty() ? "" : model.variants.front().target) << ".\n *\n";
  for (const Parameter &p : parameters)
    out << formatv(" *   {0} {1}  {2} {3}{4}\n", p.isInput ? "input " : "output", padded(inComment(p.tensor->name)),
                   cTypeOf(p.tensor->dtype), inComment(dimsText(*p.tensor)), remarkOnType(p.tensor->dtype));
  if (!hasRun)
    out << " *\n * Sizes of outputs depend on data: run it with burin_run of burin/runtime.h and an allocator.\n */\n";
  else if (isDynamic)
    out << formatv(" *\n * It allocates nothing and keeps nothing between calls. The caller lends as much memory (the "
                   "arena) as {0}_sizes says; the\n"
                   " * weights, {1}, are constants of the library. Calls may run at the same time, each with an arena "
                   "of its own.\n *\n * cc main.c {2}\n */\n",
                   name, bytesText(model.weightsBytes), library);
  else
    writeExample(model, parameters, call, library, out);

  out << "#ifndef " << upper << "_H\n#define " << upper
      << "_H\n\n#include <stdint.h>\n\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n";
  if (!isDynamic)
    out << "/* Bytes that the arena needs, aligned to 64. */\n#define " << upper << "_ARENA_BYTES "
        << std::max<uint64_t>(model.lentBytes(), 64) << "\n";
  out << "#define " << upper << "_WEIGHTS_BYTES " << model.weightsBytes << "\n";
  if (model.stackBytes)
    out << "/* Of machine code and its constants; and of stack, at most, that a run takes below its caller. "
           "*/\n#define "
        << upper << "_CODE_BYTES " << model.codeBytes << "\n#define " << upper << "_STACK_BYTES " << model.stackBytes
        << "\n";
  out << "\n";
  for (const Parameter &p : parameters) {
    bool isFree = is_contained(p.tensor->dims, -1);
    out << "/* " << inComment(p.tensor->name) << ": " << cTypeOf(p.tensor->dtype) << " "
        << inComment(dimsText(*p.tensor)) << ", row-major */\n";
    if (!isFree)
      out << "#define " << p.macro << "_COUNT " << p.count << "\n";
    out << "#define " << p.macro << "_RANK " << p.tensor->dims.size() << "\n";
    for (auto [i, dim] : enumerate(p.tensor->dims))
      if (dim >= 0)
        out << "#define " << p.macro << "_DIM" << i << " " << dim << "\n";
    out << "\n";
  }
  if (isDynamic)
    out << "/* The dims of each output for these sizes (-1: known after a run only) and the bytes that the arena "
           "needs, "
           "aligned to 64. Returns 0, or "
        << BURIN_ERROR_SHAPE << "\n * when the sizes do not fit one another. */\nint " << name << "_sizes(" << sizes
        << "int64_t (*output_dims)[8], uint64_t *arena_bytes);\n\n";
  if (!model.arenaSection.empty() && !isDynamic)
    out << "/* An arena of the library's own, in section " << inComment(model.arenaSection)
        << ": pass it where no two calls run at the same time. */\nextern unsigned char " << name << "_arena[" << upper
        << "_ARENA_BYTES];\n\n";
  if (hasRun)
    out << "/* Runs the network once. Returns 0, or " << BURIN_ERROR_CPU
        << " when this CPU lacks instructions that it was compiled for. */\nint " << name << "_run(" << prototype
        << "void *arena);\n\n";
  if (hasRun && model.unlockedBytes())
    out << "/* Opens the weights, which are encrypted, into an arena: once, before its first run. Returns 0, or "
        << BURIN_ERROR_KEY << " when the key is not\n * theirs or a byte of them was changed; " << name
        << "_run, given an arena in which they are not, returns " << BURIN_ERROR_KEY << " too. */\n#define " << upper
        << "_KEY_BYTES " << BURIN_KEY_BYTES << "\nint " << name << "_unlock(const uint8_t *key, void *arena);\n\n";
  if (model.selfTest)
    writeSelfTest(model, out);
  out << "/* The model's own description, for the functions of burin/runtime.h (checks, threads, profile). */\nstruct "
         "burin_model;\n"
      << "extern const struct burin_model " << name << "_model;\n\n#ifdef __cplusplus\n}\n";
  if (hasRun && !isDynamic)
    writeCxxClass(model, parameters, out);
  out << "#endif\n#endif\n";
}
