#!/usr/bin/env bash
# One run on all hosts of a TPU pod slice.
#
#   docs/clusters/tpu.sh NAME ZONE python -m experiments anncur --preset gpu --workdir gs://bucket/run
#
# NAME is the slice's, made beforehand with `gcloud compute tpus tpu-vm create`. The code must be in
# JAXSIM_HOME (~/jaxsim) on every host, its environment in .venv there (JAXSIM_VENV names another). The
# variables that begin with JAX, XLA, LIBTPU or PYTHON go to every host. jax.distributed finds the hosts
# itself, and every process takes all chips of its host.
set -euo pipefail
if [ $# -lt 3 ]; then
  echo "usage: $0 NAME ZONE COMMAND [ARGUMENT ...]" >&2
  exit 2
fi
name="$1" zone="$2"
shift 2
home="${JAXSIM_HOME:-\$HOME/jaxsim}" venv="${JAXSIM_VENV:-.venv}"
settings=(JAXSIM_HOSTS=auto)
for variable in $(compgen -e); do
  case "$variable" in
    JAXSIM_HOSTS | JAXSIM_HOME | JAXSIM_VENV) ;;
    JAX* | XLA* | LIBTPU* | PYTHON*) settings+=("$variable=${!variable}") ;;
  esac
done
# For any shell: 'it'\''s'.
quoted() {
  local word
  for word in "$@"; do printf "'%s' " "${word//\'/\'\\\'\'}"; done
}

exec gcloud compute tpus tpu-vm ssh "$name" --zone "$zone" --worker=all \
  --command "cd $home && { [ ! -f $venv/bin/activate ] || . $venv/bin/activate; } && exec env $(quoted "${settings[@]}" "$@")"
