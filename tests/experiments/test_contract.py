"""A file that is not an experiment, and rows that are no table, are one sentence that names the place."""

import pytest
from rich.console import Console

from experiments import runner
from experiments.frame import files

EXPERIMENT = '''"""A toy (Nobody 2024): a claim."""
import dataclasses

import numpy as np

from experiments import runner


@dataclasses.dataclass(frozen=True)
class Config:
    seed: int = 0
    arms: tuple[str, ...] = ()
    size: int = 5


PRESETS = {"smoke": Config()}
ARMS = {"good": "one better", "plain": "as it is"}


def fingerprint(config):
    return "data"


def prepare(config, workdir):
    return np.random.default_rng(config.seed).normal(size=config.size)


def run(config, arm, shared, workdir):
    return [{"k": 1, "acc": shared + (arm == "good")}]


def claim(rows):
    better = runner.difference(rows, "good", over="plain", on="acc")
    return runner.judged("good is better", [better], needed=("plain",))


def pictures(rows):
    return {}
'''
DOCSTRING, ROWS, CLAIM, SHARED, PICTURES = (
    '"""A toy (Nobody 2024): a claim."""',
    '[{"k": 1, "acc": shared + (arm == "good")}]',
    'runner.judged("good is better", [better], needed=("plain",))',
    "np.random.default_rng(config.seed).normal(size=config.size)",
    "return {}",
)
PRESETS, ARMS = '{"smoke": Config()}', '{"good": "one better", "plain": "as it is"}'
FILES = {
    "syntax": ("def claim(rows)", "def claim(rows", "mine.py, line 32: .* was never closed"),
    "import": (
        "import dataclasses",
        "import nothing_here",
        "mine.py, line 2: No module named 'nothing_here'",
    ),
    "name": ("PRESETS =", "unknown\nPRESETS =", "mine.py, line 16: NameError: name 'unknown'"),
    "exit": ("PRESETS =", "raise SystemExit(3)\nPRESETS =", "mine.py, line 16: SystemExit: 3"),
    "docstring": (DOCSTRING, "", "mine.py lacks a docstring"),
    "Config": ("class Config:", "class Other:", "line 16: NameError: name 'Config'"),
    "plain Config": (
        "@dataclasses.dataclass(frozen=True)",
        "",
        "Config must be a frozen dataclass, got",
    ),
    "thawed Config": ("(frozen=True)", "", "Config must be frozen"),
    "no seed": ("    seed: int = 0\n", "", "Config lacks the field seed"),
    "no arms": ("    arms: tuple[str, ...] = ()\n", "", "Config lacks the field arms"),
    "an option": (
        "size: int = 5",
        "size: int = 5\n    workdir: int = 1",
        "not have the field workdir",
    ),
    "a type": ("size: int = 5", "size: 'Nope' = 5", "types of Config cannot be read: name 'Nope'"),
    "no presets": (
        "PRESETS = ",
        "OTHERS = ",
        r"lacks PRESETS, which must be a dict \{name: Config",
    ),
    "empty presets": (PRESETS, "{}", r"PRESETS must be a dict .*, got \{\}"),
    "a dict as preset": (
        PRESETS,
        '{"smoke": {}}',
        r"PRESETS\['smoke'\] must be of Config, got \{\}",
    ),
    "a path as preset": (PRESETS, '{"a/b": Config()}', "letters, digits and _-. got 'a/b'"),
    "a preset's arm": (
        PRESETS,
        '{"smoke": Config(arms=("best",))}',
        "has the arm 'best': ARMS has good",
    ),
    "a preset's array": (
        PRESETS,
        '{"smoke": Config(size=np.ones(3))}',
        r"\['smoke'\].size must be a number",
    ),
    "a list of arms": (
        ARMS,
        '["good", "plain"]',
        r"ARMS must be a dict .*, got \['good', 'plain'\]",
    ),
    "an arm's path": (
        ARMS,
        '{"../x": "out"}',
        "ARMS must be named by letters, digits and _-. got '../x'",
    ),
    "an arm of ours": (ARMS, '{"facts": "a"}', "an arm must not be named 'facts'"),
    "seeds": (
        PRESETS,
        PRESETS + '\nSEEDS = {"smoke": 0}',
        r"SEEDS\['smoke'\] must be at least 1, got 0",
    ),
    "seeds of what": (
        PRESETS,
        PRESETS + '\nSEEDS = {"cpu": 3}',
        "SEEDS names 'cpu', the presets are smoke",
    ),
    "no fingerprint": (
        "def fingerprint",
        "def other",
        r"lacks fingerprint, which must be a function \(config\)",
    ),
    "no run": (
        "def run",
        "def other",
        r"lacks run, which must be a function \(config, arm, shared, workdir\)",
    ),
    "no claim": ("def claim", "def other", r"lacks claim, which must be a function \(rows\)"),
    "KEYS": (PRESETS, PRESETS + '\nKEYS = "k"', "KEYS must be a tuple of different names, got 'k'"),
    "ONCE": (
        PRESETS,
        PRESETS + '\nONCE = ("best",)',
        "ONCE names 'best', the arms are good, plain",
    ),
    "READS": (PRESETS, PRESETS + '\nREADS = ("good",)', "READS must be a dict"),
    "an arm of READS": (
        PRESETS,
        PRESETS + '\nREADS = {"good": ("best",)}',
        "READS names 'best', the arms are good, plain",
    ),
    "a string of READS": (
        PRESETS,
        PRESETS + '\nREADS = {"good": "plain"}',
        r"READS\['good'\] must be a tuple of arms",
    ),
    "a run without others": (
        PRESETS,
        PRESETS + '\nREADS = {"good": ("plain",)}',
        r"run must take \(config, arm, shared, workdir, others\), it takes \(config, arm, shared, work",
    ),
    "prepare without common": (
        "def prepare(",
        "def prepare_all(config, workdir):\n    return 1\n\n\ndef prepare(",
        r"prepare must take \(config, workdir, common\), it takes \(config, workdir\)",
    ),
    "no prepare": (
        "def prepare",
        "def other",
        r"lacks prepare, which must be a function \(config, w",
    ),
    "SHOWN": (PRESETS, PRESETS + '\nSHOWN = ("a", "a")', "SHOWN must be a tuple of different"),
    "prepare's arguments": (
        "prepare(config, workdir)",
        "prepare(config)",
        r"prepare must take \(config, workdir\), it takes \(config\)",
    ),
}
RUNS = {
    "fingerprint": (
        'return "data"',
        "return {}[3]",
        "mine.py, line 21, in fingerprint: KeyError: 3",
    ),
    "a fingerprint's kind": (
        'return "data"',
        "return {'a': {1, 2}}",
        "fingerprint must return a string .*, got set {1, 2}",
    ),
    "READS in a circle": (
        "def run(config, arm, shared, workdir):",
        'READS = {"good": ("plain",), "plain": ("good",)}\n\n\n'
        "def run(config, arm, shared, workdir, others=None):",
        "READS: good, plain wait for each other",
    ),
    "facts": (
        SHARED,
        'type("S", (), {"facts": {"a": "b"}})',
        "facts of what prepare gives: 'a' must be a number",
    ),
    "none": (ROWS, "None", "rows of arm 'good', seed 0: must be a list of dicts, got NoneType"),
    "no rows": (ROWS, "[]", "rows of arm 'good', seed 0: there are none"),
    "a row": (ROWS, "[3]", "row 0 must be a dict, got int"),
    "no figure": (ROWS, '[{"k": 1}]', "row 0 has no figure"),
    "a bool": (ROWS, '[{"k": True, "acc": 1.0}]', "row 0: 'k' must be an integer or a string"),
    "text": (ROWS, '[{"acc": ["a"]}]', r"row 0: 'acc' must be .*, got \['a'\]"),
    "ragged": (ROWS, '[{"acc": [[1.0], [1.0, 2.0]]}]', "'acc' must be .* got a ragged list"),
    "no numbers": (ROWS, '[{"acc": np.zeros(0)}]', r"'acc' must hold numbers, got shape \(0,\)"),
    "a key of KEYS": (
        PRESETS,
        PRESETS + '\nKEYS = ("size",)',
        "row 0 lacks the key 'size', which KEYS names",
    ),
    "an array of KEYS": (
        PRESETS,
        PRESETS + '\nKEYS = ("acc",)',
        "row 0: 'acc' is among KEYS and must be a number or a string, got ndarray",
    ),
    "arm": (ROWS, '[{"arm": "a", "acc": 1.0}]', "row 0 must not have 'arm'"),
    "twice": (
        ROWS,
        '[{"k": 1, "acc": 1.0}] * 2',
        "two rows of arm 'good', seed = 0, k = 1 have the same keys",
    ),
    "keys": (
        ROWS,
        '[{"k": 1, "acc": 1.0}, {"b": 1, "acc": 1.0}]',
        r"same keys, .* has k \(number\), .* has b \(number\)",
    ),
    "kinds of keys": (
        ROWS,
        '[{"k": 1, "acc": 1.0}, {"k": "1", "acc": 1.0}]',
        r"has k \(number\), .* has k \(string\)",
    ),
    "a figure of a seed": (
        ROWS,
        '[{"acc": 1.0} | ({} if config.seed else {"b": 1.0})]',
        "arm 'good', seed = 1 lacks the figure 'b'",
    ),
    "shapes": (
        ROWS,
        '[{"acc": np.ones((1,) * (1 + config.seed))}]',
        r"'acc' must have one shape, got \(1,\).*\(1, 1\)",
    ),
    "claim": (CLAIM, '"held"', "claim must return a runner.Claim"),
    "a verdict": (
        CLAIM,
        'runner.Claim("won", "", ())',
        "verdict of 'held', 'not held', 'not decided'",
    ),
    "claim's error": (CLAIM, 'rows[0]["recall"]', "mine.py, line 34, in claim: KeyError: 'recall'"),
    "claim's figure": (
        'on="acc"',
        'on="recall"',
        "in claim: no rows of 'good' and 'plain' have 'recall' for the same seed and keys",
    ),
    "pictures": (PICTURES, "return []", "pictures must return a dict"),
    "a picture": (PICTURES, 'return {"a": 3}', "picture 'a' must be a matplotlib figure, got 3"),
    "a picture's path": (PICTURES, 'return {"../a": 3}', "a picture's name must be letters"),
    "a picture's letters": (
        PICTURES,
        "import matplotlib.figure as m; f = m.Figure(); f.text(0, 0, '$_{$'); return {'a': f}",
        "picture 'a' cannot be drawn: ",
    ),
}


