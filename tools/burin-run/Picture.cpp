// See Picture.h.
#include "tools/burin-run/Picture.h"
#include "lib/Target/Files.h"
#include "runtime/hosted/explain.h"
#include "runtime/hosted/image.h"
#include "runtime/hosted/npz.h"

#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/MemoryBuffer.h"
#include <cmath>
#include <png.h>

using namespace llvm;
using namespace burin;

static Error refuse(const Twine &text) { return createStringError(inconvertibleErrorCode(), text); }

Expected<Picture> Picture::read(StringRef path) {
  auto file = MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!file)
    return refuse(path + ": cannot read: " + StringRef(file.getError().message()).lower());
  burin_image image = {};
  if (!burin_image_decode(reinterpret_cast<const uint8_t *>((*file)->getBufferStart()), (*file)->getBufferSize(), 0,
                          &image))
    return refuse(path + ": expected a picture (JPEG, PNG, WebP, JPEG 2000, BMP, PNM or TIFF), got another file or a "
                         "broken one");
  Picture picture{image.width, image.height, {}};
  picture.pixels.assign(image.pixels, image.pixels + image.width * image.height * 3);
  std::free(image.pixels);
  return picture;
}

Error Picture::write(StringRef path) const {
  auto file = OutputFile::create(path);
  if (!file)
    return file.takeError();
  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  image.width = width;
  image.height = height;
  image.format = PNG_FORMAT_RGB;
  if (!png_image_write_to_file(&image, file->temporaryPath().c_str(), 0, pixels.data(), 0, nullptr))
    return refuse(path + ": cannot write: " + StringRef(image.message));
  return file->commit(false);
}

Error burin::feedPicture(const Picture &picture, StringRef name, const burin_model &model, StringRef npz) {
  auto takes = [&](const burin_tensor_info &info) {
    ArrayRef<int64_t> dims(info.dims, info.rank);
    if (dims.size() == 4 && dims.front() == 1)
      dims = dims.drop_front();
    return info.dtype == BURIN_UINT8 && dims.size() == 3 && dims[2] == 3;
  };
  const burin_tensor_info *found = nullptr;
  for (const burin_tensor_info &info : ArrayRef(model.inputs, model.num_inputs)) {
    if (name.empty() ? !takes(info) : name != info.name)
      continue;
    if (found)
      return refuse("--image: several inputs take pictures; name one with --image NAME=FILE");
    found = &info;
  }
  if (!found || !takes(*found))
    return refuse(Twine("--image: ") + (found ? "input '" + name + "'" : Twine("no input")) +
                  " takes a picture of bytes (uint8, height x width x 3); compile with --image-input NAME=RGB:" +
                  Twine(picture.width) + "x" + Twine(picture.height));
  burin_array array = {};
  array.name = const_cast<char *>(found->name);
  array.tensor.data = const_cast<uint8_t *>(picture.pixels.data());
  array.tensor.dtype = BURIN_UINT8;
  array.tensor.rank = found->rank;
  int64_t *dims = array.tensor.dims;
  if (found->rank == 4)
    *dims++ = 1;
  dims[0] = picture.height, dims[1] = picture.width, dims[2] = 3;
  burin_error error;
  return burin_npz_write(npz.str().c_str(), &array, 1, &error) ? refuse(error.text) : Error::success();
}

