"""annCUR and ADACUR beside the procedure as it was published, in NumPy and in torch, on the same scores.

What `benchmarks.search --work published` runs. As published (2210.12579, 2305.02996) a pseudo-inverse is taken of
the anchor queries' scores with the items that are known: once for annCUR, for each query afresh in each round of
ADACUR. The rest is at its best: estimates of all queries are one product, the best are taken by partition.
"""

import importlib.util
import time

import numpy as np

from benchmarks import search_memory

QUERIES, BUDGET, ROUNDS, K = 20, 100, 5, 50
RTOL = 500 * float(np.finfo(np.float32).eps)  # the numerical rank, for all sides


def scores_of(options):
    """Scores that are nearly of low rank: anchor queries' [k_q, n] and queries' [m, n], and the first items."""
    random = np.random.default_rng(0)
    left = random.standard_normal((options.anchor_queries + QUERIES, 20), np.float32)
    scores = np.tanh(left @ random.standard_normal((20, options.items), np.float32) / 6)
    scores += 0.02 * random.standard_normal(scores.shape, np.float32)
    first = np.sort(random.permutation(options.items)[: BUDGET // 2])
    return scores[: options.anchor_queries], scores[options.anchor_queries :], first


def best_of(scores, asked):
    """The K best of the items that each query asked for, by their exact scores."""
    values = np.take_along_axis(scores, asked, axis=1)
    return np.take_along_axis(asked, np.argsort(-values, axis=1)[:, :K], axis=1)


def ours_anncur(options):
    """The index and the search."""
    from jaxsim import search

    anchors, scores, first = scores_of(options)

    def call():
        index = search.cur_index(anchors, first, rtol=RTOL, center=None)
        return search.anncur(index, lambda q, i: scores[q, i], QUERIES, k=K, budget=BUDGET).ids

    return call


def numpy_anncur(options):
    """A pseudo-inverse and two products."""
    anchors, scores, first = scores_of(options)

    def call():
        items = np.linalg.pinv(anchors[:, first], rcond=RTOL) @ anchors
        estimates = scores[:, first] @ items
        estimates[:, first] = -np.inf
        rest = BUDGET - len(first)
        best = np.argpartition(estimates, -rest, axis=1)[:, -rest:]
        asked = np.concatenate([np.broadcast_to(first, (QUERIES, len(first))), best], axis=1)
        return best_of(scores, asked)

    return call


def torch_anncur(options):
    """The same in torch."""
    import torch

    anchors, scores, first = map(torch.from_numpy, scores_of(options))

    def call():
        items = torch.linalg.pinv(anchors[:, first], rtol=RTOL) @ anchors
        estimates = scores[:, first] @ items
        estimates[:, first] = -torch.inf
        best = torch.topk(estimates, BUDGET - len(first), sorted=False).indices
        asked = torch.cat([first.expand(QUERIES, -1), best], dim=1)
        return best_of(scores.numpy(), asked.numpy())

    return call


def ours_adacur(options, ridge=0.0):
    """Rounds with an appended regression; the basis is made before, once."""
    from jaxsim import search

    anchors, scores, first = scores_of(options)
    basis = search.row_basis(anchors, center=None)
    settings = {"k": K, "budget": BUDGET, "rounds": ROUNDS, "first": first, "ridge": ridge}
    return lambda: search.adaptive(basis, lambda q, i: scores[q, i], QUERIES, **settings).ids


def ours_adacur_ridge(options):
    """The same with the ridge that is the default."""
    return ours_adacur(options, ridge=1e-2)


def numpy_adacur(options):
    """A pseudo-inverse for each query and round; the columns are laid out as rows before, once."""
    anchors, scores, first = scores_of(options)
    columns, quota = np.ascontiguousarray(anchors.T), BUDGET // ROUNDS

    def call():
        asked = np.broadcast_to(first[:quota], (QUERIES, quota))
        for _ in range(ROUNDS - 1):
            known = np.take_along_axis(scores, asked, axis=1)
            weights = np.stack(
                [
                    np.linalg.pinv(columns[items], rcond=RTOL) @ values
                    for items, values in zip(asked, known, strict=True)
                ]
            )
            estimates = weights @ anchors
            np.put_along_axis(estimates, asked, -np.inf, axis=1)
            best = np.argpartition(estimates, -quota, axis=1)[:, -quota:]
            asked = np.concatenate([asked, best], axis=1)
        return best_of(scores, asked)

    return call


def torch_adacur(options):
    """The same in torch, which takes the pseudo-inverses of all queries in one call."""
    import torch

    anchors, scores, first = map(torch.from_numpy, scores_of(options))
    columns, quota = anchors.T.contiguous(), BUDGET // ROUNDS

    def call():
        asked = first[:quota].expand(QUERIES, -1)
        for _ in range(ROUNDS - 1):
            known = torch.gather(scores, 1, asked)
            inverses = torch.linalg.pinv(columns[asked], rtol=RTOL)
            estimates = (inverses @ known[..., None])[..., 0] @ anchors
            estimates.scatter_(1, asked, -torch.inf)
            best = torch.topk(estimates, quota, sorted=False).indices
            asked = torch.cat([asked, best], dim=1)
        return best_of(scores.numpy(), asked.numpy())

    return call


SIDES = {  # (method, side): peers by the name of their package
    "annCUR, ours": ours_anncur,
    "annCUR, numpy": numpy_anncur,
    "annCUR, torch": torch_anncur,
    "ADACUR, ours": ours_adacur,
    "ADACUR, ours with a ridge": ours_adacur_ridge,
    "ADACUR, numpy": numpy_adacur,
    "ADACUR, torch": torch_adacur,
}


def run(options):
    """One side, in this process: its recall, its fastest call, its peak memory."""
    call = SIDES[options.side](options)
    held, begun = search_memory.held(), time.perf_counter()
    call()
    first, seconds, used = time.perf_counter() - begun, [], []
    search_memory.forget_peak()  # that of compiling
    for _ in range(options.repeats):
        begun, spent = time.perf_counter(), time.process_time()
        found = np.asarray(call())
        seconds.append(time.perf_counter() - begun)
        used.append(time.process_time() - spent)
    mib = search_memory.peak() - held
    exact = np.argsort(-scores_of(options)[1], axis=1)
    recalls = {
        f"recall@{k}": float(
            np.mean(
                [np.isin(*pair).mean() for pair in zip(exact[:, :k], found[:, :k], strict=True)]
            )
        )
        for k in (10, K)
    }
    return {
        **recalls,
        "ms": 1e3 * min(seconds),
        "cpu_ms": 1e3 * min(used),
        "mib": round(mib, 1),
        "first_ms": 1e3 * first,
    }


def compared(options, apart):
    """A row per side that is there, each in a separate process and in turns; the best turn counts."""
    sides = [s for s in SIDES if not s.endswith("torch") or importlib.util.find_spec("torch")]
    turns = [{side: apart(options, side) for side in sides} for _ in range(options.rounds)]
    rows = []
    for side in sides:
        best = {name: min(turn[side][name] for turn in turns) for name in turns[0][side]}
        row = {"work": "published", "side": side, "shape": shape(options), **best}
        ours = f"{side.split(',')[0]}, ours"
        if side != ours:
            row["ours / this"] = min(turn[ours]["ms"] for turn in turns) / row["ms"]
            row["cores"] = min(turn[ours]["cpu_ms"] for turn in turns) / row["cpu_ms"]
        rows.append(row)
    return rows


def shape(options):
    """The sizes, in words."""
    return f"{options.anchor_queries} x {options.items}, {QUERIES} queries, {BUDGET} calls"
