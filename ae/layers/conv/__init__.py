"""Convolutions with flax's parameters and Keras' "same" padding, lowered to what is fast on the backend in use.

A convolution needs three products: its output, the gradient of its input and the gradient of its kernel. A transposed
convolution is the same three with the first two exchanged. On GPU and TPU each is one `lax.conv_general_dilated`. XLA's CPU
backend runs the first well and the gradients badly, those of kernels some fifty times slower inside a loop than outside. So
on a CPU all three are matrix products:

Patches. Where the kernel is as large as its stride, the image is rearranged into patches and multiplied once.

Winograd. Elsewhere the image is cut into tiles of 2x2 outputs (4x4 on large maps) whose pixels are added and subtracted so
that fewer products are needed: 2.25 times fewer for a 3x3 kernel, 1.78 for 2x2, 1.44 for 3x3 with stride 2 (taps of a stride
are convolutions of their own), 4 with the larger tiles. What is left is a matrix product for each pixel of a transformed
tile, [tiles, I] @ [I, O], which XLA runs near the machine's limit. The kernel's gradient uses the same transformed images,
and XLA computes them once for both.

Thin sides. A matrix product with three columns is slow. Where the output has so few channels, it is one product for all
taps at once, whose columns are then shifted and added. Where the input has, the output and the kernel's gradient are
products with its windows ("im2col"), which XLA computes once for both.

Rows. Tiles take seconds to trace and compile. For the frames of a clip, whose maps are small, there is one product for each
row of the kernel, of the pixels side by side under it, which takes a quarter of that and runs nearly as fast.

docs/speed.md shows what each part gives, and what was tried without gain. The rounding error is about 1e-6 of the largest
output, 1e-5 with tiles of 4.
"""

from ae.layers.conv.layers import Conv, ConvTranspose, conv, conv_transpose, row_convolutions, xla_convolutions

__all__ = ["Conv", "ConvTranspose", "conv", "conv_transpose", "row_convolutions", "xla_convolutions"]
