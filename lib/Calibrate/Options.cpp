// The table of burin-quantize's flags.
#include "lib/Calibrate/Options.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace burin;
using llvm::createStringError;
using llvm::StringRef;

namespace {
struct Flag {
  StringRef name, value, help; // `value` empty: a switch; "a|b": one of these
  llvm::Error (*set)(QuantizeOptions &options, StringRef value);
};

template <std::string QuantizeOptions::*member> llvm::Error setText(QuantizeOptions &o, StringRef value) {
  o.*member = value.str();
  return llvm::Error::success();
}
template <bool QuantizeOptions::*member> llvm::Error setSwitch(QuantizeOptions &o, StringRef) {
  o.*member = true;
  return llvm::Error::success();
}
template <std::vector<std::string> QuantizeOptions::*member> llvm::Error addTexts(QuantizeOptions &o, StringRef value) {
  llvm::SmallVector<StringRef> parts;
  value.split(parts, ',', -1, /*KeepEmpty=*/false);
  for (StringRef part : parts)
    (o.*member).push_back(part.str());
  return llvm::Error::success();
}
llvm::Error setPercentile(QuantizeOptions &o, StringRef value) {
  if (value.getAsDouble(o.percentile) || !(o.percentile > 50) || o.percentile > 100)
    return createStringError("--percentile: expected a number over 50 and up to 100, got '%s'", value.str().c_str());
  return llvm::Error::success();
}

using O = QuantizeOptions;
const Flag flags[] = {
    {"output", "FILE.onnx", "where the quantized model goes; also -o", setText<&O::output>},
    {"calibrate", "X.npz|FOLDER", "batches of inputs by name, or pictures; may be repeated", addTexts<&O::calibrate>},
    {"method", "minmax|percentile|mse|entropy|average", "how a range is read off what was measured",
     setText<&O::method>},
    {"percentile", "P", "of --method=percentile: how much of a tensor its range holds; default 99.99", setPercentile},
    {"activations", "u8|s8|u16|s16", "type of activations; u8 and zero points", setText<&O::activations>},
    {"weights", "s8|u8", "type of weights; s8, always symmetric", setText<&O::weights>},
    {"symmetric", "", "zero points of activations in the middle of their type", setSwitch<&O::symmetric>},
    {"per-tensor", "", "one scale a weight, not one an output channel", setSwitch<&O::perTensor>},
    {"power-of-two", "", "scales are powers of two", setSwitch<&O::powerOfTwo>},
    {"reduce-range", "", "weights of 7 bits, for CPUs that add products in 16 bits", setSwitch<&O::reduceRange>},
    {"keep-float", "NAME,...", "nodes or operators that stay float", addTexts<&O::keep>},
    {"only", "NAME,...", "nodes or operators with weights to quantize; all where not given", addTexts<&O::only>},
};

llvm::Error set(QuantizeOptions &options, const Flag &flag, StringRef value) {
  if (flag.value.contains('|') && flag.value.lower() == flag.value) {
    llvm::SmallVector<StringRef> allowed;
    flag.value.split(allowed, '|');
    if (!llvm::is_contained(allowed, value))
      return createStringError("--%s: expected %s, got '%s'", flag.name.str().c_str(),
                               llvm::join(allowed, ", ").c_str(), value.str().c_str());
  }
  return flag.set(options, value);
}
} // namespace

llvm::Expected<QuantizeOptions> burin::parseQuantizeOptions(llvm::ArrayRef<StringRef> words) {
  QuantizeOptions options;
  for (size_t i = 0; i < words.size(); ++i) {
    StringRef word = words[i], name = word, value;
    if (!word.starts_with("-")) {
      if (!options.model.empty())
        return createStringError("expected one model, got '%s' and '%s'", options.model.c_str(), word.str().c_str());
      options.model = word.str();
      continue;
    }
    name = name.ltrim('-');
    bool hasValue = name.contains('=');
    std::tie(name, value) = name.split('=');
    name = name == "o" ? "output" : name;
    const Flag *own = llvm::find_if(flags, [&](const Flag &f) { return f.name == name; });
    bool isOwn = own != std::end(flags);
    const OptionInfo *compiler = isOwn ? nullptr : findOption(name);
    if (!isOwn && !compiler)
      return createStringError("unknown option '%s'; --help lists them", word.split('=').first.str().c_str());
    StringRef kind = isOwn ? own->value : compiler->value;
    if (!kind.empty() && !hasValue) {
      if (i + 1 == words.size())
        return createStringError("%s needs a value: %s", word.str().c_str(), kind.str().c_str());
      value = words[++i];
    }
    if (llvm::Error error = isOwn ? set(options, *own, value) : setOption(options.compile, name, value))
      return std::move(error);
  }
  if (options.model.empty())
    return createStringError("expected a model; see --help");
  if (options.output.empty())
    return createStringError("expected a place for the quantized model: -o FILE.onnx");
  if (options.calibrate.empty())
    return createStringError("expected data to calibrate with: --calibrate X.npz, or a folder of pictures");
  return options;
}

std::string burin::quantizeHelp() {
  std::string text;
  llvm::raw_string_ostream out(text);
  for (const Flag &f : flags) {
    std::string flag = "--" + f.name.str() + (f.value.empty() ? "" : "=" + f.value.str());
    out << "  " << flag << std::string(flag.size() < 28 ? 28 - flag.size() : 1, ' ') << f.help << "\n";
  }
  return text;
}
