"""The equations of docstrings as TeX, and docstrings as Markdown."""

import ast
import functools
import importlib
import inspect
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs"))

docstrings = importlib.import_module("docstrings")
equations = importlib.import_module("equations")

BRACES = {"{": 1, "}": -1}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("s_ij", "s_{ij}"),
        ("w_{y_i}", "w_{y_{i}}"),
        ("s_(k)", "s_{(k)}"),
        ("value_i", r"\text{value}_{i}"),
        ("query_weight", r"\mathrm{query\_weight}"),
        ("z'_il^2", "{z'}_{il}^{2}"),
        ("2^y_j", "2^{y_{j}}"),
        ("D^-1/2 S", r"D^{-1/2}\,S"),
        ("D^(dim - 2)", r"D^{\text{dim}-2}"),
        ("h^+_r", "h^{+}_{r}"),
        ("[D_ip + margin]+^2", r"[D_{ip}+\text{margin}]_+^{2}"),
        ("sqrt(x + eps)", r"\sqrt{x+\varepsilon }"),
        ("sum_{j in where_i} s_ij", r"\sum _{j\in \text{where}_{i}}s_{ij}"),
        ("i not in c", r"i\notin c"),
        ("log(1 + sum_i x_i)", r"\log \left(1+\sum _{i}x_{i}\right)"),
        ("x_i . w_c", r"x_{i}\cdot w_{c}"),
        ("KL(p || q)", r"\operatorname{KL}(p\,\Vert\,q)"),
        ("P(j | i)", r"P(j\mid i)"),
        ("z -> a <= 1e-6", r"z\to a\le 10^{-6}"),
        ("mean over pairs of -log p", r"\text{mean over pairs of}\ {-}\log p"),
        ("a negative j", r"\text{a negative}\ j"),
        ("in place of x", r"\text{in place of}\ x"),
        ("z[..., :m]", r"z[\ldots ,\ {:}m]"),
    ],
)
def test_notation(text, wanted):
    assert equations.tex(text) == wanted


def test_rows_are_under_what_is_above():
    made = equations.tex("value_i = x\n        - y,   y = 2")
    rows = [r"&\text{value}_{i}=x", r"&\phantom{\text{value}_{i}}\,{}-y", "&y=2"]
    assert made == r"\begin{aligned} " + r" \\ ".join(rows) + r" \end{aligned}"


@functools.cache
def blocks():
    """[(where, kind, block)] of every block that a docstring of the package sets off."""
    found = []
    for path in sorted((ROOT / "jaxsim").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                name = f"{path.relative_to(ROOT)}::{getattr(node, 'name', '')}"
                made = docstrings.markdown(ast.get_docstring(node) or "")
                for kind, block in re.findall(r"^```(\w+)\n(.*?)^```$", made, re.M | re.S):
                    found.append((name, kind, block.rstrip()))
    return found


def test_all_equations_become_tex_that_closes_what_it_opens():
    found = [(name, block) for name, kind, block in blocks() if kind == "equation"]
    assert len(found) > 200
    for name, block in found:
        made = equations.tex(block)
        depths = [0]
        for sign in re.findall(r"(?<!\\)[{}]", made):
            depths.append(depths[-1] + BRACES[sign])
        assert depths[-1] == min(depths) == 0, name
        assert made.count(r"\left") - made.count(r"\leftarrow") == made.count(r"\right"), name
        # An underscore, power or word that TeX would read otherwise is a fault of the notation.
        assert not re.search(r"(?<!\\)[#%$]|\^\{\}|_\{\}|\bsqrt\(", made), (name, made)


def test_code_is_no_equation():
    code = [block for _, kind, block in blocks() if kind in ("python", "text")]
    assert any("python -m jaxsim" in block for block in code)
    assert not any(re.search(r"^value_i\b|\bsum_\{", block) for block in code)


def test_a_docstring_has_its_parts_in_their_places():
    text = """Does it.

        s_ij = x . y

    Args:
      x: of a queue
        that is long.
      where, axis_name: as in `other`.

    Returns: [n].
    Raises: ValueError for
      what does not fit.
    Source: Somebody 2020.
    """
    made = docstrings.markdown(
        inspect.cleandoc(text), defaults={"where": "None"}, link={"other": "a.other"}.get
    )
    assert "```equation\ns_ij = x . y\n```" in made
    assert "`x`\n:   of a queue that is long." in made
    assert "`where` <small>= `None`</small>, `axis_name`\n:   as in [`other`][a.other]." in made
    assert "Returns\n:   [n].\n\nRaises\n:   ValueError for what does not fit.\n\nSource" in made
