// Tables first, then the header in front of them with every offset, the checksum last.
#include "lib/Target/Blob.h"
#include "burin/runtime.h"
#include "lib/Support/NodeNames.h"
#include "lib/Target/BlobTables.h"
#include "lib/Target/Description.h"
#include "lib/Target/WeightSection.h"
#include "runtime/hosted/crc.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include <limits>

using namespace mlir;
using namespace burin;

static_assert(sizeof(burin_vpu_header) == 144 && sizeof(burin_vpu_tensor) == 48 && sizeof(burin_vpu_task) == 104 &&
                  sizeof(burin_vpu_view) == 80 && sizeof(burin_vpu_step) == 16,
              "the container's drawing names these sizes");

namespace {
constexpr uint64_t alignment = 64;

std::string nameOf(Location loc) {
  SmallVector<StringRef> names;
  collectNodeNames(loc, names);
  return llvm::join(names, "+").substr(0, 200);
}

class Writer {
public:
  Writer(ModuleOp module, const BlobOptions &options) : module(module), options(options) {}

  LogicalResult write(raw_ostream &out) {
    main = module.lookupSymbol<func::FuncOp>("main");
    if (!main)
      return module.emitError("expected a function @main to write as a blob");
    if (failed(addTensors()) || failed(addConstants()))
      return failure();
    for (Operation &op : main.getBody().front())
      if (failed(add(op)))
        return failure();
    burin_vpu_task end = newTask(main.getLoc(), BURIN_VPU_TASK_END, vpu::Queue::dma);
    end.first_view = end.first_step = 0;
    tables.tasks.push_back(end);
    finish(out);
    return success();
  }

private:
  LogicalResult addTensors() {
    auto signature = module->getAttrOfType<DictionaryAttr>(signatureAttr);
    if (!signature)
      return module.emitError("expected the module attribute '") << signatureAttr << "'";
    uint32_t number = 0;
    for (auto [list, space, count] :
         {std::tuple("inputs", BURIN_VPU_INPUT, &numInputs), std::tuple("outputs", BURIN_VPU_OUTPUT, &numOutputs)}) {
      for (auto entry : signature.getAs<ArrayAttr>(list).getAsRange<DictionaryAttr>()) {
        burin_vpu_tensor tensor = {};
        StringRef name = entry.getAs<StringAttr>("name").getValue();
        auto dims = entry.getAs<DenseI64ArrayAttr>("dims").asArrayRef();
        tensor.name = tables.string(name);
        tensor.dtype = entry.getAs<IntegerAttr>("dtype").getInt();
        tensor.rank = dims.size();
        tensor.bytes = burin_vpu_dtype_bytes(tensor.dtype);
        if (!tensor.bytes || dims.size() > BURIN_VPU_MAX_RANK)
          return module.emitError() << "'" << name << "' has a type or rank that the vision unit does not take";
        for (auto [d, size] : llvm::enumerate(dims)) {
          if (size < 0)
            return module.emitError()
                   << "'" << name
                   << "' has a free dim: the vision unit runs fixed shapes; bind it with --shape or --dim";
          tensor.dims[d] = size;
          tensor.bytes *= size;
        }
        tensors.push_back(tensor);
        if (number >= main.getNumArguments())
          return module.emitError("expected an argument of @main for every input and output");
        tables.arguments[main.getArgument(number++)] = {uint8_t(space), (*count)++};
      }
    }
    return success();
  }

