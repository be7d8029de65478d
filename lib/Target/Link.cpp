// See Link.h. Each link is deterministic: no build ids from paths, no timestamps, members in the order given.
#include "lib/Target/Link.h"
#include "lib/Target/Files.h"
#include "lib/Target/SharedFile.h"

#include "lld/Common/Driver.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Object/Archive.h"
#include "llvm/Object/ArchiveWriter.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"
#include <dlfcn.h>
#include <mutex>

LLD_HAS_DRIVER(elf)
LLD_HAS_DRIVER(wasm)

using namespace llvm;

// The triple as Debian names folders and compilers: without the vendor.
static std::string shortTriple(StringRef text) {
  Triple triple(text);
  std::string arch = triple.isARM() ? "arm" : triple.getArchName().str();
  if (triple.isAndroid()) // one for all API levels
    return arch + "-linux-android";
  return (arch + "-" + triple.getOSAndEnvironmentName()).str();
}

static const char *emulation(StringRef text) {
  switch (Triple(text).getArch()) {
  case Triple::aarch64:
    return "aarch64linux";
  case Triple::riscv64:
    return "elf64lriscv";
  case Triple::arm:
  case Triple::thumb:
    return "armelf_linux_eabi";
  default:
    return "elf_x86_64";
  }
}

Expected<std::string> burin::findRuntime(StringRef folder, StringRef triple) {
  SmallString<256> base(folder);
  if (base.empty()) {
    // build/lib/libBurinCompiler.so and <prefix>/lib/libBurinCompiler.so both have lib/burin/runtime beside them.
    Dl_info info;
    if (!dladdr(reinterpret_cast<void *>(&findRuntime), &info) || !info.dli_fname)
      return createStringError("cannot find the folder of Burin's own library");
    if (sys::fs::real_path(info.dli_fname, base))
      base = info.dli_fname;
    sys::path::remove_filename(base);
    sys::path::append(base, "burin", "runtime");
  }
  sys::path::append(base, shortTriple(triple));
  if (!sys::fs::is_directory(base))
    return createStringError("no runtime library for %s: expected the folder '%s'", shortTriple(triple).c_str(),
                             base.c_str());
  return std::string(base);
}

static Expected<std::string> runtimeLibrary(const burin::LinkInput &input, StringRef name) {
  Expected<std::string> folder = burin::findRuntime(input.runtimeFolder, input.triple);
  if (!folder)
    return folder.takeError();
  SmallString<256> path(*folder);
  sys::path::append(path, name);
  if (!sys::fs::exists(path))
    return createStringError("'%s' is missing: this build of Burin has no such runtime for %s", path.c_str(),
                             shortTriple(input.triple).c_str());
  return std::string(path);
}

// What stands behind functions of the hosted runtime: libraries of the system.
static std::vector<std::string> librariesBehind(ArrayRef<std::string> functions) {
  std::vector<std::string> all;
  for (const std::string &name : functions) {
    if (name == "burin_string_match")
      llvm::append_range(all, std::vector<std::string>{"re2", "stdc++"});
    if (name == "burin_decode_image")
      llvm::append_range(all, std::vector<std::string>{"jpeg", "png16", "webp", "openjp2"});
  }
  return all;
}

// A shared library names them as needed; a program holds them.
static Expected<std::string> findShared(StringRef name, StringRef triple) {
  std::string folder = "/usr/lib/" + shortTriple(triple);
  for (const std::string &place : {folder, "/usr/" + shortTriple(triple) + "/lib", std::string("/usr/lib64")}) {
    SmallString<256> path(place);
    sys::path::append(path, "lib" + name + ".so");
    if (sys::fs::exists(path))
      return std::string(path);
  }
  // Of the C++ library every system has this version, its short name only development packages.
  if (name == "stdc++" && sys::fs::exists(folder + "/libstdc++.so.6"))
    return folder + "/libstdc++.so.6";
  return createStringError(
      "a shared library of this model needs lib%s.so of %s, which is not in '%s'; --emit=exe holds "
      "what it needs",
      name.str().c_str(), shortTriple(triple).c_str(), folder.c_str());
}

// lld keeps global state: one link at a time.
static Error runLld(ArrayRef<std::string> arguments, bool isWasm = false) {
  static std::mutex mutex;
  std::lock_guard<std::mutex> lock(mutex);
  SmallVector<const char *> argv = {isWasm ? "wasm-ld" : "ld.lld"};
  for (const std::string &a : arguments)
    argv.push_back(a.c_str());
  std::string out, err;
  raw_string_ostream outStream(out), errStream(err);
  lld::Result result =
      lld::lldMain(argv, outStream, errStream, {{lld::Gnu, &lld::elf::link}, {lld::Wasm, &lld::wasm::link}});
  if (result.retCode == 0)
    return Error::success();
  StringRef text = StringRef(err).trim();
  text.consume_front(isWasm ? "wasm-ld: error: " : "ld.lld: error: ");
  return createStringError("link failed: %s", text.split('\n').first.str().c_str());
}

