// The quantizer: a float model, data to calibrate with, and what burin-quantize's flags say -> a quantized ONNX model.
// It sees the model through Runner, hands what it measured to the passes of passes/Quant as attributes, and writes.
#ifndef BURIN_LIB_CALIBRATE_QUANTIZE_H
#define BURIN_LIB_CALIBRATE_QUANTIZE_H

#include "lib/Calibrate/Options.h"
#include "llvm/Support/JSON.h"
#include <functional>

namespace burin {

struct QuantizeHooks {
  /// What is being done, and how far it is.
  std::function<void(llvm::StringRef what, size_t done, size_t total)> progress = [](llvm::StringRef, size_t, size_t) {
  };
};

/// False after an error. Errors and warnings go to `messages`, a line each; `report` gets layers, outputs with their
/// signal-to-noise ratio on the calibration data, and `summary`, text for people.
bool quantize(const QuantizeOptions &options, const QuantizeHooks &hooks, llvm::raw_ostream &messages,
              llvm::json::Object &report);

} // namespace burin

#endif
