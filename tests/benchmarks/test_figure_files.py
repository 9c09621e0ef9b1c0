"""Files of figures keep the rows that a run does not repeat, and say what they were measured on."""

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
    assert stored["rows"] == [{"work": "a", "ms": 1.0}, {"work": "b", "ms": 3.0}]
    assert stored["about"]["date"] == "2026-01-02 to 2026-01-03"
    stored = write("2026-01-04", ("a", 4.0), ("b", 5.0))
    assert stored["about"]["date"] == "2026-01-04"
    assert stored["about"]["product_gflops"] == 100.0
    assert stored["about"]["processor"]