def write(folder, before, after):
    assert EXPERIMENT.count(before) == 1
    (folder / "mine.py").write_text(EXPERIMENT.replace(before, after))
    return str(folder / "mine.py")


def run(path, folder):
    module = files.load(path)
    config, console = module.PRESETS["smoke"], Console(quiet=True)
    return runner.run(
        module, config, preset="smoke", seeds=2, workdir=folder / "run", console=console
    )


@pytest.mark.parametrize("part", FILES)
def test_a_file_that_is_not_an_experiment_is_refused(part, tmp_path):
    before, after, message = FILES[part]
    with pytest.raises(ValueError, match=message):
        files.load(write(tmp_path, before, after))


@pytest.mark.parametrize("part", RUNS)
def test_what_an_experiment_gives_is_checked(part, tmp_path):
    before, after, message = RUNS[part]
    with pytest.raises(ValueError, match=message):
        run(write(tmp_path, before, after), tmp_path)


def test_the_whole_file_is_an_experiment(tmp_path):
    assert run(write(tmp_path, DOCSTRING, DOCSTRING), tmp_path)["claim"]["verdict"] == "held"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"x = '\xe9'", "is not UTF-8 text: .* at byte 5"),
        (b"x = 1\0", "null bytes"),
        (b"", "lacks a docstring"),
    ],
)
def test_what_is_not_python_is_refused(data, message, tmp_path):
    (tmp_path / "mine.py").write_bytes(data)
    with pytest.raises(ValueError, match=message):
        files.load(str(tmp_path / "mine.py"))


def test_a_name_of_ours_is_refused_and_our_own_file_is_ours(tmp_path):
    (tmp_path / "anncur.py").write_text(EXPERIMENT)
    with pytest.raises(ValueError, match="has the name of the experiment 'anncur' of jaxsim"):
        files.load(str(tmp_path / "anncur.py"))
    assert files.load(files.load("anncur").__file__) is files.load("anncur")


def test_what_an_experiment_refuses_passes_as_it_is(tmp_path):
    path = write(tmp_path, SHARED, "self_made(config)")
    with open(path, "a") as file:
        file.write("\n\ndef self_made(config):\n    raise ValueError('size must be even')\n")
    with pytest.raises(ValueError, match=r"^size must be even$"):
        run(path, tmp_path)


def test_a_bug_keeps_its_traceback(tmp_path):
    with pytest.raises(
        RuntimeError, match=r"^mine.py, line 29: run raised ValueError: .*dimensions"
    ):
        run(write(tmp_path, ROWS, "np.concatenate([shared, np.ones((2, 2))])"), tmp_path)
