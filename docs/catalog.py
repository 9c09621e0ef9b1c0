"""Writes docs/losses.md and docs/losses/ from the docstrings of jaxsim.losses, peers.toml and names.toml.

    python docs/catalog.py

losses.md leads from data to losses; docs/losses/ has a page for each kind of data, with its losses before
their parts. A page says the summary and the equation of each; where the site is built, hooks.py puts the
whole docstring with the signature in their place. docs/pictures.py draws the pair weights of a page.

A docstring's last lines say what data a loss fits and what it holds in memory; a lifter adds what kind it
is, of which a loss without one says it itself. peers.toml says what other libraries call it, names.toml what their other names are here.
"""

import inspect
import re
import sys
import textwrap
import tomllib
from pathlib import Path
from typing import NamedTuple

from jaxsim import losses

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from docstrings import markdown  # noqa: E402, of this folder
from equations import is_equation  # noqa: E402

LIBRARIES = "pytorch-metric-learning", "sentence-transformers", "optax", "rax"
KINDS = {
    "pairwise": "a rule on rows of scores, lifted: every shared argument of `over_labels` or `over_pairs`",
    "per example": "an example's value depends on that example alone, lifted by `over_examples`",
    "batch statistics": "means or orders over the whole batch, on all devices, before any ratio",
    "proxies": "examples against vectors of classes, which are parameters",
    "composition": "a function of losses that gives a loss",
    "miner": "which pairs a loss looks at: `mined(loss, miner)`",
    "regularizer": "a penalty to be added to a loss",
    "mixing": "makes embeddings of others, or trains on such",
    "state": "what is kept from batch to batch, in and out",
    "part": "a piece that others use",
}
# Why losses of a kind, or a loss, have no picture of their pairs, where they have none.
WITHOUT_PICTURE = {
    "per example": "no example is compared with another",
    "batch statistics": "the value is not a sum over pairs, but of triplets or of the whole batch",
    "similarity_distillation": "the teacher's scores take the place of positives and negatives",
}
PEERS = tomllib.loads((HERE / "peers.toml").read_text(encoding="utf-8"))
NAMESPACES = "memory", "miners", "parts", "reducers"
FIELD = re.compile(r"(Args|Returns|Raises|Source|Data|Kind|Memory|Example)\b.*?:")


class Peer(NamedTuple):
    """What another library calls a loss of ours."""

    library: str
    names: tuple
    note: str  # which argument of theirs is which of ours, and what differs


class Entry(NamedTuple):
    """A public name of the losses, as its docstring describes it."""

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
    """The `Entry` of a public name, read from its docstring."""
    what, space = public()[name]
    doc = inspect.getdoc(what) or ""
    text = doc.split("\nWhat every loss over ")[0]  # without the arguments that all losses share
    kind, _, memory = field(doc, "Kind").partition("; memory ")
    return Entry(
        name,
        space,
        " ".join(text.split("\n\n")[0].split()),
        equation(text),
        tuple(re.sub(r" \(.*?\)", "", word) for word in field(text, "Data").split(", ") if word),
        kind,
        field(text, "Memory") or memory,
        peers(name),
        source(text),
    )


def field(doc, name):
    """The text after `name:` up to the next field or an empty line, on one line, without its full stop."""
    lines = []
    for line in doc.splitlines():
        if line.startswith(f"{name}: "):
            lines = [line.removeprefix(f"{name}: ")]
        elif lines and line.strip() and not FIELD.match(line):
            lines.append(line.strip())
        elif lines:
            break
    return " ".join(lines).strip().removesuffix(".")


def source(doc):
    """Where the loss is from; of one that says "source as `other`", the other's."""
    text = field(doc, "Source")
    if other := re.search(r"source as `(\w+)`", doc) or re.fullmatch(r"as `(\w+)`", text):
        return source(inspect.getdoc(public()[other[1]][0]))
    return text


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


def rows_of_names(catalog, names):
    """[(library, their name, ours, what differs)] of peers.toml and of names.toml, in order."""
    rows = [
        (peer.library, name, link(e), with_links(peer.note, catalog))
        for e in catalog.values()
        for peer in e.peers
        for name in peer.names
    ]
    for library, table in names["elsewhere"].items():
        rows += [
            (library, name, ours, with_links(note, catalog)) for name, (ours, note) in table.items()
        ]
    for library, table in names["not_here"].items():
        rows += [
            (library, name, "not here", with_links(why, catalog)) for name, why in table.items()
        ]
    return sorted(rows, key=lambda row: (LIBRARIES.index(row[0]), row[1].lower(), row[2]))


