// Sets of bytes as intervals that neither touch nor overlap.
#ifndef BURIN_PASSES_CUDA_INTERVALS_H
#define BURIN_PASSES_CUDA_INTERVALS_H

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

namespace burin::cuda {

class Intervals {
public:
  using Interval = std::pair<int64_t, int64_t>; // [first, second)

  /// Removes [begin, end) and returns what of it was there.
  std::vector<Interval> take(int64_t begin, int64_t end) {
    std::vector<Interval> taken;
    auto at = parts.upper_bound(begin);
    if (at != parts.begin())
      --at;
    while (at != parts.end() && at->first < end) {
      auto [first, second] = *at;
      if (second <= begin) {
        ++at;
        continue;
      }
      at = parts.erase(at);
      if (first < begin)
        parts.emplace(first, begin);
      if (second > end)
        at = parts.emplace(end, second).first;
      taken.push_back({std::max(first, begin), std::min(second, end)});
    }
    return taken;
  }

  void add(int64_t begin, int64_t end) {
    if (begin >= end)
      return;
    take(begin, end);
    auto next = parts.lower_bound(begin);
    if (next != parts.begin() && std::prev(next)->second == begin) {
      --next;
      begin = next->first;
      next = parts.erase(next);
    }
    if (next != parts.end() && next->first == end) {
      end = next->second;
      parts.erase(next);
    }
    parts.emplace(begin, end);
  }

private:
  std::map<int64_t, int64_t> parts;
};

} // namespace burin::cuda

#endif
