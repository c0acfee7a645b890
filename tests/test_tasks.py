import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ae.color import luma, rgb_to_chroma, ycbcr_to_rgb
from ae.errors import InputError
from ae.score.evaluate import examples, noise_key
from ae.tasks import Colorize, ColorizePhotograph, Denoise, DenoiseByCrossEntropy, DenoiseByPSNR


def test_noise_has_the_asked_deviation_and_is_clipped():
    image = jnp.full((100, 100, 1), 0.5)
    noisy, target = Denoise(sigma=0.1)(jax.random.key(0), image)
    assert jnp.array_equal(target, image)
    assert float(noisy.std()) == pytest.approx(0.1, rel=0.03)
    assert float(noisy.mean()) == pytest.approx(0.5, abs=0.005)
    noisy, _ = Denoise(sigma=2.0)(jax.random.key(0), image)
    assert float(noisy.min()) == 0
    assert float(noisy.max()) == 1


def test_noise_that_is_not_clipped_leaves_the_range():
    image, key = jnp.zeros((200, 200, 1)), jax.random.key(0)
    noisy, _ = Denoise(0.3, clipped=False)(key, image)
    assert float(noisy.mean()) == pytest.approx(0, abs=0.005)
    assert float(noisy.std()) == pytest.approx(0.3, rel=0.01)
    assert jnp.array_equal(jnp.clip(noisy, 0, 1), Denoise(0.3)(key, image)[0])


def test_a_share_of_the_noise_is_clipped():
    images = np.zeros((200, 8, 8, 3), np.uint8)
    inputs, _ = examples(Denoise(0.3, clipped=False, clipped_share=0.25), jax.random.key(0), images, jnp.arange(200))
    assert 30 < int((inputs.min((1, 2, 3)) == 0).sum()) < 70


def test_channels_change_places_in_a_share_of_images():
    images = np.uint8([[[10, 20, 30]]])[None].repeat(600, axis=0)
    _, targets = examples(Denoise(0.0, permuted=0.6), jax.random.key(0), images, jnp.arange(600))
    orders, counts = np.unique(np.round(np.asarray(targets[:, 0, 0]) * 25.5), axis=0, return_counts=True)
    assert len(orders) == 6
    assert 270 < counts[0] < 330  # four tenths, and a sixth of the others
    assert counts[1:].min() > 35


def test_a_share_of_images_has_stronger_colours():
    pale = np.uint8([[[110, 130, 120], [120, 120, 120]]]).repeat(4, axis=1)
    images = pale[None].repeat(300, axis=0)
    inputs, targets = examples(Denoise(0.0, vivid=0.5), jax.random.key(0), images, jnp.arange(300))
    np.testing.assert_array_equal(inputs, targets)
    np.testing.assert_allclose(luma(targets), luma(images / 255.0), atol=1e-5)
    strength = np.asarray(targets[:, 0, 0, 1] - targets[:, 0, 0, 0]) * 255 / 20
    assert 110 < np.isclose(strength, 1, atol=1e-3).sum() < 190
    assert strength.min() > 0.999
    assert 2.7 < strength.max() < 3.001
    with pytest.raises(ValueError, match="RGB"):
        examples(Denoise(0.0, vivid=0.5), jax.random.key(0), images[..., :1], jnp.arange(300))


def test_a_share_of_crops_is_of_twice_the_size_and_reduced():
    image = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(1, 8, 8, 3)
    images = image.repeat(200, axis=0)
    _, targets = examples(Denoise(0.0, crop=4, reduced=0.5), jax.random.key(0), images, jnp.arange(200))
    small = image[0].reshape(4, 2, 4, 2, 3).mean((1, 3)) / 255
    reduced = np.isclose(targets, small, atol=1e-6).all((1, 2, 3))
    assert 70 < reduced.sum() < 130
    steps = np.diff(np.asarray(targets), axis=2)[~reduced] * 255
    np.testing.assert_allclose(steps, 3, atol=1e-3)
    with pytest.raises(InputError, match="crop=5, reduced from twice that, is more than the images have: 8x8"):
        examples(Denoise(0.0, crop=5, reduced=0.5), jax.random.key(0), images, jnp.arange(200))


