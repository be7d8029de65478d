// What is measured of one tensor over all samples, and the range that a method reads off it.
#ifndef BURIN_LIB_CALIBRATE_STATISTICS_H
#define BURIN_LIB_CALIBRATE_STATISTICS_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <cstdint>
#include <utility>
#include <vector>

namespace burin {

struct RangeMethod {
  llvm::StringRef name;      // minmax, percentile, mse, entropy, average
  double percentile = 99.99; // of all values, half of the rest on each side
  int64_t levels = 256;      // integers there are
  bool symmetric = false;    // ranges as wide below 0 as above
};

class Statistics {
public:
  /// The first look: least and largest value, and their moving average over samples (momentum 0.9).
  void measure(llvm::ArrayRef<float> values);
  /// The second look, after all of the first: how often which values occur.
  void count(llvm::ArrayRef<float> values);
  static bool needsCounts(llvm::StringRef method) {
    return method == "percentile" || method == "mse" || method == "entropy";
  }

  bool isFinite() const { return finite; }
  bool isEmpty() const { return low > high; }
  float least() const { return low; }
  float largest() const { return high; }
  std::pair<float, float> range(const RangeMethod &method) const;

private:
  std::pair<float, float> percentileRange(double percentile) const;
  std::pair<float, float> leastError(const RangeMethod &method) const;
  std::pair<float, float> leastDivergence(const RangeMethod &method) const;
  double middle(size_t bin) const { return low + (bin + 0.5) * (double(high) - low) / bins.size(); }

  float low = 1, high = -1, averageLow = 0, averageHigh = 0;
  bool finite = true;
  std::vector<double> bins; // between low and high
  double zeros = 0;         // values that are 0 and so exact in every range; not in the bins
};

} // namespace burin

#endif
