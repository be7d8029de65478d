// Folder layout: KEY.so (the library), lock (held while an entry is made).
// An entry's time is that of its last use; when the sum of sizes passes the cap, the oldest go.
#include "tools/burin-run/Cache.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/BLAKE3.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/TargetParser/Host.h"
#include <cstdlib>
#include <fcntl.h>
#include <optional>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

using namespace llvm;

namespace {
constexpr uint64_t maxCacheBytes = uint64_t(4) << 30;

std::string defaultFolder() {
  SmallString<256> folder;
  if (const char *cache = std::getenv("XDG_CACHE_HOME"); cache && *cache)
    folder = cache;
  else if (const char *home = std::getenv("HOME"); home && *home)
    sys::path::append(folder, home, ".cache");
  else
    folder = "/tmp";
  sys::path::append(folder, "burin", "models");
  return std::string(folder);
}

// Content of the model; external data by name, size and time, as reading gigabytes to find a cached file would defeat
// the cache. Any file beside the model that the model mentions by name counts.
std::string keyOf(burin_options *options, const std::string &model, std::string &error) {
  auto buffer = MemoryBuffer::getFile(model, false, false);
  if (!buffer) {
    error = "error: " + model + ": cannot read the file: " + buffer.getError().message() + "\n";
    return "";
  }
  StringRef bytes = (*buffer)->getBuffer();
  BLAKE3 hash;
  auto add = [&](StringRef text) {
    hash.update(text);
    hash.update(StringRef("\0", 1));
  };
  add(burin_compiler_version());
  add(burin_options_text(options));
  std::string cpu = sys::getHostCPUName().str();
  std::vector<std::string> features;
  for (const auto &feature : sys::getHostCPUFeatures())
    if (feature.second)
      features.push_back(feature.first().str());
  llvm::sort(features);
  add(cpu + " " + llvm::join(features, ","));
  // A build of the compiler is more than its version while it is being worked on.
  SmallString<256> self(sys::fs::getMainExecutable("burin-run", reinterpret_cast<void *>(&defaultFolder)));
  for (StringRef part : {"", "/../lib/libBurinCompiler.so", "/../lib/libBurinDialects.so"}) {
    SmallString<256> path = part.empty() ? self : SmallString<256>(sys::path::parent_path(self));
    path += part;
    sys::fs::file_status status;
    if (!sys::fs::status(path, status))
      add(std::to_string(status.getSize()) + "@" +
          std::to_string(status.getLastModificationTime().time_since_epoch().count()));
  }
  add(sys::path::filename(model));
  add(bytes);
  if (bytes.contains("location")) {
    std::vector<std::string> side;
    std::error_code ignored;
    StringRef folder = sys::path::parent_path(model);
    for (sys::fs::directory_iterator at(folder.empty() ? "." : folder, ignored), end; at != end && !ignored;
         at.increment(ignored)) {
      auto status = at->status();
      if (status && status->type() == sys::fs::file_type::regular_file &&
          bytes.contains(sys::path::filename(at->path())))
        side.push_back(at->path() + " " + std::to_string(status->getSize()) + "@" +
                       std::to_string(status->getLastModificationTime().time_since_epoch().count()));
    }
    llvm::sort(side);
    for (const std::string &s : side)
      add(s);
  }
  return toHex(hash.final<16>(), /*LowerCase=*/true);
}

// Held while an entry is made or removed; a second process waits and then finds the entry.
class Lock {
public:
  explicit Lock(const std::string &folder)
      : file(open((folder + "/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
    if (file >= 0)
      flock(file, LOCK_EX);
  }
  ~Lock() {
    if (file >= 0)
      close(file);
  }

private:
  int file;
};

void removeOldest(const std::string &folder, StringRef keep) {
  struct Entry {
    std::string path;
    uint64_t size;
    sys::TimePoint<> used;
  };
  std::vector<Entry> entries;
  uint64_t total = 0;
  std::error_code ignored;
  for (sys::fs::directory_iterator at(folder, ignored), end; at != end && !ignored; at.increment(ignored)) {
    auto status = at->status();
    if (!status || sys::path::extension(at->path()) != ".so")
      continue;
    entries.push_back({at->path(), status->getSize(), status->getLastModificationTime()});
    total += status->getSize();
  }
  llvm::sort(entries, [](const Entry &a, const Entry &b) { return a.used < b.used; });
  for (const Entry &entry : entries) {
    if (total <= maxCacheBytes)
      return;
    if (entry.path == keep || sys::fs::remove(entry.path))
      continue;
    total -= entry.size;
  }
}

std::string temporaryLibrary; // of --no-cache, for the handler at exit
} // namespace

burin::CompiledModel burin::compileCached(burin_options *options, const std::string &model, const std::string &given,
                                          bool useCache) {
  CompiledModel result;
  std::string folder = given.empty() ? defaultFolder() : given;
  SmallString<256> path;
  if (useCache) {
    std::string key = keyOf(options, model, result.messages);
    if (key.empty())
      return result;
    if (std::error_code error = sys::fs::create_directories(folder)) {
      result.messages =
          "error: cannot make the cache folder '" + folder + "': " + error.message() + "; --no-cache does without\n";
      return result;
    }
    path = folder;
    sys::path::append(path, key + ".so");
  } else {
    SmallString<256> unique;
    if (std::error_code error = sys::fs::createTemporaryFile("burin-run", "so", unique)) {
      result.messages = "error: cannot make a temporary file: " + error.message() + "\n";
      return result;
    }
    path = unique;
    temporaryLibrary = std::string(path);
    std::atexit([] { ::unlink(temporaryLibrary.c_str()); });
  }

  std::optional<Lock> lock;
  if (useCache) {
    lock.emplace(folder);
    // What is kept tells nothing any more of how it was made.
    bool tells = false;
    for (const char *teller : {"report", "explain", "explain-layer"})
      tells |= burin_options_has(options, teller);
    if (!tells && sys::fs::exists(path)) {
      utimensat(AT_FDCWD, path.c_str(), nullptr, 0); // last use, for removeOldest
      result.path = std::string(path);
      return result;
    }
  }
  bool isTerminal = isatty(STDERR_FILENO);
  if (isTerminal)
    burin_options_set_progress(
        options, [](void *, const char *stage) { errs() << "\r\033[Kcompiling: " << stage << " ..."; }, nullptr);
  burin_options_set(options, "header", "none");
  if (!burin_options_has(options, "name")) {
    std::string name = "m_";
    for (char c : sys::path::stem(model))
      name += isAlnum(c) ? c : '_';
    burin_options_set(options, "name", name.c_str());
  }
  burin_compilation *compilation = burin_compile_file(options, model.c_str(), path.c_str());
  if (isTerminal)
    errs() << "\r\033[K";
  result.messages = burin_compilation_messages(compilation);
  if (burin_compilation_ok(compilation))
    result.path = std::string(path);
  burin_compilation_destroy(compilation);
  if (useCache && !result.path.empty())
    removeOldest(folder, result.path);
  return result;
}
