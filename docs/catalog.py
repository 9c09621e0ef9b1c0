"""Writes docs/losses.md from the docstrings of jaxsim.losses, docs/peers.toml and docs/names.toml.

    python docs/catalog.py

A docstring's last lines say what data a loss fits and what it holds in memory; a lifter adds what kind it
is, of which a loss without one says it itself. peers.toml says what other libraries call it, names.toml what their other names are here.
"""

import inspect
import re
import textwrap
import tomllib
from pathlib import Path
from typing import NamedTuple

from jaxsim import losses

HERE = Path(__file__).resolve().parent
LIBRARIES = "pytorch-metric-learning", "sentence-transformers", "optax", "rax"
KINDS = {
    "pairwise": "a rule on rows of scores, lifted: every shared argument of `over_labels` or `over_pairs`",
    "per example": "an example's value depends on that example alone, lifted by `over_examples`",
    "batch statistics": "means or orders over the whole batch, on all devices, before any ratio",
    "proxies": "examples against vectors that stand for classes, which are parameters",
    "composition": "a function of losses that gives a loss",
    "miner": "which pairs a loss looks at: `mined(loss, miner)`",
    "regularizer": "a penalty to be added to a loss",
    "mixing": "makes embeddings of others, or trains on such",
    "state": "what is kept from batch to batch, in and out",
    "part": "a piece that others use",
}
PEERS = tomllib.loads((HERE / "peers.toml").read_text(encoding="utf-8"))
NAMESPACES = "memory", "miners", "parts", "reducers"
FIELD = re.compile(r"(Args|Returns|Raises|Source|Data|Kind|Memory|Example)\b.*?:")


class Peer(NamedTuple):
    library: str
    names: tuple
    note: str  # which argument of theirs is which of ours, and what differs


class Entry(NamedTuple):
    name: str
    space: str  # "" of jaxsim.losses itself, "miners." of its module
    summary: str
    equation: str
    data: tuple
    kind: str
    memory: str
    peers: tuple
    source: str


def public():
    """{name: (function or class, its namespace)} of jaxsim.losses and of the modules that it offers."""
    spaces = {"": losses}
    spaces |= {f"{name}.": getattr(losses, name) for name in NAMESPACES}
    return {
        name: (what, space)
        for space, module in spaces.items()
        for name, what in sorted(vars(module).items())
        if not name.startswith("_") and not inspect.ismodule(what)
    }


def entries():
    """{name: Entry} of all public names of jaxsim.losses and of the modules that it offers."""
    return {name: entry(name) for name in public()}


def entry(name):
    what, space = public()[name]
    doc = inspect.getdoc(what) or ""
    own = doc.split("\nWhat every loss over ")[0]
    kind, _, memory = field(doc, "Kind").partition("; memory ")
    return Entry(
        name,
        space,
        " ".join(own.split("\n\n")[0].split()),
        equation(own),
        tuple(re.sub(r" \(.*?\)", "", word) for word in field(own, "Data").split(", ") if word),
        kind,
        field(own, "Memory") or memory,
        peers(name),
        source(own),
    )


def field(doc, name):
    """The text after `name:` up to the next field or an empty line, on one line, without its full stop."""
    found = []
    for line in doc.splitlines():
        if line.startswith(f"{name}: "):
            found = [line.removeprefix(f"{name}: ")]
        elif found and line.strip() and not FIELD.match(line):
            found.append(line.strip())
        elif found:
            break
    return " ".join(found).strip().removesuffix(".")


def source(doc):
    """Where the loss is from; of one that says "source as `other`", the other's."""
    said = field(doc, "Source")
    if other := re.search(r"source as `(\w+)`", doc) or re.fullmatch(r"as `(\w+)`", said):
        return source(inspect.getdoc(public()[other[1]][0]))
    return said


def equation(doc):
    """The first indented block before the arguments."""
    body = re.split(r"^(?:Args|Returns)\b", doc, maxsplit=1, flags=re.MULTILINE)[0]
    block = re.search(r"(?:^ {4,}\S.*\n?(?:^\n(?= {4}))?)+", body, re.MULTILINE)
    return textwrap.dedent(block[0]).strip("\n") if block else ""


