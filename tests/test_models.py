from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import golden

from ae.color import into_gamut, luma, rgb_to_chroma, ycbcr_to_rgb
from ae.errors import InputError
from ae.models import ChromaUNet, ColorizerAE, ConvAE, DenseAE, KerasIODenoiser, PixelMLP, UNet
from ae.models.apply import apply
from ae.models.keras_weights import from_keras
from ae.presets import PRESETS
from ae.score.flops import multiply_adds
from ae.train.optimizer import keras_adam
from ae.train.step import TrainState, train_step

NARROW = {  # a sixteenth as wide as the reference's; Keras computed outputs of these
    "pixel_mlp": PixelMLP(widths=(8, 16, 32, 32, 32, 32, 16, 8, 4)),
    "conv_ae": ConvAE(encoder=(8, 16, 32, 32), decoder=(32, 32, 16, 8, 8, 4)),
    "colorizer": ColorizerAE(encoder=(4, 8, 16), latent=16, decoder=(16, 8, 4)),
}
PRESET = {"pixel_mlp": "pixel_mlp", "conv_ae": "conv_ae", "colorizer": "colorizer_ae"}


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize(
    ("model", "everything", "trained"),
    [
        (PixelMLP(), 1_132_289, 1_128_833),
        (ConvAE(), 5_220_801, 5_217_345),
        (ColorizerAE(), 3_431_811, 3_431_811),
        (KerasIODenoiser(), 28_353, 28_353),
    ],
)
def test_parameter_counts_are_the_references(model, everything, trained):
    variables = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, *model.input_shape)))
    assert count(variables) == everything
    assert count(variables["params"]) == trained


@pytest.mark.parametrize("name", NARROW)
def test_output_has_the_inputs_size_and_jit_changes_nothing(name):
    model = NARROW[name]
    x = jax.random.uniform(jax.random.key(1), (3, *model.input_shape))
    variables = jax.jit(model.init)(jax.random.key(0), x)
    output = jax.jit(model.apply)(variables, x)
    assert output.shape == (3, *model.input_shape[:2], 3 if name == "colorizer" else 1)
    assert float(output.min()) >= 0
    if name == "pixel_mlp":  # test_conv.py does so for convolutions, with less to compile
        np.testing.assert_allclose(model.apply(variables, x), output, atol=1e-6)


@pytest.mark.parametrize("name", NARROW)
def test_initial_weights_are_glorot_uniform_with_zero_biases(name):
    model = NARROW[name]
    params = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, *model.input_shape)))["params"]
    for layer in params.values():
        if "kernel" in layer:
            *window, a, b = layer["kernel"].shape
            limit = np.sqrt(6 / (np.prod(window) * (a + b)))
            assert 0.5 * limit < float(jnp.abs(layer["kernel"]).max()) <= limit
        assert not layer["bias"].any()


@pytest.mark.parametrize(
    ("model", "shape", "expected"),
    [
        (PixelMLP(pixel_levels=4096), (28, 28, 1), 784 * 1_122_496),
        (KerasIODenoiser(), (28, 28, 1), 9 * 32 * 784 + 9 * 1024 * 196 + 9 * 1024 * 49 + 9 * 1024 * 196 + 9 * 32 * 784),
        (DenseAE(latent=8), (28, 28, 1), 2 * (784 * 512 + 512 * 256 + 256 * 8)),
    ],
)
def test_multiply_adds_are_those_of_the_layers(model, shape, expected):
    assert multiply_adds(model, shape) == expected


def random_variables(model, shape):
    """Weights that are no longer those of the beginning, whose biases are zero."""
    variables = jax.jit(model.init)(jax.random.key(0), jnp.zeros(shape))
    return jax.tree.map(lambda w: w + 0.1 * jax.random.normal(jax.random.key(w.size), w.shape), variables)


