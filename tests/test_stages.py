"""Stages of clips beside the same figures of whole clips, and unbroken runs beside broken ones."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from clips import colorizer, luma_frames
from flicker import CUT, FLICKERING, STEADY

from ae import metrics
from ae.color import Coding, colourfulness
from ae.media.stages import statistics
from ae.media.stages.colour import Chroma, Rgb
from ae.media.stages.statistics import Statistics, clip_statistics
from ae.runtime.chain import Batch, Checkpoint, Frame, run, step


def batches(samples, size):
    """Batches of RGB frames [T, h, w, 3], the last filled up with noise."""
    samples = np.asarray(samples)
    noise = np.random.default_rng(0).uniform(size=(size, *samples.shape[1:])).astype(np.float32)
    for first in range(0, len(samples), size):
        part = samples[first : first + size]
        valid = np.arange(size) < len(part)
        yield Batch(noise[..., 0], valid, np.zeros(size), samples=np.concatenate([part, noise])[:size])


def figures(samples, size):
    states = None
    for batch in batches(samples, size):
        states, _ = step((Statistics(),), states, batch)
    return clip_statistics(*states)


@pytest.mark.parametrize("size", [1, 5, 16])
@pytest.mark.parametrize("frames", [STEADY, FLICKERING, CUT], ids=["steady", "flickering", "cut"])
def test_running_sums_are_the_metrics_of_the_whole_clip(frames, size):
    found = figures(frames, size)
    assert found.cdc == pytest.approx(float(metrics.cdc(frames)), abs=1e-6)
    assert found.chroma_flicker == pytest.approx(float(metrics.chroma_flicker(frames)), abs=1e-3)
    assert found.colourfulness == pytest.approx(float(colourfulness(frames).mean()), rel=1e-4)


@pytest.mark.parametrize("count", [1, 4])
def test_few_frames_have_no_cdc(count):
    found = figures(FLICKERING[:count], 8)
    assert np.isnan(found.cdc)
    assert found.colourfulness > 0
    assert (found.chroma_flicker > 0) == (count > 1)


def test_sums_over_a_whole_film_lose_no_digits():
    """A million values of which a plain sum in float32 loses the fourth digit."""
    values = np.random.default_rng(0).uniform(2e4, 6e4, 200_000).astype(np.float32)

    def add(sums, value):
        return statistics._compensated(*sums, value), None

    (total, _), _ = jax.jit(lambda values: jax.lax.scan(add, (jnp.float32(0), jnp.float32(0)), values))(values)
    exact = values.astype(np.float64).sum()
    assert float(total) == pytest.approx(exact, rel=2e-7)


def test_statistics_take_one_program_and_one_dispatch_a_batch():
    before = statistics._added._cache_size()
    figures(np.random.default_rng(3).uniform(size=(23, 13, 17, 3)).astype(np.float32), 5)
    assert statistics._added._cache_size() == before + 1


def write_states(folder, states):
    """Writes arrays as npz, and what else there is as JSON."""
    leaves, tree = jax.tree.flatten(states)
    arrays = {str(i): np.asarray(leaf) for i, leaf in enumerate(leaves) if isinstance(leaf, np.ndarray | jax.Array)}
    np.savez(folder / "states.npz", **arrays)
    values = {str(i): leaf for i, leaf in enumerate(leaves) if str(i) not in arrays}
    (folder / "states.json").write_text(json.dumps(values))
    return tree


def read_states(folder, tree):
    leaves = {**np.load(folder / "states.npz"), **json.loads((folder / "states.json").read_text())}
    return jax.tree.unflatten(tree, [leaves[str(i)] for i in range(len(leaves))])


@pytest.mark.parametrize("after", [1, 3])
def test_a_run_that_stops_after_some_batches_goes_on_with_the_same_bits(tmp_path, after):
    frames = [Frame(luma, index) for index, luma in enumerate(luma_frames(18, 48, 64))]
    stages = (Chroma(colorizer(pixels=512), Coding()), Statistics())

    def through(frames, states=None):
        yield from run(stages, frames, 4, fetch=("cb", "cr"), states=states)

    whole = list(through(frames))
    first, count = [], 0
    for item in through(frames):
        first.append(item)
        count += isinstance(item, Checkpoint)
        if count == after:
            break
    tree = write_states(tmp_path, first[-1].states)
    rest = list(through(frames[4 * after :], read_states(tmp_path, tree)))
    assert len(first) + len(rest) == len(whole)
    for once, twice in zip(whole, [*first, *rest], strict=True):
        jax.tree.map(np.testing.assert_array_equal, once, twice)
    assert clip_statistics(rest[-1].states[-1]).chroma_flicker > 0


def test_pictures_lie_upright_beside_their_gray():
    luma = np.stack(list(luma_frames(2, 32, 48)))
    stage = Rgb(colorizer(), Coding(full_range=True, turns=1), side_by_side=True)
    _, batch = step((stage,), None, Batch(luma, np.ones(2, bool), np.zeros(2)))
    assert batch.rgb.shape == (2, 48, 64, 3)
    assert batch.rgb.dtype == np.uint8
    np.testing.assert_array_equal(batch.rgb[:, :, :32, 0], np.rot90(luma, axes=(1, 2)))
    assert np.ptp(np.asarray(batch.rgb[:, :, 32:], int), axis=-1).mean() > 2
