"""Clips without their noise: planes, shots, and all that goes along."""

from fractions import Fraction

import av
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from clips import decoded, luma_frames, make_clip, packets
from conftest import ROOT, printed, refused, start_on
from test_stages import read_states, write_states

from ae import Config, Denoise
from ae.color import BT709, Coding
from ae.errors import InputError
from ae.media.clips.coding import planes
from ae.media.clips.conversions import denoise_clip
from ae.media.clips.settings import ClipSettings
from ae.media.stages.noise import Noise, clip_noise
from ae.models import UNet
from ae.restore.denoise import Denoiser
from ae.restore.weights import Pretrained, write_weights
from ae.runtime.chain import Batch, Frame, run, step

LOSSLESS = {"libx264": {"qp": "0", "preset": "ultrafast"}, "ffv1": None}
RNG = np.random.default_rng(0)


class Smooth(nn.Module):
    """Means of 3x3 pixels."""

    input_shape = (32, 32, 3)
    reach = 1

    def __call__(self, x, train=False):
        return nn.avg_pool(x, (3, 3), padding="SAME", count_include_pad=False)


def denoiser(model=None, **task):
    config = Config(name="smooth", model=model or Smooth(), task=Denoise(0.3, **task), data="bsds500")
    return Denoiser(Pretrained(config, {"params": {}, "batch_stats": {}}, {"epochs": 0}))


def coloured_clip(path, pixels="yuv420p", size=(32, 48), count=6):
    """A clip of noise in all planes, from the blackest to the whitest codes."""
    deep = av.VideoFormat(pixels).components[0].bits
    with av.open(str(path), "w") as container:
        video = container.add_stream("ffv1", rate=25)
        video.height, video.width, video.pix_fmt = *size, pixels
        for index in range(count):
            frame = av.VideoFrame(size[1], size[0], pixels)
            for lines in planes(frame):
                lines[:] = RNG.integers(0, 2**deep, lines.shape)
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path


def all_planes(path):
    with av.open(str(path)) as container:
        return [[plane.copy() for plane in planes(frame)] for frame in container.decode(video=0)]


@pytest.mark.parametrize(
    ("pixels", "size"),
    [
        ("yuv420p", (32, 48)),
        ("yuv420p", (33, 47)),
        ("yuv422p10le", (32, 47)),
        ("yuv444p", (17, 31)),
        ("gray", (32, 48)),
    ],
)
def test_where_nothing_is_taken_every_plane_stays_as_it_is(tmp_path, pixels, size):
    source = coloured_clip(tmp_path / "in.mkv", pixels, size)
    settings = ClipSettings(2, codec="ffv1")
    report = denoise_clip(source, tmp_path / "out.mkv", denoiser(), settings, strength=0, log=lambda _: None)
    assert report.statistics.taken == 0
    for before, after in zip(all_planes(source), all_planes(tmp_path / "out.mkv"), strict=True):
        for ours, theirs in zip(after, before, strict=False):
            np.testing.assert_array_equal(ours, theirs)
        for neutral in after[len(before) :]:  # chroma that gray has not
            assert (neutral == 128).all()


def noisy_luma(count, sigma, size=(64, 64), base=100):
    return np.clip(np.round(base + RNG.normal(0, sigma, (count, *size))), 16, 235).astype(np.uint8)


def test_noise_is_taken_and_all_else_is_kept(tmp_path):
    source = make_clip(tmp_path / "in.mp4", noisy_luma(9, 12), tracks=[0.0, 0.1])
    settings = ClipSettings(2, encoder_options=LOSSLESS["libx264"])
    report = denoise_clip(source, tmp_path / "out.mp4", denoiser(), settings, log=lambda _: None)
    assert report.passed
    assert [check.name for check in report.checks][:2] == ["frames", "times of frames"]
    (before, times), (after, same_times) = decoded(source), decoded(tmp_path / "out.mp4")
    assert times == same_times
    assert packets(source) == packets(tmp_path / "out.mp4")
    assert after.std() < before.std() / 2.5  # of means of nine pixels a third
    assert after.mean() == pytest.approx(before.mean(), abs=0.5)
    assert report.statistics.taken == pytest.approx(12 * np.sqrt(8 / 9) / 219, rel=0.05)


def test_chroma_loses_noise_too(tmp_path):
    source = coloured_clip(tmp_path / "in.mkv", "yuv444p", (48, 48))
    denoise_clip(source, tmp_path / "out.mkv", denoiser(), ClipSettings(2, codec="ffv1"), log=lambda _: None)
    before, after = (np.asarray(all_planes(tmp_path / name), float) for name in ("in.mkv", "out.mkv"))
    assert (after.std(axis=(0, 2, 3)) < 0.9 * before.std(axis=(0, 2, 3))).all()


