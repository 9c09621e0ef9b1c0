"""Options are refused in one sentence that names the option, what was wanted and what came."""

import pytest

from jaxsim.commands.options import arguments
from jaxsim.commands.outputs.files import check_output


def parsed(kind, text):
    parser = arguments.Parser("train", "")
    parser.add_argument("--option", type=kind)
    return parser.parse_args([f"--option={text}"]).option


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (arguments.whole(), "1", 1),
        (arguments.whole(0), "0", 0),
        (arguments.number(above=0), "1e-30", 1e-30),
        (arguments.number(least=0, most=1), "1", 1.0),
        (arguments.number(least=0, most=1), "-0", 0.0),
        (arguments.path, "a b", "a b"),
        (arguments.words, "é", "é"),
        (arguments.one_of("float32", "bfloat16"), "bfloat16", "bfloat16"),
    ],
)
def test_options_within_their_bounds(kind, text, value):
    assert parsed(kind, text) == value


WHOLE = "a whole number of at least 1"


@pytest.mark.parametrize(
    ("kind", "text", "wanted"),
    [
        (arguments.whole(), "0", WHOLE),
        (arguments.whole(), "-1", WHOLE),
        (arguments.whole(), "1.0", WHOLE),
        (arguments.whole(), "1_000", WHOLE),
        (arguments.whole(), " 1", WHOLE),
        (arguments.whole(), "", WHOLE),
        (arguments.whole(), "nan", WHOLE),
        (arguments.whole(), "9" * 5000, WHOLE),
        (arguments.whole(), "9" * 100, f"{WHOLE} and at most 2147483647"),
        (arguments.whole(), str(2**31), f"{WHOLE} and at most 2147483647"),
        (arguments.whole(0, 9), "10", "a whole number from 0 to 9"),
        (arguments.number(above=0), "0", "a number above 0"),
        (arguments.number(above=0), "-1", "a number above 0"),
        (arguments.number(above=0), "nan", "a number above 0"),
        (arguments.number(above=0), "inf", "a number above 0"),
        (arguments.number(above=0), "1e400", "a number above 0"),
        (arguments.number(above=0), "fast", "a number above 0"),
        (arguments.number(above=0, below=1), "1", "a number above 0 and below 1"),
        (arguments.number(least=0, most=1), "1.1", "a number of at least 0 and at most 1"),
        (arguments.path, "", "the name of a file or folder"),
        (arguments.path, " ", "the name of a file or folder"),
        (arguments.path, "gs://bucket/run", "a local path"),
        (arguments.one_of("float32", "bfloat16"), "float64", "float32 or bfloat16"),
        (arguments.words, "", "a text"),
        (arguments.words, "\udcff", "UTF-8 text"),
    ],
)
def test_options_out_of_bounds(kind, text, wanted):
    with pytest.raises(ValueError) as refused:
        parsed(kind, text)
    assert str(refused.value) == f"--option must be {wanted}, got {text!r:.60}"


def test_errors_of_argparse_read_like_ours():
    parser = arguments.Parser("train", "")
    parser.add_argument("--option", required=True)
    for words, said in (
        ([], "the following arguments are required: --option"),
        (["--option"], "--option expected one argument"),
        (["--option", "x", "--other"], "unrecognized arguments: --other"),
    ):
        with pytest.raises(ValueError, match=f"^{said}$"):
            parser.parse_args(words)


def test_what_has_no_effect_is_refused():
    parser = arguments.Parser("search", "")
    for name in ("--one-file", "--other"):
        parser.add_argument(name)
    arguments.refuse_without(parser.parse_args([]), "one_file", other="--other")
    with pytest.raises(ValueError, match=r"^--other has no effect without --one-file$"):
        arguments.refuse_without(parser.parse_args(["--other=x"]), "one_file", other="--other")
    both = parser.parse_args(["--one-file=x", "--other=y"])
    with pytest.raises(ValueError, match=r"^--one-file and --other must not both be given: z$"):
        arguments.refuse_both(both, "one_file", "other", "z")


def test_an_output_is_no_input_and_nothing_that_we_did_not_write(tmp_path):
    def check(target):
        return check_output(
            "--out",
            target,
            ours=lambda path: path.read_text() == "ours",
            kind="a run",
            inputs={"--corpus": tmp_path / "docs", "--queries": None},
        )

    (tmp_path / "docs").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "docs")
    (tmp_path / "ours").write_text("ours")
    (tmp_path / "empty").write_text("")
    for name in ("ours", "new", "empty"):
        assert check(tmp_path / name) == tmp_path / name
    for name in ("docs", "link"):
        with pytest.raises(ValueError, match=r"^--out must not be the file of --corpus, got"):
            check(tmp_path / name)
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(ValueError, match="exists and is not a run that jaxsim wrote: choose"):
        check(tmp_path / "notes")
