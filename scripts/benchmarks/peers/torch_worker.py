"""Trains the benchmark's models in PyTorch: eager and compiled, contiguous and channels_last."""

import torch
from torch import nn
from torch.nn import functional
from worker import serve, training


class Same(nn.Module):
    """Convolution, or its transpose, with Keras' "same" padding (sizes that the strides divide)."""

    def __init__(self, layer, kernel, stride, transpose):
        super().__init__()
        total = kernel - stride
        self.layer, self.transpose = layer, transpose
        self.low, self.high = total // 2, total - total // 2

    def forward(self, x):
        """Compute the layer's output, padded or cut as Keras does."""
        if not self.transpose:
            return self.layer(functional.pad(x, 2 * (self.low, self.high)) if self.low != self.high else x)
        y = self.layer(x)
        return y[:, :, : y.shape[2] - self.high, : y.shape[3] - self.high] if self.low != self.high else y


class Unflatten(nn.Module):
    """Rows as images [B, C, H, W]."""

    def __init__(self, height, width, channels):
        super().__init__()
        self.shape = (channels, height, width)

    def forward(self, x):
        """Reshape rows to images."""
        return x.reshape(-1, *self.shape)


class Model(nn.Module):
    """Layers in a row; `push` keeps what passes and `concat` joins it again."""

    def __init__(self, kinds, layers):
        super().__init__()
        self.kinds, self.layers = kinds, nn.ModuleList(layers)

    def forward(self, x):
        """Compute the outputs of all layers, one after the other."""
        kept = []
        for kind, layer in zip(self.kinds, self.layers, strict=True):
            if kind == "push":
                kept.append(x)
            elif kind == "concat":
                x = torch.cat([kept.pop(), x], 1)
            else:
                x = layer(x)
        return x


def make(layers, weights, shape):
    """Return the model with the weights, which are laid out as Flax has them; `shape` is (H, W, C) of the input."""
    weights, made, flat = iter([torch.from_numpy(w) for w in weights]), [], None
    height, width, channels = shape
    kept = []
    for place, (kind, *options) in enumerate(layers):
        layer = nn.Identity()
        if kind in ("conv", "conv_transpose"):
            features, kernel, stride = options
            total = kernel - stride
            padding = total // 2 if total % 2 == 0 else 0
            cls = nn.ConvTranspose2d if kind == "conv_transpose" else nn.Conv2d
            plain = cls(channels, features, kernel, stride, padding)
            load(plain, next(weights).permute(3, 2, 0, 1), next(weights))
            layer = Same(plain, kernel, stride, kind == "conv_transpose")
            scale = stride if kind == "conv_transpose" else 1 / stride
            height, width, channels = int(height * scale), int(width * scale), features
        elif kind == "dense":
            kernel, bias = next(weights), next(weights)
            if flat is not None:  # rows in the order of height, width, channels; here channels come first
                kernel, flat = kernel.reshape(*flat, -1).permute(2, 0, 1, 3).flatten(0, 2), None
            if layers[place + 1][0] == "unflatten":
                after = layers[place + 1][1:]
                kernel = kernel.reshape(-1, *after).permute(0, 3, 1, 2).flatten(1)
                bias = bias.reshape(*after).permute(2, 0, 1).flatten()
            layer = nn.Linear(*kernel.shape)
            load(layer, kernel.T, bias)
        elif kind == "norm":
            layer = nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)
            load(layer, next(weights), next(weights))
        elif kind == "flatten":
            layer, flat = nn.Flatten(), (height, width, channels)
        elif kind == "unflatten":
            layer = Unflatten(*options)
            height, width, channels = options
        elif kind == "push":
            kept.append(channels)
        elif kind == "concat":
            channels += kept.pop()
        else:
            layer = {"relu": nn.ReLU, "sigmoid": nn.Sigmoid}[kind]()
        made.append(layer)
    return Model([kind for kind, *_ in layers], made)


def load(layer, weight, bias):
    """Copy weights into a layer."""
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)


def build(layers, weights, inputs, targets):
    """Return what `worker.training` takes."""
    x, y = (torch.from_numpy(images).permute(0, 3, 1, 2).contiguous() for images in (inputs, targets))
    model = make(layers, weights, inputs.shape[1:]).train()
    with torch.no_grad():
        loss = functional.mse_loss(model(x), y).item()
    reply = {
        "parameters": sum(p.numel() for p in model.parameters()),
        "loss": loss,
        "versions": {"torch": torch.__version__},
    }

    def training_step(memory_format, compiled):
        own = make(layers, weights, inputs.shape[1:]).train().to(memory_format=memory_format)
        images, wanted = (t.contiguous(memory_format=memory_format) for t in (x, y))
        optimizer = torch.optim.Adam(own.parameters(), 1e-3, eps=1e-7, fused=True)
        forward = torch.compile(own) if compiled else own

        def step():
            optimizer.zero_grad()
            functional.mse_loss(forward(images), wanted).backward()
            optimizer.step()

        return step

    formats = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
    return reply, {
        f"{'compiled' if compiled else 'eager'}, {name}": training_step(memory_format, compiled)
        for compiled in (False, True)
        for name, memory_format in formats.items()
    }


if __name__ == "__main__":
    serve(training(build))
