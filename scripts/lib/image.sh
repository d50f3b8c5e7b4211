# shellcheck shell=bash
# Images made on the spot, since a test machine may reach no registry. Source after common.sh.

# The image of demo and tests: a static busybox with all its commands, about 2 MB. Integration
# and e2e tests use it too; without a `docker pull` anywhere.
readonly IMAGE_BUSYBOX=cube/busybox:1

# image_busybox: makes IMAGE_BUSYBOX in the engine unless it is there.
image_busybox() {
  docker image inspect "$IMAGE_BUSYBOX" >/dev/null 2>&1 && return 0
  local binary
  binary="$(command -v busybox)" || die 'busybox is missing (package busybox-static)'
  local root
  root="$(mktemp -d)"
  mkdir -p "$root"/{bin,etc,proc,sys,dev,var,root} "$root/tmp"
  chmod 1777 "$root/tmp"
  cp "$binary" "$root/bin/busybox"
  local applet
  while read -r applet; do
    [[ "$applet" == busybox ]] || ln -s busybox "$root/bin/$applet"
  done < <("$binary" --list)
  printf '%s\n' root:x:0:0:root:/root:/bin/sh nobody:x:65534:65534:nobody:/:/bin/false \
    >"$root/etc/passwd"
  printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
  image_import "$IMAGE_BUSYBOX" "$root" --change 'CMD ["/bin/sh"]' --change 'ENV PATH=/bin'
  rm -rf "$root"
}

# image_import NAME FOLDER [docker import options]: same files, same bytes, whoever makes it.
image_import() {
  local name="$1" folder="$2"
  shift 2
  tar -C "$folder" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf - . |
    docker import "$@" - "$name" >/dev/null
}
