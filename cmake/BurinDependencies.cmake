# Finds MLIR, LLVM, lld, protobuf and ONNX as tools/setup installs them.
list(APPEND CMAKE_PREFIX_PATH /usr/lib/llvm-22 $ENV{BURIN_ONNX})
find_package(MLIR REQUIRED CONFIG) # 22: their version files accept exact matches only
find_package(LLVM REQUIRED CONFIG)
list(APPEND CMAKE_MODULE_PATH ${MLIR_CMAKE_DIR} ${LLVM_CMAKE_DIR})
include(TableGen)
include(AddLLVM)
include(AddMLIR)

# Debian's protobuf has no CMake config file and ONNX's config asks for one: a shim over CMake's own module.
find_package(Protobuf MODULE REQUIRED)
file(WRITE ${CMAKE_BINARY_DIR}/shim/protobuf-config.cmake "set(Protobuf_FOUND TRUE)\n")
set(Protobuf_DIR ${CMAKE_BINARY_DIR}/shim)
find_package(ONNX REQUIRED CONFIG)
find_package(ZLIB REQUIRED)
find_package(Threads REQUIRED)
