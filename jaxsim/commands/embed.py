"""Writes the vectors of a text column, float32 [rows, dim], in the rows' order.

    python -m jaxsim embed --model out/ --corpus docs.jsonl --column text --out docs.npy

Killed and started again it goes on where it stood.
"""

import argparse
import hashlib

from jaxsim import data, pretrained, search, storage
from jaxsim.commands.columns import column_of


def main(arguments):
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m jaxsim embed", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--model", required=True, help="folder of a model, or its name on the hub")
    parser.add_argument("--corpus", required=True, help=".jsonl, .csv, .tsv or .parquet")
    parser.add_argument(
        "--column",
        default="text",
        help="that holds the texts, or several to join: title,text (text)",
    )
    parser.add_argument("--out", required=True, help="the .npy file")
    parser.add_argument("--prompt", help="name of one of the model's prompts")
    parser.add_argument("--max-length", type=int, help="tokens; the model's own unless told")
    parser.add_argument("--batch-tokens", type=int, default=4096, help="tokens per batch (4096)")
    parser.add_argument("--download", action="store_true", help="may fetch the model from the hub")
    options = parser.parse_args(arguments)
    texts = column_of(data.read_records(options.corpus), options.corpus, options.column)
    model = pretrained.load(options.model, download=options.download, max_length=options.max_length)
    digest = hashlib.sha256("\0".join(texts).encode())
    digest.update(repr((storage.checksum(model.params), options.prompt, model.max_length)).encode())
    vectors = search.encode_corpus(
        model.encode,
        model.params,
        lambda some: model.tokens(some, prompt_name=options.prompt),
        texts,
        path=options.out,
        batch_tokens=options.batch_tokens,
        fingerprint=digest.hexdigest()[:16],
        label=f"embedding {options.corpus}",
    )
    print(f"{options.out}: {vectors.shape[0]} vectors of {vectors.shape[1]}")
