// Reading and checking calibration data. Whatever is wrong with a file is one error that names it and what was
// expected.
#include "lib/Calibrate/Batches.h"
#include "dialects/Onnx/DataType.h"
#include "dialects/Onnx/Onnx.h"
#include "lib/Pipeline/Pipeline.h"
#include "mlir/Pass/PassManager.h"
#include "runtime/hosted/image.h"
#include "runtime/hosted/npz.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include <cmath>

using namespace mlir;
using namespace burin;
using llvm::createStringError;
using llvm::Twine;

namespace {
std::string typeText(const burin_tensor &tensor) {
  char text[256];
  return burin_type_text(text, sizeof text, tensor.dtype, tensor.rank, tensor.dims, nullptr);
}

bool isPicture(StringRef path) {
  static const StringRef endings[] = {".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".pgm", ".pnm", ".tif", ".tiff"};
  return llvm::is_contained(endings, llvm::sys::path::extension(path).lower());
}
} // namespace

// One picture through --mean, --scale, --fit and the like: a model of nothing but that, for each size of pictures.
struct Batches::Pictures {
  ModelEdits edits;
  size_t input = 0; // which of the model's
  RankedTensorType type;
  std::unique_ptr<MLIRContext> context = makeContext();
  std::map<std::pair<int64_t, int64_t>, std::unique_ptr<Runner>> runners; // by height and width

