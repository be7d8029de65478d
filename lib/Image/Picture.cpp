// Frames to floats, or to bytes where they pass through floats. See Builder.h.
#include "lib/Image/Builder.h"

using namespace Halide;
using namespace burin::image;

Builder::Builder(const burin_image_stage &stage, const burin_image_plane *given, int count, const std::string &name,
                 const Target &target)
    : s(stage), name(name), target(target) {
  for (int i = 0; i < count; ++i) {
    planes.emplace_back(UInt(8), 2, name + "_plane" + std::to_string(i));
    planes[i].dim(0).set_bounds(0, given[i].bytes).set_stride(1);
    planes[i].dim(1).set_bounds(0, given[i].rows).set_stride(given[i].stride);
  }
  for (int d = 0; d < 2; ++d) {
    begin[d] = s.is_region_given ? 0 : std::max(0, s.offset[d]);
    end[d] = s.is_region_given ? s.size[d] : std::min(s.size[d], s.offset[d] + s.resized[d]);
  }
  for (const char *part : {"_x", "_y", "_width", "_height"})
    if (s.is_region_given)
      region.emplace_back(name + part);
}

Expr Builder::finish(const std::vector<Expr> &values) {
  std::vector<Expr> done;
  for (int k = 0; k < s.channels; ++k) {
    Expr v = values[s.is_bgr ? s.channels - 1 - k : k];
    if (s.mean[k] != 0)
      v = v - float(s.mean[k]);
    if (s.scale[k] != 1)
      v = v / float(s.scale[k]);
    if (s.type == BURIN_IMAGE_U8)
      v = clamp(round(v), 0.f, 255.f);
    if (s.type == BURIN_IMAGE_I8)
      v = clamp(round(v), -128.f, 127.f);
    done.push_back(cast(type(), v));
  }
  return done.size() == 1 ? done[0] : mux(c, done);
}

// The samples of the frame's axis `a` for each output position along it that the picture fills.
Taps Builder::taps(int a) const {
  int o = along(a);
  Taps taps = makeTaps(s.kernel, s.axis[o], s.region[2 + a], begin[o] - s.offset[o], end[o] - begin[o]);
  if (s.is_mirrored[a]) {
    taps.step = 0;
    for (int &index : taps.index)
      index = s.region[2 + a] - 1 - index;
  }
  return taps;
}

// What the compiler knows of an axis, as constants: tables where each sample has its own taps. `isFast`: samples run
// along vectors.
Along Builder::fixed(const Taps &taps, bool isFast) {
  int extent = int(taps.index.size()) / taps.count;
  Buffer<int> index(isFast ? extent : taps.count, isFast ? taps.count : extent);
  Buffer<float> weight(isFast ? extent : taps.count, isFast ? taps.count : extent);
  for (int i = 0; i < extent; ++i)
    for (int k = 0; k < taps.count; ++k) {
      index(isFast ? i : k, isFast ? k : i) = taps.index[i * taps.count + k];
      weight(isFast ? i : k, isFast ? k : i) = taps.weight[i * taps.count + k];
    }
  Along along;
  along.count = taps.count <= (!isFast && s.format >= BURIN_RGGB ? mostOfMosaic : mostUnrolled) ? taps.count : 0;
  along.taps = taps.count;
  along.step = along.count ? taps.step : 0;
  along.start = taps.start;
  along.weights.assign(taps.weight.begin(), taps.weight.begin() + taps.count);
  along.index = [=](Expr i, Expr k) -> Expr { return isFast ? index(i, k) : index(k, i); };
  along.weight = [=](Expr i, Expr k) -> Expr { return isFast ? weight(i, k) : weight(k, i); };
  return along;
}

