#include "passes/Graph/ImageStages.h"
#include "dialects/Foreign/Foreign.h"
#include "dialects/Onnx/DataType.h"
#include "dialects/Onnx/Onnx.h"

using namespace mlir;
using namespace burin;

Operation *graph::buildImageStage(OpBuilder &b, Location where, ModuleOp module, const ImageStage &s, Value frame,
                                  RankedTensorType type) {
  auto stages = module->getAttrOfType<DictionaryAttr>(foreign::imageStagesAttr);
  std::string function = "image_stage_" + std::to_string(stages ? stages.size() : 0);
  Type element = type.getElementType();
  StringRef kind = element.isF32() ? "f32" : element.isUnsignedInteger(8) ? "u8" : "i8";
  auto entry = [&](StringRef key, Attribute value) { return b.getNamedAttr(key, value); };
  NamedAttribute parts[] = {entry("format", b.getStringAttr(s.format)),
                            entry("frame", b.getDenseI64ArrayAttr({s.frameWidth, s.frameHeight, s.stride})),
                            entry("matrix", b.getStringAttr(s.matrix)),
                            entry("range", b.getStringAttr(s.range)),
                            entry("region", b.getDenseI64ArrayAttr(s.region)),
                            entry("turn", b.getDenseI64ArrayAttr({s.isTurned, s.isMirrored[0], s.isMirrored[1]})),
                            entry("input", b.getStringAttr(s.input)),
                            entry("resize", b.getStringAttr(s.resize)),
                            entry("resized", b.getDenseI64ArrayAttr(s.resized)),
                            entry("offset", b.getDenseI64ArrayAttr(s.offset)),
                            entry("output", b.getDenseI64ArrayAttr({s.channels, s.size[1], s.size[0]})),
                            entry("layout", b.getStringAttr(s.isPlanar ? "NCHW" : "NHWC")),
                            entry("order", b.getStringAttr(s.isReversed ? "BGR" : "RGB")),
                            entry("type", b.getStringAttr(kind)),
                            entry("mean", DenseF64ArrayAttr::get(b.getContext(), s.mean)),
                            entry("scale", DenseF64ArrayAttr::get(b.getContext(), s.scale)),
                            entry("pad", DenseF64ArrayAttr::get(b.getContext(), {s.pad}))};
  SmallVector<NamedAttribute> all;
  if (stages)
    llvm::append_range(all, stages);
  all.push_back(entry(function, b.getDictionaryAttr(parts)));
  module->setAttr(foreign::imageStagesAttr, b.getDictionaryAttr(all));

  NamedAttribute node[] = {entry("op_type", b.getStringAttr("ImageStage")), entry("domain", b.getStringAttr("burin")),
                           entry("node_attributes", b.getDictionaryAttr({})),
                           entry(onnx::calleeAttr, b.getStringAttr(function))};
  return onnx::CustomOp::create(b, where, TypeRange(type), ValueRange(frame), node);
}
