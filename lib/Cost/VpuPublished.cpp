// The published compiler's way through a network, layer by layer, for holding the model against published rates.
#include "lib/Cost/Vpu.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;
using namespace burin;
using namespace burin::vpu;

Expected<double> burin::publishedMilliseconds(const json::Array &layers, const UnitConfig &config) {
  const Unit &unit = *config.unit;
  const double cyclesPerMs = unit.megahertz * 1e3 * unit.engineSustained, bytesPerMs = unit.gigabytesPerSecond * 1e6;
  // An output tile in CMX takes half of the slices and half a slice.
  const int64_t limit = config.slices / 2 * unit.sliceBytes + unit.sliceBytes / 2;
  const double shaves = std::min(config.shaves, unit.postShaves), elementMs = 1 / (shaves * unit.megahertz * 1e3);
  double total = 0;
  for (const json::Value &value : layers) {
    const json::Object *layer = value.getAsObject();
    std::optional<StringRef> kind = layer ? layer->getString("k") : std::nullopt;
    if (!kind)
      return createStringError("expected layers as objects with a kind 'k'");
    auto number = [&](StringRef key) { return layer->getInteger(key).value_or(1); };
    int64_t ic = number("ic"), oc = number("oc"), k = number("kh"), s = number("s"), in = number("hi"),
            out = number("ho");
    int64_t inBytes = 2 * ic * in * in, outBytes = 2 * oc * out * out, weights = 0;
    int64_t spilled = (inBytes > limit ? inBytes : 0) + (outBytes > limit ? outBytes : 0);
    double cycles = 0, elements = double(oc) * out * out, extra = 0;
    EngineShape shape{ic, oc, k, k, s, in, in, out, out};
    if (*kind == "conv") {
      cycles = convCycles(unit, shape);
      weights = 2 * ic * oc * k * k;
    } else if (*kind == "dw") {
      cycles = depthwiseCycles(unit, shape);
      weights = 2 * ic * k * k;
    } else if (*kind == "fc") {
      cycles = convCycles(unit, {ic, oc, 1, 1, 1, 1, 1, 1, 1});
      weights = 2 * ic * oc;
    } else if (*kind == "pool") {
      cycles = poolCycles(unit, shape);
    } else if (*kind == "deconv") { // a 1x1 convolution and a store that spreads its channels
      cycles = convCycles(unit, {ic, 4 * oc, 1, 1, 1, in, in, in, in});
      weights = 8 * ic * oc;
      extra = unit.layerMilliseconds;
    } else if (*kind == "silu") { // a stage for the sigmoid, one for the product
      extra = elements * 5 * elementMs;
    } else if (*kind == "sigmoid") {
      extra = elements * (unit.shaveMove + unit.shaveFunction) * elementMs;
    } else if (*kind == "add") {
      extra = elements * (unit.shaveMove + unit.shaveSimple) * elementMs;
    } else if (*kind == "concat") {
      continue; // written in place by what makes its parts
    }
    total += std::max(cycles / cyclesPerMs, (weights + spilled) / bytesPerMs) + extra + unit.layerMilliseconds;
  }
  return total;
}

Error burin::printPublished(StringRef text, raw_ostream &out) {
  Expected<json::Value> parsed = json::parse(text);
  if (!parsed)
    return parsed.takeError();
  const json::Object *root = parsed->getAsObject(), *networks = root ? root->getObject("networks") : nullptr;
  if (!networks)
    return createStringError("expected an object 'networks'");
  Expected<UnitConfig> config = parseUnit("myriad:shaves=8,threads=2");
  if (!config)
    return config.takeError();
  out << formatv("{0,-18} {1,8} {2,10} {3,7} {4,8} {5,10} {6,7}\n", "network", "ms", "published", "error", "FPS",
                 "published", "error");
  double sum = 0, worst = 0, worstFps = 0;
  unsigned count = 0;
  std::vector<std::pair<StringRef, const json::Object *>> rows;
  for (const auto &[name, network] : *networks)
    if (const json::Object *object = network.getAsObject())
      rows.push_back({StringRef(name), object});
  llvm::sort(rows, [](const auto &a, const auto &b) { return a.first < b.first; });
  for (const auto &[name, network] : rows) {
    const json::Array *layers = network->getArray("ops");
    double ms = network->getNumber("latency_ms").value_or(0), fps = network->getNumber("fps").value_or(0);
    if (!layers || ms <= 0 || fps <= 0)
      return createStringError("network '%s': expected 'ops', 'latency_ms' and 'fps'", name.str().c_str());
    Expected<double> modelled = publishedMilliseconds(*layers, *config);
    if (!modelled)
      return modelled.takeError();
    double rate = config->threads * config->unit->threadShare * 1e3 / *modelled;
    double error = 100 * (*modelled / ms - 1), rateError = 100 * (rate / fps - 1);
    out << formatv("{0,-18} {1,8:f1} {2,10:f1} {3,6:f1}% {4,8:f1} {5,10:f1} {6,6:f1}%\n", name, *modelled, ms, error,
                   rate, fps, rateError);
    sum += std::abs(error);
    worst = std::max(worst, std::abs(error));
    worstFps = std::max(worstFps, std::abs(rateError));
    ++count;
  }
  out << formatv("latency error: mean {0:f1}%, worst {1:f1}%; FPS error: worst {2:f1}%\n", count ? sum / count : 0,
                 worst, worstFps);
  return Error::success();
}
