// Shard 3 of the generated operators.
#include "dialects/Onnx/Onnx.h"
using namespace mlir;
#define GET_OP_DEFS_3
#include "dialects/Onnx/OnnxOps.cpp.inc"
