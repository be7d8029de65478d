// The published compiler's way through a network, layer by layer, for holding the model against published rates.
#include "lib/Cost/Vpu.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

using namespace llvm;
using namespace burin;
using namespace burin::vpu;

Expected<double> burin::publishedMilliseconds(const json::Array &layers, const UnitConfig &config, unsigned engines,
                                              bool resident) {
  const Unit &unit = *config.unit;
  const double together = engines > 1 ? engines * unit.secondEngine : 1;
  const double cyclesPerMs = unit.megahertz * 1e3 * unit.engineSustained * together,
               bytesPerMs = unit.gigabytesPerSecond * 1e6;
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
    } else if (*kind == "software-deconv") { // a transposed convolution on all shaves
      weights = 2 * ic * oc * k * k;
      extra = double(ic) * oc * k * k * in * in / (unit.shaveMacs * config.shaves * unit.megahertz * 1e3);
    } else if (*kind == "silu") { // a stage for the sigmoid, one for the product
      extra = elements * 5 * elementMs;
    } else if (*kind == "sigmoid") {
      extra = elements * (unit.shaveMove + unit.shaveFunction) * elementMs;
    } else if (*kind == "add") {
      extra = elements * (unit.shaveMove + unit.shaveSimple) * elementMs;
    } else if (*kind == "concat") {
      continue; // written in place by what makes its parts
    }
    double moved = resident ? 0 : weights + spilled;
    total += std::max(cycles / cyclesPerMs, moved / bytesPerMs) + extra + unit.layerMilliseconds;
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
    if (!layers || ms <= 0)
      return createStringError("network '%s': expected 'ops' and 'latency_ms'", name.str().c_str());
    auto number = [&](StringRef key, int64_t usual) { return network->getInteger(key).value_or(usual); };
    Expected<UnitConfig> config =
        parseUnit(formatv("myriad:shaves={0},threads={1}", number("shaves", 8), number("threads", 2)).str());
    if (!config)
      return config.takeError();
    Expected<double> modelled =
        publishedMilliseconds(*layers, *config, number("engines", 1), network->getBoolean("resident").value_or(false));
    if (!modelled)
      return modelled.takeError();
    double rate = config->threads * config->unit->threadShare * 1e3 / *modelled;
    double error = 100 * (*modelled / ms - 1), rateError = fps > 0 ? 100 * (rate / fps - 1) : 0;
    out << formatv("{0,-18} {1,8:f3} {2,10:f3} {3,6:f1}%", name, *modelled, ms, error);
    if (fps > 0)
      out << formatv(" {0,8:f1} {1,10:f1} {2,6:f1}%", rate, fps, rateError);
    out << "\n";
    sum += std::abs(error);
    worst = std::max(worst, std::abs(error));
    worstFps = std::max(worstFps, std::abs(rateError));
    ++count;
  }
  out << formatv("latency error: mean {0:f1}%, worst {1:f1}%; FPS error: worst {2:f1}%\n", count ? sum / count : 0,
                 worst, worstFps);
  return Error::success();
}
