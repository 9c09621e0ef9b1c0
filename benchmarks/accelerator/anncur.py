"""The annCUR experiment's `gpu` preset, shortened to about a minute: its verdict and where the time went."""

import dataclasses
import os

from benchmarks.accelerator.rows import Row

SHORT = {  # what is left of the preset
    "dual_steps": 300,
    "cross_steps": 400,
    "items": 5000,
    "anchor_queries": 200,
    "held_out_queries": 50,
    "test_queries": 100,
    "draws": 2,
    "budgets": (50, 100, 200),
    "layers": 4,
    "training_queries": 20_000,
    "arms": ("anncur", "rerank_dual", "rerank_tfidf"),
}
TOY = {
    "dual_steps": 4,
    "cross_steps": 4,
    "items": 300,
    "anchor_queries": 20,
    "held_out_queries": 8,
    "test_queries": 8,
    "draws": 1,
    "budgets": (20, 40),
    "ks": (1, 10),
    "layers": 1,
    "dim": 16,
    "heads": 2,
    "dual_batch": 16,
    "cross_batch": 8,
    "negatives": 3,
    "mined": 8,
    "vocabulary": 500,
    "query_length": 16,
    "item_length": 16,
    "shares": (0.5,),
    "training_queries": 200,
    "arms": ("anncur", "rerank_dual", "rerank_tfidf"),
}


def rows(setting):
    """Seconds of the whole, and the claim's sentence."""
    from rich.console import Console

    if setting.pack is None:
        yield Row("annCUR", note="needs --data FOLDER, which --pack makes")
        return
    os.environ["JAXSIM_DATA"] = str(setting.pack / "data")
    from experiments import anncur, runner

    config = dataclasses.replace(anncur.PRESETS["gpu"], **(TOY if setting.toy else SHORT))
    with (setting.out / "anncur.log").open("w", encoding="utf-8") as log:
        results = runner.run(
            anncur,
            config,
            preset="accelerator",
            seeds=1,
            workdir=setting.out / "anncur",
            command="python -m benchmarks.accelerator",
            console=Console(file=log),
        )
    for part, seconds in results["seconds"].items():
        yield Row(f"annCUR, {part}", "s", float(seconds))
    yield Row("annCUR", note=results["claim"]["sentence"])
