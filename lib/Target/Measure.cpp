// See Measure.h. Frames come from the section that LLVM writes on request: an address and a ULEB128 for each function.
#include "lib/Target/Measure.h"
#include "llvm/Object/ObjectFile.h"
#include "llvm/Support/LEB128.h"

using namespace llvm;

static std::unique_ptr<object::ObjectFile> parsed(const burin::ObjectCode &code) {
  auto object =
      object::ObjectFile::createObjectFile(MemoryBufferRef(StringRef(code.bytes.data(), code.bytes.size()), code.name));
  if (object)
    return std::move(*object);
  consumeError(object.takeError());
  return nullptr;
}

static uint64_t bytesOf(const object::ObjectFile &file,
                        function_ref<bool(const object::SectionRef &, StringRef)> fits) {
  uint64_t bytes = 0;
  for (const object::SectionRef &section : file.sections()) {
    Expected<StringRef> name = section.getName();
    if (!name)
      consumeError(name.takeError());
    else if (fits(section, *name))
      bytes += section.getSize();
  }
  return bytes;
}

// The frames of all functions, largest first.
static SmallVector<uint64_t> frames(const object::ObjectFile &file) {
  SmallVector<uint64_t> sizes;
  for (const object::SectionRef &section : file.sections()) {
    Expected<StringRef> name = section.getName();
    if (!name || *name != ".stack_sizes") {
      consumeError(name.takeError());
      continue;
    }
    Expected<StringRef> contents = section.getContents();
    if (!contents) {
      consumeError(contents.takeError());
      continue;
    }
    ArrayRef<uint8_t> bytes = arrayRefFromStringRef(*contents);
    while (bytes.size() > file.getBytesInAddress()) {
      bytes = bytes.drop_front(file.getBytesInAddress());
      unsigned length;
      sizes.push_back(decodeULEB128(bytes.data(), &length, bytes.end()));
      bytes = bytes.drop_front(length);
    }
  }
  llvm::sort(sizes, std::greater<uint64_t>());
  return sizes;
}

static bool isConstant(const object::SectionRef &section, StringRef name) {
  return section.isData() && (name.starts_with(".rodata") || name.starts_with(".data.rel.ro"));
}

void burin::CodeMeter::addCode(const ObjectCode &object) {
  auto file = parsed(object);
  if (!file)
    return;
  code += bytesOf(*file, [](const object::SectionRef &section, StringRef) { return section.isText(); });
  constants += bytesOf(*file, isConstant);
  for (uint64_t frame : frames(*file)) {
    if (frame > largest)
      std::swap(frame, largest);
    second = std::max(second, frame);
  }
}

void burin::CodeMeter::addCaller(const ObjectCode &object) {
  auto file = parsed(object);
  if (!file)
    return;
  code += bytesOf(*file, [](const object::SectionRef &section, StringRef) { return section.isText(); });
  for (uint64_t frame : frames(*file))
    caller = std::max(caller, frame);
}

burin::CodeSize burin::CodeMeter::size() const {
  bool isKnown = caller || largest;
  return {code, constants, isKnown ? caller + largest + second : 0};
}
