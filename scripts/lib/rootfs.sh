# shellcheck shell=bash
# shellcheck disable=SC2016  # $(SITE) of apt is not this shell's
# Small Debian systems as tar files, for base images and the set-up test where no registry can be
# reached. Source after common.sh. Needs root (or user namespaces) and a Debian mirror; what has
# been fetched is kept under build/cache.

# Debian's own name for its nearest mirror; CUBE_DEBIAN_MIRROR, else the first one of this
# machine's own apt sources, when it is Debian, comes before it.
debian_mirror() {
  if [[ -n "${CUBE_DEBIAN_MIRROR:-}" ]]; then
    printf '%s' "$CUBE_DEBIAN_MIRROR"
    return
  fi
  local uri=''
  if command -v apt-get >/dev/null; then
    uri="$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 2>/dev/null |
      grep -E '/debian/?$' | head -n 1)" || true
  fi
  printf '%s' "${uri:-http://deb.debian.org/debian}"
}

# rootfs NAME SUITE VARIANT PACKAGES AFTER [mmdebstrap options]: prints the path of a tar file. It
# is made once and kept; a half-made one never has that name. AFTER TAR: a command that may add
# to it.
rootfs() {
  local name="$1" suite="$2" variant="$3" packages="$4" after="$5"
  shift 5
  local folder="$CUBE_ROOT/build/cache" tar log
  tar="$folder/$name.tar"
  log="$folder/$name.log"
  mkdir -p "$folder"
  if [[ ! -s "$tar" ]]; then
    command -v mmdebstrap >/dev/null || die 'mmdebstrap is missing (scripts/setup installs it)'
    quietly "$log" mmdebstrap --variant="$variant" ${packages:+--include="$packages"} \
      --aptopt='Acquire::Languages "none"' "$@" "$suite" "$tar.part.tar" "$(debian_mirror)" ||
      return 1
    "$after" "$tar.part.tar"
    mv "$tar.part.tar" "$tar"
  fi
  printf '%s' "$tar"
}

# rootfs_debian: what the image debian:bookworm-slim is, near enough.
rootfs_debian() {
  rootfs debian-bookworm-slim bookworm minbase '' : \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright'
}

# rootfs_nats: Debian 13's nats-server (2.10), and busybox for wget, as in nats:2.10-alpine.
rootfs_nats() {
  rootfs nats-2.10 trixie extract nats-server,busybox-static rootfs_nats_links \
    --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr
}

rootfs_nats_links() {
  local folder
  folder="$(mktemp -d)"
  mkdir -p "$folder/usr/bin" "$folder/data"
  ln -s busybox "$folder/usr/bin/wget"
  tar -C "$folder" --owner=0 --group=0 -rf "$1" ./usr/bin/wget ./data
  rm -rf "$folder"
}
