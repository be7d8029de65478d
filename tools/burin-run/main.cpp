// burin-run: runs a program, a shared library or a model. A model is compiled for the shapes of the data at hand into a
// cache first; from there on all three are the same: a burin_model behind the command line that every compiled program
// has (runtime/hosted/cli.h).
#include "burin/Compiler.h"
#include "lib/Pipeline/Plugins.h"
#include "lib/Report/Report.h"
#include "lib/Target/Files.h"
#include "lib/Target/SharedFile.h"
#include "lib/Target/Sign.h"
#include "runtime/hosted/cli.h"
#include "runtime/hosted/npy.h"
#include "runtime/hosted/npz.h"
#include "runtime/vpu/model.h"
#include "tools/BugReport.h"
#include "tools/burin-run/Cache.h"
#include "tools/burin-run/Picture.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <memory>
#include <unistd.h>

using llvm::StringRef;
using llvm::Twine;

namespace {
const char usage[] =
    R"(usage: burin-run MODEL.onnx|PROGRAM|LIBRARY.so|UNIT.blob [--inputs X.npz] [--outputs Y.npz] [options]

Runs a model, or what burin-compile made of one. A model is compiled for the shapes of the given inputs and for this CPU; the result is kept
in a cache, so the next run starts at once.

examples:
  burin-run net.onnx --inputs x.npz --outputs y.npz
  burin-run net.onnx --inputs x.npz --expect y.npz --rtol 1e-4
  burin-run net.onnx --dim batch=1 --bench
  burin-run net.onnx --dynamic --inputs x.npz     one artifact for all sizes: the next shapes need no compilation
  burin-run ./net --profile

data and measuring:
  --inputs X.npz            the inputs, by name
  --input NAME=F.npy        one input; may be repeated
  --image [NAME=]FILE       a picture as input: JPEG, PNG, ... A model's image input is made to take it (--image-input, --fit, --mean, ...)
  --region [NAME=]WxH+X+Y   the part of the frame or picture that is taken
  --draw F.png              draw the outputs: a picture, or boxes on the one given
  --outputs Y.npz           write the outputs
  --compare=onnxruntime     compare with ONNX Runtime (through Python): the outputs, the first tensor that differs, the pass that made it so
  --why=FLOAT.onnx          of a quantized model: each layer's time beside the float model's, what converting costs, why a layer stays in float
                            (through Python); --why-json=F.json: the same as data
  --expect Z.npz            compare the outputs, with --rtol R and --atol A
  --bench[=SECONDS]         time it; the last line is JSON
  --profile[=F.json]        a line a layer: time, GFLOP/s, GB/s, share of this machine's measured roofline; F.json: Chrome trace,
                            - for standard output; with --report=DIR also in the page
  --profile-layer N         the same of one layer; --explain-layer N of a model shows both
  --threads N               threads to run on
  --describe                print inputs, outputs, sizes and provenance
  --verify=PUBLIC.pem       run a program, library or blob only if FILE.sig is its signature by this key (burin-compile --sign)
  --cache-dir=DIR           where compiled models are kept; default $XDG_CACHE_HOME/burin/models
  --no-cache                compile, run and keep nothing

compile options, for a model:
)";

int fail(const Twine &text) {
  llvm::errs() << "burin-run: error: " << text << "\n";
  return 1;
}

struct Arguments {
  const char *model = nullptr;
  std::string cacheFolder, verifyKey;
  std::string image, imageName, drawing, outputs; // files of --image, --draw and --outputs; the input for the first
  bool useCache = true, hasRegion = false;
  std::vector<std::string> inputs, npz; // values of --input and --inputs
  llvm::SmallVector<char *> forwarded;  // for burin_cli_main, argv[0] first
};

// Flags of the run-time command line whose value may be the next word.
bool takesValue(StringRef flag) {
  return llvm::StringSwitch<bool>(flag)
      .Cases({"--inputs", "--input", "--region", "--outputs", "--expect", "--rtol", "--atol", "--threads",
              "--profile-layer"},
             true)
      .Default(false);
}