@pytest.mark.parametrize("size", [(17, 23), (1, 5)])
def test_unets_take_any_size(size):
    x = jax.random.uniform(jax.random.key(1), (2, *size, 1))
    denoiser = UNet(widths=(4, 8), residual=True)
    output = jax.jit(denoiser.apply)(random_variables(denoiser, (1, 8, 8, 1)), x)
    assert output.shape == x.shape
    assert 0 <= float(output.min()) <= float(output.max()) <= 1
    colorizer = ChromaUNet(widths=(4, 8))
    output = jax.jit(colorizer.apply)(random_variables(colorizer, (1, 8, 8, 1)), x)
    assert output.shape == (2, *size, 3)
    np.testing.assert_allclose(luma(output), x, atol=1e-5)
    assert -1e-6 <= float(output.min()) <= float(output.max()) <= 1 + 1e-6
    assert float((output.max(-1) - output.min(-1)).max()) > 0.01  # there is colour


def test_padding_does_not_change_what_is_far_from_it():
    model = UNet(widths=(4, 8))
    variables = random_variables(model, (1, 8, 8, 1))
    x = jax.random.uniform(jax.random.key(1), (1, 40, 40, 1))
    apply = jax.jit(partial(model.apply, train=True))
    whole, cut = apply(variables, x), apply(variables, x[:, :, :39])
    np.testing.assert_allclose(cut[:, :, :24], whole[:, :, :24], atol=1e-5)


def test_a_residual_unet_adds_to_its_input():
    x = jax.random.uniform(jax.random.key(1), (1, 8, 8, 1))
    variables = random_variables(UNet(widths=(4, 8)), x.shape)
    plain, residual = (
        jax.jit(partial(UNet(widths=(4, 8), residual=residual).apply, train=True))(variables, x)
        for residual in (False, True)
    )
    np.testing.assert_allclose(residual, x + plain, atol=1e-6)


def test_dense_autoencoder_is_its_two_halves():
    model, x = DenseAE(latent=8, widths=(32, 16)), jax.random.uniform(jax.random.key(1), (3, 28, 28, 1))
    variables = random_variables(model, x.shape)
    latents = model.apply(variables, x, method="encode")
    assert latents.shape == (3, 8)
    np.testing.assert_allclose(model.apply(variables, latents, method="decode"), model.apply(variables, x), atol=1e-6)
    with pytest.raises(ValueError, match="28, 28, 1"):
        model.apply(variables, x[:, :27])


def test_colorizer_refuses_other_sizes():
    with pytest.raises(ValueError, match="32, 32, 1"):
        NARROW["colorizer"].init(jax.random.key(0), jnp.zeros((1, 28, 28, 1)))


def test_inference_leaves_running_statistics_alone_and_training_moves_them():
    model = NARROW["pixel_mlp"]
    x = jax.random.uniform(jax.random.key(1), (2, *model.input_shape))
    variables = jax.jit(model.init)(jax.random.key(0), x)
    apply = jax.jit(partial(model.apply, mutable=["batch_stats"]), static_argnames="train")
    _, inferred = apply(variables, x, train=False)
    _, trained = apply(variables, x, train=True)
    before = variables["batch_stats"]["BatchNorm_0"]["mean"]
    assert jnp.array_equal(inferred["batch_stats"]["BatchNorm_0"]["mean"], before)
    # Keras: momentum * old + (1 - momentum) * mean of the batch, after the ReLU
    kernel = variables["params"]["Dense_0"]["kernel"]
    expected = 0.01 * jax.nn.relu(x @ kernel).mean((0, 1, 2))
    np.testing.assert_allclose(trained["batch_stats"]["BatchNorm_0"]["mean"], expected, rtol=1e-5)


