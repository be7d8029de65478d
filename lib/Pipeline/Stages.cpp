// The stages: one function each, from the module that the stage before left to the one that the next takes.
#include "burin/InitAll.h"
#include "dialects/Nn/Nn.h"
#include "dialects/Onnx/Onnx.h"
#include "lib/Image/Image.h"
#include "lib/Pipeline/Evaluator.h"
#include "lib/Pipeline/Pipeline.h"
#include "passes/Cpu/Passes.h"
#include "passes/Cuda/Passes.h"
#include "passes/Graph/Passes.h"
#include "passes/Lower/Passes.h"
#include "passes/Tensor/Passes.h"
#include "passes/Vpu/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"

using namespace mlir;
using namespace burin;

namespace {
LogicalResult runPasses(ModuleOp module, const CompileOptions &options,
                        llvm::function_ref<void(OpPassManager &)> build) {
  PassManager passes(module.getContext(), ModuleOp::getOperationName());
  passes.enableVerifier(options.verifyEach);
  build(passes);
  return success(succeeded(passes.run(module)) && succeeded(mlir::verify(module)));
}

// What the user put at a point of the road.
LogicalResult runSteps(StringRef point, ModuleOp module, const CompileOptions &options) {
  if (!hasStepsAt(point, options.steps))
    return success();
  LogicalResult fits = success();
  return success(succeeded(runPasses(module, options,
                                     [&](OpPassManager &pm) {
                                       fits = addStepsAt(point, options.steps, pm, module.getLoc());
                                       if (failed(fits))
                                         pm.clear();
                                     })) &&
                 succeeded(fits));
}
} // namespace

// An input that may be a picture: nothing else is worth opening Halide for.
static bool takesBytes(ModuleOp module) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  return main && llvm::any_of(main.getArgumentTypes(), [](Type type) {
           auto tensor = dyn_cast<RankedTensorType>(type);
           return tensor && tensor.getRank() >= 3 && tensor.getElementType().isUnsignedInteger(8);
         });
}

// Whether something is resized, or made of phases of pixels, within a few steps of an output.
static bool endsInPicture(ModuleOp module) {
  constexpr int mostSteps = 12;
  auto main = module.lookupSymbol<func::FuncOp>("main");
  return main && llvm::any_of(main.front().getTerminator()->getOperands(), [](Value v) {
           for (int i = 0; i < mostSteps && v.getDefiningOp() && v.getDefiningOp()->getNumOperands(); ++i) {
             Operation *op = v.getDefiningOp();
             if (isa<onnx::ResizeOp, onnx::DepthToSpaceOp>(op))
               return true;
             v = op->getOperand(isa<onnx::GatherOp>(op) ? 1 : 0); // of colours: by numbers
           }
           return false;
         });
}

LogicalResult burin::runGraph(ModuleOp module, const StageOptions &stage) {
  GraphOptions graph;
  graph.shapes.assign(stage.options.shapes.begin(), stage.options.shapes.end());
  graph.dims.assign(stage.options.dims.begin(), stage.options.dims.end());
  graph.lengths.assign(stage.options.lengths.begin(), stage.options.lengths.end());
  // A graph that leaves as ONNX keeps its composite operators; one that is compiled has them expanded while folding can
  // still see them.
  bool leaves = stage.options.emit == EmitKind::Onnx || stage.options.emit == EmitKind::CustomHeader ||
                stage.options.stopAfter == Stage::Graph;
  if (!leaves)
    for (std::string &name : getLoweredOperators())
      graph.lowered.push_back(std::move(name));
  const ModelEdits &edits = stage.options.edits;
  auto edit = [&](OpPassManager &pm) { addModelEdits(pm, edits, stage.options.verbose); };
  auto build = [&](OpPassManager &pm) {
    buildGraphPipeline(pm, graph, createEvaluator());
    addPrecision(pm, edits);
  };
  PassWatch watch(*module.getContext(), stage.options.steps, stage.options.passLimit);
  // What is mapped back to a frame asks for the network's size.
  bool mapsBack = llvm::any_of(edits.append, [](StringRef post) {
    return post.starts_with("boxes") || (post.starts_with("upsample") && post.contains("frame"));
  });
  if (failed(runSteps("after-import", module, stage.options)) ||
      (mapsBack && failed(bindShapes(module, stage.options))) || failed(runPasses(module, stage.options, edit)) ||
      failed(bindBatch(module, edits, graph.shapes, graph.dims)) || failed(runPasses(module, stage.options, build)) ||
      failed(watch.finish(module.getLoc())) || failed(runSteps("after-graph", module, stage.options)))
    return failure();
  // What the user's steps made may be what nobody lowers.
  if (!leaves && hasStepsAt("after-graph", stage.options.steps) &&
      failed(runPasses(module, stage.options,
                       [&](OpPassManager &pm) { finishGraphPipeline(pm, graph, createEvaluator()); })))
    return failure();
  bool leavesOnnx = stage.options.emit == EmitKind::Onnx;
  bool mayRaise = !leavesOnnx && !edits.plainImages && !stage.options.unit.unit;
  bool takes = mayRaise && takesBytes(module) && hasImageStages(stage.machine);
  // What a device computes stays there.
  bool ends = mayRaise && !stage.options.cuda && endsInPicture(module) && hasImageStages(stage.machine);
  if (edits.imageInputs.empty() && !takes && !ends)
    return success();
  if (stage.options.unit.unit)
    return module.emitError() << "--image-input: a vision unit's blob takes tensors; --fallback=cpu makes a program "
                                 "whose processor makes them of frames";
  if (leavesOnnx)
    return module.emitError() << "--image-input: ONNX has no operators for cameras' frames; --input-type and "
                                 "--source-size make preprocessing that --emit=onnx can write";
  return runPasses(module, stage.options, [&](OpPassManager &pm) {
    if (ends)
      pm.addPass(createRaiseOutputStage());
    addImageStages(pm, edits, takes);
  });
}

