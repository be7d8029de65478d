# How a room becomes part of the build.
#   burin_object_library(Name sources... [FOR Dialects|Compiler])  objects of one room, collected into libBurin<FOR>.so
#   burin_exceptions(sources...)        the few files that call ONNX or nanobind: -fexceptions, and so no shared PCH
#   burin_tablegen(target out generator in args...)  one mlir-tblgen output
#   burin_make_libraries()              the two shared libraries, after all rooms are known
set(BURIN_CXX_FLAGS -fno-exceptions -Wall -Wno-unused-function -Wno-deprecated-declarations -fno-semantic-interposition)

# The precompiled header all rooms share: MLIR and LLVM headers only, so that editing ours never rebuilds it.
add_library(BurinPch OBJECT ${CMAKE_SOURCE_DIR}/cmake/pch.cpp)
target_include_directories(BurinPch SYSTEM PRIVATE ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})
target_include_directories(BurinPch PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/include ${CMAKE_BINARY_DIR})
target_compile_options(BurinPch PRIVATE ${BURIN_CXX_FLAGS})
target_precompile_headers(BurinPch PRIVATE ${CMAKE_SOURCE_DIR}/cmake/pch.h)

# Generated headers of all dialects and passes; each room adds its own, every room waits for them.
add_custom_target(burin-headers)
set_property(GLOBAL PROPERTY BURIN_ROOMS_Dialects "")
set_property(GLOBAL PROPERTY BURIN_ROOMS_Compiler "")

function(burin_object_library name)
  cmake_parse_arguments(A "" "FOR" "" ${ARGN})
  set(sources)
  foreach(f ${A_UNPARSED_ARGUMENTS})
    if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${f})
      list(APPEND sources ${f})
    else()
      message(WARNING "${name}: ${f} does not exist (yet)")
    endif()
  endforeach()
  add_library(${name} OBJECT ${sources})
  target_include_directories(${name} SYSTEM PRIVATE ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/include ${CMAKE_BINARY_DIR})
  target_compile_options(${name} PRIVATE ${BURIN_CXX_FLAGS})
  target_precompile_headers(${name} REUSE_FROM BurinPch)
  add_dependencies(${name} burin-headers)
  if(NOT A_FOR)
    set(A_FOR Compiler)
  endif()
  set_property(GLOBAL APPEND PROPERTY BURIN_ROOMS_${A_FOR} ${name})
endfunction()

function(burin_exceptions)
  foreach(f ${ARGN})
    set_property(SOURCE ${f} APPEND PROPERTY COMPILE_OPTIONS -fexceptions)
    set_property(SOURCE ${f} PROPERTY SKIP_PRECOMPILE_HEADERS ON)
    set_property(SOURCE ${f} APPEND PROPERTY INCLUDE_DIRECTORIES "$<TARGET_PROPERTY:ONNX::onnx,INTERFACE_INCLUDE_DIRECTORIES>")
    set_property(SOURCE ${f} APPEND PROPERTY COMPILE_DEFINITIONS "$<TARGET_PROPERTY:ONNX::onnx,INTERFACE_COMPILE_DEFINITIONS>")
  endforeach()
endfunction()

# burin_tablegen(<out, relative to the current binary dir> <generator flags...> FROM <td> [DEPENDS <files...>])
function(burin_tablegen out)
  cmake_parse_arguments(A "" "FROM" "DEPENDS" ${ARGN})
  get_filename_component(td ${A_FROM} ABSOLUTE)
  set(path ${CMAKE_CURRENT_BINARY_DIR}/${out})
  add_custom_command(OUTPUT ${path}
    COMMAND ${MLIR_TABLEGEN_EXE} ${A_UNPARSED_ARGUMENTS} -I ${CMAKE_SOURCE_DIR} -I ${CMAKE_BINARY_DIR} -I ${MLIR_INCLUDE_DIRS} ${td}
            -o ${path} --write-if-changed -d ${path}.d
    DEPENDS ${td} ${A_DEPENDS}
    DEPFILE ${path}.d
    COMMENT "tablegen ${out}")
  string(MAKE_C_IDENTIFIER "tablegen_${CMAKE_CURRENT_BINARY_DIR}/${out}" id)
  string(REPLACE "${CMAKE_BINARY_DIR}" "" short "${CMAKE_CURRENT_BINARY_DIR}/${out}")
  string(MAKE_C_IDENTIFIER "tablegen${short}" id)
  add_custom_target(${id} DEPENDS ${path})
  add_dependencies(burin-headers ${id})
endfunction()

# A room of passes: Passes.td beside this CMakeLists.txt becomes Passes.h.inc.
function(burin_pass_room name)
  burin_tablegen(Passes.h.inc -gen-pass-decls -name=Burin${name} FROM Passes.td)
  burin_object_library(Burin${name}Passes ${ARGN} FOR Compiler)
endfunction()

function(burin_make_libraries)
  foreach(lib Dialects Compiler)
    get_property(rooms GLOBAL PROPERTY BURIN_ROOMS_${lib})
    set(objects)
    foreach(r ${rooms})
      list(APPEND objects $<TARGET_OBJECTS:${r}>)
    endforeach()
    add_library(Burin${lib} SHARED ${objects} ${CMAKE_SOURCE_DIR}/cmake/version.cpp)
    set_target_properties(Burin${lib} PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}
                          BUILD_WITH_INSTALL_RPATH ON INSTALL_RPATH "$ORIGIN;${LLVM_LIBRARY_DIR}")
    target_link_options(Burin${lib} PRIVATE -fuse-ld=lld -Wl,--exclude-libs,ALL -Wl,--no-undefined -Wl,--gc-sections)
    target_include_directories(Burin${lib} INTERFACE $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}> $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include>
      $<BUILD_INTERFACE:${CMAKE_BINARY_DIR}> $<INSTALL_INTERFACE:include>)
  endforeach()
  target_link_libraries(BurinDialects PRIVATE ONNX::onnx ONNX::onnx_proto protobuf::libprotobuf PUBLIC MLIR LLVM)
  target_link_directories(BurinCompiler PRIVATE ${LLVM_LIBRARY_DIR})
  target_link_libraries(BurinCompiler PRIVATE burin_hosted lldELF lldWasm lldCommon z zstd crypto PUBLIC BurinDialects MLIR LLVM)
endfunction()

# burin_tool(name sources...): a thin main over the two libraries.
function(burin_tool name)
  add_executable(${name} ${ARGN})
  target_include_directories(${name} SYSTEM PRIVATE ${MLIR_INCLUDE_DIRS} ${LLVM_INCLUDE_DIRS})
  target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/include ${CMAKE_BINARY_DIR})
  # -fPIC as the precompiled header has it; CMake's own flag for programs would be -fPIE.
  target_compile_options(${name} PRIVATE ${BURIN_CXX_FLAGS} -fPIC)
  target_precompile_headers(${name} REUSE_FROM BurinPch)
  add_dependencies(${name} burin-headers)
  target_link_options(${name} PRIVATE -fuse-ld=lld -pie)
  target_link_libraries(${name} PRIVATE BurinCompiler BurinDialects MLIR LLVM)
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF INSTALL_RPATH "$ORIGIN/../lib;${LLVM_LIBRARY_DIR}")
  install(TARGETS ${name} RUNTIME DESTINATION bin)
endfunction()
