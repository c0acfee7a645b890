"""Training of a colorizer's way down as a classifier of Tiny ImageNet in gray."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from ae import preset
from ae.config import Config
from ae.data.photographs import Cut, Files, checksum_of_files, split_folder, store
from ae.data.tfds import data_folder
from ae.restore.weights import write_weights
from ae.runtime import progress
from ae.train.optimizer import learning_rates, muon

BLOCK = 32  # steps in a call


def train_classifier(epochs: int, out: Path, data_dir: Path | None, limit: int | None) -> None:
    """Train the way down of `chroma_unet_base` as a classifier of Tiny ImageNet in gray, and write weights to begin with."""
    config = preset("chroma_unet_base", data="tiny_imagenet", epochs=epochs, limit=limit)
    images, names = labelled_images(data_folder(data_dir) / "tiny_imagenet", limit)
    classes, labels = np.unique(names, return_inverse=True)
    variables = config.model.init(jax.random.key(0), jnp.zeros((1, 48, 48, 4)))
    width = config.model.widths[-1]
    params = {"unet": variables["params"], "last": jnp.zeros((width, len(classes)))}
    state = (params, variables["batch_stats"], muon(config.learning_rate).init(params))
    count = len(images) // config.batch_size
    for epoch in range(1, epochs + 1):
        order = np.random.default_rng(epoch).permutation(len(images))[: count * config.batch_size]
        batches = jnp.asarray(order.reshape(count, -1))
        rates = learning_rates(config, epoch, count)
        with progress.bar(f"epoch {epoch}/{epochs}", count) as bar:
            for first in range(0, count, BLOCK):
                part = slice(first, first + BLOCK)
                state, right = _steps(config, state, images, jnp.asarray(labels), batches[part], rates[part])
                bar.update(len(right))
        print(f"epoch {epoch}: {100 * float(right.mean()):.1f} % right at its end")
    out.parent.mkdir(parents=True, exist_ok=True)
    write_weights(out, config, {"params": state[0]["unet"], "batch_stats": state[1]}, {}, "float32")
    print(out)


def labelled_images(folder: Path, limit: int | None) -> tuple[jax.Array, list[str]]:
    """Return the training images of Tiny ImageNet, and the names of their classes."""
    paths = split_folder(folder)["train"]
    stem = f"{folder.name}-train-{checksum_of_files(folder, paths):08x}"
    stored = store(Files(paths), Cut(), f"{folder.name}-train", stem)
    assert stored.offsets is not None
    kept = np.flatnonzero(np.diff(stored.offsets))[:limit]  # what is left out is known only once all are read
    return jnp.asarray(stored.images[: len(kept)]), [paths[number].name.partition("_")[0] for number in kept]


@partial(jax.jit, static_argnums=0)
def _steps(
    config: Config, state: Any, images: jax.Array, labels: jax.Array, batches: jax.Array, rates: jax.Array
) -> tuple[Any, jax.Array]:
    """Make steps on batches of images, by number [steps, B]: (new state, share of right answers [steps])."""
    task = replace(config.training_task, hinted=0.0)

    def step(state: Any, batch: tuple[jax.Array, jax.Array]) -> tuple[Any, jax.Array]:
        numbers, rate = batch
        params, batch_stats, opt_state = state
        keys = jax.vmap(partial(jax.random.fold_in, jax.random.key(0)))(numbers + _steps_made(opt_state))
        gray, _ = jax.vmap(task)(keys, images[numbers] / 255.0)

        def loss(params: Any) -> tuple[jax.Array, tuple[Any, jax.Array]]:
            variables = {"params": params["unet"], "batch_stats": batch_stats}
            features, batch_stats_after = _lowest(config.model, variables, gray)
            logits = features.mean(axis=(1, 2)) @ params["last"]
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels[numbers])
            return losses.mean(), (batch_stats_after, (logits.argmax(-1) == labels[numbers]).mean())

        gradients, (batch_stats, right) = jax.grad(loss, has_aux=True)(params)
        updates, opt_state = muon(rate).update(gradients, opt_state, params)
        return (optax.apply_updates(params, updates), batch_stats, opt_state), right

    return lax.scan(step, state, (batches, rates))


def _steps_made(opt_state: Any) -> jax.Array:
    """Return how many steps an optimizer has made."""
    return optax.tree.get_all_with_path(opt_state, "count")[0][1]


def _lowest(model: nn.Module, variables: Any, gray: jax.Array) -> tuple[jax.Array, Any]:
    """Return the features of the lowest level, and BatchNorm's statistics after the batch."""
    _, changed = model.apply(
        variables,
        gray,
        train=True,
        mutable=["batch_stats", "intermediates"],
        capture_intermediates=lambda _, method: method == "bottom",
    )
    return changed["intermediates"]["bottom"][0], changed["batch_stats"]
