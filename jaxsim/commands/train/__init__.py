"""Fine-tunes a model on your own pairs, triplets, graded pairs or classes, and keeps the best checkpoint.

    python -m jaxsim train --model all-MiniLM-L6-v2/ --pairs pairs.jsonl --loss info_nce --out out/
    python -m jaxsim train --model M --pairs pairs.jsonl:info_nce sts.jsonl:cosent:0.5 --out out/

Columns are found by their usual names (query, anchor, question, sentence1; document, positive, answer,
passage, sentence2; negative, negatives, negative_1, ...; score; text and label) or named. Without
--validation a part of the rows is held out: the run shows the loss, the accuracy in a batch and how well
documents are retrieved on it, the rank correlation of graded pairs, or how well texts find those of their
class. The result loads in sentence-transformers. A killed run resumes when the same command is started
again; more --epochs or --steps lengthen it.

    --losses                    lists every loss by the table that it takes, and what --set gives it
    --loss NAME --set margin=0.1            a loss and its hyperparameters
    --negatives 4 --mine-every 500          hard negatives, mined again by the model as it learns
    --dims 128 64               vectors that may be cut to their first 128 or 64 coordinates (Matryoshka)
    --loss matryoshka_2d        cut in depth too: info_nce with --layers and --dims (2D Matryoshka)
    --teacher big-model/        learns the similarities of another model, no labels needed but the pairs
    --experts                   an expert for each file of --pairs, in every layer (a folder for jaxsim alone)
    --model clip/ --image-column path       texts with pictures, found in both directions
    --model cross/ --loss list_softmax      a cross-encoder: by yes and no, by lists, or by a teacher's scores
    --lora-rank 8               low-rank changes alone, as a folder of PEFT's; --lora-merged for the whole model
    --loss splade --set query_weight=5e-5 document_weight=3e-5     a sparse encoder (SPLADE)
    --push OWNER/NAME           uploads the folder to the hub, privately; --public for everybody
    --guide big-model/          leaves out what another model takes for a right document (GISTEmbed)
"""

from collections.abc import Sequence

from jaxsim.commands.outputs import hub
from jaxsim.commands.train import judged, runs, tables, tasks
from jaxsim.commands.train.options import check_targets, parsed


def main(command_line: Sequence[str]) -> None:
    """Runs the command."""
    options = parsed(command_line, __doc__)
    check_targets(options)
    tables.read(options)
    options.collection = options.judged and judged.Judged(*options.judged)
    tasks.check(options)
    settings = runs.settings_of(options)
    runs.check_settings(options, settings)
    if options.push is not None:
        options.push = hub.checked(options.push, public=bool(options.public))
    with runs.claimed(options.out):
        options.workdir.mkdir(parents=True, exist_ok=True)
        model = tasks.model_of(options)
        task = tasks.task_of(options, model)
        settings |= runs.settings_of_model(options, model, task)
        runs.train(options, model, task, tasks.tuned_of(options, model), settings)
