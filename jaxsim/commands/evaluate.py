"""Scores a run against judgements: nDCG, recall, precision, MAP and MRR over all judged queries.

    python -m jaxsim evaluate --run found.trec --qrels qrels.tsv

A query that is judged but not in the run counts as 0.
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
    parser.add_argument("--out", help="a JSON file for the figures")
    chosen = parser.parse_args(arguments)
    found = figures(storage.load_run(chosen.run), storage.load_qrels(chosen.qrels), chosen.k)
    for name, value in found.items():
        print(f"{name:14} {value:.4f}")
    if chosen.out:
        storage.write_json(chosen.out, found)


def figures(run, judgements, k):
    """{name: float} of a run, {query: [(document, score)]}, and judgements, {query: {document: grade}}."""
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
    return {
        "queries": len(judged),
        f"nDCG@{k}": float(evaluation.ndcg(ids, truth, k, grades=grades)),
        f"recall@{k}": float(evaluation.recall(ids, truth, k)),
        f"precision@{k}": float(evaluation.precision(ids, truth, k)),
        "MAP": float(evaluation.average_precision(ids, truth, longest)),
        "MRR": float(evaluation.reciprocal_rank(ids, truth)),
    }
