"""Files of figures keep the rows that a run does not repeat, and say when and on what each was measured."""

import json

from benchmarks import command


def test_rows_of_other_works_are_kept_with_their_day(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "product_rate", lambda: 100.0)
    out = tmp_path / "figures.json"

    def write(day, *rows):
        monkeypatch.setattr(command.time, "strftime", lambda form: day)
        command.write(out, [{"work": w, "ms": ms} for w, ms in rows], same=lambda row: row["work"])
        return json.loads(out.read_text(encoding="utf-8"))

    write("2026-01-02", ("a", 1.0), ("b", 2.0))
    stored = write("2026-01-03", ("b", 3.0))
    machine = f"{stored['about']['cores']} cores of {stored['about']['processor']}"
    assert stored["rows"] == [
        {"work": "a", "ms": 1.0, "date": "2026-01-02", "machine": machine},
        {"work": "b", "ms": 3.0, "date": "2026-01-03", "machine": machine},
    ]
    assert stored["about"]["product_gflops"] == 100.0
    assert stored["about"]["processor"]


def test_a_run_that_keeps_nothing_replaces_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "product_rate", lambda: 100.0)
    out = tmp_path / "figures.json"
    for ms in (1.0, 2.0):
        command.write(out, [{"work": "a", "ms": ms}], seeds=3)
    stored = json.loads(out.read_text(encoding="utf-8"))
    assert [row["ms"] for row in stored["rows"]] == [2.0]
    assert stored["about"]["seeds"] == 3