def peers(name):
    """What docs/peers.toml says that others call a loss."""
    return tuple(
        Peer(row["library"], tuple(row["names"]), row.get("note", ""))
        for row in PEERS.get(name, ())
    )


def rows_of_names(found, names):
    """[(library, their name, ours, what differs)] of peers.toml and of names.toml, in order."""
    rows = [
        (peer.library, name, link(e.name), with_links(peer.note, found))
        for e in found.values()
        for peer in e.peers
        for name in peer.names
    ]
    for library, table in names["elsewhere"].items():
        rows += [
            (library, name, ours, with_links(note, found)) for name, (ours, note) in table.items()
        ]
    for library, table in names["not_here"].items():
        rows += [(library, name, "not here", with_links(why, found)) for name, why in table.items()]
    return sorted(rows, key=lambda row: (LIBRARIES.index(row[0]), row[1].lower(), row[2]))


def page():
    """The text of docs/losses.md."""
    names = tomllib.loads((HERE / "names.toml").read_text(encoding="utf-8"))
    found = entries()
    return "\n".join(
        [
            "# Losses",
            "",
            "<!-- Written by docs/catalog.py: change the docstrings, docs/peers.toml or docs/names.toml. -->",
            "",
            *HEAD,
            "",
            "## What you have",
            "",
            *what_you_have(found, names["data"]),
            "## Kinds",
            "",
            *(f"- **{kind}**: {said}." for kind, said in KINDS.items()),
            "",
            "## Every name",
            "",
            *(line for e in sorted(found.values(), key=by_name) for line in section(e)),
            "## Their names",
            "",
            *their_names(rows_of_names(found, names)),
        ]
    )


HEAD = """\
From the data that you have to the losses that fit it; then every name of `jaxsim.losses`; then the names
of [pytorch-metric-learning](#pytorch-metric-learning), [sentence-transformers](#sentence-transformers),
[optax](#optax) and [rax](#rax), and what they are here.

Memory is what a loss holds besides its arguments. `block` is the number of anchors that are looked at
at once, chosen from the sizes unless given; `references` and `documents` are all those that an anchor
is compared with, of all devices. In an equation `i` is the anchor, `s` a score, `S` a cosine, `D` a
Euclidean distance.
""".splitlines()


def by_name(e):
    return e.name.lower()


def what_you_have(found, data):
    lines = []
    for word, (arrays, first) in data.items():
        lines += [f"### {word[0].upper()}{word[1:]}", "", f"{arrays}.", ""]
        lines += [f"Start with {with_links(first, found)}.", ""]
        for kind in KINDS:
            fitting = [e.name for e in found.values() if word in e.data and e.kind == kind]
            if fitting:
                lines += [f"- {kind}: {linked(fitting)}"]
        lines += [""]
    return lines


def linked(names):
    return ", ".join(link(name) for name in sorted(names, key=str.lower))


def with_links(text, found):
    """The text with a link at every name of ours in backticks."""
    return re.sub(r"`(\w+)`", lambda said: link(said[1]) if said[1] in found else said[0], text)


def link(name):
    return f"[`{name}`](#{name.lower()})"


def section(e):
    lines = [f"### {e.name}", "", e.summary, ""]
    if e.equation:
        lines += ["```text", e.equation, "```", ""]
    if e.space:
        lines += [f"- Name: `losses.{e.space}{e.name}`"]
    lines += [f"- Data: {', '.join(e.data)}", f"- Kind: {e.kind}; memory {e.memory}"]
    for peer in e.peers:
        note = f" ({peer.note})" if peer.note else ""
        lines += [f"- In {peer.library}: {', '.join(f'`{n}`' for n in peer.names)}{note}"]
    if e.source:
        lines += [f"- Source: {e.source}"]
    return [*lines, ""]


def their_names(rows):
    lines = []
    for library in LIBRARIES:
        lines += [f"### {library}", "", "| theirs | here | what differs |", "|---|---|---|"]
        lines += [
            f"| `{name}` | {ours} | {note.replace('|', chr(92) + '|') or 'nothing'} |"
            for where, name, ours, note in rows
            if where == library
        ]
        lines += [""]
    return lines


if __name__ == "__main__":
    (HERE / "losses.md").write_text(page(), encoding="utf-8")
