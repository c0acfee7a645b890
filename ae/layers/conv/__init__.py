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

What each part gives, in images a second of training steps and as a share of the whole (`scripts/benchmark.py ablation`):

<!-- table: results/benchmark_ablation.json -->
| images/s | conv_ae | colorizer_ae | unet |
| --- | --- | --- | --- |
| all | 62.6 | 420.6 | 275.3 |
| tiles of 2 on large maps too | 59.3 (0.96) | 422.7 (1.00) | 228.5 (0.83) |
| tiles of 4 on small maps too | 60.6 (0.96) | 455.8 (1.02) | 301.7 (1.06) |
| a product for each tap instead of Winograd's | 41.6 (0.68) | 374.3 (0.83) | 122.8 (0.41) |
| thin sides like others | 56.6 (0.90) | 423.1 (0.97) | 296.9 (1.07) |
| others like thin sides | 37.9 (0.62) | 326.3 (0.78) | 126.1 (0.44) |
| a call for each step | 61.6 (0.99) | 380.4 (0.92) | 281.4 (0.99) |
| XLA's own, a call for each step | 30.8 (0.49) | 268.7 (0.60) | 128.7 (0.45) |
<!-- end -->

Tried without gain: Winograd in chunks of 2 to 16 images that fit the cache (the kernel is transformed anew each time);
tiles of 4 on maps of 14 and for strides; one batched product for all pixels of a tile (gathering them costs more than is
saved); im2col everywhere; stages within the transforms kept apart by force (XLA's fusion is as good); tiles of 4 for 2x2
kernels; the input's gradient as the transpose of Winograd's output where the stride is one (overlapping tiles are slow to
add). The rounding error is about 1e-6 of the largest output, 1e-5 with tiles of 4.
"""

from ae.layers.conv.layers import Conv, ConvTranspose, compiled_quickly, conv, conv_transpose

__all__ = ["Conv", "ConvTranspose", "compiled_quickly", "conv", "conv_transpose"]
