"""Views: an image's own key decides its view, and each augmentation does what its name says."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxsim.data import augment

RANDOM = np.random.default_rng(0)
PHOTOS = np.float32(RANDOM.random((6, 12, 10, 3)))
IDS = np.array([4, 9, 2, 7, 0, 30])
KEYS = jax.random.split(jax.random.key(0), 200)
EVERY = augment.chain(
    augment.crop(),
    augment.flip(),
    augment.shift(most=2),
    augment.rotate(degrees=15),
    augment.colors(),
    augment.grayscale(),
    augment.erase(),
)


def many(augmentation, image):
    """Two hundred views of one image."""
    return np.asarray(jax.jit(jax.vmap(augmentation, (0, None)))(KEYS, jnp.float32(image)))


def test_a_view_depends_on_the_key_and_the_images_id_alone():
    views = jax.jit(augment.views(EVERY))
    key = jax.random.key(3)
    whole = np.asarray(views(key, PHOTOS, IDS))
    assert whole.shape == PHOTOS.shape
    assert whole.dtype == np.float32
    backwards = np.asarray(views(key, PHOTOS[::-1], IDS[::-1]))[::-1]
    np.testing.assert_allclose(backwards, whole, atol=1e-6)
    assert np.abs(np.asarray(views(jax.random.key(4), PHOTOS, IDS)) - whole).max() > 0.1
    same = np.asarray(views(key, np.stack([PHOTOS[0]] * 6), IDS))
    assert np.abs(same[0] - same[1]).max() > 0.1


def test_shift_moves_whole_pixels_and_brings_background_in():
    image = np.zeros((8, 8, 1))
    image[3:5, 3:5] = 1
    found = many(augment.shift(most=3), image)
    assert (found.sum(axis=(1, 2, 3)) == 4).all()
    corners = {tuple(np.argwhere(view[..., 0])[0]) for view in found}
    rows, columns = ({place[axis] for place in corners} for axis in (0, 1))
    assert rows == columns == set(range(7))


def test_rotate_turns_by_the_angle():
    # A quarter turn, forced: the image on a ring of keys whose angle is known by its own draw.
    image = np.zeros((9, 9, 1))
    image[1, 4] = 1
    views = many(augment.rotate(degrees=90), image)
    angles = jax.vmap(lambda key: jax.random.uniform(key, minval=-90.0, maxval=90.0))(KEYS)
    y, x = np.mgrid[:9, :9] - 4.0
    for view, angle in zip(views[..., 0], np.deg2rad(angles), strict=True):
        center = np.array([(y * view).sum(), (x * view).sum()]) / view.sum()
        turned = 3 * np.array([-np.cos(angle), np.sin(angle)])
        np.testing.assert_allclose(center, turned, atol=0.35)
    still = many(augment.rotate(degrees=0.0), PHOTOS[0])
    np.testing.assert_allclose(still[0], PHOTOS[0], atol=1e-6)


def test_crop_shows_a_part_larger():
    height, width = 20, 16
    y, x = np.mgrid[:height, :width].astype(np.float32)
    views = many(augment.crop(area=(0.25, 0.5), stretch=1.0), np.stack([y, x], axis=-1))
    inner = views[:, 2:-2, 2:-2]  # the border mixes with what lies outside
    down, across = np.diff(inner[..., 0], axis=1), np.diff(inner[..., 1], axis=2)
    sides = down.mean(axis=(1, 2)), across.mean(axis=(1, 2))
    np.testing.assert_allclose(sides[0], sides[1], rtol=1e-3)
    assert (sides[0] ** 2 > 0.24).all()
    assert (sides[0] ** 2 < 0.51).all()
    assert np.ptp(inner[:, 0, 0, 0]) > 4  # from anywhere in the image
    whole = many(augment.crop(area=(1.0, 1.0), stretch=1.0), PHOTOS[0])
    np.testing.assert_allclose(whole[0], PHOTOS[0], atol=1e-5)


def test_erase_leaves_a_hole_of_background():
    views = many(augment.erase(area=0.25), np.ones((16, 16, 1)))[..., 0]
    for view in views:
        hole = np.argwhere(view == 0)
        if len(hole):
            (top, left), (bottom, right) = hole.min(axis=0), hole.max(axis=0)
            assert (view[top : bottom + 1, left : right + 1] == 0).all()
            assert len(hole) == (bottom + 1 - top) * (right + 1 - left)
    assert 0.05 < 1 - views.mean() < 0.2
    assert (1 - views.mean(axis=(1, 2))).max() < 0.35


def test_flip_mirrors_every_second_time():
    views = many(augment.flip(), PHOTOS[0])
    mirrored = np.array([np.array_equal(view, PHOTOS[0][:, ::-1]) for view in views])
    assert all(np.array_equal(v, PHOTOS[0]) for v in views[~mirrored])
    assert 0.35 < mirrored.mean() < 0.65


def test_colors_stay_colors_and_gray_has_none():
    views = many(augment.colors(), PHOTOS[0])
    assert (views >= 0).all()
    assert (views <= 1).all()
    assert views.std(axis=0).mean() > 0.02
    still = many(augment.colors(brightness=0, contrast=0, saturation=0), PHOTOS[0])
    np.testing.assert_allclose(still[0], PHOTOS[0], atol=1e-6)
    gray = many(augment.grayscale(chance=1.0), PHOTOS[0])[0]
    np.testing.assert_allclose(gray[..., 0], PHOTOS[0] @ [0.299, 0.587, 0.114], rtol=1e-5)
    assert np.ptp(gray, axis=-1).max() == 0
    some = many(augment.grayscale(chance=0.2), PHOTOS[0])
    assert 0.1 < np.mean(np.ptp(some, axis=-1).max(axis=(1, 2)) == 0) < 0.3


def test_views_carry_gradients():
    views = augment.views(EVERY)
    slope = jax.jit(jax.grad(lambda images: views(KEYS[0], images, IDS).sum()))(PHOTOS)
    assert np.isfinite(slope).all()
    assert np.abs(slope).max() > 0


@pytest.mark.parametrize(
    ("make", "wanted"),
    [
        (functools.partial(augment.crop, area=(0.5, 0.2)), "area must be two parts of 1"),
        (functools.partial(augment.crop, stretch=0.5), "stretch must be at least 1"),
        (functools.partial(augment.shift, most=0), "most must be a whole number of at least 1"),
        (functools.partial(augment.erase, area=2), "area must be between 0 and 1"),
        (functools.partial(augment.grayscale, chance=-1), "chance must be between 0 and 1"),
        (
            functools.partial(augment.crop, area=0.5),
            "area must be two parts of 1, the smaller first, got 0.5",
        ),
        (functools.partial(augment.crop, stretch=np.nan), "stretch must be finite, got nan"),
        (functools.partial(augment.rotate, degrees=np.inf), "degrees must be finite, got inf"),
        (
            functools.partial(augment.colors, contrast=np.nan),
            "contrast must be between 0 and 1, got nan",
        ),
        (
            functools.partial(augment.sometimes, "flip", chance=0.5),
            "augmentation must be a function",
        ),
        (
            functools.partial(augment.chain, augment.flip(), None),
            "augmentations must be a function",
        ),
        (
            lambda: augment.views(augment.flip())(KEYS[0], np.uint8(PHOTOS), IDS),
            "images must be floating point, from 0 to 1, got uint8: divide by 255",
        ),
        (
            lambda: augment.views(augment.flip())(KEYS[0], PHOTOS[0], IDS),
            r"images must be \[any, any, any, any\], one row per image",
        ),
        (
            lambda: augment.views(augment.flip())(KEYS[0], PHOTOS, IDS + 2**32),
            "ids must fit 32 bits",
        ),
    ],
)
def test_bad_arguments_are_named(make, wanted):
    with pytest.raises(ValueError, match=wanted):
        make()
