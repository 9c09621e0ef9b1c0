"""What an exported folder says: run.py, which runs it, and README.md."""

from collections.abc import Mapping
from typing import Any

TEXT_INPUTS = ("input_ids", "attention_mask")
PAIR_INPUTS = (*TEXT_INPUTS, "token_type_ids")
PROMPTED_INPUTS = (*TEXT_INPUTS, "pooled_mask")
FILLED_INPUTS = TEXT_INPUTS[:1]  # what fills a text is read as the text is (SigLIP)
# Files of parameters beside StableHLO, by the name of the program.
WEIGHTS = {"encoder": "weights.npz", "image_encoder": "image_weights.npz"}

HEAD = '''"""{what}: python run.py {example}

Needs {needs}. jaxsim is not needed.
"""

import json
import sys
from pathlib import Path

{imports}

FOLDER = Path(__file__).resolve().parent
SETTINGS = json.loads((FOLDER / "settings.json").read_text(encoding="utf-8"))
ROWS = SETTINGS["rows"]  # that a program takes; None is any number
'''
TOKENIZER = """TOKENIZER = Tokenizer.from_file(str(FOLDER / "tokenizer.json"))
TOKENIZER.encode_special_tokens = SETTINGS["split_special_tokens"]
"""
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
IMAGE_RUNS = {
    "stablehlo": '''
IMAGE_FILE = FOLDER / "image_encoder.stablehlo"
IMAGE_PROGRAM = jax.jit(export.deserialize(bytearray(IMAGE_FILE.read_bytes())).call)
IMAGE_WEIGHTS = {weights}
IMAGE = SETTINGS["image"]  # how pictures are read


def run_images(pixels):
    """The program on pictures float32 [rows, height, width, 3], filled up to ROWS."""
    filled = np.pad(pixels, ((0, (ROWS or len(pixels)) - len(pixels)), (0, 0), (0, 0), (0, 0)))
    return np.asarray(IMAGE_PROGRAM(*IMAGE_WEIGHTS, filled))[: len(pixels)]
''',
    "onnx": '''
IMAGE_PROGRAM = onnxruntime.InferenceSession(str(FOLDER / "image_encoder.onnx"))
IMAGE = SETTINGS["image"]  # how pictures are read


def run_images(pixels):
    """The program on pictures float32 [rows, height, width, 3], filled up to ROWS; it takes the channels first."""
    filled = np.pad(pixels, ((0, (ROWS or len(pixels)) - len(pixels)), (0, 0), (0, 0), (0, 0)))
    arrays = {IMAGE["input"]: np.ascontiguousarray(filled.transpose(0, 3, 1, 2))}
    return IMAGE_PROGRAM.run(None, arrays)[0][: len(pixels)]
''',
}
PICTURES = '''

def pixels_of(image):
    """A picture, a path or one of Pillow, as the program reads it: float32 [height, width, 3]."""
    if not isinstance(image, Image.Image):
        image = ImageOps.exif_transpose(Image.open(image))
    image = image.convert("RGB")
    width, height = image.size
    if (short := IMAGE["shortest"]) is not None:
        long = int(short * max(width, height) / min(width, height))
        image = image.resize((short, long) if width <= height else (long, short), IMAGE["resample"])
    elif IMAGE["size"] is not None:
        image = image.resize(IMAGE["size"][::-1], IMAGE["resample"])
    pixels = np.asarray(image)
    if IMAGE["crop"] is not None:
        pixels = cropped(pixels, IMAGE["crop"])
    if IMAGE["scale"] is not None:
        pixels = pixels * np.float64(IMAGE["scale"])
    pixels = pixels.astype(np.float32)
    if IMAGE["mean"] is not None:
        pixels = (pixels - np.float32(IMAGE["mean"])) / np.float32(IMAGE["std"])
    return pixels


def cropped(pixels, size):
    """The center of a picture, zeros around it where that is smaller."""
    lacks = [max(new - old, 0) for old, new in zip(pixels.shape, size)]
    pixels = np.pad(pixels, [(n - n // 2, n // 2) for n in lacks] + [(0, 0)])
    top, left = ((old - new) // 2 for old, new in zip(pixels.shape, size))
    return pixels[top : top + size[0], left : left + size[1]]


def embed_images(images, batch=32):
    """Vectors of pictures, paths or those of Pillow: float32 [pictures, dim]."""
    vectors = []
    for start in range(0, len(images), ROWS or batch):
        part = images[start : start + (ROWS or batch)]
        vectors.append(run_images(np.stack([pixels_of(image) for image in part])))
    return np.concatenate(vectors)
'''
SHOW_PICTURES = """

if __name__ == "__main__":
    for path in sys.argv[1:]:
        vector = embed_images([path])[0]
        print(path, vector.shape, vector[:4])
"""
SHOW_BOTH = """

if __name__ == "__main__":
    for word in sys.argv[1:] or ["a sentence"]:
        vector = (embed_images if Path(word).is_file() else embed)([word])[0]
        print(word, vector.shape, vector[:4])
"""
TEXTS = '''

def embed(texts, prompt=SETTINGS["default_prompt"], batch=32):
    """Vectors of texts: float32 [texts, dim]."""
    vectors = []
    for start in range(0, len(texts), ROWS or batch):
        part = texts[start : start + (ROWS or batch)]
        encoded = TOKENIZER.encode_batch([prompt + text for text in part])
        vectors.append(run([one.ids for one in encoded]{masks}))
    return np.concatenate(vectors)
'''
MASKS = ", [one.attention_mask for one in encoded]"
SHOW_TEXTS = """

if __name__ == "__main__":
    words = sys.argv[1:] or ["a sentence", "another"]
    for text, vector in zip(words, embed(words)):
        print(text, vector.shape, vector[:4])
"""
# Tokens of a prompt that are read and not pooled.
UNPOOLED = '''

def unpooled(prompt):
    """The number of tokens that a prompt puts before a text."""
    return sum(TOKENIZER.encode(prompt).attention_mask) - SETTINGS["closing"] if prompt else 0


def pooled(encoded, count):
    """Masks of the tokens after the first `count`."""
    return [[0] * count + one.attention_mask[count:] for one in encoded]
'''
TOKENS = '''

def rows(texts, side, prompt):
    """Of each text its tokens, which of them others see, and which count: lists of whole numbers."""
    TOKENIZER.enable_truncation(SETTINGS["lengths"][side], direction=SETTINGS["cut"])
    filling = SETTINGS["expansion"] if side == "query" else None
    skipped = SETTINGS["skipped"] if side in SETTINGS["skipped_in"] else []
    counted = SETTINGS["counted"] if side == "document" else None
    result = []
    for one in TOKENIZER.encode_batch([prompt + text for text in texts]):
        tokens, seen = list(one.ids), [1] * len(one.ids)
        counts = [n not in skipped and (counted is None or n in counted) for n in tokens]
        if filling is not None:
            lacks = max(filling["length"] - len(tokens), 0)
            tokens, seen = tokens + [filling["token"]] * lacks, seen + [int(filling["seen"])] * lacks
            counts += [filling["token"] not in skipped] * lacks
        result.append((tokens, seen, counts))
    return result


def embed(texts, side="document", prompt=None, batch=32):
    """Vectors of the tokens of texts that count: a list of float32 [tokens, dim]."""
    prompt = SETTINGS["prompts"].get(side, "") if prompt is None else prompt
    vectors = []
    for start in range(0, len(texts), ROWS or batch):
        part = rows(texts[start : start + (ROWS or batch)], side, prompt)
        most = max(len(tokens) for tokens, _, _ in part)
        most = SETTINGS["length"] or min(most + -most % SETTINGS["multiple"], SETTINGS["longest"])
        columns = zip(*([line + [0] * (most - len(line)) for line in row[:2]] for row in part))
        for states, (_, _, counts) in zip(run(*columns), part):
            vectors.append(states[: len(counts)][counts])
    return vectors


def score(queries, documents):
    """Scores of queries with documents, texts both: float32 [queries, documents]."""
    queries, documents = embed(queries, "query"), embed(documents)
    best = [[(q @ d.T).max(axis=1, initial=-np.inf) for d in documents] for q in queries]
    mean = SETTINGS["similarity"] == "mean_max_sim"
    return np.array([[one.sum() / (max(len(one), 1) if mean else 1) for one in row] for row in best])


if __name__ == "__main__":
    query, *texts = sys.argv[1:] or ["a question", "an answer", "another"]
    for text, number in zip(texts, score([query], texts)[0]):
        print(number, text)
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
RUNTIMES = {"stablehlo": "jax, numpy, flatbuffers", "onnx": "onnxruntime, numpy"}
OTHERS = {
    "texts": ("tokenizers",),
    "tokens": ("tokenizers",),
    "pairs": ("tokenizers",),
    "pictures": ("pillow",),
    "both": ("tokenizers", "pillow"),
}
IMPORTS = {
    "stablehlo": "import jax\nimport numpy as np\nfrom jax import export",
    "onnx": "import numpy as np\nimport onnxruntime",
    "pillow": "from PIL import Image, ImageOps",
    "tokenizers": "from tokenizers import Tokenizer",
}
EXAMPLES = {
    "texts": ("Embeds texts", '"a sentence" "another"'),
    "tokens": ("Scores texts for a query", '"a question" "an answer" "another"'),
    "pairs": ("Scores texts for a query", '"a question" "an answer" "another"'),
    "pictures": ("Embeds pictures", "cat.jpg dog.jpg"),
    "both": ("Embeds texts and pictures", '"a photo of a cat" cat.jpg'),
}
FUNCTIONS = {
    "texts": "`embed(texts)` gives",
    "tokens": "`embed(texts, side)` and `score(queries, documents)` give",
    "pairs": "`score(query, texts)` gives",
    "pictures": "`embed_images(images)` gives",
    "both": "`embed(texts)` and `embed_images(images)` give",
}
HELD = {
    "texts": "prompts, similarity, sizes",
    "tokens": "prompts, lengths, filling, tokens that do not count, sizes",
    "pairs": "sizes",
    "pictures": "how pictures are read, similarity, sizes",
    "both": "prompts, how pictures are read, similarity, sizes",
}
ROOM = {
    (
        "stablehlo",
        False,
    ): "`{name}.stablehlo`, the program, and `{weights}`, its parameters by name",
    ("stablehlo", True): "`{name}.stablehlo`, the program with its parameters",
    ("onnx", False): "`{name}.onnx`, the program, and `{name}.onnx.data`, its parameters",
    ("onnx", True): "`{name}.onnx`, the program with its parameters",
}
README = """# {what} without jaxsim

```sh
pip install {packages}
python run.py {example}
```

`run.py` is a script, and a module whose {functions} numpy float32. Here are

{files}
- `settings.json`: {held}

{age}
"""
OF_TEXTS = """- {room}: {dtype} {inputs} of {rows} texts and {length} tokens each to {output}
- `tokenizer.json`, which cuts texts at {most} tokens and fills them up"""
OF_TOKENS = """- {room}: {dtype} {inputs} of {rows} texts and {length} tokens each to {output}; attention_mask says which tokens others
  see
- `tokenizer.json`"""
OF_PICTURES = "- {room}: float32 {input} {shape} of {rows} pictures to {output}"
AGES = {
    "stablehlo": (
        "`jax.export.deserialize` reads a program; its `call` is a function of arrays on CPU, GPU and TPU. jax reads "
        "such a program for at least six months after the version that wrote it: keep the model that it was exported from."
    ),
    "onnx": "onnxruntime and whatever else reads ONNX run it; names and types are those of transformers' exports.",
}


def script(to: str, kind: str, *, inside: bool, inputs: tuple[str, ...]) -> str:
    """run.py of an exported folder.

    Args:
      to: "stablehlo" or "onnx".
      kind: of EXAMPLES.
      inside: whether the parameters are in the program.
      inputs: of the program of texts, one of those above.
    """
    what, example = EXAMPLES[kind]
    imports = "\n".join(IMPORTS[name] for name in (to, *reversed(OTHERS[kind])))
    parts = [HEAD.format(what=what, example=example, needs=_needs(to, kind), imports=imports)]
    if kind != "pictures":
        parts += [TOKENIZER, RUNS[to].replace("{weights}", _weights("encoder", inside))]
    if kind in ("texts", "both"):
        prompted, filled = inputs == PROMPTED_INPUTS, inputs == FILLED_INPUTS
        masks = "" if filled else MASKS + ", pooled(encoded, unpooled(prompt))" * prompted
        parts += [UNPOOLED] if prompted else []
        parts += [TEXTS.replace("{masks}", masks)]
    if kind in ("pictures", "both"):
        runs = IMAGE_RUNS[to].replace("{weights}", _weights("image_encoder", inside))
        parts += [runs if kind == "pictures" else f"\n{runs}", PICTURES]
    last = {"texts": SHOW_TEXTS, "both": SHOW_BOTH, "pictures": SHOW_PICTURES}
    last |= {"tokens": TOKENS, "pairs": PAIRS}
    return "".join([*parts, last[kind]])


def _weights(name, inside):
    return "[]" if inside else f'[dict(np.load(FOLDER / "{WEIGHTS[name]}"))]'


def _needs(to, kind):
    """What run.py needs, as "jax, numpy and tokenizers"."""
    *first, last = [RUNTIMES[to], *OTHERS[kind]]
    return f"{', '.join(first)} and {last}"


def readme(to: str, kind: str, settings: Mapping[str, Any], *, inside: bool) -> str:
    """README.md of an exported folder.

    Args:
      to, kind, inside: as for `script`.
      settings: what settings.json says.
    """
    what, example = EXAMPLES[kind]
    rows, files = settings["rows"] or "any number of", []
    rooms = {
        name: ROOM[to, inside].format(name=name, weights=weights)
        for name, weights in WEIGHTS.items()
    }
    if "inputs" in settings:
        of_texts = (OF_TOKENS if kind == "tokens" else OF_TEXTS).format(
            room=rooms["encoder"],
            dtype="int32" if to == "stablehlo" else "int64",
            inputs=", ".join(settings["inputs"]),
            rows=rows,
            length=settings["length"] or f"up to {settings['longest']}",
            output=settings["output"],
            most=settings["max_length"],
        )
        files.append(of_texts)
    if "image" in settings:
        image = settings["image"] | {"room": rooms["image_encoder"], "rows": rows}
        files.append(OF_PICTURES.format(**image))
    measure = f"\n\nVectors are compared by {settings['similarity']}." if kind != "pairs" else ""
    return README.format(
        what=what,
        example=example,
        packages=_needs(to, kind).replace(",", "").replace(" and", ""),
        functions=FUNCTIONS[kind],
        files="\n".join(files),
        held=HELD[kind],
        age=AGES[to] + measure,
    )
