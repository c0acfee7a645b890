"""Colours of a reference picture, carried over by luma alone, as a palette would."""

from typing import Any

import jax
import jax.numpy as jnp

from ae.layers.conv import xla_convolutions
from ae.restore.chroma import predict_chroma
from ae.restore.reference import reference_hints


@jax.jit
def chroma_by_luma(config: Any, variables: Any, small: jax.Array, look: Any, reference: Any) -> jax.Array:
    """Return chroma [h, w, 2] for small luma [h, w, 1] whose hints are the colours that a reference has at the same luma."""
    with xla_convolutions():
        hints = reference_hints(config, variables, small, reference, by_features=0.0)
        cells = jnp.concatenate([hints, small], axis=-1)
        return predict_chroma(config, variables, small, look, cells=cells)
