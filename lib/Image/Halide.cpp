// The library that holds Halide: a door of plain C. Halide throws exceptions; none leaves this file.
#include "lib/Image/Builder.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <unistd.h>

using namespace Halide;
using namespace burin::image;

namespace {

// Halide's own reporter prints and aborts; a warning here means reads outside a frame.
struct Reporter : CompileTimeErrorReporter {
  void warning(const char *text) override { throw std::runtime_error(text); }
  void error(const char *text) override { throw std::runtime_error(text); }
};

// Halide writes files by name only.
void hand(Module module, void (*write)(void *, const char *, size_t), void *to) {
  std::string name = std::filesystem::temp_directory_path() / "burin-image-XXXXXX";
  char *path = name.data();
  int file = mkstemp(path);
  if (file < 0)
    throw std::runtime_error("cannot make a temporary file");
  close(file);
  try {
    module.compile({{OutputFileType::bitcode, path}});
  } catch (...) {
    unlink(path);
    throw;
  }
  std::ifstream in(path, std::ios::binary);
  std::stringstream bytes;
  bytes << in.rdbuf();
  unlink(path);
  write(to, bytes.str().data(), bytes.str().size());
}

} // namespace

extern "C" __attribute__((visibility("default"))) int burin_image_build_4(const burin_image_job *job, const char *name,
                                                                          const char *target,
                                                                          void (*write)(void *, const char *, size_t),
                                                                          void *to, char *error, size_t room) {
  static Reporter reporter;
  set_custom_compile_time_error_reporter(&reporter);
  try {
    if (job->output) {
      hand(buildOutput(*job->output, name, Target(target)), write, to);
      return 0;
    }
    Builder builder(*job->stage, job->planes, job->num_planes, name, Target(target));
    hand(builder.picture(), write, to);
    if (builder.hasBars())
      hand(builder.bars(), write, to);
    return 0;
  } catch (const Halide::Error &e) {
    snprintf(error, room, "%s", e.what());
  } catch (const std::exception &e) {
    snprintf(error, room, "%s", e.what());
  }
  return 1;
}