LogicalResult burin::runLower(ModuleOp module, const StageOptions &stage) {
  bool isUnit = stage.options.unit.unit; // it reads floats, of shapes that are known
  return runPasses(module, stage.options, [&](OpPassManager &pm) {
    buildLowerPipeline(pm, /*storesWeights=*/!isUnit, /*fixedShapes=*/isUnit);
  });
}

LogicalResult burin::runTensor(ModuleOp module, const StageOptions &stage) {
  return runPasses(module, stage.options, [&](OpPassManager &pm) {
    if (stage.options.unit.unit) {
      vpu::buildVpuTensorPipeline(pm);
      buildBufferPipeline(pm);
      return;
    }
    TensorOptions tensor;
    tensor.forDevice = bool(stage.options.cuda);
    if (stage.options.optLevel < 2)
      tensor.winograd = "off";
    else
      tensor.winograd = stage.options.winograd;
    tensor.winogradError = stage.options.winogradError;
    tensor.arenaLimit = stage.options.arenaLimit;
    tensor.isTuned = stage.options.isTuned;
    tensor.choices = stage.options.choices;
    buildTensorPipeline(pm, stage.machine, tensor);
  });
}

LogicalResult burin::runTarget(ModuleOp module, const StageOptions &stage) {
  if (failed(runSteps("before-target", module, stage.options)))
    return failure();
  return runPasses(module, stage.options, [&](OpPassManager &pm) {
    if (stage.options.unit.unit)
      vpu::buildVpuPipeline(pm, stage.options.unit.dataBytes());
    else
      buildCpuPipeline(pm, stage.machine, stage.options.fastMath);
  });
}

LogicalResult burin::runCudaSplit(ModuleOp module, const StageOptions &stage) {
  if (failed(runSteps("before-target", module, stage.options)))
    return failure();
  return runPasses(module, stage.options, [&](OpPassManager &pm) {
    pm.addPass(createOutlineKernels());
    // The arithmetic of a processor that multiplies and adds in one rounding and rounds to whole numbers, as GPUs do.
    cuda::DeviceOptions device;
    device.arch = stage.options.cuda.archs.front();
    device.exact = stage.options.edits.precision == "f32";
    device.warpgroups = llvm::is_contained(stage.options.cuda.archs, 90u);
    device.tf32 = stage.options.edits.precision == "tf32";
    cuda::buildDevicePipeline(pm, device,
                              [](OpPassManager &function) { function.addPass(createApproximateMath({"x86-64-v3"})); });
  });
}

LogicalResult burin::runCudaPtx(ModuleOp device, StringRef chip, const StageOptions &stage) {
  return runPasses(device, stage.options, [&](OpPassManager &pm) { cuda::buildPtxPipeline(pm, chip); });
}

LogicalResult burin::runCudaEmulation(ModuleOp device, const StageOptions &stage) {
  std::string machine = stage.machine.name.str();
  return runPasses(device, stage.options, [&](OpPassManager &pm) {
    pm.addPass(cuda::createEmulateKernels());
    pm.addNestedPass<func::FuncOp>(createLowerToLLVM({machine}));
    pm.addPass(createConvertFunctions({machine}));
  });
}

LogicalResult burin::runCudaHost(ModuleOp module, const StageOptions &stage) {
  return runPasses(module, stage.options,
                   [&](OpPassManager &pm) { finishCpuPipeline(pm, stage.machine, stage.options.fastMath); });
}

LogicalResult burin::settleShapes(ModuleOp module, const CompileOptions &options) {
  return runPasses(module, options, [&](OpPassManager &pm) {
    for (int round = 0; round < 2; ++round) {
      pm.addPass(createInferShapes());
      pm.addPass(createFoldConstants(nullptr));
    }
    pm.addPass(createInferShapes());
  });
}

LogicalResult burin::bindShapes(ModuleOp module, const CompileOptions &options) {
  if (options.shapes.empty() && options.dims.empty())
    return success();
  return runPasses(module, options, [&](OpPassManager &pm) {
    BindShapesOptions bind;
    bind.shapes.assign(options.shapes.begin(), options.shapes.end());
    bind.dims.assign(options.dims.begin(), options.dims.end());
    pm.addPass(createBindShapes(bind));
    pm.addPass(createInferShapes());
  });
}

std::unique_ptr<MLIRContext> burin::makeContext() {
  DialectRegistry registry;
  registerAllDialects(registry);
  return std::make_unique<MLIRContext>(registry);
}
