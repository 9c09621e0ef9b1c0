"""Simulated devices, for the tests and for the processes that they start."""

from importlib import metadata

# Of XLA's two ways to emit code on CPU the older one compiles these programs five times as fast (a loss
# over eight devices 0.4 s, not 1.6). It is asked for by name only where that name is known to exist: XLA
# does not start with a flag that it has not.
OLDER_EMITTERS = "--xla_cpu_use_fusion_emitters=false"


def flags(devices):
    """XLA_FLAGS for a number of devices."""
    known = metadata.version("jaxlib").startswith("0.10.")
    return f"--xla_force_host_platform_device_count={devices}" + f" {OLDER_EMITTERS}" * known
