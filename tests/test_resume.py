"""Clips whose run is interrupted, and that are gone on with."""

import errno
import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from clips import colorizer, decoded, luma_frames, make_clip
from conftest import refused, write_denoiser

from ae import Denoiser, load_model
from ae.errors import InputError
from ae.media.clips import pipeline
from ae.media.clips.conversions import colorize_clip, denoise_clip
from ae.media.clips.settings import ClipSettings
from ae.media.clips.work import fingerprint
from ae.media.clips.writing import ClipWriter
from ae.restore.colorize import Colorizer
from ae.restore.weights import write_weights

LENGTH = 30
SETTINGS = ClipSettings(4)
RESUMED = ClipSettings(4, resume=True)


@pytest.fixture(autouse=True)
def short_segments(monkeypatch):
    monkeypatch.setattr(pipeline, "SEGMENT", 8)


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "clip.mkv"
    make_clip(path, luma_frames(LENGTH, 32, 48), tracks=(0,))
    return path


@pytest.fixture
def interrupted(monkeypatch):
    """Have the model raise an error after so many batches."""

    def interrupted(batches, error=KeyboardInterrupt):
        planes, calls = Colorizer.film_planes, []

        def limited(*args, **kwargs):
            calls.append(1)
            if len(calls) > batches:
                raise error
            return planes(*args, **kwargs)

        monkeypatch.setattr(Colorizer, "film_planes", limited)
        return lambda: monkeypatch.setattr(Colorizer, "film_planes", planes)

    return interrupted


def contents(path: Path):
    """Return the packets of all streams, and the planes of all frames."""
    with av.open(str(path)) as container:
        packets = [(p.stream.index, p.pts, p.dts, p.duration, bytes(p)) for p in container.demux() if p.size]
    with av.open(str(path)) as container:
        return packets, [frame.to_ndarray() for frame in container.decode(video=0)]


def assert_equal(one: Path, other: Path, length: int = LENGTH):
    (packets, frames), (others, other_frames) = contents(one), contents(other)
    assert packets == others
    assert len(frames) == len(other_frames) == length
    assert all(map(np.array_equal, frames, other_frames))


@pytest.mark.parametrize("batches", [3, 5, 6])
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_resumed_clip_is_the_one_that_was_not_interrupted(clip, tmp_path, interrupted, batches, suffix):
    whole, resumed = tmp_path / f"whole{suffix}", tmp_path / f"resumed{suffix}"
    expected = colorize_clip(clip, whole, colorizer(), SETTINGS, log=lambda line: None)
    restore = interrupted(batches)
    with pytest.raises(KeyboardInterrupt, match="resumed.*work has what is done: --resume goes on"):
        colorize_clip(clip, resumed, colorizer(), SETTINGS, log=lambda line: None)
    restore()
    assert not resumed.exists()
    with pytest.raises(InputError, match="work has what an interrupted run left of resumed"):
        colorize_clip(clip, resumed, colorizer(), SETTINGS, log=lambda line: None)
    report = colorize_clip(clip, resumed, colorizer(), RESUMED, log=lambda line: None)
    assert_equal(whole, resumed)
    assert report.statistics == expected.statistics
    assert report.checks == expected.checks
    assert not list(tmp_path.glob("*.work"))


@pytest.mark.parametrize("batches", [5, 7])
def test_packets_lie_in_the_file_as_they_would(tmp_path, interrupted, batches):
    """Of segments that are longer than what a muxer holds back, to bring streams into order."""
    clip = make_clip(tmp_path / "slow.mp4", luma_frames(LENGTH, 32, 48), rate=Fraction(1, 2), tracks=(0,))
    whole, resumed = tmp_path / "whole.mp4", tmp_path / "resumed.mp4"
    colorize_clip(clip, whole, colorizer(), SETTINGS)
    restore = interrupted(batches)
    with pytest.raises(KeyboardInterrupt):
        colorize_clip(clip, resumed, colorizer(), SETTINGS)
    restore()
    colorize_clip(clip, resumed, colorizer(), RESUMED)
    assert_equal(whole, resumed)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_clip_of_one_frame_is_gone_on_with(tmp_path, monkeypatch, suffix):
    """Stopped once its frame is in a segment, before the file is whole."""
    monkeypatch.setattr(pipeline, "SEGMENT", 1)
    clip = make_clip(tmp_path / "clip.mkv", luma_frames(1, 32, 48), tracks=(0,))
    whole, resumed = tmp_path / f"whole{suffix}", tmp_path / f"resumed{suffix}"
    expected = colorize_clip(clip, whole, colorizer(), SETTINGS)
    with monkeypatch.context() as patch:
        patch.setattr(ClipWriter, "finish", stopped)
        with pytest.raises(KeyboardInterrupt, match="--resume goes on"):
            colorize_clip(clip, resumed, colorizer(), SETTINGS)
    assert len(list(tmp_path.glob("*.work/*.segment"))) == 1
    report = colorize_clip(clip, resumed, colorizer(), RESUMED)
    np.testing.assert_equal(report.statistics, expected.statistics)  # NaN where there is nothing to compare with
    assert_equal(whole, resumed, 1)
    assert not list(tmp_path.glob("*.work"))