  LogicalResult addConstants() {
    for (auto global : module.getOps<memref::GlobalOp>()) {
      auto value = dyn_cast_or_null<ElementsAttr>(global.getInitialValueAttr());
      if (!value)
        return global.emitError("expected a constant with a value");
      tables.constants.resize(llvm::alignTo(tables.constants.size(), alignment));
      uint64_t offset = tables.constants.size(), size = vpu::elementBytes(value.getElementType());
      SmallVector<char> scratch;
      ArrayRef<char> bytes = bytesOfElements(value, scratch);
      auto dense = dyn_cast<DenseElementsAttr>(value);
      bool isSplat = dense && dense.isSplat();
      if (isSplat && value.getElementType().isInteger(1))
        tables.constants.push_back(dense.getSplatValue<bool>());
      else if (isSplat)
        tables.constants.append(dense.getRawData().data(), size);
      else
        tables.constants.append(bytes.data(), bytes.size());
      if (!isSplat && bytes.size() < size * value.getNumElements())
        return global.emitError("the constant's bytes are not at hand");
      tables.globals[global.getSymName()] = {offset, isSplat};
    }
    return success();
  }

  burin_vpu_task newTask(Location loc, burin_vpu_kind kind, vpu::Queue queue) {
    burin_vpu_task task = {};
    task.kind = kind;
    task.queue = static_cast<uint8_t>(queue);
    task.name = tables.string(nameOf(loc));
    if (loc != lastLocation && lastLocation)
      ++layer;
    lastLocation = loc;
    task.layer = layer;
    task.first_view = tables.views.size();
    task.first_step = tables.steps.size();
    task.strides[0] = task.strides[1] = task.dilations[0] = task.dilations[1] = task.kernel[0] = task.kernel[1] = 1;
    task.groups = 1;
    task.leak = 1;
    task.low = -std::numeric_limits<float>::infinity();
    task.high = std::numeric_limits<float>::infinity();
    return task;
  }

  LogicalResult add(Operation &op) {
    if (auto barrier = dyn_cast<vpu::BarrierOp>(op)) {
      burin_vpu_task task = newTask(op.getLoc(), BURIN_VPU_TASK_BARRIER, barrier.getQueue());
      task.waits[0] = barrier.getDma();
      task.waits[1] = barrier.getEngine();
      task.waits[2] = barrier.getShave();
      tables.tasks.push_back(task);
      return success();
    }
    auto any = dyn_cast<vpu::TaskOp>(op);
    if (!any)
      return success();
    burin_vpu_task task = newTask(op.getLoc(), BURIN_VPU_TASK_END, any.getQueue());
    LogicalResult added =
        llvm::TypeSwitch<Operation *, LogicalResult>(&op)
            .Case<vpu::DmaOp, vpu::ConvOp, vpu::DepthwiseConvOp, vpu::MatmulOp, vpu::ConvTransposeOp, vpu::PoolOp,
                  vpu::SoftmaxOp>([&](auto concrete) { return fill(concrete, task); })
            .Case([&](vpu::ShaveOp shave) {
              task.kind = BURIN_VPU_TASK_SHAVE;
              return addProgram(shave, tables, task);
            })
            .Default([](Operation *other) { return other->emitOpError("has no record in the container"); });
    if (failed(added))
      return failure();
    task.num_views = tables.views.size() - task.first_view;
    task.num_steps = tables.steps.size() - task.first_step;
    if (options.halfSums && (task.kind == BURIN_VPU_TASK_CONV || task.kind == BURIN_VPU_TASK_DEPTHWISE))
      task.flags |= BURIN_VPU_HALF_SUMS;
    if (numTasks < options.cycles.size())
      task.cycles = options.cycles[numTasks];
    ++numTasks;
    tables.tasks.push_back(task);
    return success();
  }

  /// Dims of `view`, by number; -1 a new dim of size 1.
  static burin_vpu_view rearranged(const burin_vpu_view &view, ArrayRef<int> dims) {
    burin_vpu_view result = view;
    result.rank = dims.size();
    for (int i = 0; i < BURIN_VPU_MAX_RANK; ++i) {
      bool has = i < (int)dims.size() && dims[i] >= 0;
      result.dims[i] = has ? view.dims[dims[i]] : i < (int)dims.size();
      result.strides[i] = has ? view.strides[dims[i]] : 0;
    }
    return result;
  }

