// See Image.h. Halide's bitcode and a function of the form that models call (burin_function) become one LLVM module, in
// which the former is inlined into the latter.
#include "lib/Image/Image.h"

#include "burin/runtime.h"
#include "dialects/Foreign/Foreign.h"
#include "lib/Support/Machine.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/Analysis/ValueTracking.h"
#include "llvm/Bitcode/BitcodeReader.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/Module.h"
#include "llvm/Linker/Linker.h"
#include "llvm/Support/Path.h"
#include "llvm/TargetParser/Triple.h"

#include <dlfcn.h>

using namespace mlir;
using namespace burin;

namespace {

// A frame of more bytes is no frame; sums of sizes then fit.
constexpr int64_t maxSide = 1 << 15;

// Beside this library.
llvm::SmallString<256> libraryPath() {
  Dl_info info;
  llvm::SmallString<256> path("libBurinImage.so");
  if (dladdr(reinterpret_cast<void *>(&compileImageStages), &info) && info.dli_fname) {
    path = info.dli_fname;
    llvm::sys::path::remove_filename(path);
    llvm::sys::path::append(path, "libBurinImage.so");
  }
  return path;
}

burin_image_build *openLibrary(std::string &why) {
  static std::string error;
  static burin_image_build *build = [] {
    llvm::SmallString<256> path = libraryPath();
    void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    auto *found = library ? reinterpret_cast<burin_image_build *>(dlsym(library, BURIN_IMAGE_BUILD)) : nullptr;
    if (!found)
      error = dlerror();
    return found;
  }();
  why = error;
  return build;
}

// As Halide spells it. Only the features that its own code uses matter.
std::string halideTarget(const Machine &machine) {
  std::string rest = "-no_runtime-no_asserts-no_bounds_query-strict_float";
  if (llvm::Triple(machine.triple).getArch() == llvm::Triple::aarch64)
    return "arm-64-linux" + rest;
  std::string target = "x86-64-linux";
  if (machine.runtimeFeatures & BURIN_CPU_AVX2_FMA)
    target += "-sse41-avx-avx2-f16c-fma";
  if (machine.runtimeFeatures & BURIN_CPU_AVX512)
    target += "-avx512-avx512_skylake";
  return target + rest;
}

constexpr char pictureName[] = "stage_picture", barsName[] = "stage_bars";

// The region that a run gives, as x, y, width and height; four zeros are the whole frame. One that does not lie inside
// the frame ends the function with BURIN_ERROR_REGION. `b` goes on behind the check.
SmallVector<llvm::Value *> checkedRegion(llvm::IRBuilder<> &b, llvm::Function *door, const burin_image_stage &stage) {
  llvm::LLVMContext &context = b.getContext();
  llvm::Value *data =
      b.CreateLoad(b.getPtrTy(), b.CreateConstGEP1_64(b.getInt8Ty(), door->getArg(1), sizeof(burin_tensor)));
  SmallVector<llvm::Value *> given;
  llvm::Value *any = b.getInt32(0);
  for (int k = 0; k < 4; ++k) {
    given.push_back(b.CreateLoad(b.getInt32Ty(), b.CreateConstGEP1_64(b.getInt32Ty(), data, k)));
    any = b.CreateOr(any, given.back());
  }
  llvm::Value *isWhole = b.CreateICmpEQ(any, b.getInt32(0)), *isInside = b.getTrue();
  const int32_t frame[2] = {stage.width, stage.height};
  for (int d = 0; d < 2; ++d) {
    llvm::Value *size = given[2 + d] = b.CreateSelect(isWhole, b.getInt32(frame[d]), given[2 + d]);
    // Unsigned, so that what is negative is too large.
    llvm::Value *isSize = b.CreateICmpULT(b.CreateSub(size, b.getInt32(1)), b.getInt32(frame[d]));
    llvm::Value *isPlace = b.CreateICmpULE(given[d], b.CreateSub(b.getInt32(frame[d]), size));
    isInside = b.CreateAnd(isInside, b.CreateAnd(isSize, isPlace));
  }
  auto *refuse = llvm::BasicBlock::Create(context, "", door), *go = llvm::BasicBlock::Create(context, "", door);
  b.CreateCondBr(isInside, go, refuse);
  b.SetInsertPoint(refuse);
  b.CreateRet(b.getInt32(BURIN_ERROR_REGION));
  b.SetInsertPoint(go);
  return given;
}

// int32_t NAME(const burin_call *, const burin_tensor *inputs, uint32_t, burin_tensor *outputs, uint32_t): a buffer of
// Halide's a plane and one for the output, of which the host pointers alone are read.
void makeDoor(llvm::Module &module, StringRef name, const burin_image_stage &stage,
              ArrayRef<burin_image_plane> planes) {
  llvm::LLVMContext &context = module.getContext();
  llvm::IRBuilder<> b(context);
  llvm::Type *pointer = b.getPtrTy(), *i32 = b.getInt32Ty(), *i64 = b.getInt64Ty();
  auto *door = llvm::Function::Create(llvm::FunctionType::get(i32, {pointer, pointer, i32, pointer, i32}, false),
                                      llvm::GlobalValue::ExternalLinkage, name, module);
  door->setVisibility(llvm::GlobalValue::HiddenVisibility);
  door->setDoesNotThrow();
  llvm::Function *picture = module.getFunction(pictureName), *bars = module.getFunction(barsName);
  for (llvm::StringRef kind : {"target-cpu", "target-features"})
    if (picture->hasFnAttribute(kind))
      door->addFnAttr(picture->getFnAttribute(kind));
  b.SetInsertPoint(llvm::BasicBlock::Create(context, "", door));
  llvm::Type *buffer = llvm::ArrayType::get(i64, 7);
  auto makeBuffer = [&](llvm::Value *host) {
    llvm::Value *made = b.CreateAlloca(buffer);
    b.CreateStore(host, b.CreateConstInBoundsGEP1_64(b.getInt8Ty(), made, 16));
    return made;
  };
  llvm::Value *frame = b.CreateLoad(pointer, door->getArg(1)), *out = b.CreateLoad(pointer, door->getArg(3));
  SmallVector<llvm::Value *> region;
  if (stage.is_region_given)
    region = checkedRegion(b, door, stage);
  SmallVector<llvm::Value *> arguments;
  for (const burin_image_plane &plane : planes)
    arguments.push_back(makeBuffer(b.CreateConstGEP1_64(b.getInt8Ty(), frame, plane.offset)));
  if (bars)
    b.CreateCall(bars, {makeBuffer(out)});
  // What each run places is placed by the pipeline.
  int64_t x = std::max(0, stage.offset[0]), y = std::max(0, stage.offset[1]);
  int64_t bytes = stage.type == BURIN_IMAGE_F32 ? 4 : stage.type == BURIN_IMAGE_F16 ? 2 : 1;
  int64_t first = (y * stage.size[0] + x) * (stage.is_planar ? 1 : stage.channels) * bytes;
  llvm::append_range(arguments, region);
  arguments.push_back(makeBuffer(b.CreateConstGEP1_64(b.getInt8Ty(), out, first)));
  b.CreateCall(picture, arguments);
  b.CreateRet(b.getInt32(0));
  for (llvm::Function *inner : {picture, bars})
    if (inner) {
      inner->setLinkage(llvm::GlobalValue::InternalLinkage);
      inner->removeFnAttr(llvm::Attribute::NoInline);
      inner->addFnAttr(llvm::Attribute::AlwaysInline);
    }
}

// Frames come from memory: each vector of a frame's row that is read asks for the one that the next row of the output
// begins with. The processor's own prefetching follows a row no further than its page.
void prefetchRows(llvm::Function &picture, const burin_image_stage &stage, ArrayRef<burin_image_plane> planes) {
  constexpr uint64_t leastBytes = 16; // of a load along a row
  double step = stage.is_region_given ? 0 : stage.axis[stage.is_turned ? 0 : 1].step;
  SmallVector<llvm::LoadInst *> loads;
  for (llvm::Instruction &i : llvm::instructions(picture))
    if (auto *load = dyn_cast<llvm::LoadInst>(&i))
      loads.push_back(load);
  for (llvm::LoadInst *load : loads) {
    // Of a plane: its address was loaded from an argument.
    auto *host = dyn_cast<llvm::LoadInst>(llvm::getUnderlyingObject(load->getPointerOperand(), 0));
    auto *plane = host ? dyn_cast<llvm::Argument>(llvm::getUnderlyingObject(host->getPointerOperand(), 0)) : nullptr;
    if (!plane || plane->getArgNo() >= planes.size() ||
        picture.getDataLayout().getTypeStoreSize(load->getType()) < leastBytes)
      continue;
    const burin_image_plane &p = planes[plane->getArgNo()];
    int64_t rows = int64_t(step * p.rows / stage.height);
    if (rows < 1)
      continue;
    llvm::IRBuilder<> b(load->getNextNode());
    llvm::Value *next = b.CreateConstGEP1_64(b.getInt8Ty(), load->getPointerOperand(), rows * p.stride);
    b.CreateIntrinsic(llvm::Intrinsic::prefetch, {b.getPtrTy()}, {next, b.getInt32(0), b.getInt32(3), b.getInt32(1)});
  }
}

FailureOr<ObjectCode> compileStage(const burin_image_stage &stage, StringRef name, const Machine &machine,
                                   Location where) {
  std::string why;
  burin_image_build *build = openLibrary(why);
  if (!build)
    return emitError(where) << "an image stage needs libBurinImage.so and the libHalide.so it was built with: " << why,
           failure();
  int64_t total;
  std::vector<burin_image_plane> planes = imagePlanes(stage, total);
  std::vector<std::string> parts;
  auto keep = [](void *to, const char *bytes, size_t count) {
    static_cast<std::vector<std::string> *>(to)->emplace_back(bytes, count);
  };
  char error[1000] = "";
  if (build(&stage, planes.data(), planes.size(), "stage", halideTarget(machine).c_str(), keep, &parts, error,
            sizeof error))
    return emitError(where) << "internal error: the image stage is not made: " << error, failure();

  llvm::LLVMContext context;
  auto module = std::make_unique<llvm::Module>(name, context);
  for (std::string &part : parts) {
    auto parsed = llvm::parseBitcodeFile(llvm::MemoryBufferRef(part, name), context);
    if (!parsed)
      return emitError(where) << "internal error: Halide's code is not read: " << llvm::toString(parsed.takeError()),
             failure();
    module->setTargetTriple((*parsed)->getTargetTriple());
    module->setDataLayout((*parsed)->getDataLayout());
    if (llvm::Linker::linkModules(*module, std::move(*parsed)))
      return emitError(where) << "internal error: Halide's functions do not link", failure();
  }
  prefetchRows(*module->getFunction(pictureName), stage, planes);
  makeDoor(*module, name, stage, planes);
  ObjectCode object;
  object.name = (name + ".o").str();
  if (!compileLLVM(*module, machine, object.bytes, why))
    return emitError(where) << "internal error: the image stage: " << why, failure();
  return object;
}

DictionaryAttr stagesOf(ModuleOp code) { return code->getAttrOfType<DictionaryAttr>(foreign::imageStagesAttr); }
} // namespace

