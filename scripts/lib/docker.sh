# shellcheck shell=bash
# A container engine for demo and tests: the one that runs, else one of our own for the time of
# the script. Source after common.sh.
#
# Ours listens where `docker` looks by default (/var/run/docker.sock), so that a person can watch
# it; its data, runtime files, pid file and log are in a folder of their own, and all of that is
# gone when it has been stopped. An engine that was there before is used and never stopped.

readonly ENGINE_SOCKET_DEFAULT=/var/run/docker.sock
# Another socket for an engine of ours (then DOCKER_HOST is exported): beside one that is not ours.
ENGINE_SOCKET="${CUBE_ENGINE_SOCKET:-$ENGINE_SOCKET_DEFAULT}"
[[ "$ENGINE_SOCKET" == "$ENGINE_SOCKET_DEFAULT" ]] || export DOCKER_HOST="unix://$ENGINE_SOCKET"
# A cold start with a slow disk (it formats its databases) took 8 s at worst; containerd's own
# limit is 15 s.
readonly ENGINE_START_SECONDS=45
readonly ENGINE_STOP_SECONDS=30

ENGINE_PID=''  # of the engine that this script has started
ENGINE_DIR=''
ENGINE_WHY_NOT=''  # a sentence, after engine_ensure has failed

# engine_answers: an engine answers at DOCKER_HOST, or where docker looks by default.
engine_answers() {
  command -v docker >/dev/null || return 1
  timeout 20 docker version --format '{{.Server.Version}}' >/dev/null 2>&1
}

# engine_ensure: an engine answers afterwards, or ENGINE_WHY_NOT says why none can be had (code 1).
# CUBE_NO_ENGINE=1 asks for none.
engine_ensure() {
  ENGINE_WHY_NOT=''
  if [[ -n "${CUBE_NO_ENGINE:-}" ]]; then
    ENGINE_WHY_NOT='CUBE_NO_ENGINE is set'
  elif ! command -v docker >/dev/null; then
    ENGINE_WHY_NOT='there is no docker command (scripts/setup installs it)'
  elif engine_answers; then
    return 0
  elif [[ -n "${DOCKER_HOST:-}" && "$DOCKER_HOST" != "unix://$ENGINE_SOCKET" ]]; then
    ENGINE_WHY_NOT="nothing answers at DOCKER_HOST=$DOCKER_HOST"
  elif ((EUID != 0)) && [[ -S "$ENGINE_SOCKET_DEFAULT" && ! -w "$ENGINE_SOCKET_DEFAULT" ]]; then
    ENGINE_WHY_NOT="$ENGINE_SOCKET_DEFAULT is not open to $(id -un): "
    ENGINE_WHY_NOT+="'sudo usermod -aG docker $(id -un)', then log in again"
  elif ((EUID != 0)); then
    ENGINE_WHY_NOT="none runs, and starting one needs root: 'sudo systemctl start docker', "
    ENGINE_WHY_NOT+='or run this as root'
  elif ! command -v dockerd >/dev/null; then
    ENGINE_WHY_NOT='none runs and dockerd is not installed (scripts/setup installs it)'
  else
    engine_start_locked
  fi
  [[ -z "$ENGINE_WHY_NOT" ]]
}

# Two scripts at once: the second one waits, and then finds the engine of the first.
engine_start_locked() {
  mkdir -p /run/lock
  exec 9>/run/lock/cube-engine.lock
  flock -w $((ENGINE_START_SECONDS * 4)) 9 || true
  engine_answers || engine_start
  exec 9>&-
}

engine_start() {
  ENGINE_DIR="$(mktemp -d /var/tmp/cube-engine.XXXXXX)"
  engine_mount_cgroups
  # From what should work to what still allows containers on a poor kernel or in a sandbox.
  local attempt
  for attempt in plain legacy-iptables vfs no-iptables no-network; do
    engine_try "$attempt" && return 0
  done
  ENGINE_WHY_NOT='dockerd does not start here; its last words: '
  ENGINE_WHY_NOT+="$(tail -n 1 "$ENGINE_DIR/log" | cut -c1-300)"
  engine_stop
}

