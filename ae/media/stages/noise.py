"""A stage that takes the noise from the frames of a clip: how much is found out once a shot, so that nothing pumps."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ae.color import Coding, luma, rgb_to_chroma, ycbcr_to_rgb
from ae.restore.denoise import Amount, Denoiser
from ae.runtime.chain import Batch


class State(NamedTuple):
    """State after the frames so far."""

    shot: int  # that the last frame was in
    amount: Amount  # of noise in it
    frames: int
    shots: int
    levels: float  # sum of the shots' noise levels
    squares: float  # sum of the squares of what was taken, a mean a frame


class ClipNoise(NamedTuple):
    """How much noise a clip had."""

    shots: int
    sigma: float | None  # mean of the shots' noise levels, of white 1; None: the model knows one level alone
    taken: float  # standard deviation of what was taken away

    @property
    def summary(self) -> str:
        """Return all of it in a line."""
        shots = "1 shot" if self.shots == 1 else f"{self.shots} shots"
        level = "" if self.sigma is None else f"noise of sigma {255 * self.sigma:.1f} of 255 in {shots}, "
        return f"{level}taken away {255 * self.taken:.1f} of 255"


@dataclass(frozen=True)
class Noise:
    """Replaces `luma`, `cb` and `cr` by planes with less noise; where nothing is taken, by the same ones."""

    denoiser: Denoiser
    read: Coding
    written: Coding
    sigma: float | None = None
    strength: float = 1.0
    aside: bool = False  # leave the luma as it is, and put that without noise into `seen`

    def init(self, first: Batch) -> State:
        """Return the state before the first frame."""
        return State(-1, Amount(None, 1.0), 0, 0, 0.0, 0.0)

    def step(self, state: State, batch: Batch) -> tuple[State, Batch]:
        """Return the state after a batch, and the batch with other planes."""
        frames = []
        for index in range(int(np.sum(batch.valid))):
            given = (batch.luma, batch.cb, batch.cr)
            planes = [np.asarray(plane[index] if len(plane) else plane) for plane in given]
            state = self._seen(state, planes, int(batch.shots[index]) if len(batch.shots) else 0)
            done, square = self._denoised(state.amount, planes)
            state = state._replace(frames=state.frames + 1, squares=state.squares + square)
            frames.append(done)
        frames += frames[-1:] * (len(batch.valid) - len(frames))
        luma, cb, cr = (np.stack(planes) for planes in zip(*frames, strict=True))
        return state, batch._replace(seen=luma) if self.aside else batch._replace(luma=luma, cb=cb, cr=cr)

    def _seen(self, state: State, planes: list[np.ndarray], shot: int) -> State:
        """Return the state with the amount of noise of the shot that a frame is in."""
        if shot == state.shot:
            return state
        amount = self.denoiser.amount(np.asarray(self._shown(self._fields(planes)[0])), sigma=self.sigma)
        level = state.levels + (amount.sigma or 0.0)
        return state._replace(shot=shot, amount=amount, shots=state.shots + 1, levels=level)

    def _denoised(self, amount: Amount, planes: list[np.ndarray]) -> tuple[list[np.ndarray], float]:
        """Return a frame's planes without noise, and the mean square of what was taken."""
        share, fields, squares = np.float32(self.strength * amount.share), [], []
        for field in self._fields(planes):
            shown = np.asarray(self._shown(field))
            taken = share * (shown - self.denoiser.output(shown))
            squares.append(np.square(taken).mean())
            fields.append(_without(*field, taken, read=self.read, written=self.written))
        return [_woven(lines) for lines in zip(*fields, strict=True)], float(np.mean(squares))

    def _fields(self, planes: list[np.ndarray]) -> list[list[np.ndarray]]:
        """Return the planes of a frame, or of each of its two fields."""
        return [[plane[start::2] for plane in planes] for start in (0, 1)] if self.written.interlaced else [planes]

    def _shown(self, planes: list[np.ndarray]) -> jax.Array:
        return _shown(*planes, read=self.read)


def _woven(fields: Sequence[jax.Array]) -> np.ndarray:
    """Return the plane [H, W] of its one or two fields."""
    plane = np.empty((sum(map(len, fields)), fields[0].shape[1]), fields[0].dtype)
    for start, lines in enumerate(fields):
        plane[start :: len(fields)] = lines
    return plane


@partial(jax.jit, static_argnames="read")
def _shown(codes: jax.Array, cb: jax.Array, cr: jax.Array, *, read: Coding) -> jax.Array:
    """Return RGB [H, W, 3] in [0, 1] of planes, or gray [H, W, 1] where there is no chroma."""
    gray = read.luma(codes)[..., None]
    if not cb.size:
        return gray
    chroma = jnp.stack([read.chroma(plane) for plane in (cb, cr)], axis=-1)
    return jnp.clip(ycbcr_to_rgb(gray, _repeated(chroma, read, codes.shape), read.weights), 0, 1)


def _repeated(chroma: jax.Array, coding: Coding, shape: tuple[int, ...]) -> jax.Array:
    rows, columns = coding.subsampling
    return chroma.repeat(rows, axis=0).repeat(columns, axis=1)[: shape[0], : shape[1]]


@partial(jax.jit, static_argnames=("read", "written"))
def _without(
    codes: jax.Array, cb: jax.Array, cr: jax.Array, taken: jax.Array, *, read: Coding, written: Coding
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return planes without what was taken of the colours that they show, [H, W, 3] or [H, W, 1]."""
    gray = taken if taken.shape[2] == 1 else luma(taken, read.weights)
    lighter = _subtracted(codes, read.luma_scale * gray[..., 0], read)
    if not cb.size:
        neutral = jnp.full(_means(gray, written).shape[:2], 2 ** (read.bits - 1), codes.dtype)
        return lighter, neutral, neutral
    changes = _means(rgb_to_chroma(taken, read.weights), written)
    if read.subsampling == written.subsampling:
        chroma: list[Any] = [cb, cr]
    else:
        full = _repeated(jnp.stack([cb, cr], axis=-1).astype(jnp.float32), read, codes.shape)
        chroma = list(jnp.moveaxis(_means(full, written), -1, 0))
    cb, cr = (_subtracted(plane, read.chroma_scale * changes[..., part], read) for part, plane in enumerate(chroma))
    return lighter, cb, cr


def _subtracted(codes: jax.Array, change: jax.Array, coding: Coding) -> jax.Array:
    """Return integers without a change, in their range; a change of nothing leaves all of them."""
    kind = jnp.uint8 if coding.bits == 8 else jnp.uint16
    return jnp.clip(jnp.round(codes.astype(jnp.float32) - change), 0, coding.largest).astype(kind)


def _means(values: jax.Array, coding: Coding) -> jax.Array:
    """Return the means [h, w, C] of the pixels of [H, W, C] that share a value of chroma."""
    rows, columns = coding.subsampling
    height, width, channels = values.shape
    padded = jnp.pad(values, [(0, -height % rows), (0, -width % columns), (0, 0)], mode="edge")
    return padded.reshape(-(-height // rows), rows, -(-width // columns), columns, channels).mean(axis=(1, 3))


def clip_noise(state: State) -> ClipNoise:
    """Return how much noise a clip had, of the state after its last frame."""
    known = state.amount.sigma is not None
    taken = float(np.sqrt(state.squares / max(1, state.frames)))
    return ClipNoise(state.shots, state.levels / state.shots if known else None, taken)
