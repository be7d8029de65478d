// Between ONNX's protobuf messages and MLIR's types and attributes. Private to the dialect, Import and Export: the only
// code that may see ONNX's headers, compiled with exceptions. Inside namespace burin the library is `::onnx::`.
#pragma once

#include "dialects/Onnx/OnnxUtils.h"

#include "onnx/onnx_pb.h"

#include <functional>
#include <string>

namespace burin::onnx {

/// The element type of a TensorProto data type; null for one MLIR has no type for.
mlir::Type getElementType(mlir::MLIRContext *context, int32_t dataType);
/// TensorProto::UNDEFINED where ONNX has no such type.
int32_t getDataType(mlir::Type elementType);

/// `!onnx.any` where the message says nothing; null (with `error` set) where it says what cannot be held.
mlir::Type getType(mlir::MLIRContext *context, const ::onnx::TypeProto &proto, std::string *error = nullptr);
/// False for a type ONNX does not have, among them `!onnx.any` and none.
bool setType(mlir::Type type, ::onnx::TypeProto &proto);

/// What two sources say of one value's type, together; null where they contradict each other. Names of `preferred` win.
mlir::Type mergeTypes(mlir::Type preferred, mlir::Type other);

/// A tensor whose data stands in its own message. Null with `error` set where data and shape do not fit.
mlir::ElementsAttr getTensor(mlir::MLIRContext *context, const ::onnx::TensorProto &proto, std::string &error);
/// Whether getTensor would give a value, without making one.
bool checkTensor(mlir::MLIRContext *context, const ::onnx::TensorProto &proto, std::string &error);
/// The type of a tensor message; null with `error` set.
mlir::RankedTensorType getTensorType(mlir::MLIRContext *context, const ::onnx::TensorProto &proto, std::string &error);
/// A sparse tensor made dense, up to 256 MB.
mlir::ElementsAttr getSparseTensor(mlir::MLIRContext *context, const ::onnx::SparseTensorProto &proto,
                                   std::string &error);
/// Type, dims and data. False for a constant without readable data.
bool setTensor(mlir::ElementsAttr attr, ::onnx::TensorProto &proto);

using TensorReader = std::function<mlir::ElementsAttr(const ::onnx::TensorProto &, std::string &error)>;
/// Any attribute but a graph. Null with `error` set.
mlir::Attribute getAttribute(mlir::MLIRContext *context, const ::onnx::AttributeProto &proto,
                             const TensorReader &tensor, std::string &error);
/// Sets type and value, not the name. `expected` decides what an empty list is. False for an attribute ONNX has no form
/// for.
bool setAttribute(mlir::Attribute attr, ::onnx::AttributeProto &proto,
                  ::onnx::AttributeProto::AttributeType expected = ::onnx::AttributeProto::UNDEFINED);

/// Attribute names differ in one case: `type` (a method of every operation) is `elem_type` in IR.
llvm::StringRef getAttrName(llvm::StringRef onnxName);
llvm::StringRef getOnnxAttrName(llvm::StringRef name);

/// A library message as the tail of ours: first line, no prefix in brackets, lower case, no full stop.
std::string cleanMessage(llvm::StringRef what);

} // namespace burin::onnx