// Returns an error text.
std::string parse(int argc, char **argv, Arguments &arguments) {
  static char self[] = "burin-run";
  arguments.forwarded.push_back(self);
  for (int i = 1; i < argc; ++i) {
    StringRef word(argv[i]), flag = word.split('=').first, value = word.split('=').second;
    bool isFlag = word.size() > 1 && word[0] == '-';
    if (!isFlag) {
      if (arguments.model)
        return ("expected one model or program, got '" + Twine(arguments.model) + "' and '" + word + "'").str();
      arguments.model = argv[i];
      continue;
    }
    if (word == "--no-cache") {
      arguments.useCache = false;
      continue;
    }
    std::string *own = llvm::StringSwitch<std::string *>(flag)
                           .Case("--cache-dir", &arguments.cacheFolder)
                           .Case("--verify", &arguments.verifyKey)
                           .Case("--image", &arguments.image)
                           .Case("--draw", &arguments.drawing)
                           .Default(nullptr);
    if (own) {
      if (!word.contains('=') || flag.size() == word.size()) {
        if (i + 1 == argc)
          return (flag + " needs a value; see --help").str();
        value = argv[++i];
      }
      *own = value.str();
      continue;
    }
    arguments.forwarded.push_back(argv[i]);
    if (takesValue(flag) && !word.contains('=') && i + 1 < argc) {
      value = argv[++i];
      arguments.forwarded.push_back(argv[i]);
    }
    if (flag == "--inputs")
      arguments.npz.push_back(value.str());
    else if (flag == "--input")
      arguments.inputs.push_back(value.str());
    else if (flag == "--region")
      arguments.hasRegion = true;
    else if (flag == "--outputs")
      arguments.outputs = value.str();
  }
  // NAME=FILE, where a file's name may hold '=' itself.
  if (auto [name, file] = StringRef(arguments.image).split('=');
      !file.empty() && !llvm::sys::fs::exists(arguments.image)) {
    arguments.imageName = name.str();
    arguments.image = file.str();
  }
  return "";
}

// The shapes of the data at hand, for dims that the model leaves open.
std::string hintShapes(const Arguments &arguments, burin_options *options) {
  burin_arrays arrays = {};
  burin_error error;
  int status = 0;
  for (const std::string &file : arguments.npz)
    status = status ? status : burin_npz_read(file.c_str(), &arrays, &error);
  for (const std::string &input : arguments.inputs) {
    auto [name, file] = StringRef(input).split('=');
    if (!status && !file.empty())
      status = burin_npy_load(file.str().c_str(), name.str().c_str(), &arrays, &error);
  }
  for (size_t i = 0; !status && i < arrays.count; ++i)
    burin_options_hint_shape(options, arrays.items[i].name, arrays.items[i].tensor.dims, arrays.items[i].tensor.rank);
  burin_arrays_free(&arrays);
  return status ? error.text : "";
}

bool isElf(StringRef path) {
  auto file = llvm::MemoryBuffer::getFileSlice(path, 4, 0);
  return file && (*file)->getBuffer() == "\177ELF";
}

// Runs with a picture as input, and draws what comes out.
int runPicture(const burin_model &model, Arguments &arguments, const burin::Picture &picture) {
  auto folder = burin::ScratchFolder::create();
  if (!folder)
    return fail(toString(folder.takeError()));
  std::string given = folder->file("inputs.npz"), made = folder->file("outputs.npz");
  if (!arguments.image.empty()) {
    if (llvm::Error error = burin::feedPicture(picture, arguments.imageName, model, given))
      return fail(toString(std::move(error)));
    arguments.forwarded.push_back(const_cast<char *>("--inputs"));
    arguments.forwarded.push_back(given.data());
  }
  if (!arguments.drawing.empty() && arguments.outputs.empty()) {
    arguments.outputs = made;
    arguments.forwarded.push_back(const_cast<char *>("--outputs"));
    arguments.forwarded.push_back(made.data());
  }
  int status = burin_cli_main(&model, arguments.forwarded.size(), arguments.forwarded.data());
  if (status || arguments.drawing.empty())
    return status;
  auto drawn = burin::drawOutputs(picture, arguments.outputs);
  if (llvm::Error error = drawn ? drawn->write(arguments.drawing) : drawn.takeError())
    return fail(toString(std::move(error)));
  return 0;
}

