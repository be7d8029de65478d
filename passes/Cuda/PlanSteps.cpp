// cuda-plan-steps: what the device runs between two pieces of host work becomes one segment: bytes to copy in,
// launches, bytes to copy out, all at addresses known now. @main calls each segment with one function of the runtime.
//
// The idea: the device's memory is a picture of the host's. The arena lies at the same offsets in both, the tensors of
// the caller behind it. A walk over @main notes which bytes were last written on which side, and copies what the other
// side is about to read. Kernels run in the order of @main, so the arena's plan holds for both.
#include "passes/Cuda/Intervals.h"
#include "passes/Cuda/Passes.h"
#include "passes/Cuda/Places.h"
#include "passes/Cuda/Warpgroups.h"

#include "burin/runtime.h"
#include "dialects/Foreign/Foreign.h"
#include "dialects/Nn/Attention.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

namespace burin::cuda {
#define GEN_PASS_DEF_PLANSTEPS
#include "passes/Cuda/Passes.h.inc"
} // namespace burin::cuda

using namespace mlir;
using namespace burin;
using namespace burin::cuda;

namespace {

/// How a kernel uses one of its arguments.
struct Use {
  bool reads = false, writes = false;
};

SmallVector<Use> usesOf(func::FuncOp kernel) {
  SmallVector<Use> uses(kernel.getNumArguments());
  auto note = [&](Value value, bool reads, bool writes) {
    auto argument = dyn_cast<BlockArgument>(value);
    if (!argument || argument.getOwner() != &kernel.front())
      return;
    Use &use = uses[argument.getArgNumber()];
    // What was written wholly before is not read from outside.
    use.reads |= reads && !use.writes;
    use.writes |= writes;
  };
  for (Operation &op : kernel.front().without_terminator()) {
    if (isa<nn::ComputeOp, nn::AttentionOp>(op)) {
      Value init = cast<DestinationStyleOpInterface>(op).getDpsInits()[0];
      for (Value operand : op.getOperands())
        if (operand != init)
          note(operand, true, false);
      note(init, false, true);
    } else if (auto loops = dyn_cast<linalg::LinalgOp>(op)) {
      for (OpOperand *input : loops.getDpsInputOperands())
        note(input->get(), true, false);
      loops->getRegion(0).walk([&](Operation *inner) {
        for (Value operand : inner->getOperands())
          if (isa<MemRefType>(operand.getType()))
            note(operand, true, !isa<memref::LoadOp>(inner));
      });
      for (OpOperand &init : loops.getDpsInitsMutable()) {
        // Elements that no point of the loops writes keep what they held.
        bool isWhole = loops.getMatchingIndexingMap(&init).isProjectedPermutation();
        note(init.get(), !isWhole || !loops.getMatchingBlockArgument(&init).use_empty(), true);
      }
    } else if (auto copy = dyn_cast<memref::CopyOp>(op)) {
      note(copy.getSource(), true, false);
      note(copy.getTarget(), false, true);
    } else {
      op.walk([&](Operation *inner) {
        for (Value operand : inner->getOperands())
          if (isa<BaseMemRefType>(operand.getType()))
            note(operand, true, true);
      });
    }
  }
  return uses;
}

struct Copy {
  unsigned root;
  int64_t begin, end;
};

struct Segment {
  SmallVector<Copy> in, out;
  SmallVector<func::CallOp> calls;
  unsigned firstLayer = 0;
};

struct PlanStepsPass : cuda::impl::PlanStepsBase<PlanStepsPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    main = module.lookupSymbol<func::FuncOp>("main");
    device = module.lookupSymbol<ModuleOp>(deviceModuleName);
    if (!main || !device) {
      module.emitError("expected @main and @device, as cuda-split-device leaves them");
      return signalPassFailure();
    }
    segments.clear();
    tensorMaps.clear();
    stale.assign(main.getNumArguments(), {});
    fresh.assign(main.getNumArguments(), {});
    hostTouches.assign(main.getNumArguments(), false);
    unsigned inputs = main->getAttrOfType<IntegerAttr>("burin.num_inputs").getInt();
    for (unsigned i = 0; i < inputs; ++i)
      if (auto type = dyn_cast<MemRefType>(main.getArgumentTypes()[i]); type && type.hasStaticShape())
        fresh[i].add(0, bytesOf(type));
    placeTensors();
    if (failed(walk()))
      return signalPassFailure();
    emitSegments();
    for (func::FuncOp kernel : llvm::make_early_inc_range(module.getOps<func::FuncOp>()))
      if (kernel.isPrivate() && SymbolTable::symbolKnownUseEmpty(kernel, module))
        kernel.erase();
    for (func::FuncOp kernel : llvm::make_early_inc_range(device.getOps<func::FuncOp>()))
      kernel.erase();
  }

