"""Scores a run against judgments: nDCG, recall, precision, MAP and MRR over all judged queries.

    python -m jaxsim evaluate --run found.trec --qrels qrels.tsv
    python -m jaxsim evaluate --run tuned.trec --qrels qrels.tsv --against before.trec

A query that is judged but not in the run counts as 0, and stderr says how many are missing; a run without
any judged query is an error. With --against each figure has the difference from another run's, query by
query, and the 95 % interval of its mean (bootstrap over queries). Where the queries are documents of the
corpus themselves, as in ArguAna and Quora, --ignore-self leaves each query's own document out, as BEIR does.
"""

import argparse
from collections.abc import Sequence

from jaxsim.commands.options import arguments


def parsed(command_line: Sequence[str]) -> argparse.Namespace:
    """The options."""
    parser = arguments.Parser("evaluate", __doc__)
    add = parser.add_argument
    add("--run", required=True, type=arguments.path, help="the run, in TREC's format")
    add(
        "--qrels",
        required=True,
        type=arguments.path,
        help="the judgments: TREC's four columns or BEIR's three",
    )
    add("--k", type=arguments.whole(), default=10, help="cutoff of the rankings (10)")
    add("--against", type=arguments.path, help="another run to compare with")
    add(
        "--ignore-self",
        action="store_true",
        help="leaves out of each ranking the document whose id is the query's own",
    )
    add("--out", type=arguments.path, help="a JSON file for the figures")
    return parser.parse_args(command_line)
