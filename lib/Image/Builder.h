// Private to libBurinImage.so: image stages as Halide pipelines. Every target gives the same bits: all is computed
// in f32 with strict_float, or in integers. Three schedules:
//   bytes     bytes to bytes, interleaved: 16-bit fixed point all the way, a pixel's taps loaded at once (Bytes.cpp)
//   even      the width shrinks by a whole number: only the samples that count are decoded, from dense loads
//   staged    rows are decoded and combined vertically into one row on the stack, of which wide gathers take the taps
#ifndef BURIN_LIB_IMAGE_BUILDER_H
#define BURIN_LIB_IMAGE_BUILDER_H

#include "lib/Image/Stage.h"
#include "lib/Image/Taps.h"

#include <Halide.h>

#include <functional>

namespace burin::image {

/// Taps that are unrolled; more of them are summed by a loop, for the size of the code. A pixel of a mosaic is much
/// code.
constexpr int mostUnrolled = 16, mostOfMosaic = 2;

/// One axis of the frame, as the resized picture takes its samples: their places in the region, and their weights.
struct Along {
  int count = 0;     // of a sample's taps, unrolled; 0: a loop over `taps`
  Halide::Expr taps; // of that loop
  int step = 0;      // as Taps has it
  int start = 0;
  std::vector<float> weights; // of the first sample, where `step` says that all have the same
  std::function<Halide::Expr(Halide::Expr i, Halide::Expr k)> index, weight;
  std::function<Halide::Expr(Halide::Expr i)> inside; // of the picture; null where all of the output is
};

class Builder {
public:
  Builder(const burin_image_stage &stage, const burin_image_plane *given, int count, const std::string &name,
          const Halide::Target &target);

  Halide::Module picture();
  Halide::Module bars();
  bool hasBars() const { return end[0] - begin[0] < s.size[0] || end[1] - begin[1] < s.size[1]; }

private:
  bool staysBytes(const Taps &across, const Taps &down) const;
  Halide::Module bytesPicture(const Taps &across, const Taps &down);
  Along fixed(const Taps &taps, bool isFast);
  Along given(int a);
  std::vector<Halide::Argument> arguments() const;
  std::vector<Halide::Expr> decode(Halide::Expr px, Halide::Expr py);
  std::vector<Halide::Expr> fromLuma(Halide::Expr y, Halide::Expr u, Halide::Expr v);
  std::vector<Halide::Expr> grey(const std::vector<Halide::Expr> &all) const;
  std::vector<Halide::Expr> fromMosaic(Halide::Expr px, Halide::Expr py);
  Halide::Expr finish(const std::vector<Halide::Expr> &values);
  void shape(Halide::OutputImageParam buffer, bool isPart);
  Halide::Module compile(Halide::Func f, const std::vector<Halide::Argument> &arguments, const std::string &suffix) {
    return Halide::Pipeline(f).compile_to_module(arguments, name + suffix, target, Halide::LinkageType::External);
  }
  Halide::Type type() const {
    return s.type == BURIN_IMAGE_F32   ? Halide::Float(32)
           : s.type == BURIN_IMAGE_F16 ? Halide::Float(16)
           : s.type == BURIN_IMAGE_U8  ? Halide::UInt(8)
                                       : Halide::Int(8);
  }
  // Whether two neighbours of a row are made of the same bytes, or of bytes at places of a pattern of two.
  bool isPaired() const {
    return s.format == BURIN_NV12 || s.format == BURIN_I420 || s.format == BURIN_YUYV || s.format >= BURIN_RGGB;
  }
  // The axis of the output along which the frame's axis `a` lies.
  int along(int a) const { return s.is_turned ? 1 - a : a; }
  Taps taps(int a) const;
  int lanes() const { return target.natural_vector_size<float>(); }

  const burin_image_stage &s;
  std::string name;
  Halide::Target target;
  std::vector<Halide::ImageParam> planes;
  std::vector<Halide::Param<int>> region; // x, y, width and height, where each run says them
  std::vector<Halide::Func> tables;       // made first, at run time
  int begin[2], end[2];                   // of the picture within the output
  Halide::Var x{"x"}, y{"y"}, c{"c"};
};

/// The other end: NAME_picture of a network's floats (Outputs.cpp).
Halide::Module buildOutput(const burin_image_output &output, const std::string &name, const Halide::Target &target);

} // namespace burin::image

#endif
