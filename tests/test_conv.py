from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from ae.layers import conv


def plain(x, w, strides):
    return lax.conv_general_dilated(x, w, strides, "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def plain_transpose(x, w, strides):
    """The transpose of a convolution, from its definition."""
    output = jax.ShapeDtypeStruct((len(x), x.shape[1] * strides[0], x.shape[2] * strides[1], w.shape[2]), x.dtype)
    return jax.linear_transpose(lambda y: plain(y, w, strides), output)(x)[0]


@partial(jax.jit, static_argnums=(0, 3))
def gradients(function, x, w, strides):
    """Output of a convolution, and both gradients for a random gradient of the output."""
    output, pull = jax.vjp(lambda x, w: function(x, w, strides), x, w)
    return output, *pull(jax.random.normal(jax.random.key(2), output.shape, jnp.bfloat16).astype(output.dtype))


shapes = st.fixed_dictionaries(
    {
        "batch": st.integers(1, 3),
        "size": st.tuples(*2 * [st.integers(1, 9) | st.just(18)]),  # from 16 on, tiles are larger
        "kernel": st.tuples(st.integers(1, 4), st.integers(1, 4)),
        "strides": st.tuples(st.integers(1, 3), st.integers(1, 3)),
        "channels": st.tuples(st.sampled_from([1, 3, 12]), st.sampled_from([1, 3, 12])),
    }
)


@settings(max_examples=12, deadline=None)
@given(shapes, st.sampled_from([jnp.float32, jnp.bfloat16]), st.booleans())
def test_outputs_and_gradients_are_those_of_lax(shape, dtype, transpose):
    keys = jax.random.split(jax.random.key(0))
    i, o = shape["channels"]
    x = jax.random.normal(keys[0], (shape["batch"], *shape["size"], i), dtype)
    w = jax.random.normal(keys[1], (*shape["kernel"], *((o, i) if transpose else (i, o))), dtype)
    ours, theirs = (conv.conv_transpose, plain_transpose) if transpose else (conv.conv, plain)
    tolerance = 1e-4 if dtype == jnp.float32 else 0.03
    exact = gradients(theirs, x.astype(jnp.float32), w.astype(jnp.float32), shape["strides"])
    for a, b in zip(gradients(ours, x, w, shape["strides"]), exact, strict=True):
        assert a.dtype == dtype
        np.testing.assert_allclose(a.astype(jnp.float32), b, atol=tolerance * max(1, float(jnp.abs(b).max())))


@pytest.fixture
def example():
    keys = jax.random.split(jax.random.key(1))
    return jax.random.normal(keys[0], (4, 6, 7, 12)), jax.random.normal(keys[1], (3, 3, 12, 10))


def test_it_works_under_jit_vmap_scan_and_twice_differentiated(example):
    x, w = example

    def loss(function, x, w):
        return jnp.sin(function(x, w, (2, 2))).sum()

    for transform in (
        lambda f: jax.jit(jax.grad(f)),
        lambda f: jax.vmap(jax.grad(lambda x, w: f(x[None], w)), (0, None)),
        lambda f: lambda x, w: lax.scan(lambda w, _: (w - 1e-3 * jax.grad(f, 1)(x, w), None), w, length=3)[0],
        lambda f: jax.grad(lambda x, w: (jax.grad(f)(x, w) ** 2).sum()),
    ):
        ours, theirs = (transform(lambda x, w, f=f: loss(f, x, w))(x, w) for f in (conv.conv, plain))
        np.testing.assert_allclose(ours, theirs, atol=2e-5 * float(jnp.abs(theirs).max()))


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_accelerators_get_plain_convolutions(example, platform):
    x, w = example
    exported = jax.export.export(gradients, platforms=[platform])(conv.conv, x, w, (2, 2))
    text = exported.mlir_module()
    assert text.count("stablehlo.convolution") == 3
    assert "dot_general" not in text


def test_jit_changes_nothing(example):
    x, w = example

    def transposed(x, w, strides):
        return conv.conv_transpose(x, w.swapaxes(2, 3), strides)

    for function in (conv.conv, transposed):
        jitted = jax.jit(function, static_argnums=2)
        np.testing.assert_allclose(jitted(x, w, (2, 2)), function(x, w, (2, 2)), rtol=1e-5, atol=1e-5)


def test_layers_have_flax_parameters():
    import flax.linen as nn

    x = jnp.zeros((1, 5, 5, 3))
    for ours, theirs in (
        (conv.Conv(4, (3, 2), (2, 2)), nn.Conv(4, (3, 2), (2, 2))),
        (conv.ConvTranspose(4, (3, 2), (2, 2)), nn.ConvTranspose(4, (3, 2), (2, 2), transpose_kernel=True)),
    ):
        a, b = (jax.eval_shape(layer.init, jax.random.key(0), x) for layer in (ours, theirs))
        assert a == b
        variables = theirs.init(jax.random.key(1), x)
        np.testing.assert_allclose(ours.apply(variables, x + 1), theirs.apply(variables, x + 1), atol=1e-5)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="elsewhere XLA's convolutions are the only ones")
@pytest.mark.parametrize("quick", [conv.xla_convolutions, conv.row_convolutions])
@pytest.mark.parametrize("make", [conv.conv, conv.conv_transpose])
@pytest.mark.parametrize("channels", [3, 16])
@pytest.mark.parametrize(
    ("kernel", "strides"), [((3, 3), (1, 1)), ((3, 3), (2, 2)), ((2, 2), (2, 2)), ((1, 4), (1, 1))]
)
def test_what_compiles_quickly_gives_the_same(quick, make, channels, kernel, strides):
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(2, 12, 10, channels)), jnp.float32)
    w = jnp.asarray(rng.normal(size=(*kernel, channels, channels)), jnp.float32)

    def quickly(x, w):
        with quick():
            return make(x, w, strides)

    np.testing.assert_allclose(jax.jit(quickly)(x, w), make(x, w, strides), atol=1e-4)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="elsewhere XLA's convolutions are the only ones")
@pytest.mark.parametrize(("quick", "convolutions"), [(conv.xla_convolutions, 1), (conv.row_convolutions, 0)])
def test_convolutions_are_what_was_asked_for(quick, convolutions):
    x, w = jnp.ones((2, 12, 10, 16)), jnp.ones((3, 3, 16, 16))

    def quickly(x, w):
        with quick():
            return conv.conv(x, w, (1, 1))

    assert jax.jit(quickly).lower(x, w).as_text().count("stablehlo.convolution") == convolutions
    text = jax.jit(partial(conv.conv, strides=(1, 1))).lower(x, w).as_text()
    assert "stablehlo.convolution" not in text
