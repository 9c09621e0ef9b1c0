#!/usr/bin/env bash
# One experiment on a SLURM cluster: one process per node, all its GPUs.
#
#   sbatch --nodes=4 docs/clusters/slurm.sh python -m experiments anncur --preset gpu --workdir /shared/run
#
# A job that is pre-empted, or at its time limit, is told 120 s before: the run saves, and the job is
# queued again. Set what your cluster wants beside (--partition, --account, --gpus-per-node).
#SBATCH --job-name=jaxsim
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=32
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --signal=B:TERM@120
#SBATCH --output=%x-%j.out
#SBATCH --open-mode=append
set -uo pipefail
if [ $# -lt 1 ]; then
  echo "usage: sbatch [--nodes=N] $0 COMMAND [ARGUMENT ...]" >&2
  exit 2
fi
export JAXSIM_HOSTS=auto

stopped=0
srun --kill-on-bad-exit=1 "$@" &
job=$!
# srun passes SIGTERM on to every process; each finishes its step, saves and exits with 0.
trap 'stopped=1; kill -TERM "$job" 2> /dev/null' TERM
wait "$job"
code=$?
if [ "$stopped" = 1 ]; then
  wait "$job"
  code=$?
  [ "$code" = 0 ] && scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
