// Pixels of a frame as numbers: every format a camera gives. See Builder.h.
#include "lib/Image/Builder.h"

using namespace Halide;
using namespace burin::image;

// ITU-R BT.601 or BT.709.
std::vector<Expr> Builder::fromLuma(Expr luma, Expr u, Expr v) {
  double kr = s.is_709 ? 0.2126 : 0.299, kb = s.is_709 ? 0.0722 : 0.114, kg = 1 - kr - kb;
  double high = s.is_full_range ? 1 : 255.0 / 219, wide = s.is_full_range ? 1 : 255.0 / 224,
         low = s.is_full_range ? 0 : 16;
  Expr l = (cast<float>(luma) - float(low)) * float(high);
  if (s.channels == 1)
    return {clamp(l, 0.f, 255.f)};
  Expr cb = cast<float>(u) - 128.f, cr = cast<float>(v) - 128.f;
  Expr r = l + cr * float(2 * (1 - kr) * wide), b = l + cb * float(2 * (1 - kb) * wide);
  Expr g = l - (cr * float(2 * (1 - kr) * kr / kg * wide) + cb * float(2 * (1 - kb) * kb / kg * wide));
  return {clamp(r, 0.f, 255.f), clamp(g, 0.f, 255.f), clamp(b, 0.f, 255.f)};
}

// Grey of colours where the network takes that.
std::vector<Expr> Builder::grey(const std::vector<Expr> &all) const {
  if (s.channels == 1)
    return {all[0] * 0.299f + all[1] * 0.587f + all[2] * 0.114f};
  return all;
}

// Colours lie in squares of two: red and blue across from each other, green at the other two.
std::vector<Expr> Builder::fromMosaic(Expr px, Expr py) {
  bool isRight = s.format == BURIN_GRBG || s.format == BURIN_BGGR, // red within the square
      isBelow = s.format == BURIN_GBRG || s.format == BURIN_BGGR;
  // The boundaries' own loops keep the loads of the rest dense.
  Expr left = select(likely(px >= 1), px - 1, 1), right = select(likely(px < s.width - 1), px + 1, s.width - 2);
  Expr above = select(py >= 1, py - 1, 1), below = select(py < s.height - 1, py + 1, s.height - 2);
  auto at = [&](Expr column, Expr row) {
    row = unsafe_promise_clamped(row, 0, s.height - 1);
    return cast<int16_t>(planes[0](unsafe_promise_clamped(column, 0, s.width - 1), row));
  };
  Expr own = at(px, py) * cast<int16_t>(4), beside = (at(left, py) + at(right, py)) * cast<int16_t>(2),
       over = (at(px, above) + at(px, below)) * cast<int16_t>(2),
       corners = at(left, above) + at(right, above) + at(left, below) + at(right, below);
  Expr redColumn = px % 2 == int(isRight), redRow = py % 2 == int(isBelow);
  Expr red = select(redRow, select(redColumn, own, beside), select(redColumn, over, corners));
  Expr blue = select(redRow, select(redColumn, corners, over), select(redColumn, beside, own));
  Expr green = select(redRow == redColumn, (beside + over) / cast<int16_t>(2), own);
  auto real = [](Expr quarters) { return cast<float>(quarters) * 0.25f; };
  return grey({real(red), real(green), real(blue)});
}

// Red, green and blue, or grey, of a pixel of the frame.
std::vector<Expr> Builder::decode(Expr px, Expr py) {
  auto at = [&](int plane, Expr column, Expr row) { return planes[plane](column, row); };
  if (s.format == BURIN_NV12)
    return fromLuma(at(0, px, py), at(1, px / 2 * 2, py / 2), at(1, px / 2 * 2 + 1, py / 2));
  if (s.format == BURIN_I420)
    return fromLuma(at(0, px, py), at(1, px / 2, py / 2), at(2, px / 2, py / 2));
  if (s.format == BURIN_YUYV)
    return fromLuma(at(0, 2 * px, py), at(0, px / 2 * 4 + 1, py), at(0, px / 2 * 4 + 3, py));
  if (s.format >= BURIN_RGGB)
    return fromMosaic(px, py);
  if (s.format == BURIN_GRAY) {
    Expr grey = cast<float>(at(0, px, py));
    return std::vector<Expr>(s.channels, grey);
  }
  int step = s.format == BURIN_RGBA ? 4 : 3;
  std::vector<Expr> all;
  for (int k = 0; k < 3; ++k)
    all.push_back(cast<float>(at(0, step * px + (s.format == BURIN_BGR ? 2 - k : k), py)));
  return grey(all);
}
