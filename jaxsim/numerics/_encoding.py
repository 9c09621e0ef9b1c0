"""Encoding in batches: texts packed or by length, images in order, over the local devices; the next are read meanwhile.

texts -> tokenize -> rows of several texts, or of nearly equal lengths -> encode -> float32 [n, dim], in the texts' order
"""

import concurrent.futures
import functools
from collections.abc import Callable, Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxsim.numerics import checks
from jaxsim.numerics._buckets import bucket_of
from jaxsim.numerics._devices import compute_dtype
from jaxsim.numerics._packing import arrays_of, first_fit_rows
from jaxsim.numerics.types import Array, ArrayTree, Encode

# Lengths of rows that hold several texts. A token of a row of 256 costs a tenth more than one of a row of 64, by its
# attention, which is less than padding costs; beyond, it costs more.
PACKED_ROWS = (128, 256)
# Tokens of a batch over all devices, and of one for each CPU, whose cache holds no more states: transformers take
# larger batches in blocks of as many.
TOKENS, TOKENS_ON_CPU = 4096, 1024
TEXTS_OF_TOKENS = 8  # packed texts of a batch are at most one for so many tokens


def length_buckets(longest: int) -> tuple[int, ...]:
    """Default length buckets: multiples of 16 to 128, of 32 to 256, and so on, up to `longest`."""
    buckets = [16]
    while buckets[-1] < longest:
        buckets.append(buckets[-1] + max(16, 2 ** (buckets[-1].bit_length() - 1) // 4))
    return tuple(buckets)


def text_encoder(
    encode: Encode, params: ArrayTree, dtype: jax.typing.DTypeLike | None = None
) -> Callable:
    """Returns (tokens int32 [b, length], lengths int32 [b]) -> vectors, with the batch spread over the devices.

    Args:
      encode, params, dtype: as for `search.encode_corpus`.

    Returns: the function, with the attributes `devices`, their number, `longest`, the most tokens of a text, and
    `packed`: packed texts, each array with a leading axis for the devices -> vectors [devices, texts, dim], or None
    where `encode` does not take them.
    """
    devices = jax.local_devices()
    if dtype is None and not hasattr(encode, "dtype") and compute_dtype() != jnp.float32:
        dtype = compute_dtype()
    mesh = Mesh(np.array(devices), ("devices",))
    spread = NamedSharding(mesh, PartitionSpec("devices"))
    if dtype is not None:
        params = jax.tree.map(
            lambda a: a.astype(dtype) if jnp.issubdtype(a.dtype, jnp.floating) else a, params
        )
    params = jax.device_put(params, NamedSharding(mesh, PartitionSpec()))

    def run(tokens, lengths):
        return _vectors(encode, params, *jax.device_put((tokens, lengths), spread))

    def run_packed(texts):
        return _packed_vectors(encode, mesh, params, jax.device_put(texts, spread))

    run.devices = len(devices)
    run.longest = getattr(encode, "max_length", None)
    run.packed = run_packed if getattr(encode, "packs", False) else None
    return run


@functools.partial(jax.jit, static_argnums=(0, 1))
def _packed_vectors(encode, mesh, params, texts):
    def of_device(params, texts):
        texts = jax.tree.map(lambda a: a[0], texts)
        return encode(params, texts).astype(jnp.float32)[None]

    split = PartitionSpec("devices")
    return jax.shard_map(
        of_device, mesh=mesh, in_specs=(PartitionSpec(), split), out_specs=split, check_vma=False
    )(params, texts)


@functools.partial(jax.jit, static_argnums=0)
def _vectors(encode, params, tokens, lengths):
    """Compiled once for each encode function and shape, however often a corpus is encoded."""
    where = jnp.arange(tokens.shape[1]) < lengths[:, None]
    return encode(params, {"tokens": tokens, "where": where}).astype(jnp.float32)


def image_encoder(encode: Callable[..., jax.Array], params: ArrayTree) -> Callable:
    """Returns images [b, height, width, channels] -> vectors, with the batch spread over the devices.

    Args:
      encode, params: as for `search.encode_images`.
    """
    mesh = Mesh(np.array(jax.local_devices()), ("devices",))
    spread = NamedSharding(mesh, PartitionSpec("devices"))
    params = jax.device_put(params, NamedSharding(mesh, PartitionSpec()))

    def run(images):
        return _image_vectors(encode, params, jax.device_put(images, spread))

    return run


@functools.partial(jax.jit, static_argnums=0)
def _image_vectors(encode, params, images):
    return encode(params, images).astype(jnp.float32)


def image_chunks(
    run: Callable,
    process: Callable[[list], Array],
    images: Sequence,
    *,
    begun: int,
    chunk: int,
    batch: int,
    label: str,
    advance: Callable[[int], None],
) -> Iterator[tuple[int, np.ndarray]]:
    """Encodes images in order: (start, float32 [chunk, dim]) of each chunk from `begun` on.

    The next batch is read while one is encoded.

    Args:
      run: of `image_encoder`.
      process, images, chunk, batch, label: as for `search.encode_images`; batch divides over the devices.
      begun: images that are done.
      advance: called with the number of images of each batch that is done.

    Raises: ValueError for another number of images from `process`, and vectors that are not finite.
    """
    with concurrent.futures.ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(process, list(images[begun : begun + batch]))
        for start in range(begun, len(images), chunk):
            end, parts = min(start + chunk, len(images)), []
            for first in range(start, end, batch):
                count = min(batch, end - first)
                pixels, after = (
                    np.asarray(coming.result()),
                    images[first + batch : first + 2 * batch],
                )
                if len(pixels) != count:
                    raise ValueError(f"process must return {count} images, got {len(pixels)}")
                coming = ahead.submit(process, list(after)) if len(after) else None
                pads = [(0, batch - count)] + [(0, 0)] * (pixels.ndim - 1)
                parts.append(np.asarray(run(np.pad(pixels, pads)))[:count])
                advance(count)
            vectors = np.concatenate(parts)
            if bad := (~np.isfinite(vectors).all(axis=1)).sum():
                raise ValueError(
                    f"{label}: {bad} vectors are not finite among the images {start} to {end - 1}; finished "
                    "chunks are kept"
                )
            yield start, vectors


def text_chunks(
    run: Callable,
    tokenize: Callable[[list[str]], Sequence],
    texts: Sequence,
    *,
    begun: int,
    chunk: int,
    batch_of: Callable[[int], int],
    lengths: Sequence[int] | None,
    pack: int | None = None,
    label: str,
    advance: Callable[[int], None],
) -> Iterator[tuple[int, np.ndarray]]:
    """Encodes texts by length: (start, float32 [chunk, dim]) of each chunk from `begun` on.

    The next chunk is tokenized while one is encoded. Texts are packed where the encoder takes that and there is a
    full batch of them; a few are padded, as a row that they do not fill costs more.

    Args:
      run: of `text_encoder`.
      tokenize, texts, chunk, lengths, label: as for `search.encode_corpus`.
      begun: texts that are done.
      batch_of: the rows of a batch of a length, a multiple of the devices.
      pack: tokens of a batch over all devices, of packed texts; None pads all.
      advance: called with the number of texts of each batch that is done.

    Raises: ValueError for another number of rows from `tokenize`, and vectors that are not finite.
    """
    with concurrent.futures.ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(tokenize, list(texts[begun : begun + chunk]))
        for start in range(begun, len(texts), chunk):
            rows, after = coming.result(), texts[start + chunk : start + 2 * chunk]
            count = min(chunk, len(texts) - start)
            if len(rows) != count:
                raise ValueError(f"tokenize must return a row per text, {count}, got {len(rows)}")
            coming = ahead.submit(tokenize, list(after)) if len(after) else None
            vectors = _chunk(run, rows, batch_of, lengths, pack, advance)
            if bad := (~np.isfinite(vectors).all(axis=1)).sum():
                raise ValueError(
                    f"{label}: {bad} vectors are not finite among the texts {start} to "
                    f"{start + len(rows) - 1}; finished chunks are kept"
                )
            yield start, vectors


def _chunk(run, rows, batch_of, buckets, pack, advance):
    """Vectors of some texts' tokens, float32 [rows, dim]."""
    sizes = np.array([len(row) for row in rows])
    running, vectors = [], None

    def fetch():
        nonlocal vectors
        members, places, values = running.pop(0)
        values = np.asarray(values)
        if values.ndim != 2 or len(values) < len(members):
            raise ValueError(f"encode must return [b, dim], a row per text, got {values.shape}")
        if vectors is None:
            vectors = np.empty((len(rows), values.shape[1]), np.float32)
        vectors[members] = values[places]
        advance(len(members))

    if pack is not None and run.packed is not None and sizes.sum() >= pack:
        batches = _packed_batches(run, rows, sizes, batch_of, pack)
    else:
        batches = _padded_batches(run, rows, sizes, batch_of, buckets)
    for batch in batches:
        running.append(batch)
        if len(running) > 2:  # a bounded run-ahead: devices stay busy, memory stays flat
            fetch()
    while running:
        fetch()
    return vectors


def _padded_batches(run, rows, sizes, batch_of, buckets):
    """Batches of nearly equal lengths: (their texts, the texts' places among the vectors, vectors)."""
    if buckets is None:
        buckets = length_buckets(sizes.max())
        if run.longest is not None:
            buckets = sorted({min(length, run.longest) for length in buckets})
    ends = np.asarray(buckets)[bucket_of(sizes, buckets)]
    # From the longest down: a batch takes what follows, whatever its bucket, and only the last is short.
    order = np.argsort(-sizes, kind="stable")
    start = 0
    while start < len(order):
        length = int(ends[order[start]])
        batch = batch_of(length)
        members = order[start : start + batch]
        tokens = np.zeros((batch, length), np.int32)
        for place, member in enumerate(members):
            tokens[place, : sizes[member]] = rows[member]
        true_lengths = np.pad(sizes[members], (0, batch - len(members)), constant_values=1)
        yield members, slice(len(members)), run(tokens, true_lengths.astype(np.int32))
        start += batch


def _packed_batches(run, rows, sizes, batch_of, tokens):
    """Batches of rows of several texts, as of `_padded_batches`; longer texts and empty ones by their lengths."""
    longest = PACKED_ROWS[-1] if run.longest is None else run.longest
    ends = sorted({min(end, longest) for end in PACKED_ROWS})
    takes = (sizes > 0) & (sizes <= ends[-1])
    if not takes.all():
        long = np.flatnonzero(~takes)
        batches = _padded_batches(run, [rows[one] for one in long], sizes[long], batch_of, None)
        for members, places, vectors in batches:
            yield long[members], places, vectors
    packs = np.flatnonzero(takes)
    row_of, columns, lengths = first_fit_rows(sizes[packs], ends)
    for length in np.unique(lengths)[::-1].tolist():
        of_length = np.flatnonzero(lengths == length)
        most = max(1, tokens // (length * run.devices))
        # Of each row its part, and its number there; a part is what a device gets of a batch.
        parts = _parts(row_of, of_length, most, most * length // TEXTS_OF_TOKENS, run.devices)
        texts = [np.flatnonzero(np.isin(row_of, part)) for part in parts]
        count, capacity = max(map(len, parts)), _power_of_two(max(map(len, texts)))
        for start in range(0, len(parts), run.devices):
            places, arrays = [], []
            for device in range(run.devices):
                part, held = parts[start + device], texts[start + device]
                begins = np.searchsorted(part, row_of[held]) * length + columns[held]
                empty = capacity - len(held)
                ids = [rows[packs[one]] for one in held] + [np.zeros(0, np.int32)] * empty
                arrays.append(arrays_of(ids, np.pad(begins, (0, empty)), count, length))
                places += range(device * capacity, device * capacity + len(held))
            stacked = {name: np.stack([one[name] for one in arrays]) for name in arrays[0]}
            vectors = run.packed(stacked)
            members = packs[np.concatenate(texts[start : start + run.devices])]
            yield members, places, vectors.reshape(-1, vectors.shape[-1])


def _parts(row_of, rows, most, capacity, devices):
    """Rows dealt into parts, a multiple of the devices, of at most `most` rows and about `capacity` texts."""
    texts = np.isin(row_of, rows).sum()
    batches = max(-(-len(rows) // (most * devices)), -(-texts // (max(capacity, 1) * devices)))
    # In turns, so that the short texts of the last rows are in all parts.
    return [rows[number :: batches * devices] for number in range(batches * devices)]


def _power_of_two(count):
    return 1 << max(count - 1, 31).bit_length()


def tokens_of_batch(batch_tokens: int | None = None) -> int:
    """The tokens of a batch over the local devices: those given, checked, or what suits the kind of device."""
    if batch_tokens is None:
        on_cpu = jax.default_backend() == "cpu"
        return TOKENS_ON_CPU * len(jax.local_devices()) if on_cpu else TOKENS
    checks.whole("batch_tokens", batch_tokens)
    return batch_tokens


def batch_of_tokens(batch_tokens: int, devices: int) -> Callable[[int], int]:
    """Returns length -> the rows of about so many tokens, a multiple of the devices.

    Args:
      batch_tokens: over all devices, padding included.
      devices: their number.
    """
    return lambda length: max(1, batch_tokens // (length * devices)) * devices
