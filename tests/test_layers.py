"""Who may import whom, and what an import loads. Read off the sources, so that it costs nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from jaxsim.__main__ import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
FLOOR = {"numerics"}
ALLOWED = {
    "numerics": FLOOR,
    "storage": FLOOR | {"storage"},
    "similarity": FLOOR | {"similarity"},
    "losses": FLOOR | {"similarity", "losses"},
    "evaluation": FLOOR | {"similarity", "evaluation"},
    "analysis": FLOOR | {"similarity", "losses", "evaluation", "analysis"},
    "search": FLOOR | {"storage", "similarity", "evaluation", "search"},
    "encoders": FLOOR | {"encoders"},
    "pretrained": FLOOR | {"storage", "similarity", "encoders", "merging", "pretrained"},
    "data": FLOOR | {"storage", "data"},
    "training": FLOOR | {"storage", "training"},
    "merging": FLOOR | {"merging"},
}
ALLOWED["commands"] = {*ALLOWED, "commands"}  # they use everything, and nothing uses them
LINEN = {"encoders"}  # the rooms that may name flax
CORE = {
    "analysis",
    "losses",
    "merging",
    "numerics",
    "similarity",
    "evaluation",
    "search",
    "storage",
}
HEAVY = (
    "flax",
    "optax",
    "orbax",
    "grain",
    "tensorflow_datasets",
    "tensorflow",
    "matplotlib",
    "tokenizers",
    "rich",
    "sklearn",
    "scipy.linalg._decomp",
)


def imports(path):
    """All modules that a file names in imports, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            if node.module == "jaxsim":
                yield from (f"jaxsim.{alias.name}" for alias in node.names)


def test_every_folder_is_a_room_with_rules():
    rooms = {p.name for p in (ROOT / "jaxsim").iterdir() if (p / "__init__.py").exists()}
    assert rooms == set(ALLOWED)


@pytest.mark.parametrize("room", ALLOWED)
def test_rooms_import_what_they_may(room):
    for path in (ROOT / "jaxsim" / room).rglob("*.py"):
        for module in imports(path):
            parts = module.split(".")
            if parts[0] == "jaxsim" and len(parts) > 1:
                assert parts[1] in ALLOWED[room], f"{path} imports {module}"
            assert parts[0] != "experiments", f"{path} imports {module}"
            assert parts[0] != "flax" or room in LINEN, f"{path} imports {module}"


# Modules that are offered as such: their functions are called by their names, as masked.max.
OFFERED = {
    "numerics": {"checks", "masked", "relaxations", "types"},
    "data": {"augment", "copies", "negatives"},
    "search": {"anchors", "mining"},
    "losses": {"memory", "miners", "parts", "reducers"},
}


def test_modules_are_private_unless_they_are_offered_as_such():
    for room in sorted(set(ALLOWED) - {"commands"}):  # of which nothing is imported
        names = {p.stem for p in (ROOT / "jaxsim" / room).rglob("*.py")} - {"__init__"}
        assert {n for n in names if not n.startswith("_")} == OFFERED.get(room, set()), room


def test_no_two_test_files_share_a_name():
    # pytest imports them as top-level modules: the second of a name is an error of collection, which a
    # run of either folder alone does not show.
    names = [p.name for p in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


def test_the_formatter_lays_out_all_but_a_few_places():
    mark = "# fmt: " + "skip"  # in two parts, so that this line is not one of them
    folders = ("jaxsim", "experiments", "benchmarks", "tests", "docs")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    assert sum(path.read_text(encoding="utf-8").count(mark) for path in files) <= 10


def loaded(statement):
    """The heavy modules that a statement loads in a fresh interpreter."""
    probe = f"import sys; {statement}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, cwd=ROOT, check=True
    )
    return ast.literal_eval(done.stdout)


def test_a_kernel_costs_a_kernel():
    rooms = ", ".join(f"jaxsim.{room}" for room in sorted(CORE))
    assert loaded(f"import {rooms}") == []


def test_the_probe_can_fail():
    assert "flax" in loaded("import jaxsim.encoders")


def test_the_top_loads_nothing_until_asked():
    probe = "import sys, jaxsim; print('jax' in sys.modules); jaxsim.losses; print('jax' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.split() == ["False", "True"]


HELP = """
import sys
from jaxsim.__main__ import COMMANDS, main
for command in COMMANDS:
    for words in ([command, "--help"], [command, "--nothing"]):
        try:
            code = main(words)
        except SystemExit as end:
            code = end.code
        loaded = {"jax", "jaxlib", "flax", "numpy"} & set(sys.modules)
        print(*words, code, *loaded, file=sys.stderr)
"""


def test_help_and_refusals_load_nothing_that_computes():
    done = subprocess.run(
        [sys.executable, "-c", HELP], capture_output=True, text=True, cwd=ROOT, check=True
    )
    lines = [line for line in done.stderr.splitlines() if not line.startswith("error: ")]
    words = (("--help", 0), ("--nothing", 2))
    assert lines == [f"{name} {word} {code}" for name in COMMANDS for word, code in words]


def test_help_of_experiments_loads_nothing_that_computes():
    probe = (
        "import sys; from experiments.__main__ import main; main(['--help'])\n"
        "try: main(['report', '--help'])\n"
        "except SystemExit: sys.exit(', '.join({'jax', 'flax', 'numpy'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_importing_starts_no_backend():
    probe = (
        "import jaxsim.losses, jaxsim.search, jaxsim.encoders, jaxsim.training, jaxsim.data;"
        "from jax._src import xla_bridge; print(xla_bridge.backends_are_initialized())"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.strip() == "False"
