"""Motion between frames, and colours that are carried along with it."""

from dataclasses import replace

import imageio.v3 as iio
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from clips import colorizer, luma_frames, make_clip
from conftest import refused
from skimage import data
from skimage.transform import rescale
from test_clip_noise import all_planes

from ae import Colorizer, load_pretrained
from ae.color import Coding, luma, rgb_to_chroma
from ae.media.clips.conversions import colorize_clip
from ae.media.clips.frames import write_frames
from ae.media.clips.settings import ClipSettings
from ae.media.stages.colour import Chroma
from ae.restore.motion import motion, moved
from ae.restore.steady import STRENGTH, Steady, before_first, steadied
from ae.runtime.chain import Frame, run


@pytest.fixture(scope="module")
def photograph():
    """Return luma [128, 128] of a photograph."""
    return np.float32(rescale(data.camera(), 0.25, anti_aliasing=True))


@pytest.mark.parametrize("shift", [(0, 0), (1, 0), (-2.5, 1.5), (5, -7)])
def test_motion_is_by_how_much_the_picture_has_moved(photograph, shift):
    flow = jnp.broadcast_to(jnp.float32(shift), (128, 128, 2))
    after = moved(photograph[..., None], flow)[..., 0]
    found = jax.jit(motion)(photograph, after)
    inner = np.s_[16:-16, 16:-16]
    assert np.abs(np.median(found[inner], axis=(0, 1)) - shift).max() < 0.1 + 0.1 * np.abs(shift).max()
    again = moved(photograph[..., None], found)[..., 0]
    assert np.abs(again - after)[inner].mean() < 0.3 * np.abs(photograph - after)[inner].mean() + 1e-3


@pytest.mark.parametrize("size", [(1, 1), (3, 17), (16, 16), (33, 64)])
def test_frames_of_any_size_have_motion(size):
    one, other = np.random.default_rng(0).uniform(size=(2, *size)).astype(np.float32)
    assert motion(one, other).shape == (*size, 2)
    np.testing.assert_allclose(moved(one[..., None], jnp.zeros((*size, 2)))[..., 0], one)
    np.testing.assert_allclose(motion(one, one), 0, atol=1e-5)


def frames_of(photograph, count=20, speed=1.0):
    """Return luma [T, 64, 96] that pans over a photograph, its chroma [T, 32, 48, 2], and the same with noise."""
    rng = np.random.default_rng(0)
    wide = np.pad(photograph, ((0, 0), (0, 64)), mode="symmetric")
    colours = np.stack([0.2 * (wide - 0.5), 0.1 - 0.2 * wide], axis=-1)
    fine = np.stack([wide[20:84, round(speed * at) :][:, :96] for at in range(count)])
    true = np.stack([colours[20:84:2, round(speed * at) :][:, :96:2] for at in range(count)])
    return fine, true, np.float32(true + rng.normal(0, 0.03, true.shape))


def test_colours_become_steady_and_follow_what_moves(photograph):
    fine, true, noisy = frames_of(photograph)
    carry = jax.jit(steadied)
    _, steady = carry(Steady(before_first((32, 48)), np.zeros(20, int), 0.9), noisy, fine)
    error = [np.square(chroma - true)[8:].mean() for chroma in (noisy, np.asarray(steady))]
    assert error[1] < 0.3 * error[0]
    _, fresh = carry(Steady(before_first((32, 48)), np.zeros(20, int), 0.0), noisy, fine)
    np.testing.assert_array_equal(fresh, noisy)


def test_colours_are_fresh_after_a_cut_and_where_luma_is_another(photograph):
    fine, _, noisy = frames_of(photograph, 6)
    cut = np.array([0, 0, 0, 1, 1, 1])
    before, steady = steadied(Steady(before_first((32, 48)), cut, 0.9), noisy, fine)
    np.testing.assert_array_equal(steady[3], noisy[3])
    np.testing.assert_array_equal(steady[0], noisy[0])
    assert np.abs(steady[4] - noisy[4]).mean() > 0.01
    assert int(before.shot) == 1
    other = fine.copy()
    other[3:] = 1 - other[3:]
    _, steady = steadied(Steady(before_first((32, 48)), np.zeros(6, int), 0.9), noisy, other)
    assert np.abs(steady[3] - noisy[3]).mean() < 0.3 * np.abs(steady[2] - noisy[2]).mean()


def test_what_a_model_sees_otherwise_now_is_followed():
    """Luma that does not move, and chroma that changes once by a little and once by much."""
    fine = np.full((9, 64, 96), 0.5, np.float32)
    chroma = np.zeros((9, 32, 48, 2), np.float32)
    chroma[3:] += 0.01
    chroma[6:] += 0.2
    _, steady = steadied(Steady(before_first((32, 48)), np.zeros(9, int), 0.95), chroma, fine)
    assert np.abs(steady[3] - chroma[2]).max() < 0.004
    np.testing.assert_allclose(steady[6], chroma[6], atol=1e-3)


