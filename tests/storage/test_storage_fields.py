"""JSON of others: every error names the file, the field, what came and what was wanted."""

import pytest

from jaxsim import storage


def fields(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    return storage.read_object(tmp_path / "a.json")


def test_fields_that_fit_come_out_and_missing_or_null_ones_are_the_default(tmp_path):
    about = fields(
        tmp_path,
        '{"n": 3, "x": 2, "s": "a", "f": true, "l": ["a"], "o": {"p": 1}, "q": [{"r": 1}], "z": null}',
    )
    assert (about.whole("n"), about.number("x"), about.text("s")) == (3, 2.0, "a")
    assert (about.flag("f"), about.strings("l"), about.object("o").whole("p")) == (True, ["a"], 1)
    assert about.objects("q")[0].whole("r") == 1
    assert (about.whole("z", 7), about.text("none", None), "z" in about) == (7, None, False)


@pytest.mark.parametrize(
    ("text", "read", "message"),
    [
        ('{"n": true}', lambda a: a.whole("n"), r"a\.json: n must be a whole number .* got True"),
        ('{"n": "3"}', lambda a: a.whole("n"), r"n must be a whole number .* got '3'"),
        ('{"n": -1}', lambda a: a.whole("n"), r"n must be a whole number from 0 .* got -1"),
        ("{}", lambda a: a.whole("n"), r"a\.json: lacks n, which must be a whole number"),
        ('{"n": null}', lambda a: a.whole("n"), r"n must be a whole number .* got None"),
        ('{"x": 1e999}', lambda a: a.number("x"), r"x must be a finite number, got inf"),
        ('{"x": 0}', lambda a: a.number("x", above=0), r"x must be a finite number > 0.*, got 0"),
        ('{"s": ["a"]}', lambda a: a.text("s"), r"s must be a string, got \['a'\]"),
        ('{"s": "b"}', lambda a: a.text("s", choices=("a",)), r"s must be one of 'a', got 'b'"),
        ('{"o": {"p": []}}', lambda a: a.object("o").flag("p"), r"o\.p must be true or false"),
        ('{"q": [{}]}', lambda a: a.objects("q")[0].text("r"), r"lacks q\[0\]\.r"),
        ("[1]", lambda a: a, r"a\.json: the file must be an object, got \[1\]"),
        ('{"x": NaN}', lambda a: a, r"a\.json: not JSON, or damaged: NaN is not"),
        ("[" * 100_000, lambda a: a, r"a\.json: JSON that is nested too deeply"),
        ("{", lambda a: a, r"a\.json: not JSON, or damaged"),
    ],
)
def test_fields_that_do_not_fit_are_named(tmp_path, text, read, message):
    with pytest.raises(ValueError, match=message):
        read(fields(tmp_path, text))
