"""Programs compiled for a TPU that is not there, by its own compiler: do they compile, and in how much memory.

python -m benchmarks.accelerator --tpu v5e:2x4      the table into benchmarks/README.md; needs `pip install libtpu`
"""

import functools
import os
import re
import time
from unittest import mock

import numpy as np

from benchmarks.accelerator.programs import SIZES, TOY

COLUMNS = (
    "program",
    "chips",
    "arguments, MiB",
    "temporaries, MiB",
    "fusions",
    "copies",
    "between chips",
)
COLLECTIVE = re.compile(
    r" (all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute)(?:-start)?\("
)


def topology(name):
    """The chips of a kind of TPU, such as v5e:2x4, of which none has to be there."""
    os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")
    os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")
    # Only its compiler is wanted: another process may use it too.
    os.environ.setdefault("ALLOW_MULTIPLE_LIBTPU_LOAD", "1")
    from jax.experimental import topologies

    return topologies.get_topology_desc(platform="tpu", topology_name=name).devices


def figures(text):
    """What the table says of a compiled program's text."""
    kinds = COLLECTIVE.findall(text)
    return {
        "fusions": len(re.findall(r" fusion\(", text)),
        "copies": len(re.findall(r" copy\(", text)),
        "between chips": ", ".join(f"{kinds.count(k)} {k}" for k in sorted(set(kinds))),
    }


def compiled(name, function, arguments, chips):
    """The row of a program whose arguments are types that say where they are."""
    import jax

    with mock.patch("jax.default_backend", return_value="tpu"):
        program = jax.jit(function).lower(*arguments).compile()
    memory = program.memory_analysis()
    return {
        "program": name,
        "chips": chips,
        "arguments, MiB": round(memory.argument_size_in_bytes / 2**20, 1),
        "temporaries, MiB": round(memory.temp_size_in_bytes / 2**20, 1),
        **figures(program.as_text()),
    }


def rows(devices, toy=False):
    """The table: {column: value} for each program."""
    yield from of_one_chip(devices[0], toy)
    yield from of_several_chips(devices, toy)
    yield of_catalog(devices[0], toy)


def of_one_chip(device, toy):
    """Encoding, exact search, and two losses whole and in blocks."""
    import jax
    from jax.sharding import SingleDeviceSharding

    from jaxsim import encoders, losses, search

    def placed(tree):
        place = SingleDeviceSharding(device)
        return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=place), tree)

    module = encoders.TextEncoder(encoders.Transformer(**TOY if toy else SIZES))
    shape = (4, 16) if toy else (64, 128)
    texts = {"tokens": np.ones(shape, np.int32), "where": np.ones(shape, bool)}
    params = jax.eval_shape(module.init, jax.random.key(0), texts)
    work = f"encoding {shape[0]} texts of {shape[1]} tokens"
    yield compiled(work, encoders.as_function(module), placed((params, texts)), 1)

    queries, items, dim, k = (8, 100, 16, 5) if toy else (512, 100_000, 384, 100)
    types = [jax.ShapeDtypeStruct((n, dim), "float32") for n in (queries, items)]
    work = f"exact search, {queries} x {items:,} x {dim}, k {k}"
    yield compiled(work, functools.partial(search.exact, k=k), placed(types), 1)

    batch, dim = (64, 16) if toy else (8192, 768)
    rows_ = jax.ShapeDtypeStruct((batch, dim), "float32")
    labels = jax.ShapeDtypeStruct((batch,), "int32")
    for loss, second, moved in (
        (losses.info_nce, rows_, (0, 1)),
        (losses.multi_similarity, labels, 0),
    ):
        for block, how in ((batch, "whole"), (batch // 8, "in blocks")):
            both = jax.value_and_grad(functools.partial(loss, block=block), argnums=moved)
            work = f"{loss.__name__} {batch:,} x {dim} and its gradient, {how}"
            yield compiled(work, both, placed((rows_, second)), 1)


def of_several_chips(devices, toy):
    """InfoNCE of a batch that is split over all chips, gathered and around the ring."""
    import jax
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    from jaxsim import losses

    mesh = Mesh(np.array(devices), ("devices",))
    split = PartitionSpec("devices")
    pairs, dim = (8 * len(devices), 16) if toy else (2**20, 768)
    rows_ = jax.ShapeDtypeStruct((pairs, dim), "float32", sharding=NamedSharding(mesh, split))
    for ring, how in ((False, "gathered"), (True, "around the ring")):
        loss = functools.partial(losses.info_nce, axis_name="devices", ring=ring)
        step = jax.shard_map(
            jax.value_and_grad(loss, argnums=(0, 1)),
            mesh=mesh,
            in_specs=(split, split),
            out_specs=(PartitionSpec(), (split, split)),
        )
        work = f"info_nce {pairs:,} x {dim} and its gradient, {how}"
        yield compiled(work, step, (rows_, rows_), len(devices))


def of_catalog(device, toy):
    """Every loss of the catalog with its gradient, 64 vectors of 128, as one row."""
    import jax
    from jax.sharding import SingleDeviceSharding

    from benchmarks.catalog import CATALOG

    place = SingleDeviceSharding(device)
    parts = []
    for name, entry in list(CATALOG.items())[:: 40 if toy else 1]:
        arrays = entry.arrays(64, 128)
        types = [jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=place) for a in arrays]
        both = jax.value_and_grad(entry.ours, argnums=entry.moved)
        parts.append(compiled(name, both, types, 1))
    return {
        "program": f"{len(parts)} losses of the catalog with gradients, the largest or the sum",
        "chips": 1,
        **{name: max(p[name] for p in parts) for name in COLUMNS[2:4]},
        **{name: sum(p[name] for p in parts) for name in COLUMNS[4:6]},
        "between chips": "",
    }


def write(name):
    """The table into benchmarks/README.md; each row is printed as it comes.

    Raises: RuntimeError where libtpu is not installed or knows no such TPU.
    """
    import importlib.metadata

    import jax

    from benchmarks.accelerator import report

    lines = ["| " + " | ".join(COLUMNS) + " |", "| --- |" + " ---: |" * (len(COLUMNS) - 1)]
    for row in rows(topology(name)):
        lines.append("| " + " | ".join(str(row[column]) for column in COLUMNS) + " |")
        print(lines[-1], flush=True)
    versions = f"jax {jax.__version__}, libtpu {importlib.metadata.version('libtpu')}"
    words = (
        f"{time.strftime('%Y-%m-%d')}, {versions}. What the TPU's own compiler makes of them on a machine without one\n"
        f"(`pip install libtpu`, `python -m benchmarks.accelerator --tpu {name}`). Memory is that of one chip, "
        "as the\ncompiler plans it; a v5e has 16 GiB."
    )
    report.put(
        f"Programs compiled for a TPU, {name}, without one", words + "\n\n" + "\n".join(lines)
    )
