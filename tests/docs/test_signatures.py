"""What editors see of the losses, jaxsim/losses/__init__.pyi, is what a running kernel has."""

import ast
import runpy
from pathlib import Path

SIGNATURES = runpy.run_path(str(Path(__file__).resolve().parents[2] / "docs" / "signatures.py"))


def test_the_stub_is_what_the_losses_are():
    written = SIGNATURES["STUB"].read_text(encoding="utf-8")
    current = ast.dump(ast.parse(SIGNATURES["stub"]()))
    assert ast.dump(ast.parse(written)) == current, "run: python docs/signatures.py"