def pages():
    """{path within docs: text} of the page of all data and of one for each."""
    names = tomllib.loads((HERE / "names.toml").read_text(encoding="utf-8"))
    catalog = entries()
    texts = {"losses.md": overview(catalog, names["data"])}
    for word, (arrays, first) in (names["data"] | OTHER).items():
        here = [e for e in catalog.values() if home(e) == word]
        also = [e for e in catalog.values() if word in e.data and home(e) != word]
        texts[f"losses/{slug(word)}.md"] = page(word, arrays, first, here, also, catalog)
    texts["losses/shared.md"] = shared_arguments()
    texts["losses/names.md"] = their_names(rows_of_names(catalog, names))
    return {path: "\n".join(lines) + "\n" for path, lines in texts.items()}


WRITTEN = "<!-- Written by docs/catalog.py: change the docstrings, docs/peers.toml or docs/names.toml. -->"

# What is of no data: its page, what it has, and where to start.
OTHER = {
    "building losses": (
        "What makes losses: lifters of rules, checks, compositions and reducers",
        "`over_labels` or `over_pairs` for your own rule, `check` to see whether it is right",
    ),
    "miners": (
        "Which pairs a loss looks at, and who takes them: `mined(loss, miner)`",
        "`hardest_negatives`, or `distance_weighted_negatives` in large batches",
    ),
    "memory": (
        "What is kept from batch to batch: queues and banks of embeddings",
        "`empty_memory` and `remembered`; a loss over labels takes `as_references` of it",
    ),
}
BUILDING = {
    "over_labels", "over_pairs", "over_examples", "over_classes",
    "check", "mined", "preset", "both_ways", "of_views", "weighted_sum",
}  # fmt: skip
SPACES = {"miners.": "miners", "memory.": "memory", "reducers.": "building losses"}


def home(e):
    """The one page that has an entry: that of the first data which it names, or of what makes losses."""
    return "building losses" if e.name in BUILDING else SPACES.get(e.space) or e.data[0]


def slug(word):
    """The name of the page of a kind of data, without its ending."""
    return word.replace(" ", "_")


def title(word):
    """The words with a capital first letter."""
    return word[0].upper() + word[1:]


HEAD = """\
From the data that you have to the losses that fit it. Each kind of data has a page with its losses, their
equations and arguments; [names elsewhere](losses/names.md) says what the losses of pytorch-metric-learning,
sentence-transformers, optax and rax are here, and [how to write one](prototype.md) what to do where none fits.

Memory is what a loss holds besides its arguments. `block` is the number of anchors that are looked at
at once, chosen from the sizes unless given; `references` and `documents` are all those that an anchor
is compared with, of all devices. In an equation `i` is the anchor, `s` a score, `S` a cosine, `D` a
Euclidean distance.
""".splitlines()


def by_name(e):
    """The key that sorts entries by name."""
    return e.name.lower()


def overview(catalog, data):
    """The lines of losses.md: for each kind of data its losses by kind, then the kinds."""
    lines = ["# Losses", "", WRITTEN, "", *HEAD]
    for word, (arrays, first) in data.items():
        lines += ["", f"## {title(word)}", "", f"{arrays}.", ""]
        lines += [f"Start with {with_links(first, catalog, 'losses/')}.", ""]
        fitting = [e for e in catalog.values() if word in e.data]
        for kind in KINDS:
            of_kind = [e for e in fitting if e.kind == kind]
            if of_kind:
                lines += [f"- {kind}: {linked(of_kind, 'losses/')}"]
    lines += ["", "## Kinds", "", *(f"- **{kind}**: {text}." for kind, text in KINDS.items())]
    lines += ["", "## What makes losses", ""]
    for word, (text, _) in OTHER.items():
        lines += [
            f"- [{title(word)}](losses/{slug(word)}.md): {with_links(text, catalog, 'losses/')}."
        ]
    return lines


def page(word, arrays, first, here, also, catalog):
    """The lines of the page of a kind of data.

    Args:
      word: the kind of data.
      arrays: the arrays that it has.
      first: where to start.
      here: the entries whose home the page is.
      also: those of other pages that fit the data.
      catalog: {name: Entry} of all, for links.
    """
    lines = [f"# {title(word)}", "", WRITTEN, "", f"{with_links(arrays, catalog)}.", ""]
    lines += [f"Start with {with_links(first, catalog)}.", ""]
    if drawn(word):
        lines += [
            f"![Pair weights: what each loss pulls and pushes, by score]({slug(word)}.svg)",
            "",
        ]
        lines += [
            "How much a pair counts by its score, 1 the mean of a loss's pairs: `analysis.loss_pair_weights`.",
            "",
        ]
    lines += not_drawn(word, here)
    for kind in KINDS:
        of_kind = sorted((e for e in here if e.kind == kind), key=by_name)
        if of_kind:
            lines += [f"## {title(kind)}", "", f"{title(KINDS[kind])}.", ""]
            lines += [line for e in of_kind for line in section(e)]
    if also:
        lines += ["## On other pages", ""]
        lines += [f"- {title(kind)}: {linked(fitting)}" for kind, fitting in by_kind(also)]
    return lines