def keras_start(name, dtype):
    arrays = golden(name)
    model = NARROW[name]
    config = replace(PRESETS[PRESET[name]], model=model)
    initial = {key[5:]: arrays[key].astype(dtype) for key in arrays.files if key.startswith("init/")}
    variables = jax.tree.map(jnp.asarray, from_keras(model, initial))
    params = variables["params"]
    optimizer = keras_adam(config.learning_rate)
    state = TrainState(jnp.int32(0), params, variables.get("batch_stats", {}), optimizer.init(params), {}, {})
    batch = jnp.asarray(arrays["x"], dtype), jnp.asarray(arrays["y"], dtype)
    return arrays, config, state, batch


@pytest.mark.parametrize("name", NARROW)
def test_five_steps_are_keras_in_float64(name):
    with jax.enable_x64(True):
        arrays, config, state, (x, y) = keras_start(name, np.float64)
        apply = jax.jit(config.model.apply)
        output = apply(state.variables, x)
        expected = arrays["forward_inference"]
        assert np.abs(output - expected).max() <= 1e-9 * np.abs(expected).max()

        step = jax.jit(train_step, static_argnums=0)
        for i in range(5):
            state, scores = step(config, state, (x, y), jax.random.key(0))
            assert float(scores["loss"].mean()) == pytest.approx(arrays["train_loss"][i], rel=1e-8)
            assert float(scores["accuracy"].mean()) == pytest.approx(arrays["train_accuracy"][i], abs=1e-6)

        final = {key[6:]: arrays[key] for key in arrays.files if key.startswith("final/")}
        final = from_keras(config.model, final)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-5), state.params, final["params"])
        statistics = final.get("batch_stats", {})
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=1e-6), state.batch_stats, statistics)

        output = apply(state.variables, x)
        assert float(config.task.loss(output, y).mean()) == pytest.approx(arrays["val_loss"], rel=1e-8)
        assert float(config.task.accuracy(output, y).mean()) == pytest.approx(arrays["val_accuracy"], rel=1e-6)


@pytest.mark.parametrize("name", NARROW)
def test_first_loss_is_keras_in_float32(name):
    arrays, config, state, batch = keras_start(name, np.float32)
    _, scores = jax.jit(train_step, static_argnums=0)(config, state, batch, jax.random.key(0))
    assert scores["loss"].dtype == jnp.float32
    assert float(scores["loss"].mean()) == pytest.approx(arrays["train_loss"][0], rel=1e-5)


# In half the bits


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_luma_is_kept_to_the_code_in_half_the_bits(dtype, train):
    """Of every code, with chroma that the model computes in 16 bits."""
    model, gray = ChromaUNet((4, 8)), jnp.arange(256).reshape(1, 16, 16, 1) / 255
    variables = random_variables(model, gray.shape)
    options = {"train": train, "mutable": ["batch_stats"]} if train else {}
    output = apply(model, variables, gray, dtype=dtype, **options)
    output = output[0] if train else output
    assert output.dtype == jnp.float32
    np.testing.assert_array_equal(np.round(255 * luma(output)), np.arange(256).reshape(gray.shape))
    exact = apply(model, variables, gray, **options)
    assert 0 < float(jnp.abs(output - (exact[0] if train else exact)).max()) < 0.05


@pytest.mark.parametrize("size", [(16, 16), (13, 22)])
def test_without_biases_twice_the_image_is_twice_the_answer(size):
    x = jax.random.uniform(jax.random.key(1), (2, *size, 3))
    for biases in (False, True):
        model = UNet((4, 8), outputs=3, residual=True, patch=2, biases=biases)
        variables = random_variables(model, x.shape)
        once, twice = (model.apply(variables, factor * x, train=True) for factor in (1, 2))
        assert once.shape == x.shape
        assert bool(jnp.allclose(twice, 2 * once, atol=1e-5)) != biases


