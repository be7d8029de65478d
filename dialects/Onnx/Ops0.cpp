// Shard 0 of the generated operators.
#include "dialects/Onnx/Onnx.h"
using namespace mlir;
#define GET_OP_DEFS_0
#include "dialects/Onnx/OnnxOps.cpp.inc"
