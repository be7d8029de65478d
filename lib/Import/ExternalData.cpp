// Weights in files beside the model. A model is untrusted: the file it names must lie inside the model's own folder
// after all links are followed, and the range it asks for inside that file.
#include "lib/Import/ModelFile.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using ::onnx::TensorProto;

namespace burin {

namespace {

struct SideFile {
  std::shared_ptr<llvm::MemoryBuffer> buffer;
  std::string error;
};

SideFile open(StringRef folder, StringRef location) {
  namespace path = llvm::sys::path;
  SideFile file;
  auto refuse = [&](const llvm::Twine &text) {
    file.error = text.str();
    return file;
  };
  if (folder.empty())
    return refuse("expected a model with its weights inside, got external data '" + location +
                  "' of a model without a folder");
  if (location.empty() || location.contains('\0'))
    return refuse("expected the name of an external data file, got none");
  if (path::is_absolute(location) || location.starts_with("/") || location.starts_with("\\"))
    return refuse("expected external data inside the model's folder, got the absolute path '" + location + "'");
  for (StringRef part : llvm::make_range(path::begin(location), path::end(location)))
    if (part == "..")
      return refuse("expected external data inside the model's folder, got '" + location + "'");
  SmallString<256> full(folder), real, root;
  path::append(full, location);
  if (std::error_code code = llvm::sys::fs::real_path(full, real))
    return refuse("cannot open external data file '" + location + "': " + llvm::StringRef(code.message()).lower());
  if (llvm::sys::fs::real_path(folder, root))
    return refuse("cannot open the model's folder");
  StringRef inside(real);
  if (!inside.consume_front(root) || !(root == "/" || inside.starts_with("/")))
    return refuse("expected external data inside the model's folder, got '" + location + "', which leads out of it");
  if (!llvm::sys::fs::is_regular_file(real))
    return refuse("expected external data in a regular file, got '" + location + "'");
  auto buffer = llvm::MemoryBuffer::getFile(real, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!buffer)
    return refuse("cannot open external data file '" + location +
                  "': " + llvm::StringRef(buffer.getError().message()).lower());
  file.buffer = std::move(*buffer);
  return file;
}

} // namespace

LogicalResult resolveExternalData(ModelFile &model, StringRef folder) {
  llvm::StringMap<SideFile> files;
  bool failed = false;
  forEachTensor(model.proto, [&](TensorProto &tensor, const ::onnx::NodeProto *node) {
    if (failed || tensor.data_location() != TensorProto::EXTERNAL)
      return;
    auto refuse = [&](const llvm::Twine &text) {
      failed = true;
      if (node)
        emitError(model.locate(*node)) << text.str();
      else
        emitError(model.fileLoc()) << "initializer '" << tensor.name() << "': " << text.str();
    };
    StringRef location;
    uint64_t offset = 0, length = 0;
    bool hasLength = false;
    for (const auto &entry : tensor.external_data()) {
      if (entry.key() == "location") {
        location = entry.value();
      } else if (entry.key() == "offset" || entry.key() == "length") {
        bool isLength = entry.key() == "length";
        hasLength |= isLength;
        if (StringRef(entry.value()).getAsInteger(10, isLength ? length : offset))
          return refuse("expected a number of bytes as " + llvm::Twine(entry.key()) + " of external data, got '" +
                        entry.value() + "'");
      }
    }
    auto [it, isNew] = files.try_emplace(location);
    SideFile &file = it->second;
    if (isNew)
      file = open(folder, location);
    if (!file.buffer)
      return refuse(file.error);
    std::string error;
    RankedTensorType type = onnx::getTensorType(model.context, tensor, error);
    if (!type)
      return refuse(error);
    std::optional<uint64_t> size = onnx::getRawSize(type.getElementType(), type.getNumElements());
    if (!size)
      return refuse("expected a tensor of numbers in external data, got strings");
    if (hasLength && length != *size) {
      std::string text;
      llvm::raw_string_ostream(text) << "expected " << *size << " bytes for " << type << ", got " << length
                                     << " in external data";
      return refuse(text);
    }
    uint64_t available = file.buffer->getBufferSize();
    if (offset > available || *size > available - offset)
      return refuse("expected " + std::to_string(*size) + " bytes at " + std::to_string(offset) + " of '" +
                    location.str() + "', got a file of " + std::to_string(available) + " bytes");
    // From here on it is a weight like those of the model's own file.
    tensor.set_raw_data(makeMarker(model.skeleton.weights.size()));
    tensor.clear_data_location();
    tensor.clear_external_data();
    model.skeleton.weights.push_back(file.buffer->getBuffer().substr(offset, *size));
    model.owners.push_back(file.buffer);
  });
  return failure(failed);
}

} // namespace burin
