// A ModelProto with markers written with its weights in their places. Private to lib/Export.
#pragma once

#include "dialects/Onnx/Proto.h"

#include "llvm/Support/raw_ostream.h"

namespace burin {

class WireWriter {
public:
  explicit WireWriter(const std::vector<mlir::ElementsAttr> &weights) : weights(weights) {}

  /// Serializes the skeleton and plans the output. False where it passes the 2 GB that protobuf can read.
  bool measure(const ::onnx::ModelProto &model);
  void write(llvm::raw_ostream &out);

  /// Turns the markers into references to the file `name`, whose content writeData then gives.
  void moveOut(::onnx::ModelProto &model, llvm::StringRef name);
  void writeData(llvm::raw_ostream &out);

private:
  struct Part {
    size_t begin, end; // bytes of the skeleton to copy (or of `heads`)
    bool head;         // a rewritten tag and length
    int64_t weight;    // or the weight to put here, -1 for none
  };
  uint64_t plan(llvm::StringRef data, unsigned kind, std::vector<Part> &parts, unsigned depth);
  void writeWeight(mlir::ElementsAttr attr, llvm::raw_ostream &out);
  uint64_t weightSize(mlir::ElementsAttr attr);

  const std::vector<mlir::ElementsAttr> &weights;
  std::string skeleton, heads;
  std::vector<Part> parts;
  std::vector<std::pair<uint64_t, size_t>> data; // offset in the side file, weight
};

} // namespace burin
