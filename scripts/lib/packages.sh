# shellcheck shell=bash
# shellcheck disable=SC2034  # read by the scripts that source it
# The distribution's packages that the project needs, in groups, and how they are installed.
# An entry `package:command` is also satisfied by that command (an engine from another source).

# Compilers and libraries: enough for `cmake --preset release && cmake --build --preset release`.
# python3 runs the house rules' tests.
readonly PACKAGES_BUILD=(
  g++ cmake ninja-build ccache pkg-config git ca-certificates python3
  libnats-dev libcli11-dev libspdlog-dev libfmt-dev nlohmann-json3-dev liblmdb-dev libyaml-cpp-dev
  libdeflate-dev libtomlplusplus-dev prometheus-cpp-dev libabsl-dev
  libprotobuf-dev protobuf-compiler libcurl4-openssl-dev libssl-dev libgtest-dev libgmock-dev
)

# What the demo and the tests run: the server, an engine, an image's only file, a registry, the
# compose path with its base images, and small tools.
readonly PACKAGES_RUN=(
  nats-server:nats-server docker.io:dockerd iptables:iptables iproute2:ip busybox-static
  docker-registry mmdebstrap debian-archive-keyring procps jq curl openssl
)

# Linters and the second compiler of scripts/check. clang 14 cannot parse the project.
readonly PACKAGES_CHECK=(
  clang-19 clang-tidy-19 clang-format-19 libclang-rt-19-dev llvm-19 shellcheck
)

# Debian's docker-compose is 1.29; Ubuntu 24.04's copy of that does not start with its Python.
compose_package() {
  if [[ "$(distribution)" == ubuntu ]]; then
    printf 'docker-compose-v2'
  else
    printf 'docker-compose'
  fi
}

distribution() (
  # shellcheck source=/dev/null
  . /etc/os-release
  printf '%s' "${ID:-unknown}"
)

# missing_packages ENTRY...: prints those that are not installed, one a line.
missing_packages() {
  local entry package command
  for entry in "$@"; do
    package="${entry%%:*}"
    command=''
    [[ "$entry" == *:* ]] && command="${entry#*:}"
    if [[ -n "$command" ]] && PATH="$PATH:/usr/sbin:/sbin" command -v "$command" >/dev/null; then
      continue
    fi
    package_installed "$package" || printf '%s\n' "$package"
  done
}

package_installed() {
  [[ "$(dpkg-query -W -f='${Status}' "$1" 2>/dev/null)" == 'install ok installed' ]]
}

# install_packages PACKAGE...: apt, without questions. Services that come with a package for a
# human administrator (nats-server on port 4222, a registry on 5000) are neither started nor
# enabled: the project starts its own, on ports and in folders of its own.
install_packages() {
  # Old lists may still do (no network, a local mirror): the installation itself is the judge.
  as_root apt-get update -q || warn 'apt-get update failed; trying with the lists that are there'
  as_root env DEBIAN_FRONTEND=noninteractive bash -s -- "$@" <<'SCRIPT'
set -euo pipefail
quiet=(nats-server docker-registry)
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
  trap 'rm -f "$policy"' EXIT
  cat >"$policy" <<'POLICY'
#!/bin/sh
# Written by scripts/setup for the time of one installation.
case "$1" in nats-server* | docker-registry*) exit 101 ;; esac
exit 0
POLICY
  chmod +x "$policy"
fi
apt-get install -q -y --no-install-recommends "$@" </dev/null
if [[ -d /run/systemd/system ]]; then
  for service in "${quiet[@]}"; do
    case " $* " in *" $service "*) systemctl disable -q "$service" 2>/dev/null || true ;; esac
  done
fi
SCRIPT
}
