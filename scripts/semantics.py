"""Colorizers that know more of the whole picture: variants of `chroma_unet_base` that `scripts/variants.py` measures."""

import flax.linen as nn
import jax

from ae import ChromaUNet


class GlancingUNet(ChromaUNet):
    """`ChromaUNet` whose lowest level also gets a vector of the whole picture.

    As Iizuka, Simo-Serra and Ishikawa join it ("Let there be color!", 2016), but without its labels.
    """

    def bottom(self, x: jax.Array) -> jax.Array:
        """Add the vector to all places of the lowest level [B, h, w, C]."""
        whole = nn.relu(nn.Dense(x.shape[-1])(x.mean(axis=(1, 2))))
        return x + nn.Dense(x.shape[-1], kernel_init=nn.initializers.zeros)(whole)[:, None, None]


class AttendingUNet(ChromaUNet):
    """`ChromaUNet` whose lowest level looks at all places: self-attention with four heads (Vaswani et al., 2017)."""

    def bottom(self, x: jax.Array) -> jax.Array:
        """Add to each place of the lowest level [B, h, w, C] what it sees in the others."""
        b, h, w, c = x.shape
        normed = nn.LayerNorm()(x).reshape(b, h * w, c)
        attended = nn.MultiHeadDotProductAttention(num_heads=4, out_kernel_init=nn.initializers.zeros)(normed)
        return x + attended.reshape(x.shape)
