# shellcheck shell=bash
# Building. Source after common.sh.

# Each preset builds with at most so many compilers: one needs up to 1 GB.
build_jobs() {
  local cores
  cores="$(nproc)"
  printf '%d' $((cores > 3 ? 3 : cores))
}

# Objects are found again by a build of the same text in another folder, precompiled headers
# included (ccache's manual, "Precompiled headers").
export CCACHE_BASEDIR="$CUBE_ROOT"
export CCACHE_NOHASHDIR=true
export CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime

# build PRESET [TARGET...]: configures and builds; a target that the tree lacks is an error.
build() {
  local preset="$1" targets=()
  shift
  (($# == 0)) || targets=(--target "$@")
  (
    cd "$CUBE_ROOT" || exit 1
    cmake --preset "$preset"
    cmake --build --preset "$preset" -j "$(build_jobs)" "${targets[@]}"
  )
}
