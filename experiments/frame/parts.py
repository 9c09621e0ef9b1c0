"""The parts of a run: what all seeds share, what the arms of a seed share, and each arm of each seed.

Every part is a file below the folder of a choice of settings, that is there or is not:

    common.json, common/            facts and files of `prepare_all`
    seed-0/facts.json, shared/      of `prepare`
    seed-0/ARM.json, ARM/           rows and files of `run`
    ARM/                            files of `run_seeds`
    seeds-0-2/seed-0/ARM.json       of an arm that reads every seed: it is another with more seeds
"""

import dataclasses
import itertools
import logging
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from experiments.frame import contract, rows
from experiments.frame.presets import arms_of
from jaxsim import storage

LOG = logging.getLogger("jaxsim.experiments")
SECONDS = "seconds.json"  # of the parts finished so far, over all sittings
ALL = "all seeds"  # in the facts: what `prepare_all` reported


class Stages:
    """Work that several arms need, done by whichever comes first: `stages(name, make)`.

    `make(folder / name)` is called once per process, and what it returns is remembered. What it does is to
    resume by itself, as `training.fit` with a workdir does, which returns at once when it had finished.

    Args:
      folder: where each has a folder, such as the workdir of `prepare`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self._made: dict[str, Any] = {}

    def __call__(self, name: str, make: Any) -> Any:
        """What `make(folder / name)` returns.

        Raises: ValueError for a name that cannot be a folder's.
        """
        if not contract.NAME.fullmatch(name):
            raise ValueError(f"a stage must be named by letters, digits and _-. got {name!r}")
        if name not in self._made:
            self._made[name] = make(self.folder / name)
        return self._made[name]


class Sweep:
    """The arms of an experiment over seeds.

    Args:
      module: the experiment.
      config: its Config.
      seeds: numbers, the first of them the config's.
      folder: of this choice of settings.
      progress: a bar; one step for each seed's preparation and each arm of each seed.
    """

    def __init__(
        self, module: ModuleType, config: Any, seeds: Sequence[int], folder: Path, progress: Any
    ) -> None:
        self.module, self.config, self.seeds, self.folder = module, config, seeds, folder
        self.progress = progress
        self.times = earlier(folder)
        self.arms = arms_of(module, config)
        self.once = contract.listed(module, "ONCE")
        self.reads: Mapping[str, Sequence[str]] = getattr(module, "READS", {})
        self.late = {arm for arm in self.arms if self._reads_all_seeds(arm)}
        self._common: list[Any] = []  # what prepare_all gave, once it was needed
        self._shared: dict[int, Any] = {}
        self._rows: dict[tuple[str, int], list[dict[str, Any]]] = {}

    @staticmethod
    def steps(module: ModuleType, config: Any, seeds: int) -> int:
        """How many steps the progress of a run has."""
        once = contract.listed(module, "ONCE")
        return seeds + sum(1 if arm in once else seeds for arm in arms_of(module, config))

    def run(self) -> list[dict[str, Any]]:
        """All rows, from their files where these are there."""
        order = contract.running_order(self.module, self.arms)
        # Seeds that are trained together are prepared together; others hold one seed's data at a time.
        together = hasattr(self.module, "run_seeds")
        for group in [self.seeds] if together else [[seed] for seed in self.seeds]:
            self._finish([arm for arm in order if arm not in self.late], group, counted=True)
            if not self.late:
                self._shared.clear()
        if self.late:
            self._finish([arm for arm in order if arm in self.late], self.seeds, counted=False)
        return self._finished()

    def facts(self) -> dict[Any, dict[str, float]]:
        """What `prepare_all` and `prepare` reported: {"all seeds" or seed: {name: number}}."""
        files: dict[Any, Path] = {seed: self._facts(seed) for seed in self.seeds}
        if hasattr(self.module, "prepare_all"):
            files = {ALL: self._common_facts(), **files}
        facts = {}
        for part, path in files.items():
            about = storage.read_object(path)
            facts[part] = {name: _number(about, name) for name in about}
        return facts

    def _finish(self, arms: Sequence[str], seeds: Sequence[int], *, counted: bool) -> None:
        """Makes what is missing of some arms and seeds; preparing is counted in the progress or not."""
        unprepared, missing = self._missing(arms, seeds)
        needed = {*unprepared, *itertools.chain(*missing.values())}
        for seed in seeds:
            if seed in needed and seed not in self._shared:
                self._shared[seed] = self._prepared(seed)
                self.progress.advance(int(counted))
            elif counted:
                self.progress.skip(1)
        for arm, wanted in missing.items():
            there = [seed for seed in self._seeds_of(arm, seeds) if seed not in wanted]
            for seed in there:
                LOG.info("seed %d: %s is there already", seed, arm)
            self.progress.skip(len(there))
            if wanted:
                self._run(arm, wanted)
            for seed in self._seeds_of(arm, seeds):
                self._rows[arm, seed] = rows.read(self._file(arm, seed))
        contract.check_rows_fit(self.module, self._finished())

    def _finished(self) -> list[dict[str, Any]]:
        """The rows that are there by now, by seed and then by arm."""
        return [
            {"arm": arm, "seed": seed, **row}
            for seed in self.seeds
            for arm in self.arms
            for row in self._rows.get((arm, seed), ())
        ]

    def _missing(
        self, arms: Sequence[str], seeds: Sequence[int]
    ) -> tuple[list[int], dict[str, list[int]]]:
        """(seeds whose preparation is not there, {arm: its seeds whose rows are not there}).

        Several hosts go by what the first one sees.
        """
        there = [[self._is_prepared(seed) for seed in seeds]]
        for arm in arms:
            there.append([self._is_finished(arm, seed) for seed in seeds])
        there = np.array(there)
        if jax.process_count() > 1:
            there = np.asarray(multihost_utils.broadcast_one_to_all(there))
        missing = [list(itertools.compress(seeds, np.logical_not(row))) for row in there]
        return missing[0], dict(zip(arms, missing[1:], strict=True))

    def _is_prepared(self, seed: int) -> bool:
        common = not hasattr(self.module, "prepare_all") or self._common_facts().exists()
        return common and self._facts(seed).exists()

    def _is_finished(self, arm: str, seed: int) -> bool:
        """Whether an arm's rows are there, and its files where another arm reads them."""
        if seed not in self._seeds_of(arm, [seed]):
            return True
        read = any(arm in self.reads.get(other, ()) for other in self.arms)
        return self._file(arm, seed).exists() and (not read or self._folder(arm, seed).is_dir())

    def _prepared(self, seed: int) -> Any:
        """What the arms of a seed share."""
        config = dataclasses.replace(self.config, seed=seed)
        common = self._prepared_all()
        self.progress.note(f"seed {seed}: preparing")
        begun, facts = time.monotonic(), {}
        if hasattr(self.module, "prepare"):
            folder = self._seed(seed) / "shared"
            shared = contract.worked(self.module, "prepare", config, folder, *common)
            facts = contract.checked_facts(self.module, "prepare", shared)
        else:
            (shared,) = common
        storage.write_json(self._facts(seed), rows.json_of(facts))
        self._spent("prepare", begun)
        return shared

    def _prepared_all(self) -> list[Any]:
        """[what all seeds share]; [] of a module without `prepare_all`.

        Its config has seed 0 whatever the run's first is: what it makes is of no seed, and is reused.
        """
        if hasattr(self.module, "prepare_all") and not self._common:
            self.progress.note("preparing all seeds")
            begun, config = time.monotonic(), dataclasses.replace(self.config, seed=0)
            common = contract.worked(
                self.module, "prepare_all", config, self.folder / contract.COMMON
            )
            facts = contract.checked_facts(self.module, "prepare_all", common)
            storage.write_json(self._common_facts(), rows.json_of(facts))
            self._common.append(common)
            self._spent("prepare_all", begun)
        return self._common

    def _run(self, arm: str, seeds: Sequence[int]) -> None:
        """Rows of one arm, each seed's in a separate file."""
        by_seed = None
        if hasattr(self.module, "run_seeds") and arm not in self.reads:
            begun = time.monotonic()
            self.progress.note(f"{arm}, {len(seeds)} seeds")
            both = tuple(seeds), tuple(self._shared[seed] for seed in seeds)
            made = contract.worked(
                self.module, "run_seeds", self.config, arm, *both, self.folder / arm
            )
            # None: this arm is not one of those that are trained together.
            if made is not None or not hasattr(self.module, "run"):
                by_seed = contract.rows_by_seed(self.module, arm, seeds, made)
                self._spent(arm, begun)
                for seed, made_rows in by_seed.items():
                    self._write(arm, seed, made_rows)
        for seed in seeds if by_seed is None else ():
            begun = time.monotonic()
            self.progress.note(f"seed {seed}: {arm}")
            config = dataclasses.replace(self.config, seed=seed)
            folder = self._place(arm, seed) / arm
            if any(arm in self.reads.get(other, ()) for other in self.arms):
                folder.mkdir(parents=True, exist_ok=True)  # whether it wrote into it or not
            others = [self._others(arm, seed)] if arm in self.reads else []
            made = contract.worked(
                self.module, "run", config, arm, self._shared[seed], folder, *others
            )
            self._spent(arm, begun)
            self._write(arm, seed, made)
        self.progress.advance(len(seeds))

    def _write(self, arm: str, seed: int, made: Any) -> None:
        rows.write(self._file(arm, seed), contract.checked_rows(self.module, arm, seed, made))

    def _others(self, arm: str, seed: int) -> dict[str, tuple[Path, ...]]:
        """The folders that an arm reads: those of its seed; of every seed where it runs once."""
        seeds = self.seeds if arm in self.once else [seed]
        folders = {}
        for name in self.reads[arm]:
            folders[name] = tuple(self._folder(name, one) for one in self._sources_of(name, seeds))
        return folders

    def _sources_of(self, arm: str, seeds: Sequence[int]) -> Sequence[int]:
        return self.seeds[:1] if arm in self.once else seeds

    def _seeds_of(self, arm: str, seeds: Sequence[int]) -> list[int]:
        """Those of some seeds that an arm runs for."""
        return [seed for seed in seeds if arm not in self.once or seed == self.seeds[0]]

    def _reads_all_seeds(self, arm: str) -> bool:
        """Whether an arm reads every seed, itself or through what it reads."""
        read = self.reads.get(arm, ())
        return (arm in self.once and any(name not in self.once for name in read)) or any(
            map(self._reads_all_seeds, read)
        )

    def _folder(self, arm: str, seed: int) -> Path:
        """The folder of an arm that ran: the seed's, or that of all seeds trained together."""
        separate, together = self._place(arm, seed) / arm, self.folder / arm
        return separate if separate.is_dir() or not together.is_dir() else together

    def _place(self, arm: str, seed: int) -> Path:
        """The folder of an arm's rows."""
        if arm in self.late:
            return self.folder / f"seeds-{self.seeds[0]}-{self.seeds[-1]}" / f"seed-{seed}"
        return self._seed(seed)

    def _seed(self, seed: int) -> Path:
        return self.folder / f"seed-{seed}"

    def _file(self, arm: str, seed: int) -> Path:
        return self._place(arm, seed) / f"{arm}.json"

    def _facts(self, seed: int) -> Path:
        return self._seed(seed) / "facts.json"

    def _common_facts(self) -> Path:
        return self.folder / f"{contract.COMMON}.json"

    def _spent(self, name: str, begun: float) -> None:
        jax.effects_barrier()
        self.times[name] = round(self.times.get(name, 0) + time.monotonic() - begun, 1)
        storage.write_json(self.folder / SECONDS, self.times)


def earlier(folder: Path) -> dict[str, float]:
    """Seconds of the parts that earlier sittings finished: {part: seconds}."""
    about = storage.read_object(folder / SECONDS, missing={})
    return {name: about.number(name, least=0) for name in about}


def _number(fields: storage.Fields, name: str) -> float:
    """A number of a file: null is one that JSON has not."""
    value = fields.number(name, math.nan)
    return int(value) if isinstance(fields.raw(name), int) else value
