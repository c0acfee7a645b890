"""The reference's autoencoders and our own models, as pure flax.linen modules.

Every model maps images [B, H, W, C] in [0, 1] to images of the same height and width:
`model.apply(variables, x, train=False)`, and in training `model.apply(variables, x, train=True, mutable=["batch_stats"])`.
Models for any size say what tiles need to know: `reach`, how many pixels away an output looks at most, and `multiple`, of
which height and width have to be one where nothing is to be padded.
All layers are Keras': "same" padding, glorot-uniform kernels, zero biases; the reference has BatchNorm after the activation.
"""

from ae.models.common import input_shape
from ae.models.dense import DenseAE
from ae.models.keras_io import KerasIODenoiser
from ae.models.reference import ColorizerAE, ConvAE, PixelMLP
from ae.models.unet import ChromaUNet, UNet

__all__ = ["ChromaUNet", "ColorizerAE", "ConvAE", "DenseAE", "KerasIODenoiser", "PixelMLP", "UNet", "input_shape"]
