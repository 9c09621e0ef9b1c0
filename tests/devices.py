"""Simulated devices, for the tests and for the processes that they start."""

from importlib import metadata

# Of XLA's two ways to emit code on CPU the older one compiles these programs five times as fast (a loss
# over eight devices 0.4 s, not 1.6). It is asked for by name only where that name is known to exist: XLA
# does not start with a flag that it has not.
OLDER_EMITTERS = "--xla_cpu_use_fusion_emitters=false"
# A program's code is else cut into 32 modules, to be compiled side by side: a quarter more work in all, and
# the tests' own processes keep the cores busy.
ONE_MODULE = "--xla_cpu_parallel_codegen_split_count=1"

# Simulated devices wait for one another on the threads that would also compute: with no more threads than
# devices all may wait, and a program with a loop of collectives then hangs (adaptive search with 1,597 items
# did, on two cores). XLA takes this variable for the number of cores, of which it makes its threads.
THREADS = "NPROC"


def flags(devices):
    """XLA_FLAGS for a number of devices."""
    known = metadata.version("jaxlib").startswith("0.10.")
    faster = f" {OLDER_EMITTERS} {ONE_MODULE}" * known
    return f"--xla_force_host_platform_device_count={devices}" + faster
