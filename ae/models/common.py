"""Layers, shapes and checks that several models use."""

from functools import partial

import flax.linen as nn
import jax

from ae.errors import InputError

dense = partial(nn.Dense, kernel_init=nn.initializers.glorot_uniform())


def input_shape(model: nn.Module) -> tuple[int, int, int]:
    """Return [H, W, C] of images that a model takes: its `input_shape`, or, of one that has none, gray ones of 32x32."""
    return getattr(model, "input_shape", (32, 32, 1))


def check_channels(x: jax.Array, channels: int) -> None:
    """Raise InputError for images [B, H, W, C] of another number of channels, which would broadcast in silence."""
    if x.ndim != 4 or x.shape[-1] != channels:
        raise InputError(f"expected images [B, H, W, {channels}], got {x.shape}")