@pytest.mark.parametrize("share", ["reduced", "permuted", "vivid", "clipped_share"])
def test_impossible_shares_are_refused(share):
    with pytest.raises(InputError, match=f"{share} has to be from 0 to 1, not 1.5"):
        Denoise(**{share: 1.5})


def test_gray_is_bt601_luma():
    rgb = jnp.array([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 1.0, 1.0]]])
    gray, target = Colorize()(jax.random.key(0), rgb)
    np.testing.assert_allclose(gray[0, :, 0], [0.299, 0.587, 0.114, 1], rtol=1e-6)
    assert jnp.array_equal(target, rgb)
    with pytest.raises(ValueError, match="RGB"):
        luma(gray)


def test_the_noise_of_an_image_depends_on_seed_and_index_only():
    images = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 1), dtype=np.uint8)
    make = lambda rows, seed=0: examples(Denoise(), noise_key(1, seed=seed), images[rows], jnp.array(rows))[0]  # noqa: E731
    together, alone = make([0, 1, 2, 3, 4, 5]), make([4])
    assert jnp.array_equal(together[4], alone[0])
    assert jnp.array_equal(make([5, 4])[1], alone[0])
    assert not jnp.array_equal(make([4], seed=1), alone)


def test_examples_are_in_the_unit_range():
    images = np.array([0, 255], np.uint8).reshape(2, 1, 1, 1)
    _, targets = examples(Denoise(), jax.random.key(0), images, jnp.arange(2))
    assert targets.dtype == jnp.float32
    np.testing.assert_array_equal(targets.ravel(), [0, 1])


def test_noise_levels_are_drawn_for_each_image():
    images = np.full((200, 16, 16, 1), 128, np.uint8)
    inputs, _ = examples(Denoise(sigma=0.2, least_sigma=0.0), jax.random.key(0), images, jnp.arange(200))
    levels = inputs.std(axis=(1, 2, 3))
    assert float(levels.min()) < 0.02
    assert 0.18 < float(levels.max()) < 0.22
    assert float(levels.mean()) == pytest.approx(0.1, abs=0.01)


def test_half_of_the_images_are_mirrored():
    images = np.random.default_rng(0).integers(0, 256, (200, 2, 3, 3), dtype=np.uint8)
    inputs, targets = examples(Colorize(mirrored=True), jax.random.key(0), images, jnp.arange(200))
    np.testing.assert_allclose(luma(targets), inputs, atol=1e-6)
    original = np.isclose(targets, images / 255, atol=1e-6).all((1, 2, 3))
    mirrored = np.isclose(targets, images[:, :, ::-1] / 255, atol=1e-6).all((1, 2, 3))
    assert (original ^ mirrored).all()
    assert 70 < original.sum() < 130


def test_images_are_shifted_in_every_direction():
    images = np.random.default_rng(0).integers(0, 256, (300, 8, 8, 3), np.uint8)
    inputs, targets = examples(Colorize(shift=1), jax.random.key(0), images, jnp.arange(300))
    np.testing.assert_allclose(luma(targets), inputs, atol=1e-6)
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="symmetric") / 255
    places = {(y, x): padded[:, y : y + 8, x : x + 8] for y in range(3) for x in range(3)}
    found = {place: np.isclose(targets, image, atol=1e-6).all((1, 2, 3)) for place, image in places.items()}
    assert (sum(found.values()) == 1).all()
    assert all(15 < hits.sum() < 60 for hits in found.values())