def test_a_relative_colorizer_gives_half_the_luma_half_the_chroma():
    """In training: otherwise chroma is cut where luma leaves no room."""
    x = jax.random.uniform(jax.random.key(1), (2, 16, 24, 1))
    for relative in (False, True):
        model = ChromaUNet((4, 8), relative=relative)
        variables = random_variables(model, x.shape)
        whole, half = (model.apply(variables, factor * x, train=True, mutable=True)[0] for factor in (1, 0.5))
        assert bool(jnp.allclose(half, 0.5 * whole, atol=1e-3)) == relative
    assert bool(jnp.isfinite(model.apply(variables, jnp.zeros_like(x))).all())


def test_a_vivid_colorizer_answers_as_without_and_says_livelier_chroma_while_it_learns():
    model = ChromaUNet((4, 8), relative=True, vivid=True)
    x = jax.random.uniform(jax.random.key(0), (2, 12, 10, 1))
    variables = model.init(jax.random.key(1), x)
    both = model.apply(variables, x, method="chroma")
    assert both.shape == (2, 12, 10, 4)
    assert np.allclose(model.apply(variables, x), ycbcr_to_rgb(x, into_gamut(x, both[..., :2])), atol=1e-6)
    learning, _ = model.apply(variables, x, train=True, mutable=["batch_stats"])
    assert learning.shape == (2, 12, 10, 5)


def test_frozen_statistics_are_those_of_the_trained_model():
    model = ChromaUNet((4, 8), frozen=True)
    x = jax.random.uniform(jax.random.key(0), (2, 8, 8, 1))
    variables = model.init(jax.random.key(1), x)
    output, updates = model.apply(variables, x, train=True, mutable=["batch_stats"])
    assert "batch_stats" not in updates or jax.tree.all(
        jax.tree.map(np.array_equal, updates["batch_stats"], variables["batch_stats"])
    )
    assert np.allclose(rgb_to_chroma(output), model.apply(variables, x, method="chroma"), atol=1e-6)


def test_depth_counts_the_convolutions_of_a_level():
    x = jnp.zeros((1, 8, 8, 1))
    shapes = jax.eval_shape(ChromaUNet((4, 8), depth=3).init, jax.random.key(0), x)
    assert sum(name.startswith("BatchNorm") for name in shapes["params"]) == 9


def test_a_colorizer_with_hints_takes_luma_alone_too():
    gray = jax.random.uniform(jax.random.key(1), (1, 13, 18, 1))
    model = ChromaUNet((4, 8), hints=True)
    variables = random_variables(model, (1, 8, 8, 4))
    empty = jnp.pad(gray, ((0, 0), (0, 0), (0, 0), (0, 3)))
    hinted = empty.at[0, 6, 6].set(jnp.array([gray[0, 6, 6, 0], 0.2, -0.2, 1.0]))
    alone, none, one = (model.apply(variables, x) for x in (gray, empty, hinted))
    np.testing.assert_allclose(alone, none, atol=1e-6)
    np.testing.assert_allclose(luma(one), gray, atol=1e-5)
    assert float(jnp.abs(one - none).max()) > 1e-3


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_residual_is_added_to_inputs_that_keep_their_bits(dtype):
    """With a last layer of zeros, what comes out is what went in."""
    model, x = UNet((4, 8), residual=True), jax.random.uniform(jax.random.key(1), (2, 8, 8, 1))
    variables = random_variables(model, x.shape)
    last = max(variables["params"], key=lambda name: (name.startswith("Conv_"), len(name), name))
    variables["params"][last] = jax.tree.map(jnp.zeros_like, variables["params"][last])
    np.testing.assert_array_equal(apply(model, variables, x, dtype=dtype, train=True), x)


