// The analysis as a table and as JSON.
#include "lib/Cost/Cost.h"
#include "llvm/Support/FormatVariadic.h"

using namespace burin;

static std::string shortened(double value) {
  for (auto [limit, unit] : {std::pair(1e9, "G"), std::pair(1e6, "M"), std::pair(1e3, "k")})
    if (value >= limit)
      return llvm::formatv("{0:f2} {1}", value / limit, unit);
  return llvm::formatv("{0:f0} ", value);
}

void burin::printCost(const ModelCost &cost, llvm::raw_ostream &out) {
  const char *row = "{0,-28} {1,-20} {2,-16} {3,9} {4,10} {5,9} {6,9} {7,7}\n";
  out << llvm::formatv(row, "node", "operator", "result", "params", "MACs", "weights B", "moved B", "op/B");
  auto print = [&](const OperatorCost &c, llvm::StringRef name) {
    out << llvm::formatv(row, name.take_front(28), llvm::StringRef(c.kind).take_front(20),
                         llvm::StringRef(c.shape).take_front(16), shortened(c.params), shortened(c.macs),
                         shortened(c.weightBytes), shortened(c.readBytes + c.writtenBytes),
                         llvm::formatv("{0:f2}", c.intensity()).str());
  };
  for (const OperatorCost &c : cost.operators)
    print(c, c.name);
  print(cost.total, "total");
  const OperatorCost &t = cost.total;
  out << llvm::formatv("\nparameters {0}, multiply-accumulates {1}, elementwise operations {2}\n", t.params, t.macs,
                       t.operations);
  out << llvm::formatv("weights {0} bytes, activations read {1} and written {2} bytes, most alive at once {3} bytes\n",
                       t.weightBytes, t.readBytes, t.writtenBytes, cost.peakActivationBytes);
  out << llvm::formatv("arithmetic intensity {0:f2} operations a byte\n", t.intensity());
  out << llvm::formatv("energy: arithmetic {0:f3} mJ; memory {1:f3} mJ if all of it is SRAM, {2:f3} mJ if DRAM\n",
                       t.arithmeticPicojoules * 1e-9, t.sramPicojoules() * 1e-9, t.dramPicojoules() * 1e-9);
  if (t.cycles)
    out << llvm::formatv("estimate {0} cycles\n", shortened(t.cycles));
  if (cost.unknown)
    out << llvm::formatv(
        "{0} operators have sizes that are not known (bind them with --shape or --dim): free dims count as 1 here\n",
        cost.unknown);
}

static llvm::json::Object toJson(const OperatorCost &c) {
  return llvm::json::Object{{"params", c.params},
                            {"macs", c.macs},
                            {"operations", c.operations},
                            {"weight_bytes", c.weightBytes},
                            {"read_bytes", c.readBytes},
                            {"written_bytes", c.writtenBytes},
                            {"intensity", c.intensity()},
                            {"cycles", c.cycles},
                            {"arithmetic_pj", c.arithmeticPicojoules},
                            {"sram_pj", c.sramPicojoules()},
                            {"dram_pj", c.dramPicojoules()}};
}

llvm::json::Object burin::toJson(const ModelCost &cost, bool byOperator) {
  llvm::json::Object model = ::toJson(cost.total);
  model["peak_activation_bytes"] = cost.peakActivationBytes;
  model["unknown"] = cost.unknown;
  if (!byOperator)
    return model;
  llvm::json::Array operators;
  for (const OperatorCost &c : cost.operators) {
    llvm::json::Object o = ::toJson(c);
    o["name"] = c.name;
    o["op"] = c.kind;
    o["shape"] = c.shape;
    operators.push_back(std::move(o));
  }
  model["operators"] = std::move(operators);
  return model;
}
