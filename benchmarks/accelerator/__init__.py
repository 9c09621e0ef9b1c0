"""One command for a card that is at hand for minutes: correct, fast and measured; `python -m benchmarks.accelerator`.

A part is a module with `rows(setting) -> iterator of Row`; each runs in a process that is ended when its
time is over, and every row is on the disk before the next begins.
"""
