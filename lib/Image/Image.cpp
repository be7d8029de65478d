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

// The first byte of the picture within the output. What each run places is placed by the pipeline.
int64_t pictureBegin(const burin_image_stage &stage) {
  int64_t x = std::max(0, stage.offset[0]), y = std::max(0, stage.offset[1]);
  int64_t bytes = stage.type == BURIN_IMAGE_F32 ? 4 : stage.type == BURIN_IMAGE_F16 ? 2 : 1;
  return (y * stage.size[0] + x) * (stage.is_planar ? 1 : stage.channels) * bytes;
}

// int32_t NAME(const burin_call *, const burin_tensor *inputs, uint32_t, burin_tensor *outputs, uint32_t): a buffer of
// Halide's a plane and one for the output, of which the host pointers alone are read.
void makeDoor(llvm::Module &module, StringRef name, const burin_image_job &job) {
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
  if (job.stage && job.stage->is_region_given)
    region = checkedRegion(b, door, *job.stage);
  SmallVector<llvm::Value *> arguments;
  for (const burin_image_plane &plane : ArrayRef(job.planes, job.num_planes))
    arguments.push_back(makeBuffer(b.CreateConstGEP1_64(b.getInt8Ty(), frame, plane.offset)));
  if (bars)
    b.CreateCall(bars, {makeBuffer(out)});
  llvm::append_range(arguments, region);
  arguments.push_back(makeBuffer(b.CreateConstGEP1_64(b.getInt8Ty(), out, job.stage ? pictureBegin(*job.stage) : 0)));
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

FailureOr<ObjectCode> compileJob(const burin_image_job &job, StringRef name, const Machine &machine, Location where) {
  std::string why;
  burin_image_build *build = openLibrary(why);
  if (!build)
    return emitError(where) << "an image stage needs libBurinImage.so and the libHalide.so it was built with: " << why,
           failure();
  std::vector<std::string> parts;
  auto keep = [](void *to, const char *bytes, size_t count) {
    static_cast<std::vector<std::string> *>(to)->emplace_back(bytes, count);
  };
  char error[1000] = "";
  if (build(&job, "stage", halideTarget(machine).c_str(), keep, &parts, error, sizeof error))
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
  if (job.stage)
    prefetchRows(*module->getFunction(pictureName), *job.stage, ArrayRef(job.planes, job.num_planes));
  makeDoor(*module, name, job);
  ObjectCode object;
  object.name = (name + ".o").str();
  if (!compileLLVM(*module, machine, object.bytes, why))
    return emitError(where) << "internal error: the image stage: " << why, failure();
  return object;
}

FailureOr<ObjectCode> compileStage(DictionaryAttr attr, StringRef name, const Machine &machine, Location where) {
  if (attr.get("result")) {
    FailureOr<burin_image_output> output = readImageOutput(attr, where);
    burin_image_plane tensor = {};
    if (failed(output))
      return failure();
    return compileJob({nullptr, &*output, &tensor, 1}, name, machine, where);
  }
  FailureOr<burin_image_stage> stage = readImageStage(attr, where);
  if (failed(stage))
    return failure();
  int64_t total;
  std::vector<burin_image_plane> planes = imagePlanes(*stage, total);
  return compileJob({&*stage, nullptr, planes.data(), int(planes.size())}, name, machine, where);
}

DictionaryAttr stagesOf(ModuleOp code) { return code->getAttrOfType<DictionaryAttr>(foreign::imageStagesAttr); }
} // namespace

bool burin::hasImageStages(const Machine &machine) {
  llvm::Triple::ArchType arch = llvm::Triple(machine.triple).getArch();
  std::string why;
  return (arch == llvm::Triple::x86_64 || arch == llvm::Triple::aarch64) && openLibrary(why);
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
    auto object = compileStage(attr, (prefix + "_" + entry.getName().getValue()).str(), machine, code.getLoc());
    if (failed(object))
      return failure();
    objects.push_back(std::move(*object));
  }
  return objects;
}
