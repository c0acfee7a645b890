"""Clips that are taken up in their midst."""

import av
import numpy as np
import pytest
from clips import colorizer, decoded, luma_frames, make_clip
from conftest import refused

from ae.media.clips.conversions import colorize_clip
from ae.media.clips.settings import ClipSettings
from ae.restore.weights import write_weights

KEYS = {"qp": "0", "preset": "ultrafast", "g": "10"}


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".ts", ".avi"])
@pytest.mark.parametrize("start", [0.52, 1.0])
def test_a_clip_is_taken_up_at_a_time(tmp_path, suffix, start):
    source = make_clip(tmp_path / f"in{suffix}", luma_frames(50, 32, 48), options=KEYS, tracks=[0.0])
    settings = ClipSettings(4, seconds=0.4, start=start, encoder_options={"qp": "0"})
    report = colorize_clip(source, tmp_path / "out.mkv", colorizer(), settings)
    assert report.passed, report.failures
    assert not report.lost
    assert f"what comes before 0:{start:06.3f}" in report.left_out
    found, (whole, times) = decoded(tmp_path / "out.mkv")[0], decoded(source)
    with av.open(str(source)) as container:
        begins = max(container.start_time, 0) / av.time_base + start
    first = next(index for index, time in enumerate(times) if time >= begins - 1e-9)
    np.testing.assert_array_equal(found, whole[first : first + 10])
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert float(container.duration / av.time_base) == pytest.approx(0.4, abs=0.1)


def test_the_command_takes_a_clip_up(tmp_path, call):
    write_weights(tmp_path / "model.safetensors", *colorizer().trained, "float32")
    make_clip(tmp_path / "in.mp4", luma_frames(25, 32, 48), options=KEYS)
    command = ["colorize.py", "in.mp4", "out.mp4", "--model", "model.safetensors"]
    call(*command, "--start", "0.4")
    assert len(decoded(tmp_path / "out.mp4")[0]) == 15
    refused(call("colorize.py", "in.mp4", "no.mp4", "--start", "2", status=2), "no frame", "from 0:02.000 on")
    refused(call("colorize.py", "in.mp4", "no.mp4", "--start", "-1", status=2), "--start has to be at least 0")
    assert not list(tmp_path.glob("no*"))
