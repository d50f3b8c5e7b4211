# shellcheck shell=bash
# shellcheck disable=SC2034  # read by the scripts that source it
# What every script shares: where the project is, how a script talks, and how it cleans up.
# Source it after `set -euo pipefail`.

CUBE_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
readonly CUBE_ROOT

# Colours on a terminal only (https://no-color.org).
if [[ -t 1 && -z "${NO_COLOR:-}" ]]; then
  readonly BOLD=$'\e[1m' DIM=$'\e[2m' CYAN=$'\e[36m' RED=$'\e[31m' RESET=$'\e[0m'
else
  readonly BOLD='' DIM='' CYAN='' RED='' RESET=''
fi

say() { printf '%s\n' "$*"; }
note() { printf '%s%s%s\n' "$DIM" "$*" "$RESET"; }
warn() { printf '%s%s%s\n' "$RED" "$*" "$RESET" >&2; }
die() {
  warn "$(basename "$0"): $*"
  exit 1
}

# step TEXT: a numbered headline.
CUBE_STEP=0
step() {
  CUBE_STEP=$((CUBE_STEP + 1))
  printf '\n%s%d. %s%s\n' "$BOLD" "$CUBE_STEP" "$*" "$RESET"
}

# show COMMAND...: prints the command as a person would type it, then runs it.
show() {
  printf '%s$ %s%s\n' "$CYAN" "$(printable "$@")" "$RESET"
  "$@"
}

# printable COMMAND...: quoted only where needed, programs of this build by their bare name.
printable() {
  local word out=''
  for word in "$@"; do
    word="${word#"${CUBE_BIN:-/nowhere}"/}"
    if [[ "$word" =~ ^[A-Za-z0-9_./:=,@%+-]+$ ]]; then
      out+=" $word"
    else
      out+=" '${word//\'/\'\\\'\'}'"
    fi
  done
  printf '%s' "${out# }"
}

# quietly LOG COMMAND...: output goes to LOG; it is shown only when the command fails.
quietly() {
  local log="$1" code=0
  shift
  "$@" >>"$log" 2>&1 || code=$?
  if ((code != 0)); then
    warn "failed ($code): $(printable "$@"); the end of $log:"
    tail -n 40 "$log" >&2
  fi
  return "$code"
}

# wait_until SECONDS WHAT COMMAND...: repeats the command until it succeeds; fails after SECONDS, or
# at once when the command returns HOPELESS (then WAIT_WHY says why).
readonly HOPELESS=75
WAIT_WHY=''
wait_until() {
  local seconds="$1" what="$2" deadline code
  shift 2
  deadline=$((SECONDS + seconds))
  while true; do
    code=0
    "$@" >/dev/null 2>&1 || code=$?
    ((code != 0)) || return 0
    if ((code == HOPELESS)); then
      warn "waiting for $what is hopeless: $WAIT_WHY"
      return 1
    fi
    if ((SECONDS >= deadline)); then
      warn "gave up after $seconds s waiting for $what"
      return 1
    fi
    sleep 0.1
  done
}

# Commands to run at the end, last one first, whatever the end is. Each must tolerate being run
# when there is nothing (left) to do.
CUBE_CLEANUPS=()
on_exit() { CUBE_CLEANUPS+=("$*"); }

run_cleanups() {
  local code=$? i
  trap - EXIT
  trap '' INT TERM HUP
  for ((i = ${#CUBE_CLEANUPS[@]} - 1; i >= 0; --i)); do
    ${CUBE_CLEANUPS[i]} || true
  done
  exit "$code"
}

# handle_exit: arms the clean-up. Ctrl-C ends with 130, SIGTERM with 143, as shells do.
handle_exit() {
  trap run_cleanups EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  trap 'exit 129' HUP
}

# stop_pid PID [SECONDS]: SIGTERM, then SIGKILL after SECONDS (10). Only for processes that this
# script has started.
stop_pid() {
  local pid="$1" seconds="${2:-10}" deadline
  kill -TERM "$pid" 2>/dev/null || return 0
  deadline=$((SECONDS + seconds))
  while alive "$pid"; do
    if ((SECONDS >= deadline)); then
      warn "process $pid did not end within $seconds s; it is killed"
      kill -KILL "$pid" 2>/dev/null || true
      break
    fi
    sleep 0.1
  done
  wait "$pid" 2>/dev/null || true
}

# alive PID: it exists and is no zombie.
alive() {
  local state
  state="$(ps -o stat= -p "$1" 2>/dev/null)" || return 1
  [[ -n "$state" && "$state" != Z* ]]
}

# as_root COMMAND...: through sudo where needed; says so when that cannot work.
as_root() {
  if ((EUID == 0)); then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "needs root for: $(printable "$@"); run this script as root, or install sudo"
  fi
}
