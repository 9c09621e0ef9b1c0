"""Every name of theirs that a docstring calls a peer has a case of its parity, which runs that function.

Read off the sources of the tests, so that it holds where the peers are not installed.
"""

import ast
import re
import runpy
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
CATALOG = runpy.run_path(str(HERE.parents[2] / "docs" / "catalog.py"))
FILES = {
    "pytorch-metric-learning": "test_metric_learning_*.py",
    "sentence-transformers": "test_sentence_transformers_*.py",
    "optax": "test_optax_parity.py",
    "rax": "test_rax_parity.py",
}
# Names of theirs without a case of their own, and what holds instead.
EXCEPTIONS = {
    "DistanceWeightedMiner": "draws: test_distance_weighted_draws_are_as_likely_as_there",
    **dict.fromkeys(
        (
            *("SparseCoSENTLoss", "SparseCosineSimilarityLoss", "SparseDistillKLDivLoss"),
            *("SparseMarginMSELoss", "SparseMSELoss", "SparseTripletLoss"),
            "SparseMultipleNegativesRankingLoss",
        ),
        "the same function: test_a_loss_of_sparse_vectors_is_that_of_dense_ones",
    ),
}


def cases(library):
    """{a case's name of theirs: the functions of jaxsim.losses that its cases run}."""
    found = {}
    for path in HERE.glob(FILES[library]):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        defined = {name: node for node in tree.body for name in names_of(node)}
        for node in ast.walk(tree):
            for key, value in pairs_of(node):
                found.setdefault(key.split(",")[0], set()).update(run_by(value, defined, set()))
    return found


def names_of(node):
    """What a statement of a module defines."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def pairs_of(node):
    """[(key, value)] of a dict of cases, or of one that a comprehension makes."""
    if isinstance(node, ast.DictComp):
        first = node.key.values[0] if isinstance(node.key, ast.JoinedStr) else node.key
        pairs = [(first, node)]
    else:
        pairs = zip(node.keys, node.values, strict=True) if isinstance(node, ast.Dict) else []
    return [(k.value, v) for k, v in pairs if isinstance(k, ast.Constant) and type(k.value) is str]


def run_by(node, defined, seen):
    """The functions of `losses` in an expression, and in what it names of its module."""
    found = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute) and re.match(
            r"losses(\.\w+)?$", ast.unparse(part.value)
        ):
            found |= {part.attr}  # of losses, or of a module that it offers
        elif isinstance(part, ast.Name) and part.id in defined.keys() - seen:
            seen.add(part.id)
            found |= run_by(defined[part.id], defined, seen)
    return found


def claims(library):
    """[(name of theirs, ours)] of docs/peers.toml."""
    entries = CATALOG["entries"]().values()
    of_library = [(e.name, peer) for e in entries for peer in e.peers if peer.library == library]
    return [(theirs, ours) for ours, peer in of_library for theirs in peer.names]


@pytest.mark.parametrize("library", FILES)
def test_every_peer_has_a_case(library):
    tested, claimed = cases(library), claims(library)
    assert claimed
    lacking = [
        f"{theirs} of {ours}"
        for theirs, ours in claimed
        if theirs not in EXCEPTIONS and ours not in tested.get(theirs, ())
    ]
    assert lacking == []


def test_exceptions_are_needed():
    claimed = {theirs for library in FILES for theirs, _ in claims(library)}
    assert sorted(EXCEPTIONS.keys() - claimed) == []
    said = "\n".join(path.read_text(encoding="utf-8") for path in HERE.glob("test_*.py"))
    held = {reason.rpartition(": ")[2] for reason in EXCEPTIONS.values()}
    assert [name for name in held if f"def {name}(" not in said] == []
