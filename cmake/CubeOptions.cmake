# Compiler settings that hold for every target of the project.
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 17)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_C_COMPILER_LAUNCHER "${CCACHE_PROGRAM}")
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CCACHE_PROGRAM}")
endif()

# Scores are compared bit by bit between compilers: no fused multiply-add.
add_compile_options(-ffp-contract=off)

set(CUBE_SANITIZE "" CACHE STRING "comma list for -fsanitize, e.g. address,undefined")
if(CUBE_SANITIZE)
  add_compile_options(-fsanitize=${CUBE_SANITIZE} -fno-omit-frame-pointer)
  if(NOT CUBE_SANITIZE MATCHES "thread")
    add_compile_options(-fno-sanitize-recover=all)
  endif()
  add_link_options(-fsanitize=${CUBE_SANITIZE})
endif()

option(CUBE_FUZZ "build the fuzz targets with libFuzzer (clang only)" OFF)
if(CUBE_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "CUBE_FUZZ needs clang; set CMAKE_CXX_COMPILER=clang++-19")
  endif()
  # Coverage of our own code steers the fuzzer.
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

set(CUBE_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror)
