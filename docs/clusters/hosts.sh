#!/usr/bin/env bash
# One run on a plain list of hosts, over ssh: the same command on each.
#
#   docs/clusters/hosts.sh node1,node2,node3 python -m experiments anncur --preset gpu --workdir /shared/run
#
# The folder, the environment and the workdir must be at the same path on every host, and ssh must ask
# no password. PATH and the variables that begin with JAX, XLA, NCCL, CUDA, TPU, LD_ or PYTHON go to every
# host, so that an active environment is active there too. The first host is the coordinator; its port is
# JAXSIM_PORT, by default a random one, so that two runs do not meet.
#
# Ctrl-C, SIGTERM or the death of this script stop the run as SIGTERM does: all processes finish their step,
# save, and exit with 0. The end of one process with an error ends all. JAXSIM_REMOTE=here starts all
# processes on this machine, to try it out.
set -euo pipefail
if [ $# -lt 2 ]; then
  echo "usage: $0 HOST,HOST,... COMMAND [ARGUMENT ...]" >&2
  exit 2
fi
IFS=, read -r -a hosts <<< "$1"
shift
port="${JAXSIM_PORT:-$((20000 + RANDOM % 10000))}"

settings=("PATH=$PATH")
for name in $(compgen -e); do
  case "$name" in
    JAXSIM_HOSTS | JAX_COORDINATOR_ADDRESS) ;;
    JAX* | XLA* | NCCL* | CUDA* | TPU* | LD_* | PYTHON*) settings+=("$name=${!name}") ;;
  esac
done

# For any shell: 'it'\''s'.
quoted() {
  local word
  for word in "$@"; do printf "'%s' " "${word//\'/\'\\\'\'}"; done
}

# On a host, the command runs until it ends, or until the leash is closed: the input of this line, which
# closes when this script ends, however it ends.
# shellcheck disable=SC2016
keeper='"$@" < /dev/null 3<&- & process=$!; { read -r _ || true; kill -TERM "$process" 2> /dev/null; } <&3 & leash=$!; code=0; wait "$process" || code=$?; kill "$leash" 2> /dev/null; exit "$code"'

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
mkfifo "$folder/leash"
processes=()
for number in "${!hosts[@]}"; do
  own=("${settings[@]}" "JAXSIM_HOSTS=$number/${#hosts[@]}" "JAX_COORDINATOR_ADDRESS=${hosts[0]}:$port")
  command="exec 3<&0; cd $(quoted "$PWD") && exec env $(quoted "${own[@]}" bash -c "$keeper" keeper "$@")"
  if [ "${JAXSIM_REMOTE:-ssh}" = here ]; then
    bash -c "$command" < "$folder/leash" &
  else
    ssh -o BatchMode=yes "${hosts[$number]}" "$command" < "$folder/leash" &
  fi
  processes+=($!)
done

exec 4> "$folder/leash"
signals=0
stop() { exec 4>&-; }
trap 'signals=$((signals + 1)); stop' INT TERM HUP

code=0 running=${#processes[@]}
while [ "$running" -gt 0 ]; do
  before=$signals own=0
  wait -n || own=$?
  [ "$signals" = "$before" ] || continue # a signal ended the wait, not a process
  running=$((running - 1))
  if [ "$own" != 0 ] && [ "$code" = 0 ]; then
    code=$own
    stop
  fi
done
exit "$code"
