"""Losses compared with what a user would pick instead: time and memory of forward and backward, in one run.

    python -m benchmarks.losses                                   seven losses, and benchmarks/losses.json
    python -m benchmarks.losses --losses multi_similarity --batches 1024 2048 --dims 128
    python -m benchmarks.losses --memory 65536 384                peak memory of one large batch, blocked
    python -m benchmarks.losses --blocks 8192 128                 one batch whole and in blocks of rows
    python -m benchmarks.losses --catalog                       every loss, and losses_catalog.json
    python -m benchmarks.losses --catalog pairs lists           two groups of them, the rest is kept

Needs the extra `peers` (README); without torch only our side is timed. Each side has a process of its
own, one per row unless it is the catalog, so that peak memory is its own. Outputs are compared before
anything is timed; the sides are timed in turns, three times each, and the best of each counts, as the load
of a machine comes and goes. Peers that are programs of JAX run in the process of ours, call by call in
turns, and the turn with the middle ratio counts. Compile time is separate. A peer stops at the first size
over 60 s or 8 GB, in the catalog at 10 s. The floor is the three matrix products that a pairwise loss needs
(scores, and the gradients of both sides), timed next to ours; of a loss in catalog/floors.py its own floor
is timed too, and compared by the time of all cores.
"""

import importlib.util
import operator
import sys
from pathlib import Path

import numpy as np

from benchmarks import command
from benchmarks.catalog import CATALOG, GROUPS
from benchmarks.processes import Side

HERE = Path(__file__).resolve().parent
SECONDS, MIB = 60, 8192  # a peer beyond either is not asked for more
SECONDS_OF_CATALOG, ROUNDS = 10, 3
NAMES = (
    "multi_similarity",
    "contrastive",
    "circle",
    "supervised_contrastive",
    "info_nce",
    "triplet",
    "lifted_structure",
)


def sides_of():
    """(ours, the peer's)"""
    return Side("benchmarks.losses_sides", "ours"), Side("benchmarks.losses_sides", "peer")