def test_fields_are_images_of_their_own():
    """A field of black lines and one of white lines have no noise; together they would be stripes."""
    luma = np.full((3, 32, 48), 16, np.uint8)
    luma[:, 1::2] = 235
    coding, written = Coding(), Coding(interlaced=True)
    chroma = np.full((3, 16, 24), 128, np.uint8)
    batch = Batch(luma, np.ones(3, bool), np.zeros(3), chroma, chroma)
    for target, kept in ((written, True), (coding, False)):
        _, done = step((Noise(denoiser(), coding, target),), None, batch)
        assert np.array_equal(done.luma, luma) == kept


class Counted(Denoiser):
    """Counts how often an amount is found out."""

    counts: list = []  # noqa: RUF012 (of all)

    def amount(self, noisy, *, sigma=None):
        self.counts.append(noisy.shape)
        return super().amount(noisy, sigma=sigma)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_noise_is_found_out_once_a_shot(size):
    shots = [noisy_luma(4, 6, base=base) for base in (60, 180, 70)]
    luma = np.concatenate(shots)
    stage = Noise(Counted(denoiser(least_sigma=0.0).trained), Coding(), Coding(), sigma=2 / 255)
    Counted.counts.clear()
    states, frames = None, []
    for first in range(0, len(luma), size):
        part = luma[first : first + size]
        padded = np.concatenate([part, np.repeat(part[-1:], size - len(part), 0)])
        empty = np.empty((size, 0))
        valid = np.arange(size) < len(part)
        numbers = np.minimum(first + np.arange(size), len(luma) - 1) // 4
        states, batch = step((stage,), states, Batch(padded, valid, np.zeros(size), empty, empty, shots=numbers))
        frames.extend(batch.luma[: len(part)])
    assert Counted.counts == [(64, 64, 1)] * 3
    found = clip_noise(states[0])
    assert (found.shots, found.sigma) == (3, pytest.approx(2 / 255))
    assert found.taken == pytest.approx(2 / 255, rel=0.1)
    levels = [float((frame.astype(float) - before).std()) for frame, before in zip(frames, luma, strict=True)]
    assert max(levels) < 1.1 * min(levels)


