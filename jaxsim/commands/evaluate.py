"""`evaluate`: the figures of a run, and how they differ from those of another."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence

import numpy as np

from jaxsim import evaluation, storage
from jaxsim.commands.outputs.files import check_output


def main(options: argparse.Namespace) -> None:
    """Runs the command."""
    if options.out:
        inputs = {"--run": options.run, "--qrels": options.qrels, "--against": options.against}
        check_output("--out", options.out, ours=_is_report, kind="a file of figures", inputs=inputs)
    judgments = storage.load_qrels(options.qrels)
    if not relevant_of(judgments):
        raise ValueError(
            f"{options.qrels}: judges no document relevant, with a grade of at least 1"
        )
    figures = values(run_of(options.run, judgments, options), judgments, options.k)
    report = {"queries": len(next(iter(figures.values())))} | means(figures)
    if options.against:
        other = values(run_of(options.against, judgments, options), judgments, options.k)
        report["against"] = differences(figures, other)
    print(f"{'queries':14} {report['queries']}")
    for name in figures:
        line = f"{name:14} {report[name]:.4f}"
        if options.against:
            line += "  {difference:+.4f} [{low:+.4f}, {high:+.4f}]".format(
                **report["against"][name]
            )
        print(line)
    if options.out:
        storage.write_json(options.out, report)


def run_of(
    path: str | os.PathLike, judgments: Mapping[str, Mapping[str, int]], options: argparse.Namespace
) -> dict[str, list[tuple[str, float]]]:
    """A run for these judgments; what in it is likely to be a mistake is said on stderr.

    Raises: ValueError for a run without any of the judged queries.
    """
    run, judged = storage.load_run(path), relevant_of(judgments)
    missing = [query for query in judged if query not in run]
    if len(missing) == len(judged):
        raise ValueError(
            f"{path} and {options.qrels} have no query in common: the run has {_some(run)}, judged are "
            f"{_some(judged)}; search --query-id names the column of the ids that a run is written with"
        )
    if missing:
        warn(
            f"{path}: {len(missing)} of {len(judged)} judged queries are missing in the run, such as "
            f"{missing[0]!r}: each counts as 0"
        )
    self_first = [query for query in judged if run.get(query) and run[query][0][0] == query]
    self_first = [query for query in self_first if query not in judgments[query]]
    if options.ignore_self:
        run = {
            query: [ranked for ranked in documents if ranked[0] != query]
            for query, documents in run.items()
        }
    elif 2 * len(self_first) > len(judged):
        warn(
            f"{path}: the first document of {len(self_first)} of {len(judged)} queries has the query's own id: "
            "if it is the query itself, --ignore-self leaves it out"
        )
    if not any(
        document in judgments[query] for query in judged for document, _ in run.get(query, ())
    ):
        ranked = dict.fromkeys(document for query in judged for document, _ in run.get(query, ()))
        known = dict.fromkeys(document for query in judged for document in judgments[query])
        warn(
            f"{path}: ranks no document that is judged: the run has {_some(ranked)}, judged are "
            f"{_some(known)}"
        )
    return run


def warn(message: str) -> None:
    """A sentence on stderr, next to the figures on stdout."""
    print(f"warning: {message}", file=sys.stderr)


def _is_report(target):
    """Whether this command wrote a file."""
    try:
        return "queries" in storage.read_object(target)
    except ValueError:
        return False


def _some(ids):
    """A few ids for a sentence."""
    shown = [repr(name) for name in ids][:3]
    return ", ".join(shown + ["..."] * (len(ids) > 3)) or "none"


def relevant_of(judgments: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """{query: {document: grade}} with the grades above 0 alone, of the queries that have one."""
    judged = {
        query: {document: grade for document, grade in documents.items() if grade > 0}
        for query, documents in judgments.items()
    }
    return {query: documents for query, documents in judged.items() if documents}


def means(figures: Mapping[str, np.ndarray]) -> dict[str, float]:
    """{name: float} of {name: a value per query}."""
    return {name: float(value.mean()) for name, value in figures.items()}


def differences(
    figures: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]
) -> dict[str, dict[str, float]]:
    """{name: {difference, low, high}}: the mean over queries and its 95 % interval."""
    compared = {}
    for name, value in figures.items():
        low, high = evaluation.interval(value - other[name], 0)
        difference = float((value - other[name]).mean())
        compared[name] = {"difference": difference, "low": low, "high": high}
    return compared


def values(
    run: Mapping[str, Sequence[tuple[str, float]]],
    judgments: Mapping[str, Mapping[str, int]],
    k: int,
) -> dict[str, np.ndarray]:
    """{name: float [judged queries]}: how well each query's documents are found.

    Args:
      run: {query: [(document, score)]}.
      judgments: {query: {document: grade}}.
      k: how many of a ranking count.
    """
    judged = relevant_of(judgments)
    if not judged:
        raise ValueError("judgments must name a relevant document, got none")
    numbers = {}

    def number(document):
        return numbers.setdefault(document, len(numbers))

    most = max(map(len, judged.values()))
    longest = max(most, *(len(run.get(query, ())) for query in judged))
    places = min(k, longest)  # beyond them there is nothing to find
    ids = np.full((len(judged), longest), -1, np.int32)
    truth = np.full((len(judged), most), -1, np.int32)
    grades = np.zeros((len(judged), most), np.float32)
    for row, (query, documents) in enumerate(judged.items()):
        returned = [number(document) for document, _ in run.get(query, ())]
        ids[row, : len(returned)] = returned
        truth[row, : len(documents)] = [number(document) for document in documents]
        grades[row, : len(documents)] = list(documents.values())
    each = {"reduce_fn": None}
    figures = {
        f"nDCG@{k}": evaluation.ndcg(ids, truth, places, grades=grades, **each),
        f"recall@{k}": evaluation.recall(ids, truth, places, **each),
        f"precision@{k}": evaluation.precision(ids, truth, places, **each),
        "MAP": evaluation.average_precision(ids, truth, longest, **each),
        "MRR": evaluation.reciprocal_rank(ids, truth, **each),
    }
    figures = {name: np.asarray(value, float) for name, (value, _) in figures.items()}
    figures[f"precision@{k}"] *= places / k
    return figures