def drawn(word):
    """The names of the losses in the picture of a page, which docs/pictures.py draws."""
    path = HERE / "losses" / f"{slug(word)}.svg"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return set(re.findall(r">(\w+)</text>", text))


def not_drawn(word, here):
    """The lines that say which losses of a page have no picture of their pairs, and why."""
    names, groups = drawn(word), {}
    for e in here:
        why = WITHOUT_PICTURE.get(e.name) or WITHOUT_PICTURE.get(e.kind)
        if why and e.name not in names:
            groups.setdefault(why, []).append(e)
    if not names:
        return [f"Pairs have no picture here: {'; '.join(groups)}.", ""] if groups else []
    parts = [f"{linked(entries)} ({why})" for why, entries in groups.items()]
    return [f"Without a picture of pairs: {'; '.join(parts)}.", ""] if parts else []


def by_kind(entries):
    """(kind, its entries) of the kinds that there are."""
    for kind in KINDS:
        of_kind = [e for e in entries if e.kind == kind]
        if of_kind:
            yield kind, of_kind


def linked(entries, folder=""):
    """Links to entries, by name."""
    return ", ".join(link(e, folder) for e in sorted(entries, key=by_name))


def with_links(text, catalog, folder=""):
    """The text with a link at every name of ours in backticks."""
    return re.sub(
        r"`(\w+)`",
        lambda word: link(catalog[word[1]], folder) if word[1] in catalog else word[0],
        text,
    )


def link(e, folder=""):
    """A link to an entry, from a page whose folder of losses is `folder`."""
    return f"[`{e.name}`]({folder}{slug(home(e))}.md#{e.name.lower()})"


def section(e):
    """The lines of a loss on its page, of which hooks.py replaces those before `end`."""
    lines = [f"### {e.name}", "", f"<!-- jaxsim.losses.{e.space}{e.name} -->", "", e.summary, ""]
    if e.equation:
        lines += ["```equation" if is_equation(e.equation) else "```text", e.equation, "```", ""]
    if e.space:
        lines += [f"- Name: `losses.{e.space}{e.name}`"]
    lines += [f"- Data: {', '.join(e.data)}", f"- Memory: {e.memory}"]
    if e.source:
        lines += [f"- Source: {e.source}"]
    lines += ["", "<!-- end -->", ""]
    for peer in e.peers:
        note = f" ({peer.note})" if peer.note else ""
        lines += [f"- In {peer.library}: {', '.join(f'`{n}`' for n in peer.names)}{note}"]
    return [*lines, ""] if e.peers else lines


def shared_arguments():
    """The lines of the page of what the lifters add to the arguments of every loss."""
    lines = ["# Arguments of every loss", "", WRITTEN, ""]
    lines += [
        "What the lifters bring: all losses of one take these, next to the hyperparameters of their rules."
    ]
    for over in ("labels", "pairs", "classes", "examples", "lists"):
        docs = [inspect.getdoc(what) or "" for what, _ in public().values()]
        taken = rf"^What every loss over {over} takes:\n((?:  .*\n?|\n)+)"
        lists = [match[1] for doc in docs if (match := re.search(taken, doc, re.MULTILINE))]
        text = max(lists, key=len, default="")  # a loss may take fewer
        if text:
            lines += ["", f"## Over {over}", "", *markdown(f"Args:\n{text}").splitlines()]
    return lines


def their_names(rows):
    """The lines of the page of other libraries' names, from `rows_of_names`."""
    lines = [
        "# Names elsewhere",
        "",
        WRITTEN,
        "",
        "What the names of other libraries are here.",
        "",
    ]
    for library in LIBRARIES:
        lines += [f"## {library}", "", "| theirs | here | what differs |", "|---|---|---|"]
        lines += [
            f"| `{name}` | {ours} | {note.replace('|', chr(92) + '|') or 'nothing'} |"
            for where, name, ours, note in rows
            if where == library
        ]
        lines += [""]
    return lines[:-1]


def write():
    """Writes all pages, and removes those of data that no longer exist."""
    texts = pages()
    (HERE / "losses").mkdir(exist_ok=True)
    for path in (HERE / "losses").glob("*.md"):
        if f"losses/{path.name}" not in texts:
            path.unlink()
    for path, text in texts.items():
        (HERE / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