  // Signals are images one pixel wide.
  LogicalResult image(Operation *op, Value memref) {
    FailureOr<burin_vpu_view> view = tables.view(op, memref);
    if (failed(view))
      return failure();
    tables.views.push_back(rearranged(*view, view->rank == 3 ? ArrayRef<int>{0, 1, -1, 2} : ArrayRef<int>{0, 1, 2, 3}));
    return success();
  }

  template <typename Op> LogicalResult fillExtras(Op op, burin_vpu_task &task) {
    for (auto [value, flag] :
         {std::pair(op.getScale(), BURIN_VPU_HAS_SCALE), std::pair(op.getBias(), BURIN_VPU_HAS_BIAS),
          std::pair(op.getSlope(), BURIN_VPU_HAS_SLOPE)}) {
      if (!value)
        continue;
      FailureOr<burin_vpu_view> view = tables.view(op, value);
      if (failed(view))
        return failure();
      task.flags |= flag;
      tables.views.push_back(*view);
    }
    fillActivation(op, task);
    return success();
  }

  template <typename Op> void fillActivation(Op op, burin_vpu_task &task) {
    if (op.getLeak())
      task.leak = op.getLeak()->convertToFloat();
    if (op.getLow())
      task.low = op.getLow()->convertToFloat();
    if (op.getHigh())
      task.high = op.getHigh()->convertToFloat();
  }

  template <typename Op> void fillWindow(Op op, burin_vpu_task &task) {
    unsigned spatial = op.getStrides().size();
    for (unsigned d = 0; d < spatial; ++d) {
      task.strides[d] = op.getStrides()[d];
      task.dilations[d] = op.getDilations()[d];
      task.pads[d] = op.getPads()[d];
      task.pads[2 + d] = op.getPads()[spatial + d];
    }
  }

  template <typename Op> LogicalResult fillConv(Op op, burin_vpu_task &task, burin_vpu_kind kind) {
    task.kind = kind;
    fillWindow(op, task);
    FailureOr<burin_vpu_view> filter = tables.view(op, op.getFilter());
    if (failed(filter) || failed(image(op, op.getInput())))
      return failure();
    bool flat = op.getStrides().size() == 1, depthwise = kind == BURIN_VPU_TASK_DEPTHWISE;
    SmallVector<int> dims = depthwise ? SmallVector<int>{-1, 0, flat ? -1 : 1, -1, flat ? 1 : 2}
                                      : SmallVector<int>{-1, 0, flat ? -1 : 1, flat ? 1 : 2, flat ? 2 : 3};
    tables.views.push_back(rearranged(*filter, dims));
    if (failed(image(op, op.getOutput())))
      return failure();
    return fillExtras(op, task);
  }

  LogicalResult fill(vpu::ConvOp op, burin_vpu_task &task) {
    task.groups = op.getGroups();
    return fillConv(op, task, BURIN_VPU_TASK_CONV);
  }
  LogicalResult fill(vpu::DepthwiseConvOp op, burin_vpu_task &task) {
    return fillConv(op, task, BURIN_VPU_TASK_DEPTHWISE);
  }
  LogicalResult fill(vpu::ConvTransposeOp op, burin_vpu_task &task) {
    task.groups = op.getGroups();
    return fillConv(op, task, BURIN_VPU_TASK_DECONV);
  }

  LogicalResult fill(vpu::DmaOp op, burin_vpu_task &task) {
    task.kind = BURIN_VPU_TASK_DMA;
    for (Value value : {op.getSource(), op.getTarget()}) {
      FailureOr<burin_vpu_view> view = tables.view(op, value);
      if (failed(view))
        return failure();
      tables.views.push_back(*view);
    }
    return success();
  }

  LogicalResult fill(vpu::PoolOp op, burin_vpu_task &task) {
    task.kind = BURIN_VPU_TASK_POOL;
    task.mode = static_cast<uint8_t>(op.getMode());
    task.flags = op.getCountPadding() ? BURIN_VPU_COUNT_PADDING : 0;
    for (auto [d, size] : llvm::enumerate(op.getKernel()))
      task.kernel[d] = size;
    fillWindow(op, task);
    fillActivation(op, task);
    return success(succeeded(image(op, op.getInput())) && succeeded(image(op, op.getOutput())));
  }