@pytest.mark.parametrize(
    "model",
    [
        *NARROW.values(),
        NARROW["pixel_mlp"].clone(pixel_levels=4096),
        KerasIODenoiser(4),
        DenseAE(8, (16,)),
        UNet((4, 8), residual=True),
        UNet((4, 8), residual=True, patch=2, biases=False),
        ChromaUNet((4, 8)),
    ],
)
def test_every_product_of_a_model_is_in_the_dtype_that_was_asked_for(model):
    x = jnp.zeros((2, *model.input_shape))
    variables = jax.eval_shape(model.init, jax.random.key(0), x)
    traced = jax.jit(partial(apply, model, dtype="bfloat16", train=False)).trace(variables, x)
    text = traced.lower(lowering_platforms=("cuda",)).as_text()
    products = [line for line in text.splitlines() if "stablehlo.convolution" in line or "dot_general" in line]
    assert products
    assert not [line for line in products if "xf32>" in line]


def test_levels_in_bfloat16_are_the_plain_path_in_bfloat16():
    plain, x = NARROW["pixel_mlp"], jax.random.uniform(jax.random.key(1), (2, 8, 8, 1))
    x = x.at[0, 0, 0].set(1.0)  # the last level
    variables = random_variables(plain, x.shape)
    expected, found = (
        apply(model, variables, x, dtype="bfloat16") for model in (plain, plain.clone(pixel_levels=4096))
    )
    np.testing.assert_allclose(found, expected, rtol=0.05, atol=0.02 * float(expected.max()))


# A pixel MLP as a function of one number


@pytest.fixture
def rounded():
    """In float64: a small pixel MLP, plain and by levels, and a batch whose inputs are rounded already."""
    with jax.enable_x64(True):
        yield from _rounded()


def _rounded():
    plain = PixelMLP(widths=(8, 16, 8), normed=(True, False, True), momentum=0.9)
    noisy = np.random.default_rng(0).random((5, 9, 9, 1)).clip(0.2, 0.8)
    batch = jnp.asarray(np.round(noisy * 63) / 63), jnp.asarray(noisy > 0.5, float)
    config = replace(PRESETS["pixel_mlp"], model=plain)
    variables = jax.tree.map(lambda x: x.astype(float), jax.jit(plain.init)(jax.random.key(3), batch[0]))
    yield config, replace(config, model=plain.clone(pixel_levels=64)), variables, batch


def test_levels_train_as_the_plain_path_does(rounded):
    plain, by_levels, variables, batch = rounded
    step = jax.jit(train_step, static_argnums=0)
    params = variables["params"]
    start = TrainState(jnp.int32(0), params, variables["batch_stats"], keras_adam(1e-3).init(params), {}, {})
    a = b = start
    for _ in range(4):
        a, plain_scores = step(plain, a, batch, jax.random.key(0))
        b, level_scores = step(by_levels, b, batch, jax.random.key(0))
        for name in plain_scores:  # losses and accuracies, of every image
            np.testing.assert_allclose(plain_scores[name], level_scores[name], atol=1e-9)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-9), a.batch_stats, b.batch_stats)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-9), a.params, b.params)


def test_levels_have_the_gradients_of_the_plain_path(rounded):
    plain, by_levels, variables, (x, y) = rounded

    def loss(params, model):
        output, _ = model.apply(variables | {"params": params}, x, train=True, mutable=["batch_stats"])
        return jnp.mean((output - y) ** 2)

    gradient = jax.jit(jax.grad(loss), static_argnums=1)
    a, b = (gradient(variables["params"], config.model) for config in (plain, by_levels))
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-9), a, b)


def test_levels_have_the_gradients_of_the_plain_path_in_float32_for_whole_batches():
    """Of 256 images, whose 200,000 pixels are added up."""
    plain = PixelMLP(widths=(8, 16, 8), normed=(True, False, True))
    x = jnp.round(jax.random.uniform(jax.random.key(0), (256, 28, 28, 1)) * 4095) / 4095
    y, variables = 1.0 * (x > 0.5), jax.jit(plain.init)(jax.random.key(1), x)

    def loss_of(params, model):
        output, updates = model.apply(variables | {"params": params}, x, train=True, mutable=["batch_stats"])
        return jnp.mean((output - y) ** 2), updates

    step = jax.jit(jax.value_and_grad(loss_of, has_aux=True), static_argnums=1)
    a, b = (step(variables["params"], plain.clone(pixel_levels=levels)) for levels in (None, 4096))
    assert {leaf.dtype for leaf in jax.tree.leaves(b)} == {jnp.dtype("float32")}
    ((plain_loss, statistics), plain_gradient), ((loss, counted), gradient) = a, b
    assert float(loss) == pytest.approx(float(plain_loss), abs=5e-6)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-6), statistics, counted)
    largest = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(gradient))
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=2e-5 * largest), plain_gradient, gradient)


