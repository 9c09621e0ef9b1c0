"""What an experiment's module names: its presets, their arms and seeds; loads nothing else."""

from types import ModuleType
from typing import Any


def slug(module: ModuleType) -> str:
    """An experiment's short name: its file's."""
    return module.__name__.rsplit(".", 1)[-1]


def default_preset(module: ModuleType) -> str:
    """What options without --preset change: cpu, or the first where there is none."""
    return "cpu" if "cpu" in module.PRESETS else next(iter(module.PRESETS))


def default_seeds(module: ModuleType, preset: str) -> int:
    """How many seeds a preset runs by default."""
    return getattr(module, "SEEDS", {}).get(preset, 1)


def arms_of(module: ModuleType, config: Any) -> tuple[str, ...]:
    """The arms of a run: those chosen, all by default, and then those that they read."""
    arms = dict.fromkeys(config.arms or module.ARMS)
    reads, queue = getattr(module, "READS", {}), list(arms)
    while queue:
        read = [name for name in reads.get(queue.pop(0), ()) if name not in arms]
        arms |= dict.fromkeys(read)
        queue += read
    return tuple(arms)
