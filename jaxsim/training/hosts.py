"""Several processes as one run: joining them, before anything else touches JAX.

    JAXSIM_HOSTS=auto     SLURM, Open MPI, a TPU pod slice: jax.distributed finds all by itself
    JAXSIM_HOSTS=2/5      the third of five processes; JAX_COORDINATOR_ADDRESS=host:port is the first's

docs/clusters.md has the scripts that set it.
"""

import os

import jax

HOSTS, COORDINATOR = "JAXSIM_HOSTS", "JAX_COORDINATOR_ADDRESS"


def connect(environment=None):
    """Joins the processes of a run as the environment says; without JAXSIM_HOSTS it does nothing.

    Call it first: before any array is made. Once joined, a second call does nothing.

    Args:
      environment: a dict of variables; None takes the process's.

    Returns: whether there are several processes.
    Raises: ValueError for a JAXSIM_HOSTS that says neither, or no coordinator.
    """
    environment = os.environ if environment is None else environment
    hosts = environment.get(HOSTS, "")
    if not hosts:
        return False
    if jax.distributed.is_initialized():
        return jax.process_count() > 1
    if hosts == "auto":
        jax.distributed.initialize()
        return jax.process_count() > 1
    number, _, count = hosts.partition("/")
    if not (number.isdecimal() and count.isdecimal() and int(number) < int(count)):
        raise ValueError(f'{HOSTS} must be "auto" or such as "0/4", got {hosts!r}')
    if int(count) == 1:
        return False
    if COORDINATOR not in environment:
        raise ValueError(f"{HOSTS}={hosts} needs {COORDINATOR}=host:port, the same on every host")
    jax.distributed.initialize(environment[COORDINATOR], int(count), int(number))
    return True