# engine_try ATTEMPT: starts dockerd one way and waits until it answers or has ended.
engine_try() {
  local options=() path="$PATH:/usr/sbin:/sbin"
  case "$1" in
    legacy-iptables)
      command -v iptables-legacy >/dev/null || return 1
      mkdir -p "$ENGINE_DIR/bin"
      local tool
      for tool in iptables ip6tables; do
        ln -sf "$(command -v $tool-legacy)" "$ENGINE_DIR/bin/$tool"
      done
      path="$ENGINE_DIR/bin:$path"
      ;;
    vfs) options+=(--storage-driver=vfs) ;;
    no-iptables) options+=(--iptables=false --ip-masq=false --storage-driver=vfs) ;;
    no-network) options+=(--iptables=false --bridge=none --storage-driver=vfs) ;;
  esac
  # --config-file: settings of the machine's own engine are not ours.
  printf '{}\n' >"$ENGINE_DIR/daemon.json"
  PATH="$path" setsid dockerd --config-file "$ENGINE_DIR/daemon.json" \
    --host "unix://$ENGINE_SOCKET" --pidfile "$ENGINE_DIR/pid" \
    --data-root "$ENGINE_DIR/data" --exec-root "$ENGINE_DIR/run" "${options[@]}" \
    >>"$ENGINE_DIR/log" 2>&1 </dev/null 9>&- &
  ENGINE_PID=$!
  local deadline=$((SECONDS + ENGINE_START_SECONDS))
  while ((SECONDS < deadline)) && alive "$ENGINE_PID"; do
    engine_answers && return 0
    sleep 0.2
  done
  engine_halt
  return 1
}

# A container or a bare chroot often has no control groups mounted; systemd does it elsewhere.
engine_mount_cgroups() {
  mountpoint -q /sys/fs/cgroup && return 0
  if grep -qw cgroup2 /proc/filesystems &&
    mount -t cgroup2 none /sys/fs/cgroup 2>/dev/null; then
    grep -q memory /sys/fs/cgroup/cgroup.controllers 2>/dev/null && return 0
    umount /sys/fs/cgroup  # the controllers belong to version 1 here
  fi
  mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup 2>/dev/null || return 0
  local controller
  while read -r controller; do
    mkdir -p "/sys/fs/cgroup/$controller"
    mount -t cgroup -o "$controller" cgroup "/sys/fs/cgroup/$controller" 2>/dev/null ||
      rmdir "/sys/fs/cgroup/$controller" 2>/dev/null || true
  done < <(awk '!/^#/ && $4 == 1 { print $1 }' /proc/cgroups)
}

engine_halt() {
  [[ -n "$ENGINE_PID" ]] && stop_pid "$ENGINE_PID" "$ENGINE_STOP_SECONDS"
  ENGINE_PID=''
  # Its containerd ends with it, except after a kill.
  local child="$ENGINE_DIR/run/containerd/containerd.pid"
  [[ -s "$child" ]] && stop_pid "$(cat "$child")"
  return 0
}

# engine_stop: ends the engine that this script has started, with its containers and images.
# Nothing else is touched; without one of ours this does nothing.
engine_stop() {
  [[ -n "$ENGINE_DIR" ]] || return 0
  if [[ -n "$ENGINE_PID" ]]; then
    local containers
    mapfile -t containers < <(timeout 20 docker ps -aq 2>/dev/null)
    ((${#containers[@]} == 0)) || timeout 60 docker rm -f "${containers[@]}" >/dev/null 2>&1 || true
  fi
  engine_halt
  local mounted
  while read -r mounted; do
    umount -l "$mounted" 2>/dev/null || true
  done < <(awk -v dir="$ENGINE_DIR/" 'index($5, dir) == 1 { print $5 }' /proc/self/mountinfo | tac)
  rm -rf "$ENGINE_DIR"
  ENGINE_DIR=''
}
