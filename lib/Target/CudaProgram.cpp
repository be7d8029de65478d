// See CudaProgram.h. The tables are written as the C structs of program.h lie in memory.
#include "lib/Target/CudaProgram.h"
#include "runtime/cuda/program.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/Support/BLAKE3.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace burin;

namespace {

class Writer {
public:
  FailureOr<std::string> write(ModuleOp device, StringRef source, uint64_t weightsBytes, ArrayRef<CudaBinary> forms) {
    auto list = device->getAttrOfType<ArrayAttr>("burin.segments");
    auto memory = device->getAttrOfType<IntegerAttr>("burin.memory_bytes");
    auto picture = device->getAttrOfType<IntegerAttr>("burin.arena_picture_bytes");
    auto callers = device->getAttrOfType<DenseI64ArrayAttr>("burin.tensors");
    if (!list || !memory || !picture || !callers)
      return device.emitError("expected burin.segments and sizes of memory, as cuda-plan-steps leaves them"), failure();
    for (Attribute segment : list)
      if (!addSegment(cast<DictionaryAttr>(segment)))
        return device.emitError("expected segments of copies and launches, as cuda-plan-steps leaves them"), failure();

    if (auto described = device->getAttrOfType<ArrayAttr>("burin.tensor_maps"))
      for (auto map : described.getAsRange<DictionaryAttr>())
        if (!addMap(map))
          return device.emitError("expected tensor maps of at most 5 dims, as cuda-plan-steps leaves them"), failure();
    std::vector<burin_cuda_tensor> tensors;
    for (int64_t i = 0; i + 2 < callers.size(); i += 3)
      tensors.push_back({uint64_t(callers[i]), uint64_t(callers[i + 1]), uint32_t(callers[i + 2]), 0});
    burin_cuda_header header = {};
    header.magic = BURIN_CUDA_MAGIC;
    header.version = BURIN_CUDA_VERSION;
    header.memory_bytes = memory.getInt();
    header.arena_bytes = picture.getInt();
    header.weights_bytes = weightsBytes;
    std::vector<burin_cuda_binary> binaries(forms.size());
    std::vector<burin_cuda_kernel> table(kernels.size());
    uint64_t end = sizeof header;
    auto place = [&](auto &entries, uint32_t &count, uint64_t &where) {
      count = entries.size();
      where = end;
      end = llvm::alignTo(end + entries.size() * sizeof(entries[0]), 8);
    };
    place(binaries, header.num_binaries, header.binaries);
    place(table, header.num_kernels, header.kernels);
    place(segments, header.num_segments, header.segments);
    place(copies, header.num_copies, header.copies);
    place(launches, header.num_launches, header.launches);
    place(arguments, header.num_arguments, header.arguments);
    place(tensors, header.num_tensors, header.tensors);
    place(maps, header.num_maps, header.maps);

    std::string tail;
    auto append = [&](StringRef bytes) {
      uint64_t at = end + tail.size();
      tail.append(bytes.begin(), bytes.end());
      tail.append(llvm::alignTo(tail.size(), 8) - tail.size(), '\0');
      return at;
    };
    for (auto [entry, kernel] : llvm::zip(table, kernels)) {
      entry.name = append(kernel.first.str() + std::string(1, '\0'));
      entry.shared_bytes = kernel.second.sharedBytes;
      entry.warpgroups = kernel.second.hasWarpgroups;
    }
    for (auto [entry, form] : llvm::zip(binaries, forms)) {
      std::string bytes = form.bytes;
      if (form.format == BURIN_CUDA_PTX)
        bytes.push_back('\0');
      entry.format = form.format;
      entry.arch = form.arch;
      entry.place = append(bytes);
      entry.bytes = bytes.size();
    }

    std::string out;
    auto emit = [&](auto &entries) {
      out.append(reinterpret_cast<const char *>(entries.data()), entries.size() * sizeof(entries[0]));
      out.append(llvm::alignTo(out.size(), 8) - out.size(), '\0');
    };
    llvm::BLAKE3 hash;
    hash.update(source);
    hash.update(tail);
    llvm::copy(hash.final<sizeof header.identity>(), header.identity);
    static_assert(llvm::endianness::native == llvm::endianness::little, "the structs are written as they lie");
    out.append(reinterpret_cast<const char *>(&header), sizeof header);
    emit(binaries);
    emit(table);
    emit(segments);
    emit(copies);
    emit(launches);
    emit(arguments);
    emit(tensors);
    emit(maps);
    return out + tail;
  }

private:
  struct Kernel {
    uint32_t sharedBytes = 0; // most dynamic ones
    bool hasWarpgroups = false;
  };
  llvm::MapVector<StringRef, Kernel> kernels; // by name
  std::vector<burin_cuda_map> maps;
  std::vector<burin_cuda_segment> segments;
  std::vector<burin_cuda_copy> copies;
  std::vector<burin_cuda_launch> launches;
  std::vector<burin_cuda_argument> arguments;

