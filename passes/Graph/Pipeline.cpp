// The graph stage as a flat list of passes; comments only where the order matters.
#include "passes/Graph/Passes.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassOptions.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace burin {
#define GEN_PASS_REGISTRATION
#include "passes/Graph/Passes.h.inc"

// Inference makes shapes constant, folding makes constants that inference reads, and an If decided by either brings new
// operators. Exporters need two rounds, nested conditions one more each. The evaluator compiles: only the last round
// asks it. Sequences resolve where inference and folding have told lengths and positions.
static void addSettle(OpPassManager &pm, std::shared_ptr<Evaluator> evaluator, unsigned rounds) {
  for (unsigned i = 0; i < rounds; ++i) {
    pm.addPass(createInferShapes());
    pm.addPass(createResolveSequences());
    pm.addPass(createSimplifyLoops());
    pm.addPass(createFoldConstants(i + 1 == rounds ? evaluator : nullptr));
    pm.addPass(createFoldShapes());
    pm.addPass(createEliminateIdentities());
  }
}

void buildGraphPipeline(OpPassManager &pm, const GraphOptions &options, std::shared_ptr<Evaluator> evaluator) {
  if (!options.shapes.empty() || !options.dims.empty() || !options.lengths.empty()) {
    BindShapesOptions bind;
    bind.lengths.assign(options.lengths.begin(), options.lengths.end());
    bind.shapes.assign(options.shapes.begin(), options.shapes.end());
    bind.dims.assign(options.dims.begin(), options.dims.end());
    pm.addPass(createBindShapes(bind));
  }
  // Before inference: what follows an operator of another domain has no type until that is expanded.
  pm.addPass(createExpandDomains());
  addSettle(pm, evaluator, 3);
  // Folding may have told more of types; what is left then stays.
  ExpandDomainsOptions domains;
  domains.strict = !options.lowered.empty();
  pm.addPass(createExpandDomains(domains));
  // Exporters repeat whole subexpressions; patterns count uses.
  pm.addPass(createCSEPass());

  // Raising before fusion: `x + 3` of a spelled-out HardSigmoid must not vanish in a convolution's bias.
  pm.addPass(createRaiseEinsum());
  pm.addPass(createRaiseReductions());
  pm.addPass(createRaiseActivations());
  pm.addPass(createRaiseLayerNorm());
  if (!options.isToQuantize)
    pm.addPass(createRaiseGroupNorm());
  pm.addPass(createRaiseSoftmax());
  // Only where the graph leaves as ONNX: what is compiled keeps them spelled out, as the later stages fuse the parts.
  if (options.lowered.empty() && !options.isToQuantize) {
    pm.addPass(createRaiseRmsNorm());
    pm.addPass(createRaiseRotary());
    pm.addPass(createRaiseAttention());
    // A mask that was given rows asked the queries for their number.
    pm.addPass(createFoldShapes());
    pm.addPass(createFoldHeads());
  }
  // Focus needs its Slices as exported; its permutation goes into weights that fusion then scales.
  pm.addPass(createRaiseSpaceToDepth());

  // Scales and orders of channels move next to weights before they go into them; branches and chains then are
  // convolutions alone.
  pm.addPass(createFoldChannels());
  pm.addPass(createFoldSpaceToDepth());
  pm.addPass(createFoldScale());
  pm.addPass(createFusePad());
  pm.addPass(createFuseConvBn());
  pm.addPass(createMergeConvs());
  pm.addPass(createMergeBranches());
  pm.addPass(createTrimKernels());
  // Another runtime pays for each operator; here it is vectors that count, and 16 columns fill those of every machine.
  FuseSiblingsOptions siblings;
  siblings.lanes = options.lowered.empty() ? 0 : 16;
  if (!options.isToQuantize)
    pm.addPass(createFuseSiblings(siblings));
  if (!options.lowered.empty()) {
    LowerConvTransposeOptions phases;
    phases.lanes = 16;
    pm.addPass(createLowerConvTranspose(phases));
  }
  // What is computed fuses the sum into the product's epilogue, whatever it is called.
  if (options.lowered.empty())
    pm.addPass(createFuseGemm());

  finishGraphPipeline(pm, options, evaluator);
}

void finishGraphPipeline(OpPassManager &pm, const GraphOptions &options, std::shared_ptr<Evaluator> evaluator) {
  if (!options.lowered.empty()) {
    ExpandFunctionsOptions expand;
    expand.keep.assign(options.lowered.begin(), options.lowered.end());
    pm.addPass(createExpandFunctions(expand));
  }
  // Bodies compute sizes from shapes, and split by those sizes: folding finds the second from the first's types.
  addSettle(pm, evaluator, 2);
  pm.addPass(createCSEPass());
  pm.addPass(createInferShapes());
  pm.addPass(createVerifyGraph());
}

namespace {
struct GraphPipelineOptions : PassPipelineOptions<GraphPipelineOptions> {
  ListOption<std::string> shapes{*this, "shapes", llvm::cl::desc("INPUT=1x3x224x224: the shape of a graph input")};
  ListOption<std::string> dims{*this, "dims", llvm::cl::desc("NAME=N: the size of a symbolic dim")};
  ListOption<std::string> lengths{*this, "lengths", llvm::cl::desc("INPUT=N: the number of elements of a sequence")};
  ListOption<std::string> lowered{*this, "lowered", llvm::cl::desc("names of operators that later stages lower")};
};
} // namespace

void registerGraphPasses(std::shared_ptr<Evaluator> evaluator) {
  registerAppendPostprocessing();
  registerApplyPatterns();
  registerBindShapes();
  registerBuildEarlyExit();
  registerConvertPrecision();
  registerEliminateIdentities();
  registerExpandDomains();
  registerExpandFunctions();
  registerExtractSubgraph();
  registerPass([evaluator] { return createFoldConstants(evaluator); });
  registerFoldChannels();
  registerFoldScale();
  registerFoldHeads();
  registerFoldShapes();
  registerFoldSpaceToDepth();
  registerFuseConvBn();
  registerFuseGemm();
  registerFusePad();
  registerFuseSiblings();
  registerInferShapes();
  registerInsertImageStage();
  registerRaiseImageStage();
  registerInsertPreprocessing();
  registerLowerConvTranspose();
  registerLowerStridedConv();
  registerMergeBranches();
  registerMergeConvs();
  registerMergeLora();
  registerRaiseActivations();
  registerRaiseAttention();
  registerRaiseEinsum();
  registerRaiseGroupNorm();
  registerRaiseLayerNorm();
  registerRaiseOutputStage();
  registerRaiseReductions();
  registerRaiseRmsNorm();
  registerRaiseRotary();
  registerRaiseSoftmax();
  registerRaiseSpaceToDepth();
  registerResolveSequences();
  registerSimplifyLoops();
  registerTrimKernels();
  registerVerifyGraph();
  PassPipelineRegistration<GraphPipelineOptions>("graph",
                                                 "The whole graph stage: bind shapes, infer, fold, raise, fuse, verify",
                                                 [evaluator](OpPassManager &pm, const GraphPipelineOptions &given) {
                                                   GraphOptions options;
                                                   options.shapes.assign(given.shapes.begin(), given.shapes.end());
                                                   options.dims.assign(given.dims.begin(), given.dims.end());
                                                   options.lengths.assign(given.lengths.begin(), given.lengths.end());
                                                   options.lowered.assign(given.lowered.begin(), given.lowered.end());
                                                   buildGraphPipeline(pm, options, evaluator);
                                                 });
}

} // namespace burin
