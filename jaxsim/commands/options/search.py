"""Finds the nearest texts or pictures of a corpus: for a query on the command line, for a file of queries, or at a prompt.

    python -m jaxsim search --model out/ --corpus docs.jsonl "how do I sort by two keys"
    python -m jaxsim search --model out/ --corpus docs.jsonl --queries q.jsonl --run found.trec
    python -m jaxsim search --model out/ --corpus docs.jsonl --reranker cross/ --budget 50
    python -m jaxsim search --model clip/ --corpus pictures/ "a dog on a beach"
    python -m jaxsim search --model clip/ --corpus captions.jsonl --image dog.jpg

With a model of images and texts, such as CLIP or SigLIP, either side may be pictures: a folder of them, or a
column of their paths.

Texts are compared by the model's own similarity. The index is built if it is not there yet (see `index`).
With a reranker the nearest `budget` texts of each query are scored again by a cross-encoder.
"""

import argparse
from collections.abc import Sequence

from jaxsim.commands.options import arguments
from jaxsim.commands.options.shared import of_corpus
from jaxsim.commands.options.usual import QUERY_IDS, QUERY_PROMPTS

BUDGET = 50


def parsed(command_line: Sequence[str]) -> argparse.Namespace:
    """The options, checked with each other."""
    parser = arguments.Parser("search", __doc__)
    add = parser.add_argument
    add(
        "query",
        nargs="*",
        type=arguments.words,
        help="words of one query; default, without --queries: asks for them",
    )
    of_corpus(add)
    add("--image", type=arguments.path, help="a picture as the query")
    add(
        "--queries",
        type=arguments.path,
        help="a file of queries: .jsonl, .csv, .tsv or .parquet; or a folder of pictures",
    )
    add("--query-column", help="column of the queries (query)")
    add("--query-image-column", help="column of pictures' paths, relative to the file, as queries")
    add(
        "--query-id",
        help=f"column of their ids; default: {', '.join(QUERY_IDS)} or the row's number, which '' selects",
    )
    add(
        "--query-prompt",
        help="name of the model's prompt for queries, '' for none; default: "
        f"{', '.join(QUERY_PROMPTS)} where the model has one",
    )
    add("--k", type=arguments.whole(), default=10, help="texts per query (10)")
    add(
        "--ignore-self",
        action="store_true",
        default=None,
        help="leaves out the text whose id is the query's own id, as BEIR does for a corpus that holds "
        "its queries; needs --queries",
    )
    add(
        "--run",
        type=arguments.path,
        help="file for the rankings, in TREC's format; needs --queries",
    )
    add("--reranker", type=arguments.path, help="folder of a cross-encoder")
    add(
        "--budget",
        type=arguments.whole(),
        help=f"texts per query that the reranker scores ({BUDGET})",
    )
    chosen = parser.parse_args(command_line)
    if chosen.query and (chosen.queries or chosen.image):
        other = "--queries" if chosen.queries else "--image"
        raise ValueError(f"a query and {other} must not both be given")
    arguments.refuse_both(chosen, "image", "queries")
    arguments.refuse_both(chosen, "query_column", "query_image_column")
    arguments.refuse_without(
        chosen,
        "queries",
        run="--run",
        query_column="--query-column",
        query_image_column="--query-image-column",
        query_id="--query-id",
        ignore_self="--ignore-self",
    )
    arguments.refuse_without(chosen, "reranker", budget="--budget")
    chosen.budget = chosen.budget or BUDGET
    return chosen
