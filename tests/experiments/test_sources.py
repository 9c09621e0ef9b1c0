"""What a row depends on: every file whose code runs, and of packages that re-export what is used."""

import sys
import threading
from pathlib import Path

import pytest
from rich.console import Console

from experiments import dual_embeddings, multi_similarity, runner
from experiments.frame.sources import ROOT, sources


@pytest.fixture
def change(tmp_path):
    """Writes a file and says whether the sources of mine.py are others than before."""
    before = {}

    def changed(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if not (tmp_path / "mine.py").exists():
            return None
        now = {n: h for n, h in sources(tmp_path / "mine.py").items() if (tmp_path / n).exists()}
        differs = now != before
        before.clear()
        before.update(now)
        return differs

    changed("room/__init__.py", "from room._one import one as one\nfrom room.inner import *\n")
    changed("room/_one.py", "def one(): return 1\n")
    changed("room/_other.py", "def one(): return 2\n")
    changed("room/inner/__init__.py", "from room.inner._two import two as two, three as three\n")
    changed("room/inner/_two.py", "from room import _deep\ndef two(): pass\ndef three(): pass\n")
    changed("room/inner/_four.py", "def four(): pass\n")
    changed("room/_deep.py", "X = 1\n")
    return changed


def test_only_what_is_used_of_a_package_counts(change):
    assert change("mine.py", "from room import inner, one\none(inner.two)\n")
    assert change("room/_one.py", "def one(): return 3\n")
    assert change("room/_deep.py", "X = 2\n"), "what the used one imports"
    assert not change("room/_other.py", "def one(): return 4\n")
    assert not change("room/inner/_four.py", "def four(): return 4\n")
    exports = "from room.inner._two import two as two, three as three\n"
    assert not change(
        "room/inner/__init__.py", exports + "from room.inner._four import four as four\n"
    )
    one, rest = "from room._one import one as one\n", "from room.inner import *\n"
    assert not change("room/__init__.py", '"""With a docstring."""\n' + one + rest)
    assert change("room/__init__.py", "from room._other import one as one\n" + rest)
    assert change("room/inner/__init__.py", "from room.inner._two import three as two\n")


@pytest.mark.parametrize(
    "text",
    [
        "import room\nroom.one()\n",
        "import room as r\nr.one()\n",
        "from room import *\none()\n",
        "from room import inner as i\nprint(i)\n",
        "from room import inner\ngetattr(inner, 'four')\n",
        "from room import inner\ninner.unknown()\n",
        "from room import inner\n",
    ],
)
def test_all_of_a_package_counts_where_it_is_not_plain_what_is_used(text, change):
    exports = "from room.inner._two import two as two\nfrom room.inner._four import four as four\n"
    change("room/inner/__init__.py", exports)
    change("mine.py", text)
    assert change("room/inner/_four.py", "def four(): return 4\n")


def test_a_package_that_does_more_than_re_export_counts_as_a_whole(change):
    change("mine.py", "from room import one\none()\n")
    text = "import sys\nfrom room._one import one as one\nfrom room._other import one as other\n"
    assert change("room/__init__.py", text)
    assert change("room/_other.py", "def one(): return 5\n")


def test_what_a_file_passes_on_counts(change):
    change("helper.py", "from room import inner\ninner.two()\n")
    change(
        "room/inner/__init__.py",
        "from room.inner._two import two as two\nfrom room.inner._four import four as four\n",
    )
    change("mine.py", "import helper\nhelper.inner.four()\n")
    for text in (
        "import helper\nhelper.inner.four()\n",
        "from helper import inner\ninner.four()\n",
    ):
        change("mine.py", text)
        assert change("room/inner/_four.py", f"def four(): return {len(text)}\n")


def test_the_last_of_two_imports_is_the_one(change):
    change("mine.py", "from room import one\none()\n")
    change(
        "room/__init__.py",
        "from room._one import one as one\nfrom room._other import one as one\n",
    )
    assert change("room/_other.py", "def one(): return 6\n")


@pytest.mark.thorough
@pytest.mark.parametrize("module", [multi_similarity, dual_embeddings])
def test_every_file_whose_code_runs_counts(module, tmp_path):
    files = set()

    def note(frame, event, argument):
        if event == "call" and frame.f_code.co_name != "<module>":
            files.add(frame.f_code.co_filename)

    smoke, console = module.PRESETS["smoke"], Console(quiet=True)
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        runner.run(
            module, smoke, preset="smoke", seeds=1, workdir=tmp_path / "run", console=console
        )
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    ran = {
        str(Path(file).relative_to(ROOT))
        for file in files
        if file.startswith((str(ROOT / "jaxsim"), str(ROOT / "experiments")))
    }
    assert len(ran) > 40
    assert not ran - set(sources(Path(module.__file__)))
