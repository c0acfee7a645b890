"""Folders and patterns: where each file goes, what is left out, and what is said of it."""

import os
from dataclasses import replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from PIL import Image

from ae.errors import InputError
from ae.media.folders import change_folder, find_jobs, is_folder_or_pattern
from ae.media.pictures import change_images

GRAY = np.uint8(np.random.default_rng(0).uniform(60, 200, (8, 9)))


def images(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(GRAY).save(folder / name)


def names(source, kinds=("image",)):
    """What would be written, below the output folder."""
    return [str(job.target.relative_to("out")) for job in find_jobs(str(source), Path("out"), kinds).jobs]


def inverted(jobs):
    return change_images(jobs, lambda picture: replace(picture, pixels=picture.max_value - picture.pixels))


def changed(source, folder, **options):
    """What is said."""
    lines = []
    try:
        change_folder(str(source), folder, {"image": inverted}, log=lines.append, **options)
    except InputError as error:
        lines.append(str(error))
    return lines


def tree(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_subfolders_stay(tmp_path):
    images(tmp_path / "in", "b.png", "a10.png", "a9.png", "sub/c.png", "sub/deeper/d.JPG")
    lines = changed("in", tmp_path / "out")
    assert tree(tmp_path / "out") == tree(tmp_path / "in")
    np.testing.assert_array_equal(iio.imread(tmp_path / "out/sub/c.png"), 255 - GRAY)
    assert len(lines) == 1
    assert lines[0].startswith("5 done, 0 skipped, 0 failed, ")
    assert lines[0].endswith(" s")


def test_files_come_in_the_order_in_which_people_count(tmp_path):
    images(tmp_path / "in", "frame10.png", "frame9.png", "frame1.png", "2/x.png", "10/x.png")
    assert names("in") == ["2/x.png", "10/x.png", "frame1.png", "frame9.png", "frame10.png"]
    assert names("in/frame1*.png") == ["frame1.png", "frame10.png"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("roll/*/001.png", ["A/001.png", "B/001.png"]),
        ("roll/A/*.png", ["001.png", "002.png"]),
        ("roll/*", ["A/001.png", "A/002.png", "B/001.png"]),
        ("roll/**/*.png", ["A/001.png", "A/002.png", "B/001.png"]),
        ("r*/?/00[12].png", ["roll/A/001.png", "roll/A/002.png", "roll/B/001.png"]),
        ("./roll/B/*", ["001.png"]),
    ],
)
def test_patterns_keep_the_subfolders_after_their_fixed_part(tmp_path, pattern, expected):
    images(tmp_path / "roll", "A/001.png", "A/002.png", "B/001.png")
    assert is_folder_or_pattern(pattern)
    assert names(pattern) == expected
    assert names(tmp_path / pattern) == expected


def test_a_folder_named_like_a_pattern_is_a_folder(tmp_path):
    images(tmp_path / "scans [1920s]", "a.png", "b.png")
    assert is_folder_or_pattern("scans [1920s]")
    assert names("scans [1920s]") == ["a.png", "b.png"]
    assert names("scans [1920s]/a*") == ["a.png"]
    images(tmp_path, "1.png", "2.png", "[12].png")
    assert not is_folder_or_pattern("[12].png")
    assert names("[123].png") == ["1.png", "2.png"]


def test_two_files_for_one_name_are_refused_before_the_start(tmp_path):
    images(tmp_path / "in", "a.png", "b.png")
    Image.fromarray(GRAY).save(tmp_path / "in/a.pcx")  # which is not written, but as .png
    assert "would both be written as" in changed("in", tmp_path / "out")[0]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("target", [".", "in", "in/../in"])
def test_inputs_are_not_written_over(tmp_path, target):
    images(tmp_path / "in", "a.png")
    source = "in" if target != "." else "*.png"
    images(tmp_path, "a.png")
    assert "would take the place of an input" in changed(source, tmp_path / target)[0]
    np.testing.assert_array_equal(iio.imread(tmp_path / "in/a.png"), GRAY)


@pytest.mark.parametrize("source", ["in", "in/**/*.png", "in/*"])
def test_the_folder_that_is_written_to_is_no_input(tmp_path, source):
    images(tmp_path / "in", "a.png", "b/c.png", "out/a.png")
    assert changed(source, tmp_path / "in/out")[0].startswith("2 done")
    assert changed(source, tmp_path / "in/out")[0].startswith("2 done")
    assert tree(tmp_path / "in/out") == ["a.png", "b/c.png"]


def test_links_are_followed_once(tmp_path):
    images(tmp_path / "in", "a.png", "sub/b.png")
    images(tmp_path / "elsewhere", "c.png")
    for link, place in (("loop", "in"), ("sub/up", "in"), ("other", "elsewhere"), ("again", "in/sub")):
        os.symlink(tmp_path / place, tmp_path / "in" / link)
    os.symlink("nowhere.png", tmp_path / "in/broken.png")
    assert names("in") == ["a.png", "sub/b.png", "other/c.png"]
    assert find_jobs("in", tmp_path / "out", ("image",)).left_out == {".png": 1}


def test_what_is_left_out_is_counted_and_named(tmp_path):
    images(tmp_path / "in", "a.png", "b.png")
    for name in ("notes.txt", "sub/more.TXT", "README", ".hidden.png", "film.mp4"):
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_text("x")
    os.mkfifo(tmp_path / "in/pipe.png")
    (line,) = changed("in", tmp_path / "out")
    assert line.startswith("2 done, 5 skipped (2 .txt, ")
    for part in ("1 .mp4", "1 without a suffix", "1 .png"):
        assert part in line
    jobs = find_jobs("in", tmp_path / "out", ("image", "clip")).jobs
    assert {(job.source.name, job.kind) for job in jobs} == {
        ("a.png", "image"),
        ("b.png", "image"),
        ("film.mp4", "clip"),
    }


def test_what_is_there_already_can_stay(tmp_path):
    images(tmp_path / "in", "a.png", "b.png", "c/d.png")
    images(tmp_path / "out", "a.png", "c/d.png")
    (line,) = changed("in", tmp_path / "out", skip_existing=True)
    assert line.startswith("1 done, 2 skipped (2 there already), 0 failed")
    np.testing.assert_array_equal(iio.imread(tmp_path / "out/a.png"), GRAY)
    np.testing.assert_array_equal(iio.imread(tmp_path / "out/b.png"), 255 - GRAY)
    assert changed("in", tmp_path / "out", skip_existing=True)[0].startswith("0 done, 3 skipped")


def test_a_bad_file_does_not_keep_a_folder_from_its_others(tmp_path):
    images(tmp_path / "in", "1.png", "2.png", "10.png")
    Image.fromarray(np.uint16(GRAY) * 257).save(tmp_path / "in/deep.png")
    (tmp_path / "in/5.png").write_text("no image")
    noise = np.random.default_rng(0).integers(0, 255, (50, 50), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "in/7.png")
    content = (tmp_path / "in/7.png").read_bytes()
    (tmp_path / "in/7.png").write_bytes(content[: len(content) // 2])
    lines = changed("in", tmp_path / "out")
    assert tree(tmp_path / "out") == ["1.png", "10.png", "2.png", "7.png", "deep.png"]
    assert lines[0] == "in/5.png cannot be read as an image: it is of no format that is known"
    assert lines[1].startswith("in/7.png: it is without a part")
    assert lines[2].startswith("5 done, 0 skipped, 1 failed")
    assert lines[3] == (
        "1 of 6 files could not be read or written and 1 of 6 files could be read in part only; "
        f"the others are in {tmp_path / 'out'}"
    )


def test_what_a_format_cannot_hold_fails_alone(tmp_path):
    images(tmp_path / "in", "a.png")
    Image.fromarray(np.dstack([GRAY] * 4)).save(tmp_path / "in/b.bmp", format="PNG")
    lines = changed("in", tmp_path / "out")
    assert ".bmp cannot take the alpha" in lines[0]
    assert tree(tmp_path / "out") == ["a.png"]


def test_formats_that_are_only_read_become_png(tmp_path):
    images(tmp_path / "in", "a.pcx", "b.ico", "c.sgi")
    assert names("in") == ["a.png", "b.png", "c.png"]
    changed("in", tmp_path / "out")
    np.testing.assert_array_equal(iio.imread(tmp_path / "out/a.png"), 255 - GRAY)


def test_nothing_to_do_is_said(tmp_path):
    (tmp_path / "in").mkdir()
    for source in ("in", "in/*.jpg", "nowhere/*.png"):
        assert f"{source} holds no image" in changed(source, tmp_path / "out")[0]
    assert not (tmp_path / "out").exists()
