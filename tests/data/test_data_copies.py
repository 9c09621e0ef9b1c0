"""Edited copies: each view against loops in float64, and the share that it says against what is there."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim.data import _windows as windows, augment, copies

RANDOM = np.random.default_rng(0)
PHOTO = RANDOM.random((12, 10, 3))
BACKGROUND = RANDOM.random((12, 10, 3)) + 2  # cannot be mistaken for the photo
KEYS = jax.random.split(jax.random.key(0), 100)


@pytest.fixture(autouse=True)
def _double(float64):
    """All of these are float64."""


def many(view, *arrays):
    """A hundred views of one image, with their shares."""
    of_keys = jax.vmap(lambda key: view(key, *map(jnp.asarray, arrays)))
    return tuple(np.asarray(part) for part in jax.jit(of_keys)(KEYS))


def interpolated(image, y, x):
    """Bilinear, by what lies inside at the border; 0 beyond it."""
    height, width = image.shape[:2]
    if not (-0.5 <= y < height - 0.5 and -0.5 <= x < width - 0.5):
        return np.zeros(image.shape[2])
    y, x = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
    top, left = min(int(y), height - 2), min(int(x), width - 2)
    down, right = y - top, x - left
    upper = (1 - right) * image[top, left] + right * image[top, left + 1]
    lower = (1 - right) * image[top + 1, left] + right * image[top + 1, left + 1]
    return (1 - down) * upper + down * lower


def test_crop_shows_the_share_that_it_says():
    views, shares = many(copies.crop(area=(0.2, 0.7)), PHOTO)
    height, width = PHOTO.shape[:2]
    for key, view, share in zip(KEYS[:10], views, shares, strict=False):
        sides, start = map(np.asarray, windows.drawn(key, (0.2, 0.7), 4 / 3))
        assert share == pytest.approx(sides[0] * sides[1], rel=1e-12)
        assert (start >= 0).all()
        assert (start + sides <= 1 + 1e-12).all()
        wanted = np.empty_like(PHOTO)
        for i in range(height):
            for j in range(width):
                y = (start[0] + sides[0] * (i + 0.5) / height) * height - 0.5
                x = (start[1] + sides[1] * (j + 0.5) / width) * width - 0.5
                wanted[i, j] = interpolated(PHOTO, y, x)
        np.testing.assert_allclose(view, wanted, atol=1e-12)
    assert ((shares > 0.15) & (shares <= 0.7)).all()
    assert np.ptp(shares) > 0.3


@pytest.mark.thorough
def test_crop_is_that_of_augment_and_says_more():
    views, _ = many(copies.crop(), PHOTO)
    plain = jax.vmap(augment.crop(), (0, None))(KEYS, PHOTO)
    np.testing.assert_allclose(views, plain, atol=1e-12)
    still, all_of_it = many(copies.crop(area=(1.0, 1.0), stretch=1.0), PHOTO)
    np.testing.assert_allclose(still[0], PHOTO, atol=1e-12)
    assert (all_of_it == 1).all()


def triangle(source, sides, start, size):
    """The weights of a row of pixels of an image made smaller to `sides` of the whole, at `start` pixels."""
    weights = np.zeros((size, size))
    for i in range(size):
        center = (i + 0.5 - start) / sides - 0.5
        if not -0.5 <= center <= size - 0.5:
            continue
        near = np.maximum(0, 1 - np.abs(np.arange(size) - center) * sides)
        weights[i] = near / near.sum()
    return np.einsum("is,s...->i...", weights, source)


@pytest.mark.thorough
@pytest.mark.parametrize("visible", [1.0, 0.5])
def test_paste_is_the_smaller_image_on_the_background(visible):
    views, shares = many(copies.paste(area=(0.3, 0.8), visible=visible), PHOTO, BACKGROUND)
    height, width = PHOTO.shape[:2]
    for key, view, share in zip(KEYS[:20], views, shares, strict=False):
        first, second = jax.random.split(key)
        side = float(jnp.sqrt(jax.random.uniform(first, minval=0.3, maxval=0.8)))
        reach = 1 - side + 2 * (1 - visible) * side
        start = np.asarray(jax.random.uniform(second, (2,))) * reach - (1 - visible) * side
        seen = [max(0, min(s + side, 1) - max(s, 0)) / side for s in start]
        assert share == pytest.approx(seen[0] * seen[1], rel=1e-12)
        assert min(seen) >= visible - 1e-12
        small = triangle(PHOTO, side, start[0] * height, height)
        small = triangle(small.swapaxes(0, 1), side, start[1] * width, width).swapaxes(0, 1)
        for i in range(height):
            for j in range(width):
                down, across = (i + 0.5) / height - start[0], (j + 0.5) / width - start[1]
                inside = 0 < down < side and 0 < across < side
                wanted = small[i, j] if inside else BACKGROUND[i, j]
                np.testing.assert_allclose(view[i, j], wanted, atol=1e-9)
    if visible == 1:
        np.testing.assert_allclose(shares, 1, rtol=1e-12)
    else:
        assert shares.min() < 0.6
        assert shares.max() > 0.95


@pytest.mark.thorough
def test_chain_multiplies_shares_and_whole_has_all():
    views, shares = many(copies.chain(copies.crop(), copies.crop()), PHOTO)
    for place, key in enumerate(KEYS[:5]):
        first, second = (jax.random.fold_in(key, number) for number in range(2))
        image, share = copies.crop()(first, jnp.asarray(PHOTO))
        image, other = copies.crop()(second, image)
        np.testing.assert_allclose(views[place], image, atol=1e-12)
        assert shares[place] == pytest.approx(float(share * other), rel=1e-12)
    flipped, all_of_it = many(copies.whole(augment.flip()), PHOTO)
    np.testing.assert_array_equal(flipped, jax.vmap(augment.flip(), (0, None))(KEYS, PHOTO))
    assert (all_of_it == 1).all()


@pytest.mark.thorough
def test_views_of_a_batch_depend_on_ids_alone_with_their_backgrounds():
    images, backgrounds = RANDOM.random((4, 8, 8, 3)), RANDOM.random((4, 8, 8, 3))
    ids = np.array([3, 0, 8, 1])
    views = jax.jit(augment.views(copies.paste(visible=0.5)))
    whole = views(KEYS[0], images, ids, backgrounds)
    backwards = views(KEYS[0], images[::-1], ids[::-1], backgrounds[::-1])
    for part, other in zip(whole, backwards, strict=True):
        np.testing.assert_allclose(part, other[::-1], atol=1e-12)
    cropped, shares = augment.views(copies.crop())(KEYS[0], images, ids)
    assert cropped.shape == images.shape
    assert shares.shape == (4,)
    with pytest.raises(ValueError, match=r"others must be \[4, 8, 8, 3\], one row per image"):
        views(KEYS[0], images, ids, backgrounds[:3])


@pytest.mark.thorough
def test_blur_is_a_gaussian_of_what_lies_inside():
    views = np.asarray(jax.vmap(augment.blur(sigma=(0.1, 2.0)), (0, None))(KEYS, PHOTO))
    for key, view in zip(KEYS[:10], views, strict=False):
        width = float(jax.random.uniform(key, minval=0.1, maxval=2.0))
        wanted = PHOTO
        for axis in (0, 1):
            moved = wanted.swapaxes(0, axis)
            rows = []
            for place in range(len(moved)):
                weights = [math.exp(-(((n - place) / width) ** 2) / 2) for n in range(len(moved))]
                rows.append(np.tensordot(np.array(weights) / sum(weights), moved, 1))
            wanted = np.stack(rows).swapaxes(0, axis)
        np.testing.assert_allclose(view, wanted, atol=1e-12)
    even = np.asarray(augment.blur()(KEYS[0], jnp.full((9, 7, 1), 0.25)))
    np.testing.assert_allclose(even, 0.25, rtol=1e-12)


# The luminance table of the JPEG standard (ITU T.81, annex K), rows of frequencies.
LUMINANCE = """16 11 10 16 24 40 51 61 12 12 14 19 26 58 60 55 14 13 16 24 40 57 69 56 14 17 22 29 51 87 80 62
18 22 37 56 68 109 103 77 24 35 55 64 81 104 113 92 49 64 78 87 103 121 120 101 72 92 95 98 112 100 103 99"""


@pytest.mark.parametrize("quality", [10, 50, 90])
def test_jpeg_of_gray_rounds_cosines_of_blocks(quality):
    y, x = np.mgrid[:16, :24] / 8
    image = (
        0.5 + 0.3 * np.sin(3 * y) * np.cos(2 * x) + 0.1 * np.random.default_rng(0).random((16, 24))
    )
    table = np.array(LUMINANCE.split(), float).reshape(8, 8)
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    table = np.clip((table * scale + 50) // 100, 1, 255)
    n = np.arange(8)
    basis = np.cos(np.pi * (2 * n + 1) * n[:, None] / 16) / 2
    basis[0] /= math.sqrt(2)
    pixels, wanted = np.rint(image * 255), np.empty_like(image)
    for top in range(0, 16, 8):
        for left in range(0, 24, 8):
            block = pixels[top : top + 8, left : left + 8] - 128
            rounded = np.rint(basis @ block @ basis.T / table) * table
            decoded = basis.T @ rounded @ basis + 128
            wanted[top : top + 8, left : left + 8] = np.clip(np.rint(decoded), 0, 255)
    got = copies.jpeg(image[None, ..., None], quality)
    assert got.shape == (1, 16, 24, 1)
    assert got.dtype == np.float32
    # Codecs compute with integers: a level of 255, more in a block with a coefficient on the edge.
    off = np.abs(got[0, ..., 0] * 255 - wanted)
    assert np.mean(off > 1) < 0.2
    assert off.max() < 8


def test_jpeg_takes_a_quality_for_each_image():
    images = np.float32(np.stack([PHOTO] * 3))
    got = copies.jpeg(images, np.array([5, 50, 95]))
    errors = np.square(got - images).mean(axis=(1, 2, 3))
    assert errors[0] > errors[1] > errors[2]
    np.testing.assert_array_equal(copies.jpeg(images[1:2], 50)[0], got[1])
    np.testing.assert_array_equal(copies.jpeg(images + 9, 95), copies.jpeg(images * 0 + 1, 95))


@pytest.mark.thorough
def test_content_pairs_are_what_the_released_sampler_draws():
    content = jnp.array([[1.0, 0.7, 0.5, 0.3], [1, 0.7, 0.7, 0.3], [1, 1, 1, 1]])
    keys = jax.random.split(jax.random.key(1), 20_000)
    larger, smaller = jax.jit(jax.vmap(lambda key: copies.content_pairs(key, content)))(keys)
    for group, row in enumerate(np.asarray(content)):
        chance = {}
        ties = sum(a == b for a in row for b in row) / 16
        for a in range(4):
            for b in range(4):
                if row[a] > row[b]:  # in either order, in one of five draws
                    chance[a, b] = 2 / 16 * (1 - ties**5) / (1 - ties)
        pairs = list(zip(*(np.asarray(side)[:, group] for side in (larger, smaller)), strict=True))
        for pair, wanted in chance.items():
            assert pairs.count(pair) / len(pairs) == pytest.approx(wanted, abs=0.012)
        same = sum(a == b for a, b in pairs)
        assert same + sum(pairs.count(pair) for pair in chance) == len(pairs)
        assert same / len(pairs) == pytest.approx(ties**5, abs=0.003)


@pytest.mark.parametrize(
    ("make", "wanted"),
    [
        (functools.partial(copies.crop, area=(0.5, 0.2)), "area must be two parts of 1"),
        (functools.partial(copies.crop, stretch=0.5), "stretch must be at least 1"),
        (functools.partial(copies.paste, area=0.5), "area must be two parts of 1"),
        (functools.partial(copies.paste, visible=0.0), "visible must be > 0, got 0"),
        (functools.partial(copies.paste, visible=1.5), "visible must be between 0 and 1"),
        (functools.partial(copies.whole, "flip"), "augmentation must be a function"),
        (functools.partial(copies.chain, None), "views must be a function"),
        (functools.partial(augment.blur, sigma=(0.0, 1.0)), "sigma must be two widths in pixels"),
        (functools.partial(augment.blur, sigma=2.0), "sigma must be two widths .* got 2.0"),
        (lambda: copies.jpeg(PHOTO, 50), r"images must be \[any, any, any, any\]"),
        (lambda: copies.jpeg(PHOTO[None, ..., :2], 50), "images must have 1 or 3 channels, got 2"),
        (lambda: copies.jpeg(np.uint8(PHOTO[None]), 50), "must be floating point, from 0 to 1"),
        (lambda: copies.jpeg(PHOTO[None] * np.nan, 50), "images must be finite: row 0 is not"),
        (lambda: copies.jpeg(PHOTO[None], 96), "quality must be from 1 to 95, got 96"),
        (lambda: copies.jpeg(PHOTO[None], 50.0), "quality must be integers, got float64"),
        (lambda: copies.jpeg(PHOTO[None], [50, 60]), r"quality must be \[1\], one per image"),
        (
            lambda: copies.content_pairs(KEYS[0], np.ones(3)),
            r"content must be \[any, any\], groups, views",
        ),
        (
            lambda: copies.content_pairs(KEYS[0], np.ones((3, 2)), draws=0),
            "draws must be a whole number of at least 1",
        ),
    ],
)
def test_bad_arguments_are_named(make, wanted):
    with pytest.raises(ValueError, match=wanted):
        make()