def compared(name, batch=None, dim=None, *, sides, limit, with_peer=True):
    """One row of the table."""
    entry, (ours, peer) = CATALOG[name], sides
    sizes = {"name": name, "batch": batch, "dim": dim}
    beside = with_peer and getattr(entry.theirs, "of_jax", False)
    mine = ours.ask(do="start", peer=beside, **sizes)
    row = {
        "work": name,
        "shape": f"{batch or entry.batch} x {dim or entry.dim}",
        "dtype": "float32",
        "device": mine.get("device"),
        "ours_mib": mine.get("mib"),
        "compile_s": mine.get("compile_s"),
        "temporaries_mib": mine.get("temporaries_mib"),
        "versions": mine.get("versions"),
    }
    if "stopped" in mine:
        return row | {"note": f"ours: {mine['stopped']}"}
    theirs = mine.get("peer", {})
    if entry.theirs and with_peer and not beside:
        theirs = peer.ask(do="start", limit=limit, patience=2 * limit + 60, **sizes)
    rounds = [], []
    for _ in range(ROUNDS):
        rounds[0].append(ours.ask(do="time"))
        if beside and "peer" in rounds[0][-1]:
            rounds[1].append(rounds[0][-1].pop("peer"))
        elif "value" in theirs:
            rounds[1].append(peer.ask(do="time", limit=limit, patience=2 * limit + 60))
    if beside:  # the turn whose ratio is the middle one: the best of each may be of different ones
        turns = sorted(zip(*rounds, strict=False), key=lambda turn: turn[0]["ms"] / turn[1]["ms"])
        rounds = tuple([one] for one in turns[len(turns) // 2]) if turns else rounds
    row |= {
        f"ours_{what}" if what == "ms" else what: best for what, best in _best(rounds[0]).items()
    }
    if "floor_ms" in row:
        row["times_floor"] = round(row["ours_ms"] / row["floor_ms"], 2)
    if "own_floor_ms" in row:
        row["times_own_floor"] = round(row["core_ms"] / row["own_floor_core_ms"], 2)
    stopped = [a["stopped"] for a in (theirs, *rounds[1]) if "stopped" in a]
    if stopped:
        return row | {"note": f"peer: {stopped[0]}"}
    if not theirs:
        return row
    if not np.isclose(mine["value"], theirs["value"], rtol=1e-4, atol=1e-5):
        row["note"] = f"values differ: {mine['value']:.6g}, peer {theirs['value']:.6g}"
        row["note"] += f" ({entry.apart})" if entry.apart else ""
    milliseconds, core_ms = (_best(rounds[1])[what] for what in ("ms", "core_ms"))
    return row | {
        "peer": theirs["peer"],
        "peer_ms": milliseconds,
        "peer_core_ms": core_ms,
        "peer_mib": theirs["mib"],
        "ratio": round(row["ours_ms"] / milliseconds, 4),
        "versions": ", ".join(dict.fromkeys((row["versions"], theirs["versions"]))),
    }


def _best(answers):
    return {what: min(a[what] for a in answers) for what in answers[0] if what != "stopped"}


def shown(rows, without=()):
    """The table for a terminal and for README.md."""
    columns = (
        "work",
        "shape",
        "ours_ms",
        "core_ms",
        "peer",
        "peer_ms",
        "peer_core_ms",
        "ratio",
        "floor_ms",
        "times_floor",
        "own_floor_ms",
        "times_own_floor",
        "ours_mib",
        "peer_mib",
        "temporaries_mib",
        "compile_s",
        "note",
    )
    columns = [c for c in columns if c not in without and any(c in row for row in rows)]
    lines = [" | ".join(columns), " | ".join("---" for _ in columns)]
    for row in rows:
        cells = (row.get(column, "") for column in columns)
        cells = (f"{c:.4g}" if isinstance(c, float) else "" if c is None else str(c) for c in cells)
        lines.append(" | ".join(cells))
    return "\n".join(f"| {line} |" for line in lines)


def told(row):
    """A row as it comes, to the terminal."""
    print(shown([row]).splitlines()[-1], file=sys.stderr, flush=True)
    return row


def in_detail(names, batches, dims, with_peer):
    """Every row in separate processes."""
    beyond = set()  # (loss, dim) whose peer has passed a limit
    for name in names:
        for dim in dims:
            for batch in batches:
                sides = sides_of()
                asked = with_peer and (name, dim) not in beyond
                row = compared(name, batch, dim, sides=sides, limit=SECONDS, with_peer=asked)
                for side in sides:
                    side.close()
                if row.get("peer_mib", 0) > MIB or "peer:" in row.get("note", ""):
                    beyond.add((name, dim))
                yield told(row)


def catalog(names, with_peer):
    """Every row at its own sizes, in two processes. Peak memory is not separated there."""
    sides = sides_of()
    for name in names:
        row = compared(name, sides=sides, limit=SECONDS_OF_CATALOG, with_peer=with_peer)
        yield told({k: v for k, v in row.items() if k not in ("ours_mib", "peer_mib")})
    for side in sides:
        side.close()


def of_memory(names, batch, dim):
    """Peak memory of our side, one run of the blocked loss, each in a separate process."""
    for name in names:
        side, _ = sides_of()
        reply = side.ask(do="start", name=name, batch=batch, dim=dim)
        side.close()
        yield {
            "work": name,
            "shape": f"{batch} x {dim}",
            "ours_mib": reply.get("mib"),
            "temporaries_mib": reply.get("temporaries_mib"),
            "note": reply.get("stopped", ""),
        }


def of_blocks(names, batch, dim):
    """Our side with all rows at once, in the blocks that it takes by itself, and in smaller ones, in turns."""
    blocks = (batch, None, batch // 16)
    for name in names:
        sides = [sides_of()[0] for _ in blocks]
        started = [
            side.ask(do="start", name=name, batch=batch, dim=dim, block=block)
            for side, block in zip(sides, blocks, strict=True)
        ]
        rounds = [[side.ask(do="time") for side in sides] for _ in range(ROUNDS)]
        for side in sides:
            side.close()
        whole = None
        for block, start, *answers in zip(blocks, started, *rounds, strict=True):
            row = {"work": f"{name}, block {block or 'by itself'}", "shape": f"{batch} x {dim}"}
            stopped = [a["stopped"] for a in (start, *answers) if "stopped" in a]
            if stopped:
                yield told(row | {"note": f"ours: {stopped[0]}"})
                continue
            best = _best(answers)
            whole = best["ms"] if block == batch else whole
            row |= {"ours_ms": best["ms"], "core_ms": best["core_ms"]}
            row |= {"temporaries_mib": start["temporaries_mib"]}
            row |= {"ratio": round(best["ms"] / whole, 3)} if whole else {}
            yield told(row)


def main():
    """The command line."""
    parser = command.parser("benchmarks.losses", __doc__)
    parser.add_argument("--losses", nargs="+", help="names of losses")
    parser.add_argument(
        "--batches", nargs="+", type=int, default=[256, 512, 1024, 2048, 4096, 8192]
    )
    parser.add_argument("--dims", nargs="+", type=int, default=[128, 768])
    parser.add_argument("--memory", nargs=2, type=int, help="batch and dim: peak memory instead")
    parser.add_argument("--blocks", nargs=2, type=int, help="batch and dim: whole against blocks")
    parser.add_argument(
        "--catalog",
        nargs="*",
        choices=GROUPS,
        help="every loss at one size: all groups, or these",
    )
    parser.add_argument("--no-peer", action="store_true", help="time our side alone")
    parser.add_argument("--out", type=Path, help="where the rows go, as JSON")
    options = parser.parse_args()
    with_peer = not options.no_peer and importlib.util.find_spec("torch") is not None
    names = options.losses or ("multi_similarity", "info_nce")
    for sizes, measured in ((options.memory, of_memory), (options.blocks, of_blocks)):
        if sizes:
            print(shown(list(measured(names, *sizes))))
            return
    if options.catalog is None:
        out, without = options.out or HERE / "losses.json", ()
        same = operator.itemgetter("work", "shape")
        rows = in_detail(options.losses or NAMES, options.batches, options.dims, with_peer)
    else:
        out, without = options.out or HERE / "losses_catalog.json", ("compile_s",)
        names = options.losses or [n for g in options.catalog or GROUPS for n in GROUPS[g]]
        rows, same = catalog(names, with_peer), operator.itemgetter("work")
    timed = []
    for row in rows:  # written as they come: a run that is stopped keeps what it has
        timed.append(row)
        command.write(out, timed, same=same, order=place)
    print(shown(timed, without))


def place(row):
    """Where a row stands: in the catalog's order, short vectors first, then small batches."""
    batch, dim = map(int, row["shape"].split(" x "))
    return list(CATALOG).index(row["work"]), dim, batch


if __name__ == "__main__":
    main()
