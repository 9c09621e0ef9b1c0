#!/usr/bin/env bash
# One experiment on a plain list of hosts, over ssh: the same command on each.
#
#   docs/clusters/hosts.sh node1,node2,node3 python -m experiments anncur --preset gpu --workdir /shared/run
#
# The folder, the environment and the workdir must be at the same path on every host, and ssh must ask
# no password. The first host is the coordinator. JAXSIM_PORT is its port (9876), JAXSIM_REMOTE=here
# starts all processes on this machine, to try it out. The end of one with an error ends all.
set -euo pipefail
if [ $# -lt 2 ]; then
  echo "usage: $0 HOST,HOST,... COMMAND [ARGUMENT ...]" >&2
  exit 2
fi
IFS=, read -r -a hosts <<< "$1"
shift
port="${JAXSIM_PORT:-9876}"

processes=()
stop() { for process in "${processes[@]}"; do kill -TERM "$process" 2> /dev/null || true; done; }
trap stop INT TERM

for number in "${!hosts[@]}"; do
  settings=(
    "JAX_COORDINATOR_ADDRESS=${hosts[0]}:$port"
    "JAXSIM_HOSTS=$number/${#hosts[@]}"
  )
  if [ "${JAXSIM_REMOTE:-ssh}" = here ]; then
    env "${settings[@]}" "$@" &
  else
    # -tt: what stops this script stops the remote process with it.
    ssh -tt "${hosts[$number]}" "cd $(printf %q "$PWD") && env $(printf '%q ' "${settings[@]}" "$@")" < /dev/null &
  fi
  processes+=($!)
done

code=0
for _ in "${processes[@]}"; do
  wait -n || { code=$?; stop; }
done
exit "$code"
