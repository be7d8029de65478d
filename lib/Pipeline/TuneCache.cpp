// The file of measured choices.
#include "lib/Pipeline/TuneCache.h"

#include "lib/Target/Files.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace burin;

namespace {
constexpr char formatKey[] = "burin_tune_cache";
constexpr int64_t formatVersion = 1;
} // namespace

llvm::Error TuneCache::read(llvm::StringRef path) {
  auto wrong = [&](const llvm::Twine &why) {
    return llvm::createStringError("--tune-cache: '" + path.str() + "' " + why.str() +
                                   "; remove it, or give another file");
  };
  if (!llvm::sys::fs::exists(path))
    return llvm::Error::success();
  auto text = llvm::MemoryBuffer::getFile(path);
  if (!text)
    return wrong("cannot be read: " + text.getError().message());
  auto json = llvm::json::parse((*text)->getBuffer());
  if (!json) {
    llvm::consumeError(json.takeError());
    return wrong("is no cache of measured kernels: not JSON");
  }
  const llvm::json::Object *root = json->getAsObject();
  auto version = root ? root->getInteger(formatKey) : std::nullopt;
  if (!version)
    return wrong(llvm::Twine("is no cache of measured kernels: expected a number '") + formatKey + "'");
  if (*version != formatVersion)
    return wrong(llvm::formatv("has version {0}, expected {1}", *version, formatVersion).str());
  const llvm::json::Array *list = root->getArray("entries");
  if (!list)
    return wrong("is no cache of measured kernels: expected 'entries'");
  for (auto [i, value] : llvm::enumerate(*list)) {
    const llvm::json::Object *object = value.getAsObject();
    auto field = [&](llvm::StringRef name) {
      auto found = object ? object->getString(name) : std::nullopt;
      return found ? found->str() : std::string();
    };
    Key key{field("compiler"), field("target"), field("cpu"), field("kernel")};
    auto choice = KernelChoice::parse(field("choice"));
    auto time = object ? object->getNumber("microseconds") : std::nullopt,
         before = object ? object->getNumber("default_microseconds") : std::nullopt;
    if (!choice || !KernelShape::parse(key.kernel) || key.target.empty() || !time || !before)
      return wrong(llvm::formatv("has a broken entry, number {0}", i).str());
    entries[key] = {*choice, *time, *before};
  }
  return llvm::Error::success();
}

llvm::Error TuneCache::write(llvm::StringRef path) const {
  auto file = OutputFile::create(path);
  if (!file)
    return file.takeError();
  llvm::Error error = writeFile(file->temporaryPath(), [&](llvm::raw_ostream &out) {
    out << "{\"" << formatKey << "\": " << formatVersion << ", \"entries\": [";
    bool first = true;
    for (const auto &[key, entry] : entries) {
      out << (first ? "\n" : ",\n")
          << llvm::json::Value(llvm::json::Object{{"compiler", key.compiler},
                                                  {"target", key.target},
                                                  {"cpu", key.cpu},
                                                  {"kernel", key.kernel},
                                                  {"choice", entry.choice.text()},
                                                  {"microseconds", entry.microseconds},
                                                  {"default_microseconds", entry.defaultMicroseconds}});
      first = false;
    }
    out << "\n]}\n";
    return llvm::Error::success();
  });
  return error ? std::move(error) : file->commit(/*executable=*/false);
}

bool TuneCache::holds(const Key &key) const {
  return key.compiler == compiler && key.target == target && (cpu.empty() || key.cpu.empty() || key.cpu == cpu);
}

const TuneEntry *TuneCache::find(llvm::StringRef kernel) const {
  for (const std::string &where : {cpu, std::string()})
    if (auto found = entries.find({compiler, target, where, kernel.str()}); found != entries.end())
      return &found->second;
  if (cpu.empty())
    for (const auto &[key, entry] : entries)
      if (key.kernel == kernel && holds(key))
        return &entry;
  return nullptr;
}

void TuneCache::put(llvm::StringRef kernel, const TuneEntry &entry) {
  entries[{compiler, target, cpu, kernel.str()}] = entry;
}

std::vector<std::string> TuneCache::choices() const {
  std::vector<std::string> result;
  for (const auto &[key, entry] : entries)
    if (holds(key) && &entry == find(key.kernel))
      result.push_back(key.kernel + ":" + entry.choice.text());
  return result;
}
