"""What an exported folder says: run.py, which runs it, and README.md."""

from collections.abc import Mapping
from typing import Any

TEXT_INPUTS = ("input_ids", "attention_mask")
PAIR_INPUTS = (*TEXT_INPUTS, "token_type_ids")
PROMPTED_INPUTS = (*TEXT_INPUTS, "pooled_mask")

HEAD = '''"""{what}: python run.py {example}

Needs {needs}. jaxsim is not needed.
"""

import json
import sys
from pathlib import Path

{imports}
from tokenizers import Tokenizer

FOLDER = Path(__file__).resolve().parent
SETTINGS = json.loads((FOLDER / "settings.json").read_text(encoding="utf-8"))
ROWS = SETTINGS["rows"]  # that the program takes; None is any number
TOKENIZER = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
TOKENIZER.encode_special_tokens = SETTINGS["split_special_tokens"]
'''
RUNS = {
    "stablehlo": '''PROGRAM = jax.jit(export.deserialize(bytearray((FOLDER / "encoder.stablehlo").read_bytes())).call)
WEIGHTS = {weights}


def run(*columns):
    """The program on lists of whole numbers [rows][length], filled up to ROWS."""
    count = len(columns[0])
    filled = ((0, (ROWS or count) - count), (0, 0))
    arrays = [np.pad(np.array(column, np.int32), filled) for column in columns]
    return np.asarray(PROGRAM(*WEIGHTS, *arrays))[:count]
''',
    "onnx": '''PROGRAM = onnxruntime.InferenceSession(str(FOLDER / "encoder.onnx"))


def run(*columns):
    """The program on lists of whole numbers [rows][length], filled up to ROWS."""
    count = len(columns[0])
    filled = ((0, (ROWS or count) - count), (0, 0))
    arrays = [np.pad(np.array(column, np.int64), filled) for column in columns]
    return PROGRAM.run(None, dict(zip(SETTINGS["inputs"], arrays)))[0][:count]
''',
}
TEXTS = '''

def embed(texts, prompt=SETTINGS["default_prompt"], batch=32):
    """Vectors of texts: float32 [texts, dim]."""
    vectors = []
    for start in range(0, len(texts), ROWS or batch):
        part = texts[start : start + (ROWS or batch)]
        encoded = TOKENIZER.encode_batch([prompt + text for text in part])
        masks = [one.attention_mask for one in encoded]
        vectors.append(run([one.ids for one in encoded], masks{pooled}))
    return np.concatenate(vectors)


if __name__ == "__main__":
    words = sys.argv[1:] or ["a sentence", "another"]
    for text, vector in zip(words, embed(words)):
        print(text, vector.shape, vector[:4])
'''
# Tokens of a prompt that are read and not pooled.
UNPOOLED = '''

def unpooled(prompt):
    """The number of tokens that a prompt puts before a text."""
    return sum(TOKENIZER.encode(prompt).attention_mask) - SETTINGS["closing"] if prompt else 0


def without(masks, count):
    """Masks of the tokens after the first `count`."""
    return [[0] * count + mask[count:] for mask in masks]
'''
PAIRS = '''

def score(query, texts, batch=32):
    """Scores of a query with each text, larger is better: float32 [texts]."""
    scores = []
    for start in range(0, len(texts), ROWS or batch):
        part = texts[start : start + (ROWS or batch)]
        encoded = TOKENIZER.encode_batch([(query, text) for text in part])
        columns = zip(*((one.ids, one.attention_mask, one.type_ids) for one in encoded))
        scores.append(run(*columns))
    return np.concatenate(scores)


if __name__ == "__main__":
    query, *texts = sys.argv[1:] or ["a question", "an answer", "another"]
    for text, number in zip(texts, score(query, texts)):
        print(number, text)
'''
NEEDS = {
    "stablehlo": "jax, numpy, flatbuffers and tokenizers",
    "onnx": "onnxruntime, numpy and tokenizers",
}
IMPORTS = {
    "stablehlo": "import jax\nimport numpy as np\nfrom jax import export",
    "onnx": "import numpy as np\nimport onnxruntime",
}
EXAMPLES = {
    "texts": ("Embeds texts", '"a sentence" "another"'),
    "pairs": ("Scores texts for a query", '"a question" "an answer" "another"'),
}
ROOM = {
    (
        "stablehlo",
        False,
    ): "`encoder.stablehlo`, the program, and `weights.npz`, its parameters by name",
    ("stablehlo", True): "`encoder.stablehlo`, the program with its parameters",
    ("onnx", False): "`encoder.onnx`, the program, and `encoder.onnx.data`, its parameters",
    ("onnx", True): "`encoder.onnx`, the program with its parameters",
}
README = """# {what} without jaxsim

```sh
pip install {packages}
python run.py {example}
```

`run.py` is a script, and a module whose `{function}` gives numpy float32. Here are

- {room}: {dtype} {inputs} of {rows} texts and {length} tokens each to {output}
- `tokenizer.json`, which cuts texts at {most} tokens and fills them up
- `settings.json`: {held}

{age}
"""
AGES = {
    "stablehlo": (
        "`jax.export.deserialize` reads the program; `PROGRAM.call` is a function of arrays on CPU, GPU and TPU. jax reads "
        "such a program for at least six months after the version that wrote it: keep the model that it was exported from."
    ),
    "onnx": "onnxruntime and whatever else reads ONNX run it; names and types are those of transformers' exports.",
}


def script(to: str, kind: str, *, inside: bool, prompted: bool) -> str:
    """run.py of an exported folder.

    Args:
      to: "stablehlo" or "onnx".
      kind: "texts" or "pairs".
      inside: whether the parameters are in the program.
      prompted: whether prompts are read and not pooled.
    """
    what, example = EXAMPLES[kind]
    head = HEAD.format(what=what, example=example, needs=NEEDS[to], imports=IMPORTS[to])
    weights = "[]" if inside else '[dict(np.load(FOLDER / "weights.npz"))]'
    runs = RUNS[to].replace("{weights}", weights)
    if kind == "pairs":
        return head + runs + PAIRS
    pooled = ", without(masks, unpooled(prompt))" if prompted else ""
    return head + runs + (UNPOOLED if prompted else "") + TEXTS.replace("{pooled}", pooled)


def readme(to: str, kind: str, settings: Mapping[str, Any], *, inside: bool) -> str:
    """README.md of an exported folder.

    Args:
      to, kind, inside: as for `script`.
      settings: what settings.json says.
    """
    what, example = EXAMPLES[kind]
    measure = f"\n\nVectors are compared by {settings['similarity']}." if kind == "texts" else ""
    return README.format(
        what=what,
        example=example,
        packages=NEEDS[to].replace(",", "").replace(" and", ""),
        function={"texts": "embed(texts)", "pairs": "score(query, texts)"}[kind],
        room=ROOM[to, inside],
        dtype="int32" if to == "stablehlo" else "int64",
        inputs=", ".join(settings["inputs"]),
        rows=settings["rows"] or "any number of",
        length=settings["length"] or f"up to {settings['longest']}",
        output=settings["output"],
        most=settings["max_length"],
        held="prompts, similarity, sizes" if kind == "texts" else "sizes",
        age=AGES[to] + measure,
    )
