"""What the command needs beside the checkout, as one folder: MiniLM in float16, texts, WordNet and SemCor."""

import json
import shutil
from pathlib import Path

import numpy as np

LIMIT = 60e6  # bytes
FILES = ("wordnet/synsets.jsonl.gz", "semcor/train.jsonl.gz", "semcor/test.jsonl.gz")


def pack(folder, model, texts=4000):
    """Makes the folder; returns its size in bytes.

    Args:
      folder: new or empty.
      model: the folder of all-MiniLM-L6-v2.
      texts: docstrings, and half as many pairs.

    Raises: ValueError for a folder that is not empty, or a result beyond 60 MB; FileNotFoundError
    without JAXSIM_DATA.
    """
    from safetensors.numpy import load_file, save_file

    from jaxsim import data, storage
    from jaxsim.data._sources import prepared_path

    folder, model = storage.check_folder("pack", folder, kind="benchmark pack"), Path(model)
    with storage.write_folder(folder, kind="benchmark pack") as aside:
        shutil.copytree(
            model, aside / "model", ignore=shutil.ignore_patterns("*.safetensors", "*.md", ".git*")
        )
        tensors = load_file(model / "model.safetensors")
        halves = {
            n: a.astype(np.float16) if a.dtype == np.float32 else a for n, a in tensors.items()
        }
        save_file(halves, aside / "model" / "model.safetensors", metadata={"format": "pt"})
        source = data.docstrings("train")
        pairs = [source[place] for place in range(min(texts // 2, len(source)))]
        sides = [[pair[name] for pair in pairs] for name in ("query", "document")]
        order = np.random.default_rng(0).permutation(2 * len(pairs))
        mixed = [(sides[0] + sides[1])[place] for place in order]
        (aside / "texts.json").write_text(json.dumps(mixed), encoding="utf-8")
        (aside / "pairs.json").write_text(json.dumps(sides), encoding="utf-8")
        for name in FILES:
            target = aside / "data" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(prepared_path(*name.rsplit("/", 1)), target)
        size = sum(path.stat().st_size for path in aside.rglob("*") if path.is_file())
        if size > LIMIT:
            raise ValueError(f"pack must be below {LIMIT / 1e6:.0f} MB, got {size / 1e6:.1f}")
    return size
