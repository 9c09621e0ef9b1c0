"""Fine-tuning on several tables at once: every batch is of one, which has its own loss."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxsim import data
from jaxsim.commands.fine_tuning.batches import filled_up
from jaxsim.numerics.types import ArrayTree, Objective


class Mixture:
    """Several fine-tuning tasks of one model; their batches are shuffled, each is of one task.

    Every epoch cuts each task's rows into whole batches (`data.single_task_batches`). The best checkpoint
    is the one with the best mean of the tasks' figures.

    Args:
      tasks: {name: task}, in which order they are shown.
      weights: {name: number} that a task's loss is multiplied by.
    """

    figure = "mean"

    def __init__(self, tasks: Mapping[str, Any], weights: Mapping[str, float]) -> None:
        self.tasks, self.weights = dict(tasks), dict(weights)
        self.cuts = next(iter(self.tasks.values())).cuts
        self.left_out = sum(task.left_out for task in self.tasks.values())
        self.seen = sum(task.seen for task in self.tasks.values())
        counts = [task.count for task in self.tasks.values()]
        # Ids of all rows together, so that a message can name the file of a row.
        self.first = dict(zip(self.tasks, np.cumsum([0, *counts[:-1]]).tolist(), strict=True))

    @property
    def mined(self) -> Any:
        """How negatives are mined, of whichever task they are; None for none."""
        return next((task.mined for task in self.tasks.values() if task.mined is not None), None)

    @property
    def state(self) -> jax.Array:
        """The last loss of each task: NaN before there is one."""
        return jnp.full(len(self.tasks), jnp.nan)

    def batches(self, *, epochs: int, steps: int | None, seed: int) -> data.Planned:
        """Batches of one task each: {its name: its columns, "where", "ids"}, ids among all tasks' rows."""
        planned = data.single_task_batches(
            {name: {"row": np.arange(task.count)} for name, task in self.tasks.items()},
            {name: task.batch_size for name, task in self.tasks.items()},
            seed=seed,
            epochs=epochs,
            steps=steps,
        )
        names = list(self.tasks)

        def of_step(step):
            batch = planned[step]
            name, rows = names[int(batch["task"][0])], filled_up(batch["ids"])
            ids = np.where(rows >= 0, rows + self.first[name], -1).astype(np.int32)
            return {
                name: self.tasks[name].columns(rows, step),
                "where": rows >= 0,
                "ids": ids,
            }

        return data.Planned(len(planned), of_step)

    def objective(self) -> Objective:
        """The loss of a batch by its task's loss; the state is the last of each."""
        objectives = {name: task.objective() for name, task in self.tasks.items()}
        names = list(self.tasks)

        def objective(params, state, batch, *, key, axis_name):
            name = next(name for name in names if name in batch)
            rows = jnp.where(batch["ids"] >= 0, batch["ids"] - self.first[name], -1)
            shared = {column: batch[column] for column in ("where", "ramp") if column in batch}
            of_task = {**batch[name], **shared, "ids": rows}
            loss = objectives[name](params, of_task, key=key, axis_name=axis_name)
            state = state.at[names.index(name)].set(jax.lax.stop_gradient(loss))
            shown = {f"{task} loss": state[place] for place, task in enumerate(names)}
            return self.weights[name] * loss, (state, shown)

        return objective

    def mine(self, params: ArrayTree, step: int) -> None:
        """Mines the negatives of every task that has some."""
        for task in self.tasks.values():
            if task.mined is not None:
                task.mine(params, step)

    def validate(self, params: ArrayTree) -> dict[str, float]:
        """Figures on what is held out: {"task figure": float}, their mean, and the weighted sum of the losses."""
        found, main, total = {}, [], 0.0
        for name, task in self.tasks.items():
            figures = task.validate(params)
            main.append(figures[task.figure])
            total += self.weights[name] * figures.get("loss", 0.0)
            found |= {f"{name} {figure}": value for figure, value in figures.items()}
        loss = {"loss": total} if all(f"{name} loss" in found for name in self.tasks) else {}
        return loss | {self.figure: float(np.mean(main))} | found
