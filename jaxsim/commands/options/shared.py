"""Options that several commands have."""

from collections.abc import Callable
from typing import Any

from jaxsim.commands.options import arguments
from jaxsim.commands.options.usual import DOCUMENT_PROMPTS, IDS


def of_model(add: Callable[..., Any]) -> None:
    """The options of every command that loads an embedding model."""
    add(
        "--model",
        required=True,
        type=arguments.path,
        help="folder of a model, or its name on the hub",
    )
    add(
        "--max-length",
        type=arguments.whole(),
        help="maximum tokens per text; default: the model's maximum",
    )
    add(
        "--download",
        action="store_true",
        help="allows downloading the model from the Hugging Face hub",
    )
    add("--domain", help="of a model with experts: the domain whose expert is taken")
    add(
        "--dtype",
        type=arguments.one_of("float32", "bfloat16"),
        help="type of the arithmetic; parameters and vectors are float32; default: bfloat16 on accelerators, "
        "float32 on CPU",
    )


def corpus(add: Callable[..., Any]) -> None:
    """The option for what is embedded or searched."""
    add(
        "--corpus",
        required=True,
        type=arguments.path,
        help="file of the texts: .jsonl, .csv, .tsv or .parquet; or a folder of pictures",
    )


def of_corpus(add: Callable[..., Any]) -> None:
    """The options of every command that searches a corpus."""
    of_model(add)
    corpus(add)
    add(
        "--column",
        default="text",
        help="column of the texts, or several to join: title,text (text)",
    )
    add(
        "--image-column",
        help="column of pictures' paths, relative to the file: pictures are searched, not texts",
    )
    add(
        "--id",
        help=f"column of the ids; default: {', '.join(IDS)} or the row's number, which '' selects",
    )
    add("--index", type=arguments.path, help="folder of the index; default: CORPUS.index")
    add(
        "--document-prompt",
        help="name of the model's prompt for documents, '' for none; default: "
        f"{', '.join(DOCUMENT_PROMPTS)} where the model has one",
    )