  LogicalResult fill(vpu::SoftmaxOp op, burin_vpu_task &task) {
    task.kind = BURIN_VPU_TASK_SOFTMAX;
    for (Value value : {op.getInput(), op.getOutput()}) {
      FailureOr<burin_vpu_view> view = tables.view(op, value);
      if (failed(view))
        return failure();
      SmallVector<int> dims;
      for (int d = 0; d < view->rank; ++d)
        if (d != (int)op.getDim())
          dims.push_back(d);
      dims.push_back(op.getDim());
      tables.views.push_back(rearranged(*view, dims));
    }
    return success();
  }

  /// [b..., r, c] as [b, r, c] where the batches lie as one dim; batches of size 1 repeat `batches` times.
  static FailureOr<burin_vpu_view> mergeBatches(Operation *op, const burin_vpu_view &view, uint32_t batches) {
    burin_vpu_view result = rearranged(view, {-1, view.rank - 2, view.rank - 1});
    uint32_t count = 1, stride = 0;
    for (int d = view.rank - 3; d >= 0; --d) {
      if (view.dims[d] == 1)
        continue;
      if (count == 1)
        stride = view.strides[d];
      else if (view.strides[d] != stride * count)
        return op->emitOpError("has batches that do not lie one behind another"), failure();
      count *= view.dims[d];
    }
    if (count != 1 && count != batches)
      return op->emitOpError("repeats only some of its batch dims"), failure();
    result.dims[0] = batches;
    result.strides[0] = count == 1 ? 0 : stride;
    return result;
  }

  // A product is a convolution of height m and one tap.
  LogicalResult fill(vpu::MatmulOp op, burin_vpu_task &task) {
    task.kind = BURIN_VPU_TASK_CONV;
    FailureOr<burin_vpu_view> lhs = tables.view(op, op.getInput()), rhs = tables.view(op, op.getFilter()),
                              out = tables.view(op, op.getOutput());
    if (failed(lhs) || failed(rhs) || failed(out))
      return failure();
    uint32_t batches = 1;
    for (int d = 0; d + 2 < out->rank; ++d)
      batches *= out->dims[d];
    bool shared = rhs->rank == 2;
    lhs = mergeBatches(op, *lhs, batches);
    out = mergeBatches(op, *out, batches);
    rhs = mergeBatches(op, *rhs, shared ? 1 : batches);
    if (failed(lhs) || failed(rhs) || failed(out))
      return failure();
    tables.views.push_back(rearranged(*lhs, {0, 1, -1, 2}));
    tables.views.push_back(
        rearranged(*rhs, op.getTransposeRhs() ? ArrayRef<int>{0, -1, -1, 2, 1} : ArrayRef<int>{0, -1, -1, 1, 2}));
    tables.views.push_back(rearranged(*out, {0, 1, -1, 2}));
    return fillExtras(op, task);
  }

