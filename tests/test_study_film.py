"""How the steadiness of film is measured."""

import json

import imageio.v3 as iio
import numpy as np
import pytest
from clips import colorizer, luma_frames, make_clip
from conftest import refused
from skimage import data
from studies.measures.fade import faded
from studies.measures.film import averaged, mean_warp_error, mixed, motions_of, scores_of, warp_error

from ae.color import luma
from ae.report.markdown import rows_of
from ae.restore.weights import write_weights


@pytest.fixture(scope="module")
def moving():
    """A photograph that moves by a pixel to the right in each frame, RGB [T, H, W, 3]."""
    whole = np.float32(data.astronaut()[40:104, 180:300]) / 255
    return np.stack([whole[:, 8 - step : 8 - step + 96] for step in range(6)])


def test_what_moves_along_has_no_error(moving):
    motions = list(motions_of(np.asarray(luma(moving))[..., 0]))
    assert all(motion.seen.mean() > 0.8 for motion in motions)
    assert np.median([np.median(motion.columns - np.arange(96)) for motion in motions]) == pytest.approx(-1, abs=0.1)
    flickers = moving * np.float32([[[[1, 1, 1]]], [[[1.1, 1, 0.9]]]] * 3)
    still, flickering = (
        scores_of(frames, moving) | {"warp error": mean_warp_error(frames, motions)} for frames in (moving, flickers)
    )
    assert still["PSNR"] == 80
    assert flickering["warp error"] > 3 * still["warp error"]
    assert flickering["CDC"] > still["CDC"]


def test_where_nothing_was_seen_there_is_no_error(moving):
    motion = next(motions_of(np.asarray(luma(moving))[..., 0]))
    hidden = motion._replace(seen=np.zeros_like(motion.seen))
    assert warp_error(moving[0, ..., :2], moving[1, ..., :2], hidden) == 0


def test_averages_keep_luma_and_mix_chroma(moving):
    tinted = np.clip(moving * np.float32([1, 0.9, 0.8]), 0, 1)
    frames = np.where(np.arange(6)[:, None, None, None] % 2, tinted, moving)
    for smooth in (averaged(frames, 3), mixed(frames)):
        np.testing.assert_allclose(luma(smooth), luma(frames), atol=0.01)
        assert (
            np.abs(np.diff(smooth[1:3] - luma(smooth[1:3]), axis=0)).mean()
            < np.abs(np.diff(frames[1:3] - luma(frames[1:3]), axis=0)).mean()
        )


def test_film(call, tmp_path):
    write_weights(tmp_path / "ours.safetensors", *colorizer().trained, "float32")
    make_clip(tmp_path / "in.mp4", luma_frames(6, 72, 128))
    call("study.py", "film", "in.mp4", "--model", "ours.safetensors", "--steady", "0.5", "--limit", "5")
    rows = rows_of(json.loads((tmp_path / "results/study_film.json").read_text()))
    methods = ["truth", "gray", "as it is", "mean of 3 frames", "mean of 5 frames", "FFmpeg's tmix", "steady 0.5"]
    assert [row["method"] for row in rows] == methods
    assert rows[0]["excess of CDC"] == 0
    assert rows[0]["colourfulness"] < 2
    of_the_clip = rows_of(json.loads((tmp_path / "results/study_film_clips.json").read_text()))
    assert [row["clip"] for row in of_the_clip] == 7 * ["in"]
    assert [row["CDC"] for row in of_the_clip] == [row["CDC"] for row in rows]


def test_strip(call, tmp_path):
    write_weights(tmp_path / "ours.safetensors", *colorizer().trained, "float32")
    make_clip(tmp_path / "in.mp4", luma_frames(20, 72, 128))
    call("study.py", "strip", "in.mp4", "--model", "ours.safetensors")
    assert iio.imread(tmp_path / "results/study_film_in.jpg").shape[-1] == 3
    done = call("study.py", "strip", "in.mp4", "--start", "0.5", "--model", "ours.safetensors", status=2)
    refused(done, "has not 18 frames from 0.5 s on")


def test_fade(call, tmp_path):
    write_weights(tmp_path / "ours.safetensors", *colorizer().trained, "float32")
    make_clip(tmp_path / "in.mp4", luma_frames(9, 72, 128))
    call("study.py", "fade", "in.mp4", "--model", "ours.safetensors")
    rows = rows_of(json.loads((tmp_path / "results/study_fade.json").read_text()))
    assert [row["light"] for row in rows] == [1.0, 0.75, 0.5, 0.35, 0.25]
    assert all(0.5 < row[way] < 2 for row in rows for way in ("each frame alone", "steady 0.95"))
    assert rows[0]["each frame alone"] == pytest.approx(1, rel=0.05)


def test_light_goes_evenly_to_a_quarter():
    dark, places = faded(np.ones((31, 2, 3), np.float32))
    assert places == [0, 10, 20, 26, 30]
    np.testing.assert_allclose(dark[places, 0, 0], [1, 0.75, 0.5, 0.35, 0.25], atol=1e-6)


def test_film_sizes(call, tmp_path):
    write_weights(tmp_path / "ours.safetensors", *colorizer().trained, "float32")
    make_clip(tmp_path / "in.mp4", luma_frames(4, 72, 128))
    call("study.py", "film-sizes", "in.mp4", "--model", "ours.safetensors", "--limit", "3")
    rows = rows_of(json.loads((tmp_path / "results/study_film_sizes.json").read_text()))
    assert [row["seen at"] for row in rows][:2] == ["40x24", "56x32"]
    costs = [row["GFLOP a frame"] for row in rows]
    assert costs == sorted(costs)
    assert all(10 < row["PSNR"] < 80 for row in rows)
