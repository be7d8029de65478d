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

template <std::optional<double> QuantizeOptions::*member> llvm::Error setBound(QuantizeOptions &o, StringRef value) {
  double number;
  if (value.getAsDouble(number) || !(number >= 0))
    return createStringError("expected a number of 0 or more, got '%s'", value.str().c_str());
  o.*member = number;
  return llvm::Error::success();
}
llvm::Error setSmooth(QuantizeOptions &o, StringRef value) {
  if (value.getAsDouble(o.smooth) || !(o.smooth > 0) || o.smooth >= 1)
    return createStringError("--smooth: expected a strength between 0 and 1, got '%s'", value.str().c_str());
  return llvm::Error::success();
}
llvm::Error setBlock(QuantizeOptions &o, StringRef value) {
  (void)value.getAsInteger(10, o.block);
  return llvm::Error::success();
}
llvm::Error setPrune(QuantizeOptions &o, StringRef value) {
  auto [n, m] = value.split(':');
  unsigned kept, of;
  double share;
  bool isPattern = value.contains(':') && !n.getAsInteger(10, kept) && !m.getAsInteger(10, of) && kept > 0 && kept < of;
  bool isShare = !value.contains(':') && !value.getAsDouble(share) && share > 0 && share < 1;
  if (!isPattern && !isShare)
    return createStringError("--prune: expected a share between 0 and 1, or N:M with N below M, got '%s'",
                             value.str().c_str());
  o.prune = value.str();
  return llvm::Error::success();
}
llvm::Error setPruneChannels(QuantizeOptions &o, StringRef value) {
  if (value.getAsDouble(o.pruneChannels) || !(o.pruneChannels > 0) || o.pruneChannels >= 1)
    return createStringError("--prune-channels: expected a share between 0 and 1, got '%s'", value.str().c_str());
  return llvm::Error::success();
}
llvm::Error setShare(QuantizeOptions &o, StringRef value) {
  if (value.getAsInteger(10, o.share) || o.share < 2 || o.share > 8)
    return createStringError("--share: expected 2 to 8 bits, got '%s'", value.str().c_str());
  return llvm::Error::success();
}
llvm::Error setShareGroup(QuantizeOptions &o, StringRef value) {
  if (value.getAsInteger(10, o.shareGroup) || o.shareGroup < 1)
    return createStringError("--share-group: expected a number of channels, got '%s'", value.str().c_str());
  return llvm::Error::success();
}
llvm::Error refuseScript(QuantizeOptions &, StringRef) {
  return createStringError("--evaluate is read by burin-quantize and burin.quantize, not here");
}