def quiet():
    """Return a colorizer whose answers to neighbouring frames are not more unlike than those of one that has learnt."""
    return replace(colorizer(), saturation=0.3)


def test_a_stream_of_frames_is_steady_too():
    frames = np.uint8(luma_frames(9, 48, 64))
    model = quiet()
    steady = list(model.stream(frames, steady=0.8, batch_size=4))
    fresh = list(model.stream(frames, steady=0, batch_size=4))
    np.testing.assert_array_equal(steady[0], fresh[0])
    changes = [
        np.abs(np.diff(np.stack(clip).astype(int) - frames[..., None], axis=0)).mean() for clip in (steady, fresh)
    ]
    assert changes[0] < 0.9 * changes[1]
    again = list(model.stream(frames, steady=0.8, batch_size=2))
    assert np.abs(np.stack(again).astype(int) - np.stack(steady)).max() <= 1


def saturation(frames, steady):
    """Return saturation beside luma, of each frame as the colorizer of the package colours it."""
    rgb = np.stack(list(Colorizer(load_pretrained("chroma_unet")).stream(list(frames), steady=steady)))
    return np.linalg.norm(rgb_to_chroma(rgb), axis=-1).mean(axis=(1, 2)) / luma(rgb).mean(axis=(1, 2, 3))


def test_a_scene_that_fades_out_stays_as_colourful_as_it_was(photograph):
    """What the stage adds, in each frame of a fade, to what the model answers."""
    frames = [np.float32(share) * photograph for share in np.linspace(1, 0.1, 19)]
    np.testing.assert_allclose(saturation(frames, STRENGTH), saturation(frames, 0.0), rtol=0.2)


@pytest.mark.parametrize("fade", [(1.0, 0.1), (0.1, 1.0)])
def test_a_scene_that_moves_while_it_fades_is_as_colourful_as_it_was(photograph, fade):
    """In each frame about, and in the mean: motion is found in spite of the fade, and colours have the light of luma."""
    frames = np.float32(np.linspace(*fade, 20))[:, None, None] * frames_of(photograph)[0]
    steady, alone = saturation(frames, STRENGTH), saturation(frames, 0.0)
    np.testing.assert_allclose(steady, alone, rtol=0.2)
    np.testing.assert_allclose(np.mean(steady / alone), 1, atol=0.1)


def test_a_film_in_batches_is_the_film_at_once():
    luma = luma_frames(9, 48, 64)
    frames = [Frame(plane, index, index / 25, shot=index // 6) for index, plane in enumerate(luma)]
    stages = (Chroma(colorizer(), Coding(), steady=0.8),)
    whole, parts = (list(run(stages, frames, size, fetch=("cb", "cr"))) for size in (9, 2))
    cb = [np.stack([item.cb for item in items if isinstance(item, Frame)]) for items in (whole, parts)]
    assert np.abs(np.int32(cb[0]) - cb[1]).max() <= 1
    plain = [
        item.cb for item in run((Chroma(colorizer(), Coding()),), frames, 2, fetch=("cb",)) if isinstance(item, Frame)
    ]
    assert np.abs(np.int32(plain) - cb[1]).max() > 1
    np.testing.assert_array_equal(plain[6], cb[1][6])


def test_clips_are_steadied(tmp_path):
    source = make_clip(tmp_path / "in.mkv", luma_frames(8, 48, 64), codec="ffv1")
    for name, steady in (("off", 0.0), ("on", 0.9)):
        settings = ClipSettings(3, codec="ffv1", steady=steady)
        assert colorize_clip(source, tmp_path / f"{name}.mkv", quiet(), settings, log=lambda _: None).passed
        assert write_frames(source, tmp_path / name / "%d.png", quiet(), settings) == 8
    off, on = (np.float32([planes[1] for planes in all_planes(tmp_path / f"{name}.mkv")]) for name in ("off", "on"))
    assert np.abs(np.diff(on, axis=0)).mean() < np.abs(np.diff(off, axis=0)).mean()
    off, on = (
        np.stack([np.ptp(iio.imread(tmp_path / name / f"{index}.png"), axis=-1).astype(int) for index in range(1, 9)])
        for name in ("off", "on")
    )
    assert np.abs(np.diff(on, axis=0)).mean() < np.abs(np.diff(off, axis=0)).mean()


def test_the_command_takes_a_share_that_has_the_default_of_its_help(call):
    assert f"(default: {STRENGTH:g})" in " ".join(call("colorize.py", "--help").stdout.split())
    assert ClipSettings().steady == STRENGTH
    refused(call("colorize.py", "in.mp4", "out.mp4", "--steady", "1.5", status=2), "--steady has to be at most 1")
