"""What a lifted loss says: its rule's docstring, what is shared, and its kind."""

import inspect
import re

# The kind of every loss of a lifter, and what it holds in memory unless its docstring has `Memory:`.
OVER_LABELS = "pairwise", "block x references"
OVER_PAIRS = "pairwise", "block x documents"
OVER_CLASSES = "proxies", "block x classes"
OVER_EXAMPLES = "per example"


def documentation(doc: str | None, shared: str, kind: tuple[str, str]) -> str:
    """A docstring followed by what is shared and by the kind, if the docstring does not say it.

    What a docstring says of its result replaces what is shared of it.

    Args:
      doc: of the rule, or of a function that shares a loss's arguments.
      shared: the arguments, an empty line, the result.
      kind: (kind, memory).
    """
    doc = inspect.cleandoc(doc or "")
    if re.search(r"^Returns: ", doc, re.MULTILINE):
        shared = shared.partition("\n\n")[0]
    parts = [doc, shared]
    if not re.search(r"^Kind: ", doc, re.MULTILINE):
        memory = "" if re.search(r"^Memory: ", doc, re.MULTILINE) else f"; memory {kind[1]}"
        parts.append(f"Kind: {kind[0]}{memory}.")
    return "\n\n".join(parts) + "\n"