using O = QuantizeOptions;
const Flag flags[] = {
    {"output", "FILE.onnx", "where the quantized model goes; also -o", setText<&O::output>},
    {"calibrate", "X.npz|FOLDER", "batches of inputs by name, or pictures; may be repeated", addTexts<&O::calibrate>},
    {"method", "minmax|percentile|mse|entropy|average", "how a range is read off what was measured; mse",
     setText<&O::method>},
    {"percentile", "P", "of --method=percentile: how much of a tensor its range holds; default 99.99", setPercentile},
    {"activations", "u8|s8|u16|s16", "type of activations; u8 and zero points", setText<&O::activations>},
    {"weights", "s8|u8", "type of weights; s8, always symmetric", setText<&O::weights>},
    {"symmetric", "", "zero points of activations in the middle of their type", setSwitch<&O::symmetric>},
    {"per-tensor", "", "one scale a weight, not one an output channel", setSwitch<&O::perTensor>},
    {"power-of-two", "", "scales are powers of two", setSwitch<&O::powerOfTwo>},
    {"reduce-range", "", "weights of 7 bits, for CPUs that add products in 16 bits", setSwitch<&O::reduceRange>},
    {"equalize", "", "even out weights between convolutions before measuring", setSwitch<&O::equalize>},
    {"even-channels", "auto|always|never",
     "make channels in front of depthwise layers reach equally far; auto: where outputs are nearer to float then",
     setText<&O::evenChannels>},
    {"keep-biases", "", "leave biases as they are; else they make up for rounded weights", setSwitch<&O::keepBiases>},
    {"rounding", "optimized|nearest", "weights up or down by what each layer computes (AdaRound's aim), or to nearest",
     setText<&O::rounding>},
    {"smooth", "STRENGTH", "move outlying channels of activations into weights, 0.5 for half (SmoothQuant)", setSmooth},
    {"dynamic", "", "ranges of activations at run time; needs no data", setSwitch<&O::dynamic>},
    {"weights-only", "int8|int4|f16|bf16",
     "weights alone: of matrix products and embeddings, or all as shorter floats; needs no data",
     setText<&O::weightsOnly>},
    {"block", "N",
     "of --weights-only: elements that share a scale; a whole channel of int8, 32 of int4 where not given", setBlock},
    {"asymmetric", "", "of --weights-only: zero points", setSwitch<&O::asymmetric>},
    {"matmul-nbits", "", "of --weights-only: write com.microsoft's MatMulNBits", setSwitch<&O::matmulNBits>},
    {"integer-only", "", "integers at inputs and outputs too; an operator on floats is an error",
     setSwitch<&O::integerOnly>},
    {"prune-channels", "S", "take this share of the channels out of the graph, least important first",
     setPruneChannels},
    {"prune", "S|N:M", "set this share of the weights to zero, or all but N of M neighbours", setPrune},
    {"prune-unit", "element|block|filter",
     "what --prune takes at a time; block: one input of 16 outputs, which kernels skip", setText<&O::pruneUnit>},
    {"prune-by", "magnitude|variance|gradient|fisher", "what is important; all but the first need data",
     setText<&O::pruneBy>},
    {"prune-scope", "layer|global", "the share of each layer, or of all together", setText<&O::pruneScope>},
    {"share", "BITS",
     "give each layer's weights 2^BITS values (2 to 8; depthwise layers 4 times as many); arithmetic stays float",
     setShare},
    {"share-group", "N", "of --share: output channels with values of their own; a whole layer where not given",
     setShareGroup},
    {"float", "", "no integers: only --prune, --prune-channels and --share change weights", setSwitch<&O::floats>},
    {"max-drop", "D", "leave layers in float until the score drops by at most D (--evaluate)", setBound<&O::maxDrop>},
    {"evaluate", "SCRIPT.py", "Python file whose evaluate(session) gives a score, larger is better", refuseScript},
    {"min-sqnr", "DB", "the same by signal to noise of the outputs against float", setBound<&O::minSqnr>},
    {"curve", "FILE.svg", "picture of that trade-off; else beside the output", setText<&O::curve>},
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
  bool isWeightsOnly = !options.weightsOnly.empty();
  bool isCompressed = !options.prune.empty() || options.pruneChannels > 0 || options.share;
  options.floats |= options.share > 0;
  if (options.floats && (options.dynamic || isWeightsOnly || options.integerOnly || options.maxDrop || options.minSqnr))
    return createStringError("--float and --share keep arithmetic float; --dynamic, --weights-only, --integer-only, "
                             "--max-drop and --min-sqnr make integers");
  if (options.floats && !isCompressed)
    return createStringError("--float needs something to do: --prune, --prune-channels or --share");
  if (options.pruneBy != "magnitude" && options.calibrate.empty())
    return createStringError("--prune-by=%s needs data: --calibrate X.npz, or a folder of pictures",
                             options.pruneBy.c_str());
  if (options.dynamic + isWeightsOnly + options.integerOnly > 1)
    return createStringError("expected one of --dynamic, --weights-only and --integer-only");
  if ((options.maxDrop || options.minSqnr) && (options.dynamic || isWeightsOnly))
    return createStringError("--max-drop and --min-sqnr choose layers of a static quantization");
  bool isIntegers = options.weightsOnly == "int8" || options.weightsOnly == "int4";
  if ((options.block || options.asymmetric || options.matmulNBits) && !isIntegers)
    return createStringError("--block, --asymmetric and --matmul-nbits belong to --weights-only=int8 or int4");
  if (options.calibrate.empty() && !options.dynamic && !isWeightsOnly && !options.floats)
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
