# cmake --install: tools, libraries, public headers, runtime libraries (runtime/CMakeLists.txt) and the CMake package for users:
#   find_package(Burin)   burin_add_model(net MODEL net.onnx)   target_link_libraries(app PRIVATE net)
include(CMakePackageConfigHelpers)
install(TARGETS BurinDialects BurinCompiler LIBRARY DESTINATION lib)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/burin DESTINATION include FILES_MATCHING PATTERN "*.h")
install(FILES ${CMAKE_SOURCE_DIR}/LICENSE ${CMAKE_SOURCE_DIR}/NOTICES.md DESTINATION share/doc/burin OPTIONAL)
configure_package_config_file(${CMAKE_SOURCE_DIR}/cmake/BurinConfig.cmake.in ${CMAKE_BINARY_DIR}/BurinConfig.cmake
                              INSTALL_DESTINATION lib/cmake/Burin)
write_basic_package_version_file(${CMAKE_BINARY_DIR}/BurinConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/BurinConfig.cmake ${CMAKE_BINARY_DIR}/BurinConfigVersion.cmake DESTINATION lib/cmake/Burin)
