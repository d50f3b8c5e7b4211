# Everything comes from the distribution's packages; scripts/setup installs them.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
set(Protobuf_USE_STATIC_LIBS OFF)
find_package(Protobuf REQUIRED)
find_package(CURL REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(spdlog REQUIRED)
find_package(fmt REQUIRED)
find_package(CLI11 REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(prometheus-cpp REQUIRED CONFIG)
find_package(absl REQUIRED CONFIG)
# Debian 12's cnats CMake package names a library it does not ship; LMDB has none.
pkg_check_modules(NATS REQUIRED IMPORTED_TARGET libnats>=3.4.1)
pkg_check_modules(LMDB REQUIRED IMPORTED_TARGET lmdb>=0.9.24)
# Of it only CRC-32, which is several times faster than zlib's: a sum guards each record.
pkg_check_modules(DEFLATE REQUIRED IMPORTED_TARGET libdeflate)
# Headers only: shared/service/config_text.cc compiles them, so there is nothing to link.
pkg_check_modules(TOMLPLUSPLUS REQUIRED tomlplusplus>=3.3.0)
# A library that nothing is used of costs each start its loading: Abseil's targets name many.
add_link_options(-Wl,--as-needed)