// The same of a region that the run says: half-pixel centres, in float64 as the compiler has them.
Along Builder::given(int a) {
  int o = along(a);
  auto real = [](Expr e) { return cast<double>(e); };
  Expr from = region[2 + a], resized = s.size[o], offset = 0;
  Along made;
  if (s.fit != BURIN_STRETCH) {
    Expr across = real(s.size[0]) / real(region[2 + along(0)]), down = real(s.size[1]) / real(region[2 + along(1)]);
    Expr factor = s.fit == BURIN_LETTERBOX ? min(across, down) : max(across, down);
    resized = max(1, cast<int>(floor(real(from) * factor + Expr(0.5))));
    offset = (s.size[o] - resized) / 2; // rounds down
    if (s.fit == BURIN_CROP)
      offset = -((resized - s.size[o]) / 2);
    made.inside = [=](Expr i) { return i >= offset && i < offset + resized; };
  }
  Expr step = real(from) / real(resized);
  auto begin = [=](Expr i, int reach) {
    return cast<int>(floor((real(i - offset) + Expr(0.5)) * step - Expr(0.5))) - (reach - 1);
  };
  auto place = [=, isMirrored = s.is_mirrored[a]](Expr at) {
    at = clamp(at, 0, from - 1);
    return isMirrored ? from - 1 - at : at;
  };
  auto distance = [=](Expr i, Expr at) { return abs(real(at) - ((real(i - offset) + Expr(0.5)) * step - Expr(0.5))); };
  if (s.kernel.resize == BURIN_AREA) {
    // As many taps as the region asks for; a region smaller than the output is interpolated.
    Expr isWide = step > Expr(1.0);
    made.taps = select(isWide, cast<int>(ceil(step)) + 1, 2);
    auto first = [=](Expr i) { return select(isWide, cast<int>(floor(real(i - offset) * step)), begin(i, 1)); };
    made.index = [=](Expr i, Expr k) { return place(first(i) + k); };
    made.weight = [=](Expr i, Expr k) {
      Expr at = first(i) + k, low = real(i - offset) * step;
      Expr covered = max(Expr(0.0), min(real(at + 1), low + step) - max(real(at), low)) / step;
      return cast<float>(select(isWide, covered, max(Expr(0.0), Expr(1.0) - distance(i, at))));
    };
    return made;
  }
  int reach = s.kernel.resize == BURIN_CUBIC ? 2 : 1;
  made.count = s.kernel.resize == BURIN_NEAREST ? 1 : 2 * reach;
  Var i("i"), k("k");
  Func index(name + "_index" + std::to_string(a)), weight(name + "_weight" + std::to_string(a));
  if (s.kernel.resize == BURIN_NEAREST) {
    index(i, k) = place(cast<int>(ceil((real(i - offset) + Expr(0.5)) * step - Expr(1.0))));
    weight(i, k) = 1.f;
  } else {
    index(i, k) = place(begin(i, reach) + k);
    Expr t = distance(i, begin(i, reach) + k), c = Expr(s.kernel.cubic);
    Expr near = ((c + Expr(2.0)) * t - (c + Expr(3.0))) * t * t + Expr(1.0),
         far = (((t - Expr(5.0)) * t + Expr(8.0)) * t - Expr(4.0)) * c;
    Expr w = reach == 1 ? max(Expr(0.0), Expr(1.0) - t) : select(t < Expr(1.0), near, t < Expr(2.0), far, Expr(0.0));
    weight(i, k) = cast<float>(w);
  }
  if (a == 1 && s.format >= BURIN_RGGB && made.count > mostOfMosaic)
    made.taps = made.count, made.count = 0;
  for (Func *table : {&index, &weight}) {
    table->compute_root()
        .store_in(MemoryType::Register)
        .bound(i, 0, s.size[o])
        .bound(k, 0, s.kernel.resize == BURIN_NEAREST ? 1 : 2 * reach);
    tables.push_back(*table);
  }
  made.index = [=](Expr at, Expr tap) -> Expr { return index(at, tap); };
  made.weight = [=](Expr at, Expr tap) -> Expr { return weight(at, tap); };
  return made;
}

