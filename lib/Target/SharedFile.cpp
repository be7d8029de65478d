#include "lib/Target/SharedFile.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/BinaryFormat/ELF.h"
#include "llvm/Object/ELF.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Support/xxhash.h"

using namespace llvm;

namespace {
// The file, then these eight bytes, then XXH3 of the file, little endian.
constexpr StringLiteral mark = "BURINSUM";
constexpr size_t sealBytes = mark.size() + sizeof(uint64_t);

Error refuse(const Twine &message) { return createStringError(inconvertibleErrorCode(), message); }

Expected<std::unique_ptr<MemoryBuffer>> read(StringRef path) {
  auto file = MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!file)
    return refuse("cannot read: " + StringRef(file.getError().message()).lower());
  return std::move(*file);
}
} // namespace

Error burin::sealSharedFile(StringRef path) {
  uint64_t sum;
  {
    Expected<std::unique_ptr<MemoryBuffer>> file = read(path);
    if (!file)
      return file.takeError();
    sum = xxh3_64bits((*file)->getBuffer());
  }
  std::error_code code;
  raw_fd_ostream out(path, code, sys::fs::CD_OpenExisting, sys::fs::FA_Write, sys::fs::OF_Append);
  if (code)
    return refuse("cannot write '" + path + "': " + code.message());
  char bytes[sizeof sum];
  support::endian::write64le(bytes, sum);
  out << mark << StringRef(bytes, sizeof bytes);
  out.close();
  return out.has_error() ? refuse("cannot write '" + path + "': " + out.error().message()) : Error::success();
}

Error burin::checkSharedBytes(StringRef bytes) {
  if (!bytes.starts_with(StringRef(ELF::ElfMagic, 4)))
    return refuse("expected a shared library made by burin-compile --emit=shared, got another kind of file");
  if (bytes.size() >= sealBytes && bytes.drop_back(sizeof(uint64_t)).ends_with(mark)) {
    uint64_t sum = support::endian::read64le(bytes.end() - sizeof sum);
    return sum == xxh3_64bits(bytes.drop_back(sealBytes))
               ? Error::success()
               : refuse("damaged: its checksum differs; make or copy it again");
  }
  auto file = object::ELF64LEFile::create(bytes);
  if (!file)
    return refuse("truncated or damaged: " + toString(file.takeError()));
  auto segments = file->program_headers();
  if (!segments)
    return refuse("truncated or damaged: " + toString(segments.takeError()));
  for (const auto &segment : *segments)
    if (segment.p_offset > bytes.size() || segment.p_filesz > bytes.size() - segment.p_offset)
      return refuse("truncated: a segment ends at byte " + Twine(segment.p_offset + segment.p_filesz) + " of " +
                    Twine(bytes.size()));
  return Error::success();
}

Error burin::checkSharedFile(StringRef path) {
  Expected<std::unique_ptr<MemoryBuffer>> file = read(path);
  return file ? checkSharedBytes((*file)->getBuffer()) : file.takeError();
}