def test_a_stream_of_frames_has_one_amount_a_shot():
    rows, columns = np.mgrid[:64, :64]
    scenes = [60 + 80 * (rows // 8 % 2), 200 - 2 * columns]
    shots = [np.clip(scene + RNG.normal(0, 6, (5, 64, 64)), 0, 255).astype(np.uint8) for scene in scenes]
    model = Counted(denoiser(least_sigma=0.0).trained)
    Counted.counts.clear()
    clean = list(model.stream(iter(np.concatenate(shots)), sigma=2 / 255))
    assert Counted.counts == [(64, 64, 1)] * 2
    assert len(clean) == 10
    for frame, noisy in zip(clean, np.concatenate(shots), strict=True):
        assert (frame.shape, frame.dtype) == (noisy.shape, noisy.dtype)
        assert 1 < np.std(frame.astype(float) - noisy) < 3
    whole = Denoiser(model.trained).image(shots[0][0], sigma=2 / 255)
    np.testing.assert_array_equal(clean[0], whole)
    colours = np.float32(RNG.uniform(0, 1, (3, 20, 24, 3)))
    (first, *_) = model.stream(colours)
    assert (first.shape, first.dtype) == ((20, 24, 3), np.float32)
    assert list(model.stream([])) == []
    with pytest.raises(InputError, match=r"frame 2 is \(4, 5\) of uint8, the first \(64, 64\) of uint8"):
        list(model.stream([shots[0][0], np.zeros((4, 5), np.uint8)]))


STREAM = """
import sys
sys.path[:0] = sys.argv[1:3]
import json, jax, numpy as np
from test_clip_noise import denoiser
shots = np.random.default_rng(0).normal(0, 9, (11, 24, 32)) + np.repeat([60, 190], [5, 6])[:, None, None]
model = denoiser(least_sigma=0.0)
images = np.zeros((8, 24, 32, 1), np.float32)
assert len(model.trained.apply(images).sharding.device_set) == jax.device_count()
clean = list(model.stream(np.clip(shots, 0, 255).astype(np.uint8), sigma=3 / 255))
print(json.dumps(np.stack(clean).tolist()))
"""


def test_frames_of_a_stream_are_split_over_all_devices():
    one, four = (np.array(printed(start_on(count, STREAM, ROOT, ROOT / "tests"))) for count in (1, 4))
    assert one.shape == (11, 24, 32)
    assert np.abs(one - four).max() <= 1
    assert (one != four).mean() < 0.01


def test_a_clip_that_is_gone_on_with_has_the_same_bits(tmp_path):
    luma = np.concatenate([noisy_luma(5, 6, base=base) for base in (60, 180)])
    chroma = np.full((32, 32), 120, np.uint8)
    frames = [Frame(plane, index, 0.0, chroma, chroma, shot=index // 5) for index, plane in enumerate(luma)]
    stages = (Noise(denoiser(least_sigma=0.0), Coding(), Coding(), sigma=2 / 255),)
    names = {"fetch": ("luma", "cb", "cr"), "send": ("luma", "cb", "cr")}
    whole = list(run(stages, frames, 2, **names))
    first = whole[: 2 * 3]  # two batches, each with its checkpoint
    tree = write_states(tmp_path, first[-1].states)
    rest = list(run(stages, frames[4:], 2, **names, states=read_states(tmp_path, tree)))
    for once, twice in zip(whole, [*first, *rest], strict=True):
        jax.tree.map(np.testing.assert_array_equal, once, twice)
    assert clip_noise(rest[-1].states[-1]).shots == 2


def test_colours_of_high_definition_stay():
    """Planes of one colour have no noise, in every coding."""
    for coding in (Coding(weights=BT709), Coding(bits=10, full_range=True), Coding(subsampling=(1, 2))):
        top = 2 ** (coding.bits - 8)
        kind = np.uint8 if coding.bits == 8 else np.uint16
        rows, columns = coding.subsampling
        luma = np.full((1, 16, 16), 120 * top, kind)
        cb, cr = (np.full((1, 16 // rows, 16 // columns), value * top, kind) for value in (90, 170))
        _, batch = step((Noise(denoiser(), coding, coding),), None, Batch(luma, np.ones(1, bool), np.zeros(1), cb, cr))
        for ours, theirs in ((batch.luma, luma), (batch.cb, cb), (batch.cr, cr)):
            np.testing.assert_array_equal(ours, theirs)


@pytest.fixture
def weights(tmp_path):
    """A file with the weights of a small blind denoiser that takes all detail."""
    config = Config(name="test", model=UNet((2, 4)), task=Denoise(0.3, least_sigma=0.0), data="mnist")
    variables = config.model.init(jax.random.key(3), jnp.zeros((1, 28, 28, 1)))
    nothing = jax.tree.map(np.zeros_like, variables)
    write_weights(tmp_path / "denoiser.safetensors", config, nothing, {"epochs": 0}, "float32")
    return "denoiser.safetensors"


def test_clips_and_folders_by_the_command(call, tmp_path, weights):
    (tmp_path / "in").mkdir()
    make_clip(tmp_path / "in/a.mp4", noisy_luma(5, 6), tracks=[0.0])
    av.VideoFrame.from_ndarray(noisy_luma(1, 5)[0], format="gray").to_image().save(tmp_path / "in/b.png")
    options = ("--model", weights, "--encoder-options", "preset", "ultrafast")
    said = call("denoise.py", "in/a.mp4", "out.mp4", *options, "--sigma", "3").stdout.splitlines()
    assert said[-1] == "PASS out.mp4"
    assert "noise of sigma 3.0 of 255 in 1 shot, taken away " in said[-2]
    assert "sigma 0.01176 for pixels in [0, 1], 3 for those up to 255" in said
    assert packets(tmp_path / "out.mp4") == packets(tmp_path / "in/a.mp4")
    done = call("denoise.py", "in", "out", *options)
    assert done.stdout.splitlines()[-1].startswith("2 done, 0 skipped, 0 failed")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.mp4", "b.png"]
    done = call("denoise.py", "in/a.mp4", "cut.mp4", *options, "--preview", "0.1")
    assert done.stdout.splitlines()[-1] == "PASS without what follows 0:00.100: cut.mp4"


def test_bad_clips_are_one_line(call, tmp_path, weights):
    (tmp_path / "no.mp4").write_text("no clip")
    make_clip(tmp_path / "a.mp4", luma_frames(3, 32, 32))
    refused(call("denoise.py", "no.mp4", "o.mp4", "--model", weights, status=2), "cannot be read as a video")
    refused(call("denoise.py", "a.mp4", "o.png", "--model", weights, status=2), "no suffix of a clip that is written")
    refused(call("denoise.py", "a.mp4", "a.mp4", "--model", weights, status=2), "is the input itself")
    stage, empty = Noise(denoiser(Broken()), Coding(), Coding()), np.empty((1, 0))
    with pytest.raises(InputError, match="NaN"):
        step((stage,), None, Batch(noisy_luma(1, 3), np.ones(1, bool), np.zeros(1), empty, empty))


class Broken(nn.Module):
    """Answers with what is no number."""

    input_shape = (32, 32, 3)

    def __call__(self, x, train=False):
        return x * jnp.nan
