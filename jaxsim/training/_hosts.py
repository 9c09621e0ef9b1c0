"""Multi-host training: joins several processes into one run, before anything else touches JAX.

    JAXSIM_HOSTS=auto     SLURM, Open MPI, a TPU pod slice: jax.distributed finds the processes
    JAXSIM_HOSTS=2/5      the third of five processes; JAX_COORDINATOR_ADDRESS=host:port is the first's

docs/clusters.md has the scripts that set it.
"""

import os
from collections.abc import Mapping

import jax

HOSTS, COORDINATOR, DEVICES = "JAXSIM_HOSTS", "JAX_COORDINATOR_ADDRESS", "JAX_LOCAL_DEVICE_IDS"
# (the processes of this node, the number of this one among them) in SLURM's and Open MPI's variables.
SLURM = "SLURM_JOB_ID", "SLURM_STEP_NODELIST", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID"
OPEN_MPI = "OMPI_COMM_WORLD_LOCAL_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"
VISIBLE = "CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"


def connect(environment: Mapping[str, str] | None = None) -> bool:
    """Initializes jax.distributed as the environment says; without JAXSIM_HOSTS it does nothing.

    Call it first: before any array is made. Once joined, a second call does nothing.

    The GPUs of a node are shared equally by its processes: one process has all of them.

    Args:
      environment: a dict of variables; None takes the process's.

    Returns: whether there are several processes.
    Raises: ValueError for a JAXSIM_HOSTS that says neither, for no coordinator, for variables of a cluster
      that are missing or malformed, and after JAX has been used.
    """
    environment = os.environ if environment is None else environment
    hosts = environment.get(HOSTS, "").strip()
    if not hosts:
        return False
    if jax.distributed.is_initialized():
        return jax.process_count() > 1
    if hosts == "auto":
        share = shared_devices(environment)
        _joined(f"{HOSTS}=auto")
        if share is not None:
            # jax.distributed gives each process of SLURM and Open MPI one device.
            for name in ("jax_cuda_visible_devices", "jax_rocm_visible_devices"):
                jax.config.update(name, share)
        return jax.process_count() > 1
    number, _, count = hosts.partition("/")
    if not (number.isdecimal() and count.isdecimal() and int(number) < int(count)):
        raise ValueError(f'{HOSTS} must be "auto" or such as "0/4", got {hosts!r}')
    if int(count) == 1:
        return False
    address = environment.get(COORDINATOR, "")
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal() and 0 < int(port) < 2**16):
        raise ValueError(
            f"{HOSTS}={hosts} needs {COORDINATOR}=host:port, the same on every host, got {address!r}"
        )
    # Not what JAX would find out by itself within a job of SLURM: that would be one device.
    _joined(
        f"{HOSTS}={hosts}",
        coordinator_address=address,
        num_processes=int(count),
        process_id=int(number),
        cluster_detection_method="deactivate",
    )
    return True


def shared_devices(environment: Mapping[str, str]) -> str | None:
    """Which GPUs this process takes: "all" that it sees, or "2,3"; None leaves it to JAX.

    Args:
      environment: a dict of variables: SLURM's, Open MPI's.

    Raises: ValueError for malformed variables, or devices that the processes of a node cannot share
      equally.
    """
    if DEVICES in environment:
        if not all(part.strip().isdecimal() for part in environment[DEVICES].split(",")):
            raise ValueError(f'{DEVICES} must be such as "0,1", got {environment[DEVICES]!r}')
        return None
    if all(name in environment for name in SLURM):
        count, index = _slurm_tasks(environment), _whole(environment, "SLURM_LOCALID")
    elif all(name in environment for name in OPEN_MPI):
        count, index = (_whole(environment, name) for name in OPEN_MPI)
    else:
        return None
    if count == 1:
        return "all"
    visible = next((environment[name] for name in VISIBLE if environment.get(name)), None)
    if visible is None:
        return None
    devices = len(visible.split(","))
    if devices == 1:  # the cluster gives each process its own
        return "all"
    if devices % count:
        raise ValueError(
            f"{count} processes of this node cannot share its {devices} devices equally: start one "
            "process, or as many as there are devices"
        )
    each = devices // count
    return ",".join(str(index * each + place) for place in range(each))


def _slurm_tasks(environment):
    """How many processes this node has, from texts such as "2(x3),1", one number for each node."""
    for name in ("SLURM_JOB_ID", "SLURM_NTASKS", "SLURM_PROCID"):
        _whole(environment, name)
    name = "SLURM_STEP_TASKS_PER_NODE"
    if name not in environment:
        name = "SLURM_TASKS_PER_NODE"
    if name not in environment:
        return _whole(environment, "SLURM_NTASKS")
    counts = []
    for part in environment[name].split(","):
        count, _, times = part.strip().partition("(x")
        times = times.removesuffix(")") or "1"
        if not (count.isdecimal() and times.isdecimal()):
            raise ValueError(f'{name} must be such as "1(x4)" or "2,1", got {environment[name]!r}')
        counts += [int(count)] * int(times)
    node = _whole(environment, "SLURM_NODEID") if "SLURM_NODEID" in environment else 0
    if node >= len(counts):
        raise ValueError(
            f"SLURM_NODEID={node} is not one of the nodes of {name}={environment[name]}"
        )
    return counts[node]


def _whole(environment, name):
    if not environment[name].isdecimal():
        raise ValueError(f"{name} must be a whole number, got {environment[name]!r}")
    return int(environment[name])


def _joined(what, **settings):
    """jax.distributed.initialize, its errors in a sentence."""
    try:
        jax.distributed.initialize(**settings)
    except RuntimeError as error:
        if "must be called before" not in str(error):
            raise
        raise ValueError(
            "training.connect() must come before any array is made and jax.devices() is called"
        ) from error
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{what} found no cluster ({error}): start by srun, mpirun or on a TPU pod slice, or set "
            f"{HOSTS}=0/4 and {COORDINATOR}=host:port"
        ) from error
