import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import golden

from ae.errors import InputError
from ae.models import ColorizerAE
from ae.models.keras_weights import from_keras

MODEL = ColorizerAE(encoder=(4, 8, 16), latent=16, decoder=(16, 8, 4))


def keras_variables():
    arrays = golden("colorizer")
    return {key[5:]: arrays[key] for key in arrays.files if key.startswith("init/")}


def test_variables_keep_values_and_dtype():
    arrays = keras_variables()
    arrays["04.Dense/bias"] = np.float64(arrays["04.Dense/bias"])
    params = from_keras(MODEL, arrays)["params"]
    assert np.array_equal(params["ConvTranspose_3"]["kernel"], arrays["08.Conv2DTranspose/kernel"])
    assert params["Dense_1"]["bias"].dtype == np.float64
    assert params["Dense_0"]["bias"].dtype == np.float32
    expected = jax.eval_shape(MODEL.init, jax.random.key(0), jnp.zeros((1, 32, 32, 1)))["params"]
    assert jax.tree.structure(params) == jax.tree.structure(expected)


def test_more_than_ten_layers_of_a_class_stay_in_order():
    # sorted as text, "10" comes before "9"; the two digits of NN prevent it
    from ae.models import PixelMLP

    widths = tuple(range(2, 13))
    model = PixelMLP(widths=widths, normed=(False,) * 11)
    sizes = [1, *widths, 1]
    arrays = {f"{i:02}.Dense/kernel": np.zeros(sizes[i : i + 2]) for i in range(12)}
    arrays |= {f"{i:02}.Dense/bias": np.zeros(sizes[i + 1]) for i in range(12)}
    assert from_keras(model, arrays)["params"]["Dense_10"]["kernel"].shape == (11, 12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a | {"what": np.zeros(1)}, "'what' is not a Keras variable"),
        (lambda a: a | {"09.LSTM/kernel": np.zeros(1)}, "09.LSTM/kernel"),
        (lambda a: {k: v for k, v in a.items() if k != "03.Dense/bias"}, "Dense_0/bias"),
        (lambda a: a | {"03.Dense/bias": np.zeros(7)}, r"shape \(16,\), the Keras variables \(7,\)"),
        (lambda a: a | {"09.Dense/bias": np.zeros(7)}, "Dense_2/bias"),
    ],
)
def test_variables_of_another_model_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        from_keras(MODEL, change(keras_variables()))