// Runs the model in a shared library.
int runLibrary(const std::string &path, Arguments &arguments, const burin::Picture &picture) {
  if (llvm::Error damage = burin::checkSharedFile(path))
    return fail(path + ": " + toString(std::move(damage)));
  void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return fail(dlerror());
  auto *model = static_cast<const burin_model *>(dlsym(library, "burin_program_model"));
  if (!model)
    return fail(path + ": holds no Burin model; expected what burin-compile --emit=shared makes");
  if (!arguments.image.empty() || !arguments.drawing.empty())
    return runPicture(*model, arguments, picture);
  return burin_cli_main(model, arguments.forwarded.size(), arguments.forwarded.data());
}

// Runs a blob of the vision unit in its emulator.
int runBlob(const std::string &path, Arguments &arguments) {
  burin_error error;
  const burin_model *model = burin_vpu_load(path.c_str(), &error);
  if (!model)
    return fail(error.text);
  int status = burin_cli_main(model, arguments.forwarded.size(), arguments.forwarded.data());
  for (const char *word : arguments.forwarded)
    if (status == 0 && StringRef(word) == "--describe")
      burin_vpu_describe(model);
  return status;
}

// What works on ONNX graphs is a Python program of the package, since that is where ONNX and ONNX Runtime are: it gets
// the line, less the words that begin with `without`.
int runInPython(const char *module, int argc, char **argv, StringRef without) {
  llvm::SmallVector<const char *> words;
  for (int i = 1; i < argc; ++i)
    if (without.empty() || !StringRef(argv[i]).starts_with(without))
      words.push_back(argv[i]);
  return fail(burin::runPythonModule(module, words));
}

int compare(int argc, char **argv, StringRef with) {
  if (with != "onnxruntime")
    return fail("--compare: expected onnxruntime, got '" + with + "'");
  return runInPython("burin.compare", argc, argv, "--compare");
}

// A compiled program is run as it is; a library is loaded. Both carry everything they need.
int runArtifact(const std::string &path, Arguments &arguments, const burin::Picture &picture) {
  if (llvm::sys::path::extension(path) == ".so" || !llvm::sys::fs::can_execute(path))
    return runLibrary(path, arguments, picture);
  if (llvm::Error damage = burin::checkSharedFile(path))
    return fail(path + ": " + toString(std::move(damage)));
  if (void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) { // refused for programs
    dlclose(library);
    return runLibrary(path, arguments, picture);
  }
  if (!arguments.image.empty() || !arguments.drawing.empty())
    return fail("--image and --draw take models and shared libraries (--emit=shared); " + Twine(path) +
                " is a program");
  arguments.forwarded.front() = const_cast<char *>(path.c_str());
  arguments.forwarded.push_back(nullptr);
  execv(path.c_str(), arguments.forwarded.data());
  return fail("cannot run '" + Twine(path) + "': " + std::strerror(errno));
}
} // namespace

