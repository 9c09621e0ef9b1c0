"""Scores a run against judgements: nDCG, recall, precision, MAP and MRR over all judged queries.

    python -m jaxsim evaluate --run found.trec --qrels qrels.tsv
    python -m jaxsim evaluate --run tuned.trec --qrels qrels.tsv --against before.trec

A query that is judged but not in the run counts as 0. With --against each figure has the difference from
another run's, query by query, and the 95 % interval of its mean (bootstrap over queries).
"""

import argparse

import numpy as np

from jaxsim import evaluation, storage


def main(arguments):
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m jaxsim evaluate", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--run", required=True, help="as TREC has it")
    parser.add_argument("--qrels", required=True, help="TREC's four columns or BEIR's three")
    parser.add_argument("--k", type=int, default=10, help="how many of a ranking count (10)")
    parser.add_argument("--against", help="another run, to compare with")
    parser.add_argument("--out", help="a JSON file for the figures")
    chosen = parser.parse_args(arguments)
    judgements = storage.load_qrels(chosen.qrels)
    found = values(storage.load_run(chosen.run), judgements, chosen.k)
    told = {"queries": len(next(iter(found.values())))} | means(found)
    print(f"{'queries':14} {told['queries']}")
    if chosen.against:
        other = values(storage.load_run(chosen.against), judgements, chosen.k)
        told["against"] = differences(found, other)
    for name in found:
        line = f"{name:14} {told[name]:.4f}"
        if chosen.against:
            line += "  {difference:+.4f} [{low:+.4f}, {high:+.4f}]".format(**told["against"][name])
        print(line)
    if chosen.out:
        storage.write_json(chosen.out, told)


def means(found):
    """{name: float} of {name: a value per query}."""
    return {name: float(value.mean()) for name, value in found.items()}


def differences(found, other):
    """{name: {difference, low, high}}: the mean over queries and its 95 % interval."""
    told = {}
    for name, value in found.items():
        low, high = evaluation.interval(value - other[name], 0)
        told[name] = {"difference": float((value - other[name]).mean()), "low": low, "high": high}
    return told


def values(run, judgements, k):
    """{name: float [judged queries]}: how well each query's documents are found.

    Args:
      run: {query: [(document, score)]}.
      judgements: {query: {document: grade}}.
      k: how many of a ranking count.
    """
    judged = {
        query: {d: g for d, g in documents.items() if g > 0}
        for query, documents in judgements.items()
    }
    judged = {query: documents for query, documents in judged.items() if documents}
    if not judged:
        raise ValueError("judgements must name a relevant document, got none")
    numbers = {}

    def number(document):
        return numbers.setdefault(document, len(numbers))

    most = max(map(len, judged.values()))
    longest = max(k, most, *(len(run.get(query, ())) for query in judged))
    ids = np.full((len(judged), longest), -1, np.int32)
    truth = np.full((len(judged), most), -1, np.int32)
    grades = np.zeros((len(judged), most), np.float32)
    for row, (query, documents) in enumerate(judged.items()):
        returned = [number(document) for document, _ in run.get(query, ())]
        ids[row, : len(returned)] = returned
        truth[row, : len(documents)] = [number(document) for document in documents]
        grades[row, : len(documents)] = list(documents.values())
    each = {"reduce_fn": None}
    found = {
        f"nDCG@{k}": evaluation.ndcg(ids, truth, k, grades=grades, **each),
        f"recall@{k}": evaluation.recall(ids, truth, k, **each),
        f"precision@{k}": evaluation.precision(ids, truth, k, **each),
        "MAP": evaluation.average_precision(ids, truth, longest, **each),
        "MRR": evaluation.reciprocal_rank(ids, truth, **each),
    }
    return {name: np.asarray(value, float) for name, (value, _) in found.items()}