bool burin::hasImageStages(const Machine &machine) {
  llvm::Triple::ArchType arch = llvm::Triple(machine.triple).getArch();
  std::string why;
  return (arch == llvm::Triple::x86_64 || arch == llvm::Triple::aarch64) && openLibrary(why);
}

FailureOr<burin_image_stage> burin::readImageStage(DictionaryAttr attr, Location where) {
  burin_image_stage s = {};
  auto refuse = [&](StringRef what) {
    return emitError(where) << "image stage: expected " << what << ", got " << attr, failure();
  };
  auto ints = [&](StringRef name, MutableArrayRef<int32_t> to) {
    auto list = attr.getAs<DenseI64ArrayAttr>(name);
    if (!list || list.size() != int64_t(to.size()))
      return false;
    for (auto [value, slot] : llvm::zip(list.asArrayRef(), to)) {
      if (value < -maxSide * 8 || value > maxSide * 8)
        return false;
      slot = int32_t(value);
    }
    return true;
  };
  auto word = [&](StringRef name, ArrayRef<StringRef> words, int32_t &to) {
    auto text = attr.getAs<StringAttr>(name);
    auto found = text ? llvm::find(words, text.getValue()) : words.end();
    to = int32_t(found - words.begin());
    return found != words.end();
  };
  auto doubles = [&](StringRef name, int count, double *to) {
    auto list = attr.getAs<DenseF64ArrayAttr>(name);
    if (!list || list.size() != count)
      return false;
    llvm::copy(list.asArrayRef(), to);
    return true;
  };
  int32_t frame[3], output[3];
  if (!word("format", {"NV12", "I420", "YUYV", "RGB", "BGR", "RGBA", "GRAY", "RGGB", "GRBG", "GBRG", "BGGR"},
            s.format) ||
      !ints("frame", frame) || !word("matrix", {"601", "709"}, s.is_709) ||
      !word("range", {"limited", "full"}, s.is_full_range))
    return refuse("a format, matrix, range and frame [width, height, stride]");
  s.width = frame[0], s.height = frame[1], s.stride = frame[2];
  if (!ints("region", s.region) || !ints("resized", s.resized) || !ints("offset", s.offset) || !ints("output", output))
    return refuse("region, resized, offset and output [channels, height, width]");
  int32_t turn[3] = {0, 0, 0}; // absent: as the frame lies
  if (attr.get("turn") && (!ints("turn", turn) || llvm::any_of(turn, [](int32_t t) { return t < 0 || t > 1; })))
    return refuse("a turn [columns become rows, x backwards, y backwards], each 0 or 1");
  s.is_turned = turn[0], s.is_mirrored[0] = turn[1], s.is_mirrored[1] = turn[2];
  s.channels = output[0], s.size[1] = output[1], s.size[0] = output[2];
  if (!word("resize", {"nearest", "linear", "cubic", "area"}, s.kernel.resize) ||
      !word("type", {"f32", "f16", "u8", "i8"}, s.type) || !word("layout", {"NHWC", "NCHW"}, s.is_planar) ||
      !word("order", {"RGB", "BGR"}, s.is_bgr) || (s.channels != 1 && s.channels != 3) ||
      !doubles("mean", s.channels, s.mean) || !doubles("scale", s.channels, s.scale) || !doubles("pad", 1, &s.pad))
    return refuse("resize, type, layout, order, 1 or 3 channels, a mean and scale for each, and a pad");
  int32_t bytes = s.format == BURIN_RGB || s.format == BURIN_BGR ? 3
                  : s.format == BURIN_RGBA                       ? 4
                  : s.format == BURIN_YUYV                       ? 2
                                                                 : 1;
  bool halved = s.format == BURIN_NV12 || s.format == BURIN_I420, isMosaic = s.format >= BURIN_RGGB;
  if (s.width < 1 || s.height < 1 || s.width > maxSide || s.height > maxSide || s.stride < s.width * bytes ||
      ((halved || isMosaic || s.format == BURIN_YUYV) && s.width % 2) || ((halved || isMosaic) && s.height % 2) ||
      (halved && s.stride % 2))
    return refuse("a frame of even sides where pixels share their colours, and a stride that holds a row");
  const int32_t *r = s.region;
  if (r[0] < 0 || r[1] < 0 || r[2] < 1 || r[3] < 1 || r[0] + r[2] > s.width || r[1] + r[3] > s.height)
    return refuse("a region inside the frame");
  for (int d = 0; d < 2; ++d)
    if (s.resized[d] < 1 || s.resized[d] > maxSide || s.size[d] < 1 || s.size[d] > maxSide ||
        s.offset[d] >= s.size[d] || s.offset[d] + s.resized[d] <= 0)
      return refuse("a picture that lies on the output");
  if (attr.get("fit") && !word("fit", {"stretch", "letterbox", "crop"}, s.fit))
    return refuse("a fit of stretch, letterbox or crop of a region that each run says");
  s.is_region_given = bool(attr.get("fit"));
  s.kernel.cubic = -0.5;
  double axes[8]; // absent: half-pixel centres
  for (int d = 0; d < 2; ++d) {
    double ratio = double(r[2 + (s.is_turned ? 1 - d : d)]) / s.resized[d];
    s.axis[d] = {0.5, ratio, -0.5, ratio};
  }
  if (attr.get("axes")) {
    if (!doubles("axes", 8, axes) || !llvm::all_of(axes, [](double v) { return std::abs(v) <= 4 * maxSide; }))
      return refuse("axes [shift, step, origin, cover of x, of y]");
    for (int d = 0; d < 2; ++d)
      s.axis[d] = {axes[4 * d], axes[4 * d + 1], axes[4 * d + 2], axes[4 * d + 3]};
  }
  if ((attr.get("rounding") &&
       !word("rounding", {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"}, s.kernel.rounding)) ||
      (attr.get("cubic") && !doubles("cubic", 1, &s.kernel.cubic)))
    return refuse("a rounding as ONNX's Resize has it and a coefficient of cubic");
  s.kernel.is_antialiased = bool(attr.get("antialias"));
  s.kernel.is_exclusive = bool(attr.get("exclude_outside"));
  if (s.axis[0].step < 0 || s.axis[1].step < 0 || !(s.axis[0].cover > 0) || !(s.axis[1].cover > 0))
    return refuse("axes that run forwards");
  if (llvm::is_contained(ArrayRef<double>(s.scale, s.channels), 0.0))
    return refuse("a scale other than 0");
  return s;
}

std::vector<burin_image_plane> burin::imagePlanes(const burin_image_stage &s, int64_t &bytes) {
  int64_t luma = int64_t(s.stride) * s.height;
  switch (s.format) {
  case BURIN_NV12:
    bytes = luma / 2 * 3;
    return {{0, s.height, s.width, s.stride}, {luma, s.height / 2, s.width, s.stride}};
  case BURIN_I420:
    bytes = luma / 2 * 3;
    return {{0, s.height, s.width, s.stride},
            {luma, s.height / 2, s.width / 2, s.stride / 2},
            {luma / 4 * 5, s.height / 2, s.width / 2, s.stride / 2}};
  default:
    bytes = luma;
    int width = s.format >= BURIN_GRAY ? 1 : s.format == BURIN_YUYV ? 2 : s.format == BURIN_RGBA ? 4 : 3;
    return {{0, s.height, s.width * width, s.stride}};
  }
}

void burin::prefixImageStages(ModuleOp code, StringRef prefix) {
  DictionaryAttr stages = stagesOf(code);
  if (!stages)
    return;
  for (NamedAttribute stage : stages)
    if (auto function = code.lookupSymbol<LLVM::LLVMFuncOp>(stage.getName())) {
      auto name = StringAttr::get(code.getContext(), prefix + "_" + stage.getName().getValue());
      (void)SymbolTable::replaceAllSymbolUses(function, name, code);
      function.setSymNameAttr(name);
    }
  SmallVector<Attribute> others;
  if (auto callees = code->getAttrOfType<ArrayAttr>(foreign::calleesAttr))
    for (Attribute name : callees)
      if (!stages.get(cast<StringAttr>(name)))
        others.push_back(name);
  code->setAttr(foreign::calleesAttr, ArrayAttr::get(code.getContext(), others));
}

FailureOr<std::vector<ObjectCode>> burin::compileImageStages(ModuleOp code, const Machine &machine, StringRef prefix) {
  std::vector<ObjectCode> objects;
  DictionaryAttr stages = stagesOf(code);
  if (!stages)
    return objects;
  for (NamedAttribute entry : stages) {
    auto attr = dyn_cast<DictionaryAttr>(entry.getValue());
    if (!attr)
      return code.emitError() << "image stage: expected a dictionary, got " << entry.getValue(), failure();
    FailureOr<burin_image_stage> stage = readImageStage(attr, code.getLoc());
    if (failed(stage))
      return failure();
    auto object = compileStage(*stage, (prefix + "_" + entry.getName().getValue()).str(), machine, code.getLoc());
    if (failed(object))
      return failure();
    objects.push_back(std::move(*object));
  }
  return objects;
}
