"""One file per paper; `python -m experiments` runs them. Not a part of the wheel."""
