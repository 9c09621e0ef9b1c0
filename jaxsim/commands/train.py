"""Fine-tunes a model on your own pairs, triplets or graded pairs, and keeps the best checkpoint.

    python -m jaxsim train --model all-MiniLM-L6-v2/ --pairs pairs.jsonl --loss info_nce --out out/

Columns are found by their usual names (query, anchor, question, sentence1; document, positive, answer,
passage, sentence2; negative, negatives, negative_1, ...; score) or named. Without --validation a part of
the rows is held out: the run shows the loss, the accuracy in a batch and how well documents are retrieved
on it, or the rank correlation of graded pairs. The result loads in sentence-transformers. A killed run
resumes when the same command is started again; more --epochs or --steps lengthen it.

    --dims 128 64               vectors that may be cut to their first 128 or 64 coordinates (Matryoshka)
    --loss matryoshka_2d        cut in depth too: info_nce with --layers and --dims (2D Matryoshka)
    --teacher big-model/        learns the similarities of another model, no labels needed but the pairs
"""

from collections.abc import Sequence

from jaxsim.commands import models, train_options, train_runs, train_tables, train_tasks


def main(command_line: Sequence[str]) -> None:
    """Runs the command."""
    options = train_options.parsed(command_line, __doc__)
    train_options.check_targets(options)
    pairs, held = train_tables.read(options)
    train_tables.check_batches(options, pairs)
    settings = train_runs.settings_of(options, pairs, held)
    train_runs.check_settings(options, settings)
    with train_runs.claimed(options.out):
        options.workdir.mkdir(parents=True, exist_ok=True)
        model = models.text_model(options)
        task = train_tasks.task_of(options, model, pairs, held)
        settings |= {
            "model": models.identity(model),
            "--max-length": model.max_length,
            "--query-prompt": task.prompts[0],
            "--document-prompt": task.prompts[1],
        }
        train_runs.train(options, model, task, settings)