  llvm::Expected<ArrayRef<burin_tensor>> read(const std::string &path);
};

Batches::Batches() = default;
Batches::~Batches() = default;

llvm::Expected<std::unique_ptr<Batches>> Batches::create(ArrayRef<std::string> places, func::FuncOp main,
                                                         const ModelEdits &preprocessing) {
  std::unique_ptr<Batches> batches(new Batches);
  for (unsigned i = 0; i < main.getNumArguments(); ++i) {
    auto name = main.getArgAttrOfType<StringAttr>(i, "onnx.name");
    batches->names.push_back(name ? name.getValue().str() : "");
    auto type = dyn_cast<RankedTensorType>(main.getArgument(i).getType());
    if (!type || type.getRank() > BURIN_MAX_RANK)
      return createStringError("input '" + batches->names.back() +
                               "' is no tensor of known rank; calibration takes models of such tensors");
    burin_tensor tensor{};
    tensor.dtype = onnx::getDataType(type.getElementType());
    tensor.rank = type.getRank();
    for (auto [d, dim] : llvm::enumerate(type.getShape()))
      tensor.dims[d] = ShapedType::isDynamic(dim) ? -1 : dim;
    batches->inputs.push_back(tensor);
  }
  bool hasPictures = false;
  for (const std::string &place : places) {
    if (!llvm::sys::fs::exists(place))
      return createStringError(place + ": no such file");
    if (!llvm::sys::fs::is_directory(place)) {
      batches->files.push_back(place);
      hasPictures |= isPicture(place);
      continue;
    }
    std::vector<std::string> found;
    std::error_code error;
    for (llvm::sys::fs::directory_iterator it(place, error), end; it != end && !error; it.increment(error))
      if (isPicture(it->path()) || llvm::sys::path::extension(it->path()) == ".npz")
        found.push_back(it->path());
    if (found.empty())
      return createStringError(place + ": expected a folder with pictures (JPEG, PNG, BMP, PNM, TIFF) or .npz files, "
                                       "got one without");
    llvm::sort(found);
    hasPictures |= llvm::any_of(found, isPicture);
    batches->files.insert(batches->files.end(), found.begin(), found.end());
  }
  if (!hasPictures)
    return batches;
  batches->pictures = std::make_unique<Pictures>();
  Pictures &pictures = *batches->pictures;
  pictures.edits = preprocessing;
  pictures.edits.inputType = "u8";
  pictures.edits.layout = "NHWC";
  for (auto [i, name] : llvm::enumerate(batches->names))
    if (name == preprocessing.preprocessInput)
      pictures.input = i;
  if (batches->inputs.size() != 1 && preprocessing.preprocessInput.empty())
    return createStringError("expected a model of one input for pictures, got " + Twine(batches->inputs.size()) +
                             "; give .npz files");
  pictures.type = dyn_cast<RankedTensorType>(main.getArgument(pictures.input).getType());
  ArrayRef<int64_t> shape = pictures.type.getShape();
  if (shape.size() != 4 || !pictures.type.getElementType().isF32() || (shape[1] != 3 && shape[1] != 1) ||
      ShapedType::isDynamic(shape[2]) || ShapedType::isDynamic(shape[3]))
    return createStringError("expected an image input of float32[1,3,H,W] of known size for pictures, got " +
                             typeText(batches->inputs[pictures.input]) + "; --shape may bind it");
  return batches;
}

llvm::Expected<ArrayRef<burin_tensor>> Batches::Pictures::read(const std::string &path) {
  auto file = llvm::MemoryBuffer::getFile(path, false, false);
  burin_image image{};
  if (!file || !burin_image_decode(reinterpret_cast<const uint8_t *>((*file)->getBufferStart()),
                                   (*file)->getBufferSize(), 0, &image))
    return createStringError(path +
                             ": expected a picture (JPEG, PNG, BMP, PNM, TIFF), got a file that is none or broken");
  std::unique_ptr<uint8_t, decltype(&std::free)> owner(image.pixels, &std::free);
  int64_t channels = type.getDimSize(1);
  // A network of one channel sees how bright a pixel is.
  if (channels == 1)
    for (int64_t i = 0; i < image.height * image.width; ++i) {
      const uint8_t *p = image.pixels + 3 * i;
      image.pixels[i] = uint8_t((299 * p[0] + 587 * p[1] + 114 * p[2] + 500) / 1000);
    }
  std::unique_ptr<Runner> &runner = runners[{image.height, image.width}];
  if (!runner) {
    OpBuilder b(context.get());
    Location loc = FileLineColLoc::get(context.get(), path, 0, 0);
    OwningOpRef<ModuleOp> module(ModuleOp::create(loc));
    b.setInsertionPointToStart(module->getBody());
    auto tensor = RankedTensorType::get({1, channels, type.getDimSize(2), type.getDimSize(3)}, b.getF32Type());
    context->loadDialect<func::FuncDialect, onnx::OnnxDialect>();
    auto main = func::FuncOp::create(b, loc, "main", b.getFunctionType({tensor}, {tensor}));
    main.setArgAttr(0, "onnx.name", b.getStringAttr("image"));
    main.setResultAttr(0, "onnx.name", b.getStringAttr("network"));
    Block *block = main.addEntryBlock();
    b.setInsertionPointToStart(block);
    Value same = onnx::IdentityOp::create(b, loc, TypeRange(tensor), ValueRange(block->getArgument(0)))->getResult(0);
    func::ReturnOp::create(b, loc, same);
    ModelEdits own = edits;
    own.preprocessInput.clear();
    own.sourceSize = std::to_string(image.height) + "x" + std::to_string(image.width);
    PassManager passes(context.get());
    addModelEdits(passes, own, false);
    if (failed(passes.run(*module)))
      return createStringError(path + ": the preprocessing does not fit the picture");
    runner = std::make_unique<Runner>(*module);
  }
  burin_tensor pixels{};
  pixels.data = image.pixels;
  pixels.dtype = BURIN_UINT8;
  pixels.rank = 4;
  int64_t dims[] = {1, image.height, image.width, channels};
  std::copy(std::begin(dims), std::end(dims), pixels.dims);
  return runner->run(pixels);
}

llvm::Error Batches::forFile(const std::string &path, llvm::function_ref<llvm::Error(Sample)> use) {
  std::vector<burin_tensor> sample = inputs;
  if (isPicture(path)) {
    auto read = pictures->read(path);
    if (!read)
      return read.takeError();
    sample[pictures->input] = read->front();
    for (auto [tensor, name] : llvm::zip(sample, names))
      if (!tensor.data)
        return createStringError(path + ": expected a value for input '" + name + "', which no picture gives");
    return use(sample);
  }
  burin_arrays arrays = {};
  burin_error error;
  std::unique_ptr<burin_arrays, void (*)(burin_arrays *)> owner(&arrays, burin_arrays_free);
  if (burin_npz_read(path.c_str(), &arrays, &error))
    return createStringError(StringRef(error.text));
  int64_t samples = -1; // how many the file holds
  for (auto [input, tensor, name] : llvm::zip(inputs, sample, names)) {
    const burin_array *array = burin_arrays_find(&arrays, name.c_str());
    if (!array) {
      SmallVector<StringRef> there;
      for (size_t i = 0; i < arrays.count; ++i)
        there.push_back(arrays.items[i].name);
      return createStringError(path + ": expected an array for input '" + name + "', got " +
                               (there.empty() ? "none" : llvm::join(there, ", ")));
    }
    tensor = array->tensor;
    bool fits = tensor.dtype == input.dtype && tensor.rank == input.rank;
    for (int32_t d = 1; fits && d < input.rank; ++d)
      fits = input.dims[d] < 0 || input.dims[d] == tensor.dims[d];
    int64_t times = 1;
    if (fits && input.rank > 0 && input.dims[0] > 0) {
      fits = tensor.dims[0] > 0 && tensor.dims[0] % input.dims[0] == 0;
      times = tensor.dims[0] / input.dims[0];
    }
    if (!fits || countOf(tensor) == 0)
      return createStringError(path + ": expected " + typeText(input) + " for input '" + name + "', got " +
                               typeText(tensor));
    if (samples >= 0 && times != samples)
      return createStringError(path + ": expected as many samples of input '" + name +
                               "' as of the inputs before it, " + Twine(samples) + ", got " + Twine(times));
    samples = times;
    ArrayRef<float> values = floatsOf(tensor);
    for (auto [i, value] : llvm::enumerate(values))
      if (!std::isfinite(value))
        return createStringError(path + ": expected finite numbers, got " + (std::isnan(value) ? "NaN" : "infinity") +
                                 " in input '" + name + "' at element " + Twine(i));
  }
  for (int64_t i = 0; i < std::max<int64_t>(samples, 1); ++i) {
    std::vector<burin_tensor> part = sample;
    for (auto [input, tensor] : llvm::zip(inputs, part))
      if (input.rank > 0 && input.dims[0] > 0) {
        tensor.dims[0] = input.dims[0];
        tensor.data = static_cast<char *>(tensor.data) + i * countOf(tensor) * burin_dtype_size(tensor.dtype);
        tensor.capacity = 0;
      }
    if (llvm::Error failed = use(part))
      return failed;
  }
  return llvm::Error::success();
}

llvm::Error Batches::forEach(llvm::function_ref<llvm::Error(Sample)> use,
                             llvm::function_ref<void(size_t, size_t)> progress) {
  for (auto [i, file] : llvm::enumerate(files)) {
    progress(i, files.size());
    if (llvm::Error error = forFile(file, use))
      return error;
  }
  return llvm::Error::success();
}