int main(int argc, char **argv) {
  burin::reportCrashes();
  for (int i = 1; i < argc; ++i)
    if (StringRef word(argv[i]); word.split('=').first == "--compare")
      return compare(argc, argv, word.split('=').second);
    else if (word.split('=').first == "--why")
      return runInPython("burin.why", argc, argv, "");
  std::unique_ptr<burin_options, void (*)(burin_options *)> options(burin_options_create(), burin_options_destroy);
  if (burin_options_parse(options.get(), &argc, argv))
    return fail(burin_options_error(options.get()));
  Arguments arguments;
  if (std::string error = parse(argc, argv, arguments); !error.empty())
    return fail(error);
  if (!arguments.model) {
    for (int i = 1; i < argc; ++i) {
      if (StringRef(argv[i]) == "--help" || StringRef(argv[i]) == "-h") {
        llvm::outs() << usage << burin_options_help() << "  --help, --version\n";
        return 0;
      }
      if (StringRef(argv[i]) == "--version") {
        llvm::outs() << "burin-run " << burin_compiler_version() << "\n";
        return 0;
      }
    }
    return fail("expected a model, a program or a shared library; see --help");
  }
  std::string model = arguments.model;
  if (!llvm::sys::fs::exists(model))
    return fail(model + ": no such file");
  // By its name too, so that a damaged one, or another compiler's, is told as what it is.
  bool isBlob = burin_vpu_is_blob(model.c_str()) || llvm::StringRef(model).ends_with(".blob");
  if (!arguments.verifyKey.empty()) {
    if (!isBlob && !isElf(model))
      return fail("--verify is of what burin-compile makes, and " + model + " is a model");
    auto key = burin::Key::loadPublic(arguments.verifyKey);
    if (llvm::Error error = key ? key->verify(model) : key.takeError())
      return fail(toString(std::move(error)));
  }
  burin::Picture picture;
  if (!arguments.image.empty()) {
    auto read = burin::Picture::read(arguments.image);
    if (!read)
      return fail(toString(read.takeError()));
    picture = std::move(*read);
  }
  if (isBlob)
    return runBlob(model, arguments);
  if (isElf(model)) {
    llvm::SmallString<256> path;
    if (llvm::sys::fs::real_path(model, path))
      path = model;
    return runArtifact(std::string(path), arguments, picture);
  }

  for (const char *fixed : {"output", "emit", "stop-after", "lora-mode"})
    if (burin_options_has(options.get(), fixed))
      return fail(Twine("--") + fixed + " is burin-compile's; burin-run keeps what it compiles in its cache");
  if (!arguments.image.empty() && !burin_options_has(options.get(), "image-input") &&
      burin_options_set(options.get(), "image-input",
                        (arguments.imageName + (arguments.imageName.empty() ? "" : "=") +
                         "RGB:" + Twine(picture.width) + "x" + Twine(picture.height) +
                         (arguments.hasRegion ? ":region=run" : ""))
                            .str()
                            .c_str()))
    return fail(burin_options_error(options.get()));
  if (!burin_options_has(options.get(), "dynamic"))
    if (std::string error = hintShapes(arguments, options.get()); !error.empty())
      return fail(error);
  burin_options_set(options.get(), "emit", "shared");
  burin::CompiledModel compiled = burin::compileCached(options.get(), model, arguments.cacheFolder, arguments.useCache);
  llvm::errs() << compiled.messages;
  if (compiled.path.empty())
    return 1;
  std::string layer, profile;
  if (const char *explained = burin_options_get(options.get(), "explain-layer")) {
    layer = std::string("--profile-layer=") + explained;
    arguments.forwarded.push_back(layer.data());
  }
  const char *report = burin_options_get(options.get(), "report");
  if (!report)
    return runLibrary(compiled.path, arguments, picture);
  // The page is there; what the run measures is added to it.
  bool isTemporary = false;
  for (char *&word : arguments.forwarded) {
    if (StringRef(word) == "--profile") {
      llvm::SmallString<128> path;
      if (std::error_code error = llvm::sys::fs::createTemporaryFile("burin-profile", "json", path))
        return fail("cannot make a temporary file: " + error.message());
      profile = ("--profile=" + path).str();
      word = profile.data();
      isTemporary = true;
    } else if (StringRef(word).starts_with("--profile=") && StringRef(word) != "--profile=-") {
      profile = word;
    }
  }
  int status = runLibrary(compiled.path, arguments, picture);
  StringRef trace = StringRef(profile).split('=').second;
  if (status == 0 && !profile.empty())
    if (llvm::Error error = burin::addProfile(report, trace))
      status = fail(toString(std::move(error)));
  if (isTemporary)
    llvm::sys::fs::remove(trace);
  return status;
}