static std::vector<std::string> ownObjects(const burin::LinkInput &input) {
  std::vector<std::string> all = input.objects;
  llvm::copy_if(input.files, std::back_inserter(all), [](StringRef file) { return file.ends_with(".o"); });
  return all;
}

Error burin::linkObject(const LinkInput &input, StringRef output) {
  bool isWasm = Triple(input.triple).isWasm();
  std::vector<std::string> arguments = {"-r", "-o", output.str()};
  if (!isWasm)
    llvm::append_range(arguments, std::vector<std::string>{"-m", emulation(input.triple)});
  llvm::append_range(arguments, ownObjects(input));
  return runLld(arguments, isWasm);
}

Error burin::linkModule(const LinkInput &input, ArrayRef<std::string> exports, uint64_t sharedBytes, StringRef output) {
  Expected<std::string> runtime = runtimeLibrary(input, "libburin_runtime.a");
  if (!runtime)
    return runtime.takeError();
  // The stack comes first, so that one that overflows runs into the end of memory and not into the weights.
  std::vector<std::string> arguments = {"--no-entry",  "--stack-first", "-z", "stack-size=65536",
                                        "--strip-all", "--gc-sections", "-o", output.str()};
  for (const std::string &symbol : exports)
    arguments.push_back("--export=" + symbol);
  arguments.push_back("--export=__heap_base");
  // Weights and what is no code of a worker say nothing of atomics, nor do they need any.
  if (sharedBytes)
    llvm::append_range(arguments, std::vector<std::string>{"--import-memory", "--shared-memory", "--no-check-features",
                                                           "--initial-memory=" + std::to_string(sharedBytes),
                                                           "--max-memory=" + std::to_string(sharedBytes),
                                                           "--export=__stack_pointer", "--export=burin_wasm_join",
                                                           "--export=burin_wasm_work"});
  llvm::append_range(arguments, ownObjects(input));
  arguments.push_back(*runtime);
  return runLld(arguments, /*isWasm=*/true);
}

Error burin::linkArchive(const LinkInput &input, StringRef output) {
  std::vector<std::string> objects = ownObjects(input); // members point into these names until the archive is written
  std::vector<NewArchiveMember> members;
  for (const std::string &path : objects) {
    Expected<NewArchiveMember> member = NewArchiveMember::getFile(path, /*Deterministic=*/true);
    if (!member)
      return member.takeError();
    member->MemberName = sys::path::filename(path);
    members.push_back(std::move(*member));
  }
  Expected<std::string> runtime = runtimeLibrary(input, "libburin_runtime.a");
  if (!runtime)
    return runtime.takeError();
  auto buffer = MemoryBuffer::getFile(*runtime);
  if (!buffer)
    return createStringError("cannot read '%s': %s", runtime->c_str(), buffer.getError().message().c_str());
  Expected<std::unique_ptr<object::Archive>> archive = object::Archive::create(**buffer);
  if (!archive)
    return archive.takeError();
  Error failed = Error::success();
  for (const object::Archive::Child &child : (*archive)->children(failed)) {
    Expected<NewArchiveMember> member = NewArchiveMember::getOldMember(child, /*Deterministic=*/true);
    if (!member) {
      consumeError(std::move(failed));
      return member.takeError();
    }
    members.push_back(std::move(*member));
  }
  if (failed)
    return failed;
  return writeArchive(output, members, SymtabWritingMode::NormalSymtab, object::Archive::K_GNU, /*Deterministic=*/true,
                      /*Thin=*/false);
}