@pytest.mark.parametrize("task", [Denoise, Colorize])
def test_crops_and_turns_are_pieces_of_the_image_all_equally_often(task):
    images = np.random.default_rng(0).integers(0, 256, (400, 5, 4, 3), np.uint8)
    _, targets = examples(task(crop=3, mirrored=True, turned=True), jax.random.key(0), images, jnp.arange(400))
    assert targets.shape == (400, 3, 3, 3)
    counts = []
    for y, x in np.ndindex(3, 2):
        piece = images[:, y : y + 3, x : x + 3] / 255
        for mirrored in (piece, piece[:, :, ::-1]):
            for quarters in range(4):
                turned = np.rot90(mirrored, quarters, axes=(1, 2))
                counts.append(np.isclose(targets, turned, atol=1e-6).all((1, 2, 3)).sum())
    assert sum(counts) == 400
    assert min(counts) > 0
    assert max(counts) < 25  # 8.3 on average


def test_crops_are_drawn_from_the_key_alone():
    image, task = jax.random.uniform(jax.random.key(1), (9, 9, 3)), Denoise(crop=4, turned=True, gray=True)
    once, again, other = (task(jax.random.key(key), image) for key in (0, 0, 1))
    assert jnp.array_equal(once[0], again[0])
    assert not jnp.array_equal(once[1], other[1])
    np.testing.assert_allclose(jax.jit(task)(jax.random.key(0), image)[1], once[1], atol=1e-6)
    assert once[1].shape == (4, 4, 1)


def test_the_noise_does_not_depend_on_the_mirror():
    image = jnp.full((4, 4, 1), 0.5)
    assert jnp.array_equal(Denoise()(jax.random.key(3), image)[0], Denoise(mirrored=True)(jax.random.key(3), image)[0])


def test_crops_and_turns_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="crop has to be at least 0, not -1"):
        Denoise(crop=-1)
    with pytest.raises(InputError, match="crop=5 is more than the images have: 4x6"):
        Colorize(crop=5)(jax.random.key(0), jnp.zeros((4, 6, 3)))
    with pytest.raises(InputError, match="have to be square, not 4x6: name a crop"):
        Denoise(turned=True)(jax.random.key(0), jnp.zeros((4, 6, 3)))


def test_cross_entropy_is_keras_binary_cross_entropy():
    rng = np.random.default_rng(0)
    output, target = (jnp.asarray(rng.uniform(size=(3, 5, 4, 1)), jnp.float32) for _ in range(2))
    output = output.at[0, 0, 0].set(0.0)  # which Keras moves by 1e-7
    loss = DenoiseByCrossEntropy().loss(output, target)
    o, t = (np.clip(np.float64(output), 1e-7, 1 - 1e-7), np.float64(target))
    np.testing.assert_allclose(loss, -(t * np.log(o) + (1 - t) * np.log1p(-o)).mean((1, 2, 3)), rtol=1e-4)


def test_the_loss_by_psnr_is_minus_psnr_and_ends_at_50_db():
    target = jnp.zeros((3, 8, 8, 1))
    output = jnp.array([0.1, 0.01, 0.0]).reshape(3, 1, 1, 1) + target
    loss = DenoiseByPSNR().loss(output, target)
    np.testing.assert_allclose(loss[:2], [-20, -40], atol=0.45)
    assert float(loss[2]) == pytest.approx(-50, abs=1e-4)


def test_the_loss_of_livelier_chroma_is_least_where_colours_outweigh_gray():
    target = jnp.zeros((1, 1, 2, 3)).at[0, 0, 0].set(jnp.array([0.8, 0.2, 0.2]))  # red or black, equally often
    red = rgb_to_chroma(target)[0, 0, 0]
    task = ColorizePhotograph()

    def loss(share):
        likely = jnp.broadcast_to(ycbcr_to_rgb(jnp.zeros(1), 0.5 * red), target.shape)
        chroma = jnp.broadcast_to(share * red, (1, 1, 2, 2))
        return float(task.loss(jnp.concatenate([likely, chroma], -1), target)[0])

    shares = np.linspace(0, 1, 21)
    assert shares[np.argmin([loss(share) for share in shares])] > 0.9
    assert loss(0.5) > float(
        task.loss(jnp.broadcast_to(ycbcr_to_rgb(jnp.zeros(1), 0.5 * red), target.shape), target)[0]
    )