  void finish(raw_ostream &out) {
    burin_vpu_header h = {};
    memcpy(h.magic, BURIN_VPU_MAGIC, 8);
    h.version = BURIN_VPU_VERSION;
    h.num_inputs = numInputs;
    h.num_outputs = numOutputs;
    h.unit = tables.string(options.unit);
    h.name = tables.string(options.name);
    h.manifest = tables.string(options.manifest);
    auto limit = [&](StringRef name) {
      auto attr = main->getAttrOfType<IntegerAttr>(name);
      return attr ? attr.getInt() : 0;
    };
    h.cmx_bytes = limit("vpu.cmx_bytes");
    h.ddr_bytes = limit("vpu.ddr_bytes");
    h.shaves = options.shaves;
    h.slices = options.slices;
    h.threads = options.threads;
    h.megahertz = options.megahertz;
    std::string body;
    auto section = [&](const void *data, uint64_t bytes, uint64_t align) {
      body.resize(llvm::alignTo(body.size() + sizeof h, align) - sizeof h);
      uint64_t offset = body.size() + sizeof h;
      body.append(static_cast<const char *>(data), bytes);
      return offset;
    };
    auto table = [&](const auto &rows) { return section(rows.data(), rows.size() * sizeof(rows[0]), 8); };
    h.num_tasks = tables.tasks.size();
    h.num_views = tables.views.size();
    h.num_steps = tables.steps.size();
    h.strings_bytes = tables.strings.size();
    h.constants_bytes = tables.constants.size();
    h.tensors = table(tensors);
    h.tasks = table(tables.tasks);
    h.views = table(tables.views);
    h.steps = table(tables.steps);
    h.strings = table(tables.strings);
    h.constants = section(tables.constants.data(), tables.constants.size(), alignment);
    h.bytes = sizeof h + body.size();
    h.crc = burin_crc32(0, reinterpret_cast<const char *>(&h) + 16, sizeof h - 16);
    h.crc = burin_crc32(h.crc, body.data(), body.size());
    out.write(reinterpret_cast<const char *>(&h), sizeof h) << body;
  }

  ModuleOp module;
  const BlobOptions &options;
  func::FuncOp main;
  BlobTables tables;
  std::vector<burin_vpu_tensor> tensors;
  uint32_t numInputs = 0, numOutputs = 0, layer = 0, numTasks = 0;
  LocationAttr lastLocation;
};
} // namespace

uint32_t BlobTables::string(StringRef text) {
  if (text.empty())
    return 0;
  auto [place, isNew] = stringPlaces.try_emplace(text, strings.size());
  if (isNew)
    strings.append(text.data(), text.size()).push_back('\0');
  return place->second;
}

FailureOr<burin_vpu_view> BlobTables::view(Operation *op, Value memref) {
  FailureOr<vpu::Place> place = vpu::placeOf(memref);
  auto type = dyn_cast<MemRefType>(memref.getType());
  if (failed(place) || place->sizes.size() > BURIN_VPU_MAX_RANK)
    return op->emitOpError("expected an operand of static places and at most ")
               << BURIN_VPU_MAX_RANK << " dims, got " << memref.getType(),
           failure();
  burin_vpu_view view = {};
  view.rank = std::max<size_t>(place->sizes.size(), 1);
  Type element = type.getElementType();
  view.dtype = element.isIndex() ? BURIN_INT64 : dtypeOf(element);
  if (!burin_vpu_dtype_bytes(view.dtype))
    return op->emitOpError("has elements of a type that the vision unit does not compute: ") << element, failure();
  view.offset = place->bytes;
  for (int d = 0; d < BURIN_VPU_MAX_RANK; ++d) {
    bool has = d < (int)place->sizes.size();
    view.dims[d] = has ? place->sizes[d] : d < view.rank;
    view.strides[d] = has && place->sizes[d] > 1 ? place->strides[d] : 0;
  }
  if (auto buffer = place->root.getDefiningOp<vpu::BufferOp>()) {
    view.space = type.getMemorySpaceAsInt() == vpu::cmxSpace ? BURIN_VPU_CMX : BURIN_VPU_DDR;
    view.offset += buffer.getOffset();
  } else if (auto global = place->root.getDefiningOp<memref::GetGlobalOp>()) {
    auto [offset, isSplat] = globals.lookup(global.getName());
    view.space = BURIN_VPU_CONSTANT;
    view.offset = isSplat ? offset : view.offset + offset;
    if (isSplat)
      llvm::fill(view.strides, 0);
  } else if (auto argument = arguments.find(place->root); argument != arguments.end()) {
    std::tie(view.space, view.index) = argument->second;
  } else {
    return op->emitOpError("reads memory that has no place in the container"), failure();
  }
  return view;
}

LogicalResult burin::writeBlob(ModuleOp module, const BlobOptions &options, raw_ostream &out) {
  return Writer(module, options).write(out);
}