Error burin::linkShared(const LinkInput &input, StringRef soname, ArrayRef<std::string> exports, StringRef output) {
  Expected<std::string> runtime = runtimeLibrary(input, "libburin_runtime.a");
  if (!runtime)
    return runtime.takeError();
  Expected<ScratchFolder> folder = ScratchFolder::create();
  if (!folder)
    return folder.takeError();
  std::string script = folder->file("exports");
  if (Error error = writeFile(script, [&](raw_ostream &out) {
        out << "{ global:";
        for (const std::string &symbol : exports)
          out << " " << symbol << ";";
        out << " local: *; };\n";
        return Error::success();
      }))
    return error;
  std::vector<std::string> arguments = {
      "-m",   emulation(input.triple), "-shared", "-o", output.str(), "-soname", soname.str(), "--version-script",
      script, "--gc-sections",         "-s",      "-z", "now",        "-z",      "relro",      "--hash-style=gnu"};
  llvm::append_range(arguments, input.objects);
  llvm::append_range(arguments, input.files);
  if (!input.runtimeCalls.empty()) {
    Expected<std::string> hosted = runtimeLibrary(input, "libburin_hosted.a");
    if (!hosted)
      return hosted.takeError();
    arguments.push_back(*hosted);
  }
  if (std::vector<std::string> behind = librariesBehind(input.runtimeCalls); !behind.empty()) {
    Expected<std::string> doors = runtimeLibrary(input, "libburin_libraries_shared.a");
    if (!doors)
      return doors.takeError();
    arguments.push_back(*doors);
    arguments.push_back("--as-needed");
    for (const std::string &name : behind) {
      Expected<std::string> path = findShared(name, input.triple);
      if (!path)
        return path.takeError();
      arguments.push_back(*path);
    }
  }
  arguments.push_back(*runtime);
  if (Error error = runLld(arguments))
    return error;
  return sealSharedFile(output);
}

Error burin::linkProgram(const LinkInput &input, bool isStatic, StringRef output) {
  if (Triple(input.triple).getOS() == Triple::UnknownOS || input.triple.find("-none-") != std::string::npos)
    return createStringError("no program without an operating system: --emit=%s makes what %s takes",
                             Triple(input.triple).isWasm() ? "js" : "lib", shortTriple(input.triple).c_str());
  Expected<std::string> hosted = runtimeLibrary(input, "libburin_hosted.a");
  if (!hosted)
    return hosted.takeError();
  Expected<std::string> runtime = runtimeLibrary(input, "libburin_runtime.a");
  if (!runtime)
    return runtime.takeError();

  std::string triple = shortTriple(input.triple);
  bool isNative = Triple(input.triple).getArch() == Triple(sys::getProcessTriple()).getArch();
  std::vector<std::string> candidates, extra;
  if (isNative)
    candidates = {"cc", "gcc", "clang", "clang-22"};
  else
    candidates = {triple + "-gcc", "clang-22", "clang"};
  std::string driver;
  for (const std::string &name : candidates)
    if (auto found = sys::findProgramByName(name)) {
      driver = *found;
      if (!isNative && StringRef(name).starts_with("clang"))
        extra = {"--target=" + triple};
      break;
    }
  if (driver.empty())
    return createStringError("no C compiler driver to link a program for %s with, looked for %s; --emit=lib needs none",
                             triple.c_str(), llvm::join(candidates, ", ").c_str());

  std::vector<std::string> arguments = {driver};
  llvm::append_range(arguments, extra);
  llvm::append_range(arguments, std::vector<std::string>{"-o", output.str(), "-Wl,--gc-sections", "-Wl,--build-id=none",
                                                         "-Wl,-z,noexecstack", "-Wl,-z,noseparate-code", "-s",
                                                         "-pthread"}); // no pages of padding between code and constants
  arguments.push_back(isStatic ? "-static" : "-pie");
  llvm::append_range(arguments, input.objects);
  llvm::append_range(arguments, input.files);
  arguments.push_back("-Wl,--start-group");
  arguments.push_back(*hosted);
  arguments.push_back(*runtime);
  if (!librariesBehind(input.runtimeCalls).empty()) {
    Expected<std::string> libraries = runtimeLibrary(input, "libburin_libraries.a");
    if (!libraries)
      return libraries.takeError();
    arguments.push_back(*libraries);
  }
  arguments.push_back("-Wl,--end-group");
  if (!isStatic)
    arguments.push_back("-Wl,--as-needed");
  arguments.push_back("-lm");

  Expected<ScratchFolder> folder = ScratchFolder::create();
  if (!folder)
    return folder.takeError();
  std::string log = folder->file("log"), why;
  SmallVector<StringRef> argv(arguments.begin(), arguments.end());
  int status =
      sys::ExecuteAndWait(driver, argv, std::nullopt, {StringRef(""), StringRef(log), StringRef(log)}, 0, 0, &why);
  if (status == 0)
    return Error::success();
  if (auto text = MemoryBuffer::getFile(log))
    if (StringRef first = (*text)->getBuffer().trim(); !first.empty())
      why = first.split('\n').first.str();
  return createStringError("link with '%s' failed: %s", driver.c_str(), why.c_str());
}