// The output as the caller has it, or the part that the picture fills, whose dims are the frame's.
void Builder::shape(OutputImageParam buffer, bool isPart) {
  int width = s.size[0], height = s.size[1];
  const int strides[2] = {s.is_planar ? 1 : s.channels, s.is_planar ? width : width * s.channels};
  for (int d = 0; d < 2; ++d) {
    int o = isPart ? along(d) : d;
    buffer.dim(d).set_bounds(0, isPart ? end[o] - begin[o] : s.size[o]).set_stride(strides[o]);
  }
  buffer.dim(2).set_bounds(0, s.channels).set_stride(s.is_planar ? width * height : 1);
}

std::vector<Argument> Builder::arguments() const {
  std::vector<Argument> all(planes.begin(), planes.end());
  all.insert(all.end(), region.begin(), region.end());
  return all;
}

Module Builder::picture() {
  int width = end[along(0)] - begin[along(0)];
  Along across, down;
  if (s.is_region_given) {
    across = given(0), down = given(1);
  } else {
    Taps columns = taps(0), rows = taps(1);
    if (staysBytes(columns, rows))
      return bytesPicture(columns, rows);
    across = fixed(columns, true), down = fixed(rows, false);
  }
  Expr top = s.region[1], left = s.region[0], reach = s.region[2];
  Expr shift = 0; // of the region's first column in the staged row
  // So many columns fill vectors; where each run says the region, the staged row holds as many at least.
  int block = 4 * lanes();
  if (s.is_region_given) {
    int pair = isPaired() ? 2 : 1;
    top = region[1];
    reach = (region[0] % pair + region[2] + (pair - 1)) / pair * pair;
    reach = min(max(reach, std::min(s.width, block)), s.width); // the outer bound is for the size of what holds it
    left = min(region[0] / pair, (s.width - reach) / pair) * pair;
    shift = region[0] - left;
  }
  Func row(name + "_row"), column(name + "_column"), out(name + "_out");
  bool isEven = across.step > 1 && down.count > 0;
  // A pixel of the frame's column `px`, of the k-th row of those that make row y.
  auto sampled = [&](Expr px, Expr k) {
    std::vector<Expr> values = decode(px, unsafe_promise_clamped(down.index(y, k) + top, 0, s.height - 1));
    if (down.count != 1)
      for (Expr &v : values)
        v = v * down.weight(y, k);
    return values;
  };
  auto vertical = [&](Expr px) {
    std::vector<Expr> sums = sampled(px, 0);
    for (int k = 1; k < down.count; ++k) {
      std::vector<Expr> more = sampled(px, k);
      for (size_t i = 0; i < sums.size(); ++i)
        sums[i] = sums[i] + more[i];
    }
    return sums;
  };
  auto channel = [&](const std::vector<Expr> &values) { return values.size() == 1 ? values[0] : mux(c, values); };
  if (!isEven && down.count) {
    row(x, c, y) = channel(vertical(x + left));
  } else if (!isEven) {
    RDom k(0, down.taps);
    row(x, c, y) = 0.f;
    row(x, c, y) += channel(sampled(x + left, k));
  }
  auto staged = [&](Expr i, Expr at, Expr k) {
    return row(unsafe_promise_clamped(across.index(at, k) + shift, 0, reach - 1), i, y);
  };
  std::vector<Expr> sums(s.channels);
  for (int k = 0; k < across.count; ++k) {
    std::vector<Expr> values(s.channels);
    if (isEven)
      values = vertical(x * across.step + (across.start + k + left));
    for (int i = 0; i < s.channels; ++i) {
      Expr v = isEven ? values[i] : staged(i, x, k);
      if (across.count > 1)
        v = v * (isEven ? Expr(across.weights[k]) : across.weight(x, k));
      sums[i] = k ? sums[i] + v : v;
    }
  }
  if (!across.count) {
    RDom k(0, across.taps);
    column(x, c, y) = 0.f;
    column(x, c, y) += staged(c, x, k) * across.weight(x, k);
    for (int i = 0; i < s.channels; ++i)
      sums[i] = column(x, i, y);
  }
  if (across.inside)
    for (Expr &sum : sums)
      sum = select(across.inside(x) && down.inside(y), sum, float(s.pad));
  out(x, y, c) = finish(sums);

  out.output_buffer().set_host_alignment(1);
  shape(out.output_buffer(), true);
  auto tail = [](int extent, int factor) {
    return extent >= factor ? TailStrategy::ShiftInwards : TailStrategy::GuardWithIf;
  };
  out.bound(c, 0, s.channels).reorder(c, x, y).unroll(c).vectorize(x, lanes(), tail(width, lanes()));
  if (!across.count) {
    // The sums of a row; their loop over taps stays outside, so that its weights are made once for all channels.
    column.compute_at(out, y).store_in(MemoryType::Register).bound(c, 0, s.channels).bound(x, 0, width);
    column.reorder(c, x, y).unroll(c).vectorize(x, lanes(), TailStrategy::GuardWithIf);
    column.update().reorder(c, x, column.rvars(0)[0], y).unroll(c).vectorize(x, lanes(), TailStrategy::GuardWithIf);
  }
  if (!isEven) {
    int least = s.is_region_given ? std::min(s.width, block) : s.region[2]; // columns of the staged row
    bool isPair = isPaired() && least >= 2 * lanes(); // unrolled, so that the loads of what they share stay dense
    int most = s.is_region_given ? s.width : s.region[2];
    row.compute_at(out, y).store_in(MemoryType::Register).bound_storage(x, (most + 63) / 64 * 64);
    row.bound(c, 0, s.channels).bound(x, 0, reach);
    int groups = isPair ? (least + 1) / 2 : least;
    auto schedule = [&](auto &&stage) {
      Var inner("inner");
      stage.reorder(c, x).unroll(c);
      if (isPair)
        stage.split(x, x, inner, 2, TailStrategy::ShiftInwards).unroll(inner).reorder(inner, c, x);
      stage.vectorize(x, lanes(), tail(groups, lanes()));
    };
    schedule(row);
    if (!down.count) {
      // An update may not write twice what it adds to.
      Stage sum = row.update();
      Var inner("inner");
      sum.reorder(c, x, row.rvars(0)[0], y).unroll(c);
      if (isPair)
        sum.split(x, x, inner, 2, TailStrategy::GuardWithIf).unroll(inner).reorder(inner, c, x);
      sum.vectorize(x, lanes(), TailStrategy::GuardWithIf);
    }
  }
  return compile(out, arguments(), "_picture");
}

Module Builder::bars() {
  Func out(name + "_bars");
  std::vector<Expr> pads(s.channels, Expr(float(s.pad)));
  Expr pad = finish(pads);
  out(x, y, c) = undef(type());
  const int rectangles[4][4] = {{0, 0, s.size[0], begin[1]},
                                {0, end[1], s.size[0], s.size[1] - end[1]},
                                {0, begin[1], begin[0], end[1] - begin[1]},
                                {end[0], begin[1], s.size[0] - end[0], end[1] - begin[1]}};
  for (auto &r : rectangles) {
    if (r[2] <= 0 || r[3] <= 0)
      continue;
    RDom inside(r[0], r[2], r[1], r[3]);
    out(inside.x, inside.y, c) = pad;
    int stage = out.num_update_definitions() - 1;
    Stage update = out.update(stage);
    update.unroll(c);
    s.is_planar ? update.reorder(inside.x, inside.y, c) : update.reorder(c, inside.x, inside.y);
    if (r[2] >= lanes())
      update.vectorize(inside.x, lanes(), TailStrategy::GuardWithIf);
  }
  out.bound(c, 0, s.channels);
  shape(out.output_buffer(), false);
  return compile(out, {}, "_bars");
}
