// burin_options_*: the C face of lib/Pipeline/CompileOptions.h.
#include "lib/CAPI/Options.h"
#include "llvm/Support/FormatVariadic.h"

using namespace burin;

const char *burin_compiler_version(void) {
  static const std::string text = version().str();
  return text.c_str();
}

burin_options *burin_options_create(void) { return new burin_options; }
burin_options *burin_options_copy(const burin_options *options) { return new burin_options(*options); }
void burin_options_destroy(burin_options *options) { delete options; }
const char *burin_options_error(const burin_options *options) { return options->error.c_str(); }

int burin_options_set(burin_options *options, const char *name, const char *value) {
  options->error.clear();
  if (llvm::Error error = setOption(options->options, name, value ? value : "")) {
    options->error = llvm::toString(std::move(error));
    return -1;
  }
  options->given[findOption(name)->name] = value ? value : "";
  return 0;
}

int burin_options_has(const burin_options *options, const char *name) { return options->given.contains(name); }

const char *burin_options_get(const burin_options *options, const char *name) {
  auto found = options->given.find(name);
  return found == options->given.end() ? nullptr : found->second.c_str();
}

int burin_options_parse(burin_options *options, int *argc, char **argv) {
  int kept = 1;
  bool isOver = false;
  for (int i = 1; i < *argc; ++i) {
    llvm::StringRef word(argv[i]);
    isOver |= word == "--";
    llvm::StringRef name = word, value;
    bool isLong = name.consume_front("--"), isShort = !isLong && name.size() > 1 && name.consume_front("-");
    bool hasValue = false;
    if (isShort && name.size() == 2 && name[0] == 'O') {
      value = name.drop_front(1);
      name = "O";
      hasValue = true;
    } else if (isLong && name.contains('=')) {
      std::tie(name, value) = name.split('=');
      hasValue = true;
    }
    bool isOne = (isLong && name.size() > 1) || (isShort && (name == "o" || name == "v" || name == "O"));
    const OptionInfo *info = isOver || !isOne ? nullptr : findOption(name);
    if (!info) {
      argv[kept++] = argv[i];
      continue;
    }
    if (!info->value.empty() && !hasValue) {
      if (i + 1 == *argc) {
        options->error = llvm::formatv("{0} needs a value: {1}", word, info->value);
        return -1;
      }
      value = argv[++i];
    }
    if (burin_options_set(options, name.str().c_str(), value.str().c_str()))
      return -1;
  }
  *argc = kept;
  return 0;
}

int burin_options_add_rewriter(burin_options *options, const char *point, const char *name, burin_rewrite rewrite,
                               void *user, void (*release)(void *user)) {
  options->error.clear();
  std::shared_ptr<void> owner(user, [release](void *user) {
    if (release)
      release(user);
  });
  auto run = [owner, rewrite](llvm::StringRef onnx) -> llvm::Expected<std::string> {
    std::optional<std::string> changed;
    auto answer = [](void *to, const void *data, size_t bytes) {
      static_cast<std::optional<std::string> *>(to)->emplace(static_cast<const char *>(data), bytes);
    };
    if (const char *why = rewrite(owner.get(), onnx.data(), onnx.size(), answer, &changed))
      return llvm::createStringError(why);
    return changed ? std::move(*changed) : onnx.str();
  };
  if (llvm::Error error = addRewriter(options->options.steps, point ? point : "", name, run)) {
    options->error = llvm::toString(std::move(error));
    return -1;
  }
  return 0;
}

void burin_options_hint_shape(burin_options *options, const char *input, const int64_t *dims, int32_t rank) {
  options->options.inputHints.push_back({input, std::vector<int64_t>(dims, dims + rank)});
}

void burin_options_define(burin_options *options, const char *name, burin_function function) {
  options->functions[name] = reinterpret_cast<const void *>(function);
}

const char *burin_options_text(burin_options *options) {
  options->text = optionsText(options->options);
  return options->text.c_str();
}

const char *burin_options_help(void) {
  static const std::string text = [] {
    std::string lines;
    llvm::raw_string_ostream out(lines);
    for (const OptionInfo &o : compileOptions()) {
      std::string flag = o.name == "O"         ? "-O0 .. -O3"
                         : o.name == "output"  ? "-o FILE"
                         : o.name == "verbose" ? "-v"
                                               : "--" + o.name.str() + (o.value.empty() ? "" : "=" + o.value.str());
      out << "  " << flag << std::string(flag.size() < 26 ? 26 - flag.size() : 1, ' ') << o.help << "\n";
    }
    return lines;
  }();
  return text.c_str();
}

void burin_options_set_progress(burin_options *options, void (*progress)(void *, const char *), void *user) {
  options->progress = progress;
  options->progressUser = user;
}