namespace {
// The values of an array as numbers; nothing for other types than floats and bytes.
std::vector<double> numbersOf(const burin_tensor &t) {
  std::vector<double> values;
  uint64_t count = burin_bytes_of(t.dtype, t.rank, t.dims) / std::max<size_t>(burin_dtype_size(t.dtype), 1);
  if (t.dtype == BURIN_FLOAT)
    values.assign(static_cast<const float *>(t.data), static_cast<const float *>(t.data) + count);
  if (t.dtype == BURIN_UINT8)
    values.assign(static_cast<const uint8_t *>(t.data), static_cast<const uint8_t *>(t.data) + count);
  return values;
}

// Whether an array may be a picture, and how its dims lie: rows, columns and channels, channels first or last.
bool isPicture(const burin_tensor &t, int64_t &height, int64_t &width, int64_t &channels, bool &isPlanar) {
  ArrayRef<int64_t> dims(t.dims, t.rank);
  while (dims.size() > 2 && dims.front() == 1 && (dims.size() > 3 || dims.back() > 3))
    dims = dims.drop_front();
  constexpr int64_t least = 8; // below this, numbers rather than a picture
  auto isCount = [](int64_t n) { return n == 1 || n == 3; };
  isPlanar = dims.size() == 2 || (dims.size() == 3 && isCount(dims[0]));
  if (dims.size() == 2)
    channels = 1, height = dims[0], width = dims[1];
  else if (dims.size() == 3 && isPlanar)
    channels = dims[0], height = dims[1], width = dims[2];
  else if (dims.size() == 3 && isCount(dims[2]))
    channels = dims[2], height = dims[0], width = dims[1];
  else
    return false;
  return (t.dtype == BURIN_FLOAT || t.dtype == BURIN_UINT8) && height >= least && width >= least;
}

void frame(Picture &picture, std::array<double, 4> box) {
  constexpr uint8_t color[] = {0, 220, 60};
  constexpr int64_t thick = 2;
  int64_t last[] = {picture.width - 1, picture.height - 1}, corner[4];
  for (int k = 0; k < 4; ++k)
    corner[k] = std::isfinite(box[k]) ? int64_t(std::clamp<double>(std::round(box[k]), 0, last[k % 2])) : 0;
  for (int64_t y = corner[1]; y <= corner[3]; ++y)
    for (int64_t x = corner[0]; x <= corner[2]; ++x)
      if (x < corner[0] + thick || x > corner[2] - thick || y < corner[1] + thick || y > corner[3] - thick)
        std::copy_n(color, 3, picture.pixels.data() + (y * picture.width + x) * 3);
}
} // namespace

Expected<Picture> burin::drawOutputs(const Picture &picture, StringRef npz) {
  burin_arrays arrays = {};
  auto release = make_scope_exit([&] { burin_arrays_free(&arrays); });
  burin_error error;
  if (burin_npz_read(npz.str().c_str(), &arrays, &error))
    return refuse(error.text);
  for (const burin_array &array : ArrayRef(arrays.items, arrays.count)) {
    Picture drawn;
    int64_t channels;
    bool isPlanar;
    if (!isPicture(array.tensor, drawn.height, drawn.width, channels, isPlanar))
      continue;
    std::vector<double> values = numbersOf(array.tensor);
    double largest = *std::max_element(values.begin(), values.end());
    double scale = array.tensor.dtype == BURIN_FLOAT && largest <= 2 ? 255 : 1;
    int64_t pixels = drawn.height * drawn.width;
    drawn.pixels.resize(pixels * 3);
    for (int64_t p = 0; p < pixels; ++p)
      for (int64_t c = 0; c < 3; ++c) {
        int64_t from = channels == 1 ? 0 : c;
        double value = values[isPlanar ? from * pixels + p : p * channels + from] * scale;
        drawn.pixels[p * 3 + c] = value > 0 ? uint8_t(std::min(255.0, std::round(value))) : 0;
      }
    return drawn;
  }
  for (const burin_array &array : ArrayRef(arrays.items, arrays.count)) {
    const burin_tensor &t = array.tensor;
    if (t.dtype != BURIN_FLOAT || t.rank != 2 || t.dims[1] != 4)
      continue;
    Picture drawn = picture;
    std::vector<double> values = numbersOf(t);
    bool areShares = llvm::all_of(values, [](double v) { return v <= 2; });
    double by[] = {areShares ? double(picture.width) : 1, areShares ? double(picture.height) : 1};
    for (int64_t i = 0; i < t.dims[0]; ++i)
      frame(drawn,
            {values[4 * i] * by[0], values[4 * i + 1] * by[1], values[4 * i + 2] * by[0], values[4 * i + 3] * by[1]});
    return drawn;
  }
  return refuse(
      "--draw: expected an output that is a picture (1 or 3 channels) or boxes (float32 [n, 4]), got neither; "
      "--append=nms,boxes=A,scores=B makes boxes of a detector's outputs");
}
