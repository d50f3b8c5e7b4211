# cube_library(NAME SOURCES a.cc ... [DEPS targets...]): a static library of the project.
# cube_binary(NAME SOURCES ... DEPS ...): an installed executable.
# cube_test(NAME LABEL unit|property|... SOURCES ... DEPS ...): one GoogleTest binary = one ctest entry.
# tests_unit, tests_property, ...: all tests of one label, to build no more than will be run.
include(GNUInstallDirs)

foreach(label unit property simulation integration e2e fuzz)
  add_custom_target(tests_${label})
endforeach()

function(_cube_common target)
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX,C>:${CUBE_WARNINGS}>)
  target_include_directories(${target} PUBLIC "${PROJECT_SOURCE_DIR}")
  if(NOT "${target}" STREQUAL "cube_pch")
    target_precompile_headers(${target} REUSE_FROM cube_pch)
  endif()
endfunction()

function(cube_library name)
  cmake_parse_arguments(A "" "" "SOURCES;DEPS" ${ARGN})
  add_library(${name} STATIC ${A_SOURCES})
  _cube_common(${name})
  target_link_libraries(${name} PUBLIC ${A_DEPS})
endfunction()

function(cube_binary name)
  cmake_parse_arguments(A "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  _cube_common(${name})
  target_link_libraries(${name} PRIVATE ${A_DEPS})
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()

function(cube_test name)
  cmake_parse_arguments(A "" "LABEL;TIMEOUT" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${A_SOURCES})
  _cube_common(${name})
  target_link_libraries(${name} PRIVATE ${A_DEPS} cube_gtest_main)
  add_test(NAME ${name} COMMAND ${name})
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 300)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS "${A_LABEL}" TIMEOUT ${A_TIMEOUT})
  add_dependencies(tests_${A_LABEL} ${name})
endfunction()
