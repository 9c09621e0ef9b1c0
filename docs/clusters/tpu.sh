#!/usr/bin/env bash
# One experiment on all hosts of a TPU pod slice.
#
#   docs/clusters/tpu.sh NAME ZONE python -m experiments anncur --preset gpu --workdir gs://bucket/run
#
# NAME is the slice's, made beforehand with `gcloud compute tpus tpu-vm create`; the code and the
# environment must be in JAXSIM_HOME (~/jaxsim) on every host. jax.distributed finds the hosts itself.
set -euo pipefail
if [ $# -lt 3 ]; then
  echo "usage: $0 NAME ZONE COMMAND [ARGUMENT ...]" >&2
  exit 2
fi
name="$1" zone="$2"
shift 2
home="${JAXSIM_HOME:-\$HOME/jaxsim}"
exec gcloud compute tpus tpu-vm ssh "$name" --zone "$zone" --worker=all \
  --command "cd $home && export JAXSIM_HOSTS=auto && exec $(printf '%q ' "$@")"