  bool addCopies(DictionaryAttr segment, StringRef key, uint32_t &count) {
    auto numbers = segment.getAs<DenseI64ArrayAttr>(key);
    if (!numbers || numbers.size() % 4)
      return false;
    count = numbers.size() / 4;
    for (int64_t i = 0; i < numbers.size(); i += 4)
      copies.push_back(
          {uint32_t(numbers[i]), 0, uint64_t(numbers[i + 1]), uint64_t(numbers[i + 2]), uint64_t(numbers[i + 3])});
    return true;
  }

  bool addSegment(DictionaryAttr segment) {
    burin_cuda_segment entry = {};
    entry.first_copy = copies.size();
    if (!addCopies(segment, "in", entry.num_in) || !addCopies(segment, "out", entry.num_out))
      return false;
    if (!segment.getAs<ArrayAttr>("steps"))
      return false;
    if (!addLaunches(segment, "steps", entry.first_launch, entry.num_launches) ||
        !addLaunches(segment, "steps_sm_90a", entry.first_exact, entry.num_exact))
      return false;
    segments.push_back(entry);
    return true;
  }

  bool addMap(DictionaryAttr map) {
    burin_cuda_map entry = {};
    auto offset = map.getAs<IntegerAttr>("offset"), space = map.getAs<IntegerAttr>("space");
    auto dims = map.getAs<DenseI64ArrayAttr>("dims"), strides = map.getAs<DenseI64ArrayAttr>("strides"),
         box = map.getAs<DenseI64ArrayAttr>("box"), steps = map.getAs<DenseI64ArrayAttr>("steps");
    if (!offset || !space || !dims || !strides || !box || !steps || dims.size() > 5 || dims.size() < 2 ||
        box.size() != dims.size() || steps.size() != dims.size() || strides.size() + 1 != dims.size())
      return false;
    entry.base = {uint64_t(offset.getInt()), uint32_t(space.getInt()), 0};
    entry.rank = dims.size();
    for (int64_t d = 0; d < dims.size(); ++d) {
      entry.dims[d] = dims[d];
      entry.strides[d] = d ? strides[d - 1] : 0;
      entry.box[d] = box[d];
      entry.steps[d] = steps[d];
    }
    maps.push_back(entry);
    return true;
  }

  // None where the segment has no such list.
  bool addLaunches(DictionaryAttr segment, StringRef key, uint32_t &first, uint32_t &count) {
    first = launches.size();
    auto steps = segment.getAs<ArrayAttr>(key);
    if (!steps)
      return true;
    for (auto step : steps.getAsRange<DictionaryAttr>()) {
      auto kernel = step.getAs<StringAttr>("kernel");
      auto grid = step.getAs<DenseI64ArrayAttr>("grid"), block = step.getAs<DenseI64ArrayAttr>("block"),
           places = step.getAs<DenseI64ArrayAttr>("arguments");
      auto shared = step.getAs<IntegerAttr>("shared");
      if (!kernel || !grid || grid.size() != 3 || !block || block.size() != 3 || !places || places.size() % 2 ||
          !shared)
        return false;
      burin_cuda_launch launch = {};
      auto found = kernels.insert({kernel.getValue(), {}}).first;
      launch.kernel = found - kernels.begin();
      launch.shared_bytes = shared.getInt();
      found->second.sharedBytes = std::max(found->second.sharedBytes, launch.shared_bytes);
      found->second.hasWarpgroups = step.contains("sm_90a");
      for (unsigned d = 0; d < 3; ++d) {
        launch.grid[d] = grid[d];
        launch.block[d] = block[d];
      }
      launch.first_argument = arguments.size();
      launch.num_arguments = places.size() / 2;
      for (int64_t i = 0; i < places.size(); i += 2)
        arguments.push_back({uint64_t(places[i + 1]), uint32_t(places[i]), 0});
      launches.push_back(launch);
    }
    count = launches.size() - first;
    return true;
  }
};

} // namespace

FailureOr<std::string> burin::writeCudaProgram(ModuleOp device, StringRef source, uint64_t weightsBytes,
                                               ArrayRef<CudaBinary> binaries) {
  return Writer().write(device, source, weightsBytes, binaries);
}
