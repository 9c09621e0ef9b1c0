"""`embed`: the vectors of texts or of pictures, by the kind of the model."""

import argparse
import functools
import hashlib
import io
from pathlib import Path

from jaxsim import data, search, storage
from jaxsim.commands.inputs import models, pictures
from jaxsim.commands.inputs.columns import column_of
from jaxsim.commands.outputs.files import check_output


def main(options: argparse.Namespace) -> None:
    """Runs the command."""
    check_output("--out", options.out, ours=_ours, kind="a file of vectors")
    about = f"{options.out}.json"
    check_output("--out", about, ours=_is_about, kind="a description of vectors")
    suffix = Path(options.out).suffix
    if options.image_column is not None or Path(options.corpus).is_dir():
        if suffix != ".npy":
            raise ValueError(f"--out must end in .npy for pictures, got {options.out!r}")
        _embed_pictures(options)
        return
    texts = column_of(data.read_records(options.corpus), options.corpus, options.column or "text")
    model = models.text_model(options)
    prompt = models.prompt_of(model, options.prompt, option="--prompt")
    if models.is_sparse(model) != (suffix == ".npz"):
        wanted = ".npz for a sparse encoder" if models.is_sparse(model) else ".npy"
        raise ValueError(f"--out must end in {wanted}, got {options.out!r}")
    if options.side is not None and not models.is_late(model):
        raise ValueError(f"--side has no effect: {options.model} reads queries as documents")
    if models.is_sparse(model):
        _embed_sparse(options, model, texts, prompt)
        return
    if models.is_late(model):
        _embed_tokens(options, model, texts, prompt)
        return
    digest = hashlib.sha256("\0".join(texts).encode())
    digest.update(repr((models.identity(model), prompt, model.max_length)).encode())
    if models.dtype_of(options) != "float32":
        digest.update(models.dtype_of(options).encode())
    vectors = search.encode_corpus(
        model.encode,
        model.params,
        lambda texts: model.tokens(texts, prompt=prompt),
        texts,
        path=options.out,
        batch_tokens=options.batch_tokens,
        fingerprint=digest.hexdigest()[:16],
        label=f"embedding {options.corpus}",
    )
    print(f"{options.out}: {vectors.shape[0]} vectors of {vectors.shape[1]}")


def _embed_sparse(options, model, texts, prompt):
    """Writes a sparse matrix as scipy.sparse.save_npz does, its mark next to it."""
    from scipy.sparse import save_npz  # comes with jax

    vectors = model.embed_sparse(texts, prompt=prompt, progress=True)
    written = io.BytesIO()
    save_npz(written, vectors)
    storage.write_json(f"{options.out}.json", {"fingerprint": models.identity(model)})
    storage.write_bytes(options.out, written.getvalue())
    count, dim = vectors.shape
    print(f"{options.out}: {count} vectors of {dim}, {vectors.nnz / count:.1f} of them not 0")


def _embed_tokens(options, model, texts, prompt):
    """Writes the vectors of tokens, and where each text begins in a second file."""
    side = options.side or "document"
    about = (models.identity(model), prompt, side, model.reading, models.dtype_of(options))
    digest = hashlib.sha256(repr((texts, about)).encode()).hexdigest()[:16]
    vectors, _ = search.encode_tokens(
        model.encode,
        model.params,
        functools.partial(model.rows, side=side, prompt=prompt),
        texts,
        path=options.out,
        batch_tokens=options.batch_tokens,
        fingerprint=digest,
        label=f"embedding {options.corpus}",
    )
    print(
        f"{options.out}: {vectors.shape[0]} vectors of {vectors.shape[1]}, those of the tokens of "
        f"{len(texts)} texts; {Path(options.out).with_suffix('.offsets.npy')}: where each begins"
    )


def _embed_pictures(options):
    for name in ("prompt", "column", "side"):
        if getattr(options, name) is not None:
            raise ValueError(f"--{name} has no effect on pictures")
    if Path(options.corpus).is_dir():
        if options.image_column is not None:
            raise ValueError(f"--image-column is for a table, and {options.corpus} is a folder")
        images = pictures.in_folder(options.corpus)
        names = pictures.names_in(options.corpus, images)
    else:
        rows = data.read_records(options.corpus)
        images = pictures.in_column(rows, options.corpus, options.image_column)
        names = [str(path) for path in images]
    model = models.embedding_model(options, texts=False, images=True)
    about = [pictures.digest(names, images), models.identity(model), models.dtype_of(options)]
    vectors = search.encode_images(
        model.encode_image,
        model.params,
        model.process,
        images,
        path=options.out,
        fingerprint=hashlib.sha256(repr(about).encode()).hexdigest()[:16],
        label=f"embedding {options.corpus}",
    )
    print(f"{options.out}: {vectors.shape[0]} vectors of {vectors.shape[1]}")


def _is_about(target):
    """Whether `encode_corpus` wrote what says of which texts the vectors are."""
    try:
        return "fingerprint" in storage.read_object(target)
    except ValueError:
        return False


def _ours(target):
    """Whether `encode_corpus` wrote a file: it keeps what the vectors are of in another next to it."""
    return target.with_name(target.name + ".json").exists()