private:
  func::FuncOp main;
  ModuleOp device;
  std::vector<Segment> segments;
  SmallVector<int64_t> tensorPlace;         // of each argument in the device's memory
  int64_t pictureBytes = 0;                 // of the arena, which comes first
  int64_t memoryBytes = 0, tensorBytes = 0; // with and without kernels' scratch memory
  // Of each argument: bytes last written by the host that the device lacks; and the other way round.
  std::vector<Intervals> fresh, stale;
  SmallVector<bool> hostTouches; // each argument
  bool open = false;             // the last segment takes more

  unsigned arena() { return main.getNumArguments() - 2; }
  unsigned weights() { return main.getNumArguments() - 1; }

  void placeTensors() {
    tensorPlace.assign(main.getNumArguments(), 0);
    auto arenaType = dyn_cast<MemRefType>(main.getArgumentTypes()[arena()]);
    memoryBytes = arenaType && arenaType.hasStaticShape() ? llvm::alignTo(arenaType.getNumElements(), 256) : 0;
    pictureBytes = memoryBytes;
    for (unsigned i = 0; i < arena(); ++i)
      if (auto type = dyn_cast<MemRefType>(main.getArgumentTypes()[i]); type && type.hasStaticShape()) {
        tensorPlace[i] = memoryBytes;
        memoryBytes = llvm::alignTo(memoryBytes + bytesOf(type), 256);
      }
    tensorBytes = memoryBytes;
  }

  LogicalResult walk() {
    unsigned layer = 0;
    for (Operation &op : main.front()) {
      if (auto call = dyn_cast<func::CallOp>(op)) {
        // The host's copy of a kernel still says what it reads and writes.
        auto kernel = getOperation().lookupSymbol<func::FuncOp>(call.getCallee());
        if (failed(call->hasAttr(onDeviceAttr) ? runOnDevice(call, kernel, layer) : runOnHost(call, kernel)))
          return failure();
        ++layer;
        continue;
      }
      op.walk([&](func::CallOp) { ++layer; });
      if (isa<func::ReturnOp>(op)) {
        for (unsigned i = 0; i < arena(); ++i)
          toHost(i, 0, INT64_MAX);
      } else if (op.getNumRegions() || isa<memref::LoadOp>(op)) {
        // Whatever it or its regions touch, the host may read and write.
        op.walk([&](Operation *inner) {
          for (Value operand : inner->getOperands())
            if (isa<BaseMemRefType>(operand.getType()))
              hostUses(operand, {true, !isa<memref::LoadOp>(inner)});
        });
      }
    }
    return success();
  }

  LogicalResult runOnDevice(func::CallOp call, func::FuncOp kernel, unsigned layer) {
    if (!kernel || !device.lookupSymbol(call.getCallee()))
      return call.emitError() << "expected '" << call.getCallee() << "' on both sides";
    if (!open) {
      segments.emplace_back();
      segments.back().firstLayer = layer;
      open = true;
    }
    Segment &segment = segments.back();
    segment.calls.push_back(call);
    for (auto [operand, use] : llvm::zip(call.getOperands(), kernelUses(kernel))) {
      std::optional<Place> place = resolve(operand);
      if (!place)
        return call.emitError() << "expected views at known places of the function's arguments, got "
                                << operand.getType();
      unsigned root = place->root.getArgNumber();
      if (root == weights())
        continue;
      bool reads = use.reads || (use.writes && !place->isDense);
      if (reads)
        for (auto [begin, end] : fresh[root].take(place->begin, place->end))
          segment.in.push_back({root, begin, end});
      if (use.writes) {
        fresh[root].take(place->begin, place->end);
        stale[root].add(place->begin, place->end);
      }
    }
    return success();
  }

  LogicalResult runOnHost(func::CallOp call, func::FuncOp kernel) {
    SmallVector<Use> uses(call.getNumOperands(), {true, true});
    if (kernel && !kernel.isExternal())
      uses.assign(kernelUses(kernel).begin(), kernelUses(kernel).end());
    for (auto [operand, use] : llvm::zip(call.getOperands(), uses))
      if (isa<BaseMemRefType>(operand.getType()))
        hostUses(operand, use);
    return success();
  }

  llvm::DenseMap<Operation *, SmallVector<Use>> cache;
  ArrayRef<Use> kernelUses(func::FuncOp kernel) {
    auto [found, isNew] = cache.try_emplace(kernel);
    if (isNew)
      found->second = usesOf(kernel);
    return found->second;
  }

  void hostUses(Value memref, Use use) {
    std::optional<Place> place = resolve(memref);
    Value root = memref;
    // Memory that the run allocates is the host's own.
    while (Operation *op = root ? root.getDefiningOp() : nullptr)
      root = isa<memref::AllocOp>(op) || !op->getNumOperands() ? Value() : op->getOperand(0);
    if (!place && !(root && isa<BlockArgument>(root)))
      return;
    unsigned argument = place ? place->root.getArgNumber() : cast<BlockArgument>(root).getArgNumber();
    if (place ? place->root.getOwner() != &main.front() : cast<BlockArgument>(root).getOwner() != &main.front())
      return;
    if (argument == weights())
      return;
    hostTouches[argument] = true;
    int64_t begin = place ? place->begin : 0, end = place ? place->end : INT64_MAX;
    if (use.reads || (use.writes && !(place && place->isDense)))
      toHost(argument, begin, end);
    if (use.writes) {
      stale[argument].take(begin, end);
      fresh[argument].add(begin, place ? end : sizeOf(argument));
      open = false;
    }
  }

  int64_t sizeOf(unsigned argument) {
    auto type = dyn_cast<MemRefType>(main.getArgumentTypes()[argument]);
    return type && type.hasStaticShape() ? bytesOf(type) : 0;
  }

  // Copies what the device holds newer than the host at the end of the last segment.
  void toHost(unsigned argument, int64_t begin, int64_t end) {
    for (auto [from, to] : stale[argument].take(begin, end)) {
      segments.back().out.push_back({argument, from, to});
      open = false;
    }
  }

  // Kernels' own memory lies behind the tensors. Kernels run one after the other, so that all functions share it; one
  // function's buffers stand side by side.
  int64_t scratchPlace(memref::AllocOp scratch) {
    int64_t place = 0;
    for (auto other : scratch->getBlock()->getOps<memref::AllocOp>()) {
      if (other == scratch)
        break;
      place += llvm::alignTo(bytesOf(other.getType()), 256);
    }
    memoryBytes = std::max(memoryBytes, tensorBytes + place + bytesOf(scratch.getType()));
    return place;
  }

  // What the kernels of `call` are, and the same for sm_90a where that is another function.
  LogicalResult describe(Builder &b, func::CallOp call, SmallVectorImpl<Attribute> &steps,
                         SmallVectorImpl<Attribute> &wideSteps, bool &hasWide) {
    auto function = device.lookupSymbol<func::FuncOp>(call.getCallee());
    auto wide = device.lookupSymbol<func::FuncOp>((call.getCallee() + warpgroupsSuffix).str());
    size_t before = steps.size();
    if (failed(describe(b, call, function, steps)))
      return failure();
    hasWide |= bool(wide);
    if (wide)
      return describe(b, call, wide, wideSteps);
    wideSteps.append(steps.begin() + before, steps.end());
    return success();
  }

  // Each device function is launches of kernels on its own arguments and scratch memory.
  LogicalResult describe(Builder &b, func::CallOp call, func::FuncOp function, SmallVectorImpl<Attribute> &steps) {
    for (auto launch : function.getOps<gpu::LaunchFuncOp>()) {
      SmallVector<int64_t> grid, block, arguments;
      auto number = [&](Value value) { return getConstantIntValue(value).value_or(0); };
      gpu::KernelDim3 g = launch.getGridSizeOperandValues(), t = launch.getBlockSizeOperandValues();
      grid = {number(g.x), number(g.y), number(g.z)};
      block = {number(t.x), number(t.y), number(t.z)};
      for (Value operand : launch.getKernelOperands()) {
        if (auto scratch = operand.getDefiningOp<memref::AllocOp>()) {
          arguments.push_back(0);
          arguments.push_back(tensorBytes + scratchPlace(scratch));
          continue;
        }
        auto map = operand.getDefiningOp<UnrealizedConversionCastOp>();
        auto tensor = map ? map->getAttrOfType<DictionaryAttr>(tensorMapAttr) : DictionaryAttr();
        std::optional<Place> inner = resolve(tensor ? map.getOperand(0) : operand);
        if (!inner)
          return launch.emitError("expected kernels that take buffers of the function alone, got ") << operand;
        std::optional<Place> outer = resolve(call.getOperand(inner->root.getArgNumber()));
        unsigned root = outer->root.getArgNumber();
        bool isWeight = root == weights();
        int64_t place = (isWeight ? 0 : tensorPlace[root]) + outer->base;
        if (tensor) {
          arguments.push_back(2);
          arguments.push_back(numberOf(b, tensor, isWeight, place + inner->begin));
        } else {
          arguments.push_back(isWeight);
          arguments.push_back(place + inner->base);
        }
      }
      int64_t shared = launch.getDynamicSharedMemorySize() ? number(launch.getDynamicSharedMemorySize()) : 0;
      SmallVector<NamedAttribute> step{
          b.getNamedAttr("arguments", b.getDenseI64ArrayAttr(arguments)),
          b.getNamedAttr("block", b.getDenseI64ArrayAttr(block)),
          b.getNamedAttr("grid", b.getDenseI64ArrayAttr(grid)),
          b.getNamedAttr("kernel", b.getStringAttr(launch.getKernelName().getValue())),
          b.getNamedAttr("shared", b.getI64IntegerAttr(shared)),
      };
      if (launch.getKernelModuleName().getValue() == warpgroupKernelsModule)
        step.push_back(b.getNamedAttr("sm_90a", b.getUnitAttr()));
      steps.push_back(b.getDictionaryAttr(step));
    }
    return success();
  }

  // The number of a tensor map; equal ones are one.
  SmallVector<Attribute> tensorMaps;
  int64_t numberOf(Builder &b, DictionaryAttr tensor, bool isWeight, int64_t offset) {
    NamedAttrList map(tensor);
    map.set("offset", b.getI64IntegerAttr(offset));
    map.set("space", b.getI64IntegerAttr(isWeight));
    Attribute whole = map.getDictionary(&getContext());
    auto found = llvm::find(tensorMaps, whole);
    if (found == tensorMaps.end())
      found = tensorMaps.insert(found, whole);
    return found - tensorMaps.begin();
  }

  Attribute describe(Builder &b, ArrayRef<Copy> copies) {
    SmallVector<int64_t> numbers;
    for (const Copy &copy : copies)
      llvm::append_range(numbers,
                         std::initializer_list<int64_t>{copy.root, copy.begin, tensorPlace[copy.root] + copy.begin,
                                                        copy.end - copy.begin});
    return b.getDenseI64ArrayAttr(numbers);
  }

  void emitSegments() {
    Builder b(&getContext());
    SmallVector<Attribute> described;
    int64_t status = 0;
    if (!segments.empty()) {
      // Where the runtime's answer goes: behind what the arena held.
      BlockArgument arenaArgument = main.getArgument(arena());
      int64_t bytes = cast<MemRefType>(arenaArgument.getType()).getNumElements();
      status = llvm::alignTo(bytes, BURIN_ALIGNMENT);
      arenaArgument.setType(MemRefType::get({status + BURIN_ALIGNMENT}, b.getI8Type()));
      main.setFunctionType(b.getFunctionType(main.front().getArgumentTypes(), {}));
      getOperation()->setAttr("burin.arena_bytes", b.getI64IntegerAttr(status + BURIN_ALIGNMENT));
    }
    SmallVector<Attribute> layers(getOperation()->getAttrOfType<ArrayAttr>("burin.layers").getValue());
    for (const Segment &segment : llvm::reverse(segments))
      mergeLayers(b, layers, segment);
    getOperation()->setAttr("burin.layers", b.getArrayAttr(layers));
    for (auto [i, segment] : llvm::enumerate(segments)) {
      SmallVector<Attribute> steps, wideSteps;
      bool hasWide = false;
      for (func::CallOp call : segment.calls)
        if (failed(describe(b, call, steps, wideSteps, hasWide)))
          return signalPassFailure();
      SmallVector<NamedAttribute> parts{b.getNamedAttr("in", describe(b, segment.in)),
                                        b.getNamedAttr("out", describe(b, segment.out)),
                                        b.getNamedAttr("steps", b.getArrayAttr(steps))};
      if (hasWide)
        parts.push_back(b.getNamedAttr("steps_sm_90a", b.getArrayAttr(wideSteps)));
      described.push_back(b.getDictionaryAttr(parts));
      emitCall(i, segment, status);
    }
    device->setAttr(segmentsAttr, b.getArrayAttr(described));
    if (!tensorMaps.empty())
      device->setAttr(tensorMapsAttr, b.getArrayAttr(tensorMaps));
    device->setAttr(memoryBytesAttr, b.getI64IntegerAttr(memoryBytes));
    device->setAttr(arenaPictureAttr, b.getI64IntegerAttr(pictureBytes));
    SmallVector<int64_t> tensors;
    for (unsigned i = 0; i < arena(); ++i)
      tensors.append({tensorPlace[i], sizeOf(i), hostTouches[i]});
    device->setAttr(tensorsAttr, b.getDenseI64ArrayAttr(tensors));
  }

  // Layers are numbered in the order of the calls; a segment is one.
  static void mergeLayers(Builder &b, SmallVectorImpl<Attribute> &layers, const Segment &segment) {
    unsigned first = segment.firstLayer, count = segment.calls.size();
    auto at = [&](unsigned i, StringRef key) { return cast<DictionaryAttr>(layers[i]).get(key); };
    int64_t flops = 0, bytes = 0, weightBytes = 0;
    for (unsigned i = first; i < first + count; ++i) {
      flops += cast<IntegerAttr>(at(i, "flops")).getInt();
      bytes += cast<IntegerAttr>(at(i, "bytes")).getInt();
      if (auto weights = dyn_cast_or_null<IntegerAttr>(at(i, "weight_bytes")))
        weightBytes += weights.getInt();
    }
    std::string name = cast<StringAttr>(at(first, "name")).str();
    if (count > 1)
      name += "+...+" + cast<StringAttr>(at(first + count - 1, "name")).str();
    layers[first] = b.getDictionaryAttr(
        {b.getNamedAttr("name", b.getStringAttr(name)), b.getNamedAttr("kind", b.getStringAttr("cuda")),
         b.getNamedAttr("flops", b.getI64IntegerAttr(flops)), b.getNamedAttr("bytes", b.getI64IntegerAttr(bytes)),
         b.getNamedAttr("weight_bytes", b.getI64IntegerAttr(weightBytes))});
    layers.erase(layers.begin() + first + 1, layers.begin() + first + count);
  }

  //   call @segmentN(tensors..., arena, weights, status, context)
  //   assert status == 0
  void emitCall(unsigned index, Segment &segment, int64_t statusAt) {
    func::CallOp last = segment.calls.back();
    OpBuilder b(last);
    Location loc = last.getLoc();
    auto statusType = MemRefType::get({}, b.getI32Type());
    Value at = arith::ConstantIndexOp::create(b, loc, statusAt);
    Value status = memref::ViewOp::create(b, loc, statusType, main.getArgument(arena()), at, ValueRange());
    // Tensors without elements have no place; nothing is copied of them.
    SmallVector<Value> operands;
    for (BlockArgument argument : main.getArguments())
      operands.push_back(
          sizeOf(argument.getArgNumber()) || argument.getArgNumber() >= arena() ? argument : main.getArgument(arena()));
    operands.push_back(status);
    operands.push_back(foreign::ContextOp::create(b, loc, b.getI64Type()));
    func::FuncOp function = makeFunction(index, operands, loc);
    func::CallOp::create(b, loc, function, operands);
    Value code = memref::LoadOp::create(b, loc, status, ValueRange());
    Value ok = arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(BURIN_OK));
    auto check = cf::AssertOp::create(b, loc, arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, code, ok),
                                      "the device fails");
    check->setAttr("burin.status", b.getI32IntegerAttr(BURIN_ERROR_CALL));
    for (func::CallOp call : segment.calls)
      call.erase();
  }

  func::FuncOp makeFunction(unsigned index, ArrayRef<Value> operands, Location loc) {
    OpBuilder b = OpBuilder::atBlockEnd(getOperation().getBody());
    auto function = func::FuncOp::create(b, loc, "segment" + std::to_string(index),
                                         b.getFunctionType(ValueRange(operands).getTypes(), {}));
    function.setPrivate();
    Block *body = function.addEntryBlock();
    b.setInsertionPointToStart(body);
    unsigned tensors = operands.size() - 2;
    auto attributes = b.getDictionaryAttr({b.getNamedAttr("segment", b.getI64IntegerAttr(index))});
    foreign::CallOp::create(
        b, loc, TypeRange(), body->getArgument(tensors + 1), body->getArguments().take_front(tensors),
        ValueRange(body->getArgument(tensors)), b.getStringAttr(runFunction),
        b.getDenseI32ArrayAttr(SmallVector<int32_t>(tensors, BURIN_UINT8)), DenseI32ArrayAttr(), attributes);
    func::ReturnOp::create(b, loc);
    return function;
  }
};
} // namespace
