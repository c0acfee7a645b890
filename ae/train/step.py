"""A step of training as a pure function: (config, state, batch, key) -> (state, scores)."""

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct
from jax import lax
from jax.typing import ArrayLike

from ae.config import Config
from ae.data import Data
from ae.errors import InputError
from ae.models.apply import apply
from ae.restore.load import load_model
from ae.score.evaluate import TRAINING_SCORES, examples, scores
from ae.train.optimizer import optimizer

DIAGNOSTICS = ("learning_rate", "gradient_norm", "parameter_norm", "update_norm")  # of a step


class TrainState(struct.PyTreeNode):
    """All that training changes; its tree is what checkpoints hold."""

    step: jax.Array  # updates so far, int32
    params: Any
    batch_stats: Any  # BatchNorm's running statistics; empty for models without
    opt_state: Any
    average: Any  # of the weights over the last steps; empty unless the configuration asks for it
    sums: dict[str, jax.Array]  # of the scores in the epoch under way, before each update

    @property
    def variables(self) -> dict[str, Any]:
        """Return what `model.apply` takes to predict."""
        return {"params": self.average or self.params, "batch_stats": self.batch_stats}


def create_state(config: Config, data: Data) -> TrainState:
    """Return the state before the first step."""
    return _creator()(config.compile_key, np.uint32(config.seed), data.train.images[:1])


@cache
def _creator() -> Callable[..., TrainState]:
    """Return `_create_state` as one program, since a hundred small ones take seconds.

    It runs once: on a CPU, to optimize it takes ten times longer than to compile it as it is.
    """
    options = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None
    return jax.jit(_create_state, compiler_options=options)


def _create_state(config: Config, seed: ArrayLike, image: jax.Array) -> TrainState:
    key = jax.random.fold_in(jax.random.key(seed), 0)
    return state_for(config, key, examples(config.task, key, image, jnp.arange(1))[0])


def state_for(config: Config, key: jax.Array, inputs: jax.Array) -> TrainState:
    """Return the state before the first step of a model for such inputs [1, H, W, C]."""
    variables = config.model.init(key, inputs)
    params = variables["params"]
    opt_state = optimizer(config, config.learning_rate).init(params)
    average = jax.tree.map(jnp.copy, params) if config.ema_decay else {}
    return TrainState(jnp.int32(0), params, variables.get("batch_stats", {}), opt_state, average, zero_sums())


def with_initial_weights(config: Config, state: TrainState) -> TrainState:
    """Return the state with the weights that the configuration names, if it names any.

    Raises InputError where there are none, or they are of another model.
    """
    if config.initial_weights is None:
        return state
    try:
        trained = load_model(config.initial_weights, preset=config)
    except InputError as error:
        raise InputError(f"{config.name} cannot begin with its initial_weights: {error}") from error
    given = {name: trained.variables.get(name, {}) for name in ("params", "batch_stats")}
    ours = {"params": state.params, "batch_stats": state.batch_stats}
    if jax.tree.map(jnp.shape, given) != jax.tree.map(jnp.shape, ours):
        raise InputError(f"{config.initial_weights} has the weights of another model than {config.name}")
    average = jax.tree.map(jnp.copy, given["params"]) if config.ema_decay else {}
    return state.replace(**given, average=average)


def zero_sums() -> dict[str, jax.Array]:
    """Return the sums of scores before an epoch."""
    return {name: jnp.float32(0) for name in TRAINING_SCORES} | {"count": jnp.int32(0)}


def train_step(
    config: Config,
    state: TrainState,
    batch: tuple[jax.Array, jax.Array],
    key: jax.Array,
    *,
    rate: float | jax.Array | None = None,
) -> tuple[TrainState, dict[str, jax.Array]]:
    """Make one update on a batch (inputs, targets), each [B, H, W, C]: (new state, scores [B] before the update).

    `key` is for models that draw random numbers, as dropout does. `rate`: learning rate, if not the configuration's.
    """
    state, batch_scores, _ = diagnosed_step(config, state, batch, key, config.learning_rate if rate is None else rate)
    return state, batch_scores


def diagnosed_step(
    config: Config, state: TrainState, batch: tuple[jax.Array, jax.Array], key: jax.Array, rate: float | jax.Array
) -> tuple[TrainState, dict[str, jax.Array], dict[str, jax.Array]]:
    """Make the update of `train_step`, and return its `DIAGNOSTICS` too."""
    gradients, batch_stats, batch_scores = _gradients(config, state, batch, key)
    updates, opt_state = optimizer(config, rate).update(gradients, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    average = _averaged(config, state, params)
    state = TrainState(state.step + 1, params, batch_stats, opt_state, average, state.sums)
    trees = {"gradient_norm": gradients, "parameter_norm": params, "update_norm": updates}
    trees = lax.optimization_barrier(trees)  # or XLA fuses norms with gradients, which rounds these in another way
    norms = {name: optax.tree.norm(tree) for name, tree in trees.items()}
    return state, batch_scores, {"learning_rate": jnp.float32(rate), **norms}


def _gradients(
    config: Config, state: TrainState, batch: tuple[jax.Array, jax.Array], key: jax.Array
) -> tuple[Any, Any, dict[str, jax.Array]]:
    """Gradients of the mean loss, BatchNorm's statistics after the batch, and the scores [B] of its images."""
    inputs, targets = batch

    def mean_loss(params):
        variables = state.variables | {"params": params}
        kwargs: dict[str, Any] = {"train": True, "mutable": ["batch_stats"], "rngs": {"dropout": key}}
        output, updates = apply(config.model, variables, inputs, **config.numerics, **kwargs)
        batch_scores = scores(config.training_task, TRAINING_SCORES, output, targets)
        return batch_scores["loss"].mean(), (updates.get("batch_stats", state.batch_stats), batch_scores)

    with jax.default_matmul_precision(config.precision):  # of the gradients' products too
        gradients, (batch_stats, batch_scores) = jax.grad(mean_loss, has_aux=True)(state.params)
    return gradients, batch_stats, batch_scores


def _averaged(config: Config, state: TrainState, params: Any) -> Any:
    """The running average of the weights after a step: at first the mean of all so far."""
    if not config.ema_decay:
        return state.average
    share = jnp.maximum(1 - config.ema_decay, 1 / (state.step + 1))
    return optax.incremental_update(params, state.average, share)
