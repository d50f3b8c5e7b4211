# shellcheck shell=bash
# A cluster on this machine for the time of a script: nats-server, a manager and workers, each with
# a folder of its own. Source after common.sh. CLUSTER_DIR is the folder of it all.

# Joining: connect, one round trip through the log, one heartbeat; seconds on a busy machine.
readonly CLUSTER_UP_SECONDS=30

CLUSTER_DIR=''
CLUSTER_PIDS=()  # in the order of their start
CLUSTER_NAMES=()

# cluster_spawn NAME COMMAND...: in the background with its log in CLUSTER_DIR/NAME.log, in a
# session of its own, so that Ctrl-C reaches only the script, which then ends things in order.
cluster_spawn() {
  local name="$1"
  shift
  setsid "$@" >>"$CLUSTER_DIR/$name.log" 2>&1 </dev/null &
  CLUSTER_PIDS+=("$!")
  CLUSTER_NAMES+=("$name")
}

# cluster_nats: a server with JetStream on a free port of the loopback interface, chosen by itself.
# Afterwards CUBE_SERVER (exported) is its address.
cluster_nats() {
  local server
  server="$(PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v nats-server)" ||
    die 'nats-server is missing (scripts/setup installs it)'
  mkdir -p "$CLUSTER_DIR/nats"
  cluster_spawn nats-server "$server" -a 127.0.0.1 -p -1 -js -sd "$CLUSTER_DIR/nats" \
    --ports_file_dir "$CLUSTER_DIR/nats"
  local ports="$CLUSTER_DIR/nats/nats-server_${CLUSTER_PIDS[-1]}.ports"
  wait_until "$CLUSTER_UP_SECONDS" 'nats-server' cluster_alive_and test -s "$ports" || return 1
  CUBE_SERVER="$(jq -r '.nats[0]' "$ports")"
  export CUBE_SERVER
}

# cluster_alive_and COMMAND...: for wait_until: the command's answer, or HOPELESS when a process of
# ours has ended.
cluster_alive_and() {
  local i name
  for i in "${!CLUSTER_PIDS[@]}"; do
    alive "${CLUSTER_PIDS[i]}" && continue
    name="${CLUSTER_NAMES[i]}"
    # shellcheck disable=SC2034  # wait_until reads it
    WAIT_WHY="$name has ended; its last words:"$'\n'"$(tail -n 20 "$CLUSTER_DIR/$name.log")"
    return "$HOPELESS"
  done
  "$@"
}

cluster_manager() {
  cluster_spawn manager "$CUBE_BIN/cube-manager" --state-dir "$CLUSTER_DIR/state"
}

# cluster_worker NAME [options]
cluster_worker() {
  local name="$1"
  shift
  cluster_spawn "$name" "$CUBE_BIN/cube-worker" --state-dir "$CLUSTER_DIR/state" --name "$name" "$@"
}

# cluster_nodes_are COUNT: the manager answers, and so many nodes are ready.
cluster_nodes_are() {
  [[ "$("$CUBE_BIN/cube" node ls -o json |
    jq '[.[] | select(.status == "ready")] | length')" == "$1" ]]
}

# cluster_tasks_are STATUS COUNT
cluster_tasks_are() {
  [[ "$("$CUBE_BIN/cube" ps -a -o json |
    jq --arg s "$1" '[.[] | select(.status == $s)] | length')" == "$2" ]]
}

# cluster_stop: the workers, then the manager, then the server.
cluster_stop() {
  local i
  for ((i = ${#CLUSTER_PIDS[@]} - 1; i >= 0; --i)); do
    stop_pid "${CLUSTER_PIDS[i]}"
  done
  CLUSTER_PIDS=() CLUSTER_NAMES=()
}

# cluster_remove_containers: what the workers named by the arguments have left in the engine.
cluster_remove_containers() {
  local node containers
  command -v docker >/dev/null || return 0
  for node in "$@"; do
    mapfile -t containers < <(docker ps -aq --filter "label=cube.node=$node" 2>/dev/null)
    ((${#containers[@]} == 0)) || docker rm -f "${containers[@]}" >/dev/null 2>&1 || true
  done
}

# cluster_remove_processes: what workers of this cluster have left of the process engine: its
# supervisors outlive a worker on purpose. Each names a folder below CLUSTER_DIR.
cluster_remove_processes() {
  local pids
  mapfile -t pids < <(pgrep -f -- "cube-supervise.*$CLUSTER_DIR/" || true)
  ((${#pids[@]} == 0)) || kill -TERM "${pids[@]}" 2>/dev/null || true
}