def stopped(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize("batches", [3, 5, 7])
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_clip_of_variable_rate_is_gone_on_with(tmp_path, interrupted, batches, suffix):
    gaps = np.random.default_rng(0).integers(10, 400, LENGTH)  # milliseconds
    times = (np.cumsum(gaps) - gaps[0]).tolist()
    clip = make_clip(
        tmp_path / "clip.mkv", luma_frames(LENGTH, 32, 48), times=times, base=Fraction(1, 1000), tracks=(0,)
    )
    whole, resumed = tmp_path / f"whole{suffix}", tmp_path / f"resumed{suffix}"
    expected = colorize_clip(clip, whole, colorizer(), SETTINGS)
    assert [round(1000 * time) for time in decoded(whole)[1]] == times
    restore = interrupted(batches)
    with pytest.raises(KeyboardInterrupt, match="--resume goes on"):
        colorize_clip(clip, resumed, colorizer(), SETTINGS)
    restore()
    report = colorize_clip(clip, resumed, colorizer(), RESUMED)
    assert report.passed
    assert report.statistics == expected.statistics
    assert_equal(whole, resumed)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_full_disk_while_a_segment_is_written(clip, tmp_path, call, monkeypatch, number):
    """The first segments are kept, no part of another is, and with room again the clip is the one without a fault."""
    write_weights(tmp_path / "model.safetensors", *colorizer().trained, "float32")
    command = ["colorize.py", "clip.mkv", "out.mkv", "--model", "model.safetensors", "--batch", "4"]
    call(*[part.replace("out", "whole") for part in command])
    synced, calls = os.fsync, []

    def full(file):
        calls.append(file)
        if len(calls) > number:  # the first is the journal's
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        synced(file)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        refused(call(*command, status=2), "No space left", "make room", *["out.mkv.work", "--resume"] * (number > 1))
    left = sorted(path.name for path in tmp_path.glob("*out.mkv*/*"))
    assert left == [*[f"{at:06d}.segment" for at in range(number - 1)], "journal.json"] * (number > 1)
    assert not list(tmp_path.glob(".*"))
    assert not (tmp_path / "out.mkv").exists()
    call(*command, *["--resume"] * (number > 1))
    assert_equal(tmp_path / "whole.mkv", tmp_path / "out.mkv")
    assert not list(tmp_path.glob("*.work"))


def test_a_full_disk_before_the_first_frame_leaves_nothing(clip, tmp_path, monkeypatch):
    def full(file):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        colorize_clip(clip, tmp_path / "out.mkv", colorizer(), SETTINGS)
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mkv"]


def test_the_command_goes_on_with_a_clip(clip, tmp_path, call, interrupted):
    write_weights(tmp_path / "model.safetensors", *colorizer().trained, "float32")
    command = ["colorize.py", "clip.mkv", "out.mkv", "--model", "model.safetensors", "--batch", "4"]
    restore = interrupted(6)
    assert "out.mkv.work has what is done: --resume goes on" in call(*command, status=130).stderr
    restore()
    refused(call(*command, status=2), "out.mkv.work", "--resume goes on with it")
    interrupted(3, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    refused(call(*command, "--resume", status=2), "out.mkv.work", "make room")
    restore()
    call(*command, "--resume")
    assert len(contents(tmp_path / "out.mkv")[1]) == LENGTH


def test_a_clip_without_noise_goes_on_too(clip, tmp_path, monkeypatch):
    write_denoiser(tmp_path / "model.safetensors")
    denoiser = Denoiser(load_model(tmp_path / "model.safetensors"))
    whole, resumed = tmp_path / "whole.mkv", tmp_path / "resumed.mkv"
    expected = denoise_clip(clip, whole, denoiser, SETTINGS)
    output, calls = Denoiser.output, []

    def limited(self, image):
        calls.append(1)
        if len(calls) > 20:
            raise KeyboardInterrupt
        return output(self, image)

    monkeypatch.setattr(Denoiser, "output", limited)
    with pytest.raises(KeyboardInterrupt, match="--resume goes on"):
        denoise_clip(clip, resumed, denoiser, SETTINGS)
    monkeypatch.setattr(Denoiser, "output", output)
    report = denoise_clip(clip, resumed, denoiser, RESUMED)
    assert_equal(whole, resumed)
    assert report.statistics == expected.statistics


def test_what_is_done_outlives_many_interruptions_and_errors(clip, tmp_path, interrupted):
    whole, resumed = tmp_path / "whole.mkv", tmp_path / "resumed.mkv"
    colorize_clip(clip, whole, colorizer(), SETTINGS)
    for batches, error in ((3, KeyboardInterrupt), (0, KeyboardInterrupt), (0, InputError("no memory")), (2, OSError)):
        restore = interrupted(batches, error)
        with pytest.raises((KeyboardInterrupt, InputError, OSError), match="--resume goes on"):
            colorize_clip(clip, resumed, colorizer(), RESUMED)
        restore()
    colorize_clip(clip, resumed, colorizer(), RESUMED)
    assert_equal(whole, resumed)


def test_a_folder_without_a_journal_has_nothing_to_lose(clip, tmp_path):
    (tmp_path / "out.mkv.work").mkdir()
    colorize_clip(clip, tmp_path / "out.mkv", colorizer(), SETTINGS)
    assert not (tmp_path / "out.mkv.work").exists()


def test_nothing_is_left_where_nothing_was_done(clip, tmp_path, interrupted):
    interrupted(1)
    with pytest.raises(KeyboardInterrupt):
        colorize_clip(clip, tmp_path / "out.mkv", colorizer(), SETTINGS)
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mkv"]


def test_work_of_another_clip_model_or_version_is_refused(clip, tmp_path, interrupted, monkeypatch):
    out = tmp_path / "out.mkv"
    restore = interrupted(5)
    with pytest.raises(KeyboardInterrupt):
        colorize_clip(clip, out, colorizer(), SETTINGS)
    restore()
    other = tmp_path / "other.mkv"
    make_clip(other, luma_frames(LENGTH, 32, 48, seed=1))
    with pytest.raises(InputError, match="is of another input: remove it"):
        colorize_clip(other, out, colorizer(), RESUMED)
    with pytest.raises(InputError, match="is of another model or options: remove it"):
        colorize_clip(clip, out, colorizer(saturation=1.0), RESUMED)
    for name, other_version in (("version", lambda name: "0.0"), ("sources", lambda: "of tomorrow")):
        with monkeypatch.context() as changed:
            changed.setattr(pipeline, name, other_version)
            with pytest.raises(InputError, match="is of another version: remove it"):
                colorize_clip(clip, out, colorizer(), RESUMED)


def test_damaged_segments_are_made_again(clip, tmp_path, interrupted):
    whole, resumed, lines = tmp_path / "whole.mkv", tmp_path / "resumed.mkv", []
    colorize_clip(clip, whole, colorizer(), SETTINGS)
    restore = interrupted(7)
    with pytest.raises(KeyboardInterrupt):
        colorize_clip(clip, resumed, colorizer(), SETTINGS)
    restore()
    segments = sorted((tmp_path / "resumed.mkv.work").glob("*.segment"))
    assert len(segments) >= 2
    segments[1].write_bytes(segments[1].read_bytes()[:-5])
    colorize_clip(clip, resumed, colorizer(), RESUMED, log=lines.append)
    assert any("000001.segment is damaged: it is made again" in line for line in lines)
    assert_equal(whole, resumed)


def test_fingerprints_differ_where_values_do():
    values = [1, 1.0, "1", (1,), [1], {"a": 1}, {"a": 2}, np.ones(1), np.ones((1, 1)), np.ones(1, np.float32), None]
    assert len({fingerprint(value) for value in values}) == len(values)
    assert fingerprint(colorizer()) == fingerprint(colorizer())
    assert fingerprint(colorizer()) != fingerprint(colorizer(pixels=900))
