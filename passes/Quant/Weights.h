// Numbers of quantization: from a range to scale and zero point, from float weights to integers. Private to the room.
#ifndef BURIN_PASSES_QUANT_WEIGHTS_H
#define BURIN_PASSES_QUANT_WEIGHTS_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Operation.h"
#include "passes/Quant/Passes.h"
#include <optional>

namespace burin::quant {

/// u8, s8, u16, s16, u4, s4.
struct Integers {
  bool isSigned;
  unsigned bits;
  int64_t low() const { return isSigned ? -(int64_t(1) << (bits - 1)) : 0; }
  int64_t high() const { return low() + (int64_t(1) << bits) - 1; }
  mlir::Type type(mlir::MLIRContext *context) const;
};
std::optional<Integers> parseIntegers(llvm::StringRef text);

struct Scale {
  float scale;
  int64_t zero;
};
/// real = (integer - zero) * scale. The range is widened to hold 0, which ONNX's padding and Relu need exact; a range
/// of nothing but 0 gets scale 1.
Scale chooseScale(Range range, Integers integers, bool symmetric, bool powerOfTwo);

struct WeightOptions {
  Integers integers;
  bool perChannel, powerOfTwo, reduceRange;
};

/// A weight's place in its operator: dims and the axis of the output channels.
struct WeightShape {
  int64_t outer, channels, inner; // element (o, c, i) lies at (o * channels + c) * inner + i
  int64_t axis;
  int64_t channelOf(int64_t element) const { return element / inner % channels; }
};
/// Of operand 1 of a product; one channel where `perChannel` is off or ONNX has no scale a channel (ConvTranspose with
/// groups).
WeightShape weightShape(mlir::Operation *product, bool perChannel);

/// The largest integer a weight takes: 127 of 8 bits, so that the type is used symmetrically; 63 with `reduceRange`.
int64_t weightLimit(const WeightOptions &options);

/// Scales of a weight's channels. `leastScale`: one a channel that it must not go below (a bias has to fit i32).
llvm::SmallVector<float> chooseWeightScales(llvm::ArrayRef<float> weight, const WeightShape &shape,
                                            const WeightOptions &options, llvm::ArrayRef<float> leastScale);

/// The integers as bytes in ONNX's layout, 8 bits each.
std::vector<char> quantizeWeight(llvm::ArrayRef<float> weight, const WeightShape &shape, llvm::ArrayRef<float> scales,
                                 const WeightOptions &options);

} // namespace burin::quant

#endif
