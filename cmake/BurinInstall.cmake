# cmake --install: tools, libraries, public headers, runtime libraries (runtime/CMakeLists.txt) and the CMake package for users:
#   find_package(Burin)   burin_add_model(net MODEL net.onnx)   target_link_libraries(app PRIVATE net)
include(CMakePackageConfigHelpers)
install(TARGETS BurinDialects BurinCompiler LIBRARY DESTINATION lib)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/burin DESTINATION include FILES_MATCHING PATTERN "*.h")
# For plugins and patterns: the onnx dialect with what is generated of it, and the graph room's tools.
install(FILES ${CMAKE_SOURCE_DIR}/dialects/Onnx/Onnx.h ${CMAKE_SOURCE_DIR}/dialects/Onnx/OnnxUtils.h ${CMAKE_SOURCE_DIR}/dialects/Onnx/Bridge.h
  ${CMAKE_SOURCE_DIR}/dialects/Onnx/Onnx.td ${CMAKE_SOURCE_DIR}/dialects/Onnx/OnnxPatterns.td ${CMAKE_SOURCE_DIR}/dialects/Onnx/Patterns.pdll DESTINATION include/dialects/Onnx)
install(DIRECTORY ${CMAKE_BINARY_DIR}/dialects/Onnx/ DESTINATION include/dialects/Onnx
  FILES_MATCHING PATTERN "*.h.inc" PATTERN "OnnxOps.td" PATTERN "CMakeFiles" EXCLUDE)
install(FILES ${CMAKE_SOURCE_DIR}/passes/Graph/Rewriting.h DESTINATION include/passes/Graph)
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE ${CMAKE_SOURCE_DIR}/NOTICES.md DESTINATION share/doc/burin OPTIONAL)
configure_package_config_file(${CMAKE_SOURCE_DIR}/cmake/BurinConfig.cmake.in ${CMAKE_BINARY_DIR}/BurinConfig.cmake
                              INSTALL_DESTINATION lib/cmake/Burin)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/BurinConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/BurinConfig.cmake ${CMAKE_BINARY_DIR}/BurinConfigVersion.cmake DESTINATION lib/cmake/Burin)
