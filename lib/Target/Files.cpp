// See Files.h. A name beside the output, never the output itself, is written: a full disk or a signal leaves no half
// file in its place.
#include "lib/Target/Files.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <cstdio>
#include <sys/stat.h>
#include <unistd.h>

using namespace llvm;

Expected<burin::ScratchFolder> burin::ScratchFolder::create() {
  ScratchFolder folder;
  if (std::error_code error = sys::fs::createUniqueDirectory("burin", folder.path)) {
    folder.path.clear();
    return createStringError("cannot make a temporary folder: %s", error.message().c_str());
  }
  return folder;
}

burin::ScratchFolder::~ScratchFolder() {
  if (!path.empty())
    sys::fs::remove_directories(path);
}

std::string burin::ScratchFolder::file(const Twine &name) const {
  SmallString<128> result = path;
  sys::path::append(result, name);
  return std::string(result);
}

Expected<burin::OutputFile> burin::OutputFile::create(StringRef path) {
  auto cannot = [&](const std::string &why) {
    return createStringError("cannot write '%s': %s", path.str().c_str(), why.c_str());
  };
  if (sys::fs::is_directory(path))
    return cannot("it is a folder");
  OutputFile file;
  // Through a link to what it points at; devices and pipes cannot be renamed over and take the bytes directly at
  // commit.
  SmallString<128> target;
  if (sys::fs::real_path(path, target))
    target = path;
  file.path = std::string(target);
  int descriptor;
  SmallString<128> temporary;
  std::string model = file.path + ".%%%%%%%%.part";
  bool isSpecial = sys::fs::exists(file.path) && !sys::fs::is_regular_file(file.path);
  std::error_code error = isSpecial ? sys::fs::createTemporaryFile("burin", "part", descriptor, temporary)
                                    : sys::fs::createUniqueFile(model, descriptor, temporary);
  if (!error && !isSpecial && sys::fs::exists(file.path) && ::access(file.path.c_str(), W_OK) != 0)
    error = std::error_code(errno, std::generic_category());
  if (!temporary.empty() && error)
    sys::fs::remove(temporary);
  if (error)
    return cannot(error.message());
  ::close(descriptor);
  file.temporary = std::string(temporary);
  return file;
}

burin::OutputFile::~OutputFile() {
  if (!temporary.empty())
    sys::fs::remove(temporary);
}

Error burin::OutputFile::commit(bool executable) {
  std::error_code error;
  if (sys::fs::exists(path) && !sys::fs::is_regular_file(path)) {
    error = sys::fs::copy_file(temporary, path);
  } else {
    mode_t mask = ::umask(0);
    ::umask(mask);
    auto permissions = static_cast<sys::fs::perms>((executable ? 0777 : 0666) & ~mask);
    error = sys::fs::setPermissions(temporary, permissions);
    if (!error)
      error = sys::fs::rename(temporary, path);
    if (!error)
      temporary.clear();
  }
  if (error)
    return createStringError("cannot write '%s': %s", path.c_str(), error.message().c_str());
  return Error::success();
}

Error burin::writeFile(StringRef path, function_ref<Error(raw_ostream &)> write) {
  std::error_code error;
  raw_fd_ostream out(path, error);
  if (error)
    return createStringError("cannot write '%s': %s", path.str().c_str(), error.message().c_str());
  if (Error failed = write(out)) {
    out.clear_error();
    return failed;
  }
  out.flush();
  if (out.has_error()) {
    error = out.error();
    out.clear_error();
    return createStringError("cannot write '%s': %s", path.str().c_str(), error.message().c_str());
  }
  return Error::success();
}
