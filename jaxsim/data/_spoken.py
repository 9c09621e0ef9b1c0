"""Recordings of digits as pictures, log-mel spectrograms, and pairs of examples by their labels."""

import functools
import io
import wave
import zipfile
from pathlib import PurePosixPath

import numpy as np

from jaxsim.data._images import Images, cached
from jaxsim.data._sources import damage_named, prepared_path
from jaxsim.numerics import checks
from jaxsim.numerics.types import Array

RATE = 8000  # samples a second
WINDOW, HOP, TRANSFORM = 256, 128, 512  # samples: 32 ms every 16 ms
RANGE = 8.0  # decades below the loudest, 80 dB, that are shown


def spoken_digits(split: str, *, bands: int = 40, frames: int = 64) -> Images:
    """Spoken digits: log-mel spectrograms of recordings of 5 speakers, from JAXSIM_DATA.

    The free spoken digit data set 1.0.9 (CC BY-SA 4.0): 50 recordings of each digit by each speaker, 8 kHz;
    the first five are the test part, as published. The logarithm of the energy in mel bands (HTK's scale,
    0 to 4 kHz), of windows of 32 ms every 16 ms, from 80 dB under the recording's loudest, 0, to that, 1.
    Made once, then kept in the cache.

    Args:
      split: "train", 2,250 recordings, or "test", 250.
      bands: of the mel scale, at most 64.
      frames: how many windows, at most 256; a longer recording is cut, a shorter one followed by
        silence. 64 are 1.04 seconds.

    Returns: `Images`, [n, frames, bands, 1], in the order of digits, speakers and recordings; groups are
    speakers, in alphabetical order.
    Raises: ValueError for an unknown split or size, or damaged data; FileNotFoundError without the data.
    """
    checks.one_of("split", split, ("train", "test"))
    checks.at_most("bands", bands, 64, "what the transform can separate")
    checks.at_most("frames", frames, 256, "4 seconds")
    arrays = cached(
        f"spoken-digits-{split}-{bands}-{frames}",
        lambda: _spectrograms(
            prepared_path("spoken_digit", "recordings.zip"), split, bands, frames
        ),
    )
    return Images(arrays["levels"][..., None], arrays["labels"], arrays["speakers"])


def label_pairs(first: Array, second: Array, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of examples of two sets by their labels: two modalities of one thing, such as a digit seen and heard.

    Each label has as many pairs as it has examples in the set with fewer; no example is in two.

    Args:
      first, second: labels [n], [m] of the sets.
      seed: of the draw; the same pairs whenever it is the same.

    Returns: (places in the first set int [pairs], in the second int [pairs]), in random order.
    Raises: ValueError for labels of other shapes, and for no label that both have.

    Examples:
      >>> import numpy as np
      >>> from jaxsim import data
      >>> seen, heard = np.array([0, 0, 1, 2]), np.array([1, 0, 1])
      >>> some, others = data.label_pairs(seen, heard)
      >>> print(sorted(seen[some].tolist()), (seen[some] == heard[others]).all())
      [0, 1] True
    """
    first, second = np.asarray(first), np.asarray(second)
    checks.shaped("first", first, (None,), "labels")
    checks.shaped("second", second, (None,), "labels")
    random = np.random.default_rng(seed)
    pairs = []
    for label in np.intersect1d(first, second):
        places = [random.permutation(np.flatnonzero(a == label)) for a in (first, second)]
        count = min(map(len, places))
        pairs.append(np.stack([a[:count] for a in places]))
    if not pairs:
        raise ValueError("first and second must have a label in common, got none")
    pairs = random.permutation(np.concatenate(pairs, axis=1), axis=1)
    return pairs[0], pairs[1]


def _spectrograms(path, split, bands, frames):
    """{"levels" float32 [n, frames, bands], "labels", "speakers" int32 [n]}."""
    rows = []
    with damage_named(path), zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            digit, speaker, number = PurePosixPath(name).stem.split("_")
            if (int(number) < 5) == (split == "test"):
                levels = log_mel(_samples(archive.read(name)), bands, frames)
                rows.append((int(digit), speaker, int(number), levels))
        rows.sort(key=lambda row: row[:3])
        digits, names, _, levels = zip(*rows, strict=True)
    _, speakers = np.unique(names, return_inverse=True)
    return {
        "levels": np.stack(levels),
        "labels": np.array(digits, np.int32),
        "speakers": speakers.astype(np.int32),
    }


def _samples(recording):
    """The samples of a WAV file, from -1 to 1."""
    with wave.open(io.BytesIO(recording)) as file:
        form = file.getframerate(), file.getnchannels(), file.getsampwidth()
        if form != (RATE, 1, 2):
            raise ValueError(f"a recording must be {RATE} Hz, mono, 16 bit, got {form}")
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 2**15


def log_mel(samples: np.ndarray, bands: int, frames: int) -> np.ndarray:
    """Log-mel spectrogram of samples [time], scaled to its loudest band: float32 [frames, bands], 0 to 1."""
    length = WINDOW + HOP * (frames - 1)
    samples = np.pad(samples[:length], (0, max(length - len(samples), 0)))
    windows = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    energy = np.abs(np.fft.rfft(windows * hann, TRANSFORM)) ** 2 @ mel_filters(bands)
    decades = np.log10(np.maximum(energy, 1e-30)) - np.log10(max(energy.max(), 1e-30))
    return np.float32(np.clip(1 + decades / RANGE, 0, 1))


@functools.cache
def mel_filters(bands: int) -> np.ndarray:
    """Triangles of equal width on the mel scale, float [frequencies, bands]."""
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    corners = 700 * (10 ** (np.linspace(0, top, bands + 2) / 2595) - 1)
    low, middle, high = corners[:-2], corners[1:-1], corners[2:]
    frequencies = np.fft.rfftfreq(TRANSFORM, 1 / RATE)[:, None]
    rising, falling = (frequencies - low) / (middle - low), (high - frequencies) / (high - middle)
    return np.maximum(np.minimum(rising, falling), 0)