@pytest.mark.parametrize(
    ("model", "channels"),
    [
        (UNet((2, 4), outputs=1, residual=True), 3),
        (UNet((2, 4), outputs=3, residual=True), 1),
        (PixelMLP((4,), (False,)), 3),
        (PixelMLP((4,), (False,), pixel_levels=8), 3),
        (ChromaUNet((2, 4)), 3),
        (ChromaUNet((2, 4)), 4),
        (ChromaUNet((2, 4), hints=True), 3),
        (ColorizerAE(), 3),
        (DenseAE(), 3),
    ],
)
def test_channels_that_would_broadcast_are_refused(model, channels):
    height, width, _ = model.input_shape
    with pytest.raises(InputError, match=rf"got \(1, {height}, {width}, {channels}\)"):
        jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, height, width, channels)))


@pytest.mark.parametrize(
    "model",
    [
        PixelMLP((4,), (False,)),
        ConvAE((8, 8, 8, 8), (8, 8, 8, 8, 8, 8)),
        KerasIODenoiser(2),
        *(UNet((2,) * levels) for levels in (1, 2, 3, 4)),
        *(UNet((4,) * levels, patch=patch, biases=False) for levels, patch in ((1, 2), (2, 2), (3, 2), (1, 4))),
        UNet((4, 4), patch=2, depth=3),
    ],
)
def test_no_output_looks_further_than_the_models_reach(model):
    """One pixel changes, at each place in a cell of the lowest level, and so do outputs around it alone."""
    size, place = 2 * (model.reach + 2 * model.multiple), model.reach + model.multiple
    variables = jax.jit(model.init)(jax.random.key(2), jnp.zeros((1, size, size, 1)))
    image = jax.random.uniform(jax.random.key(1), (1, size, size, 1))
    places = place + np.arange(model.multiple)
    changed = jnp.concatenate([image, *(image.at[0, at, at].add(1) for at in places)])
    before, *after = np.asarray(jax.jit(partial(model.apply, train=False))(variables, changed))[..., 0]
    rows, columns = np.mgrid[:size, :size]
    for at, output in zip(places, after, strict=True):
        far = np.maximum(abs(rows - at), abs(columns - at)) > model.reach
        assert np.abs(output - before).max() > 1e-4
        assert np.abs(output - before)[far].max() < 1e-6


@pytest.mark.slow
@pytest.mark.usefixtures("decoded")
def test_rounding_to_4096_levels_hardly_moves_the_validation_loss(tfds_dir):
    """Weights that map noisy pixels well, scored with and without rounding on real digits."""
    from ae.data import load_data
    from ae.score.evaluate import evaluate, predictor
    from ae.train.loop import fit

    small = PixelMLP(widths=(16, 32, 16), normed=(True, False, True), momentum=0.9, pixel_levels=4096)
    config = replace(PRESETS["pixel_mlp"], model=small, limit=2000, epochs=6, batch_size=64)
    data = load_data(config, data_dir=tfds_dir)
    state, history = fit(config, data)
    assert history[-1]["val_loss"] < 0.035  # it has learned: the noisy image has .0466
    plain = replace(config, model=small.clone(pixel_levels=None))
    exact = evaluate(predictor(plain), state.variables, config.task, data.validation)["loss"]
    assert abs(history[-1]["val_loss"] - exact) < 1e-4
