#!/usr/bin/env bash
# One run on a SLURM cluster: one process per node, which takes all GPUs of the node.
#
#   sbatch --nodes=4 docs/clusters/slurm.sh python -m experiments anncur --preset gpu --workdir /shared/run
#
# It runs in the folder that sbatch was called in, or in JAXSIM_HOME, with the environment that is active
# there or else the one in .venv (JAXSIM_VENV names another). All nodes must see both. Set what your cluster
# wants on its command line (--partition, --account, --gpus-per-node). With --ntasks-per-node=8 and an eighth
# of the cores as --cpus-per-task there is one process per GPU, and each takes its own.
#
# 120 s before its time limit, or when it is pre-empted, the job gets SIGTERM: the run saves, and the job is
# queued again.
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
# SLURM runs a copy of this script from another folder.
home="${JAXSIM_HOME:-${SLURM_SUBMIT_DIR:-$PWD}}"
cd "$home" || exit 1
venv="${JAXSIM_VENV:-.venv}"
if [ -n "${JAXSIM_VENV:-}" ] || { [ -z "${VIRTUAL_ENV:-}${CONDA_PREFIX:-}" ] && [ -f "$venv/bin/activate" ]; }; then
  # shellcheck disable=SC1091
  . "$venv/bin/activate" || exit 1
fi
if ! command -v "$1" > /dev/null; then
  echo "$0: no command $1 in $home: activate the environment first, or name it in JAXSIM_VENV" >&2
  exit 1
fi
export JAXSIM_HOSTS=auto
# Since SLURM 22.05 srun does not inherit --cpus-per-task: a process would get a single core.
[ -n "${SLURM_CPUS_PER_TASK:-}" ] && export SRUN_CPUS_PER_TASK="$SLURM_CPUS_PER_TASK"

job='' stopped=0
# srun passes SIGTERM on to every process; each finishes its step, saves and exits with 0.
trap 'stopped=$((stopped + 1)); [ -n "$job" ] && kill -TERM "$job" 2> /dev/null' TERM
srun --kill-on-bad-exit=1 "$@" &
job=$!
[ "$stopped" = 0 ] || kill -TERM "$job" 2> /dev/null
while true; do
  before=$stopped
  wait "$job"
  code=$?
  [ "$stopped" = "$before" ] && break # else the signal ended the wait, not the job
done
if [ "$stopped" != 0 ] && [ "$code" = 0 ]; then
  scontrol requeue "$SLURM_JOB_ID" || { echo "$0: saved, but the job could not be queued again" >&2; code=1; }
fi
exit "$code"
