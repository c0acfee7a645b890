"""The page on which one can try the models: what it computes, what it runs, and how it is used in a browser."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from clips import luma_frames, make_clip
from conftest import ROOT
from demos import jobs, views
from demos.folders import Folders
from PIL import Image
from skimage import data

from ae import Colorizer, Denoiser, load_model
from ae.errors import InputError
from ae.media.images import read_image
from ae.media.pictures import painted
from ae.restore import colorize

MOST = 2**26
CHROMIUM = shutil.which("chromium")


@pytest.fixture
def photograph(tmp_path):
    path = tmp_path / "cat.png"
    Image.fromarray(data.chelsea()).save(path)
    return path


def test_points_on_the_page_are_the_hints_that_are_saved(models, photograph, tmp_path):
    colorizer = Colorizer(load_model(str(models / "hinted.safetensors")))
    view = views.open_gray(photograph, MOST)
    assert view.gray.shape == data.chelsea().shape[:2]
    points = [(0.5, 0.25, "#c04030"), (0.999, 1.0, "#3040c0")]
    views.write_dots(tmp_path / "dots.png", view, points)
    written, shown = painted(read_image(tmp_path / "dots.png")), painted(views.dots(view, points))
    np.testing.assert_array_equal(written.rows, shown.rows)
    np.testing.assert_array_equal(written.chroma, shown.chroma)
    plain, pointed = (views.coloured(view, colorizer, chosen) for chosen in ((), points))
    place = int(0.5 * view.gray.shape[0]), int(0.25 * view.gray.shape[1])
    assert np.abs(pointed - plain)[place].max() > 0.1
    far = slice(view.gray.shape[1] // 2, 3 * view.gray.shape[1] // 4)  # a quarter of the width away
    assert np.median(np.abs(pointed - plain)[:, far]) < 8 / 255
    np.testing.assert_allclose(plain, colorizer.image(view.gray), atol=1e-6)


def test_a_first_click_finds_its_programs_compiled(models, photograph):
    pytest.importorskip("gradio")
    from demos.colour import Answers

    answers = Answers(None, Colorizer(load_model(str(models / "hinted.safetensors"))), None)
    view, look = views.open_gray(photograph, MOST), (1.0, 0.0, False)
    answers.prepared(None, *look)
    answers.prepared(view, *look)
    programs = colorize._answered_chroma, colorize._mean_colours, colorize._finer_colours
    before = [program._cache_size() for program in programs]
    answers.shown(view, ((0.5, 0.25, "#c04030"), (0.2, 0.8, "#3040c0")), *look)
    assert [program._cache_size() for program in programs] == before


def test_large_photographs_are_seen_as_copies(tmp_path):
    Image.new("L", (2500, 10), 128).save(tmp_path / "wide.png")
    view = views.open_gray(tmp_path / "wide.png", MOST)
    assert view.gray.shape == (4, views.SIDE)
    with pytest.raises(InputError, match="more than the 100 allowed"):
        views.open_gray(tmp_path / "wide.png", 100)


@pytest.mark.parametrize("size", [(20, 30), (320, 480), (700, 900)])
def test_the_loupe_shows_pixels_and_what_the_command_makes_of_them(models, tmp_path, size):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "noisy.png")
    denoiser = Denoiser(load_model(str(models / "denoiser.safetensors")))
    view = views.open_noisy(tmp_path / "noisy.png", denoiser, MOST)
    before, after = views.loupe(view, denoiser, (0.5, 0.5), 1.0)
    height, width, _ = before.shape
    assert (height, width) == (min(size[0], views.LOUPE[0]), min(size[1], views.LOUPE[1]))
    top, left = ((length - shown) // 2 for length, shown in zip(size, (height, width), strict=True))
    inside = np.s_[top : top + height, left : left + width]
    np.testing.assert_array_equal(np.round(255 * before), pixels[inside])
    whole = denoiser.image(pixels.astype(np.float32) / 255)
    np.testing.assert_allclose(after, whole[inside], atol=1e-5)


@pytest.mark.parametrize("place", [0.0, 0.3, 0.9999, 1.0])
def test_the_loupe_stays_inside(place):
    for length in (10, 320, 400, 5000):
        seen, kept = views.spans(place, length, 320)
        assert 0 <= seen.start < seen.stop <= length
        assert kept.stop - kept.start == min(320, length)
        assert kept.start >= 0
        assert kept.stop <= seen.stop - seen.start


@pytest.mark.parametrize(("colour", "wanted"), [("#aabbcc", "#aabbcc"), ("rgba(170, 187.2, 204, 1)", "#aabbcc")])
def test_colours_come_in_two_forms(colour, wanted):
    assert views.hex_colour(colour) == wanted


def test_commands_are_run_and_say_how_far_they_are(models, photograph, tmp_path):
    target = tmp_path / "out.png"
    command = ["colorize.py", photograph, target, "--model", str(models / "hinted.safetensors")]
    *states, done = jobs.run(command)
    assert all(isinstance(state, jobs.Progress) for state in states)
    assert isinstance(done, jobs.Done)
    assert done.lines == [str(target)]
    assert target.exists()
    assert jobs.command_line(command[:3]) == "python scripts/colorize.py cat.png out.png"


def test_a_command_that_fails_says_why_in_one_line(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"bad.png cannot be read"):
        list(jobs.run(["colorize.py", tmp_path / "bad.png", tmp_path / "out.png"]))


def test_a_command_that_is_no_longer_wanted_is_stopped(tmp_path):
    source = make_clip(tmp_path / "in.mp4", luma_frames(400, 480, 640))
    running = jobs.run(["colorize.py", source, tmp_path / "out.mp4"])
    next(running)
    running.close()
    assert not subprocess.run(["pgrep", "-f", str(source)], capture_output=True).stdout


@pytest.mark.parametrize(
    ("shown", "share", "label"),
    [
        ("", None, "starting"),
        ("\rfilm.mp4:  12%|█▏        | 3/25", 0.12, "film.mp4"),
        ("\ra:  50%|█\r\x1b[A b:   7%|▋  ", 0.07, "b"),
    ],
)
def test_bars_are_read(shown, share, label):
    found = jobs.progress_of(shown)
    assert found.share == share
    assert found.label.endswith(label)


def test_folders_of_a_visit_are_deleted_when_it_ends(tmp_path):
    folders = Folders(seconds=100)
    (tmp_path / "a.png").write_text("a")
    taken = folders.taken(str(tmp_path / "a.png"), "one")
    other = folders.new("two")
    assert taken.read_text() == "a"
    os.utime(other, (0, 0))
    folders._sweep()
    assert not other.exists()
    folders.forget("one")
    assert not taken.exists()
    folders.close()
    assert not folders.root.exists()


def damaged(folder):
    """Photographs and a clip that are cut short, and files that are none."""
    Image.fromarray(data.chelsea()).save(folder / "photo.jpg")
    photo = (folder / "photo.jpg").read_bytes()
    clip = make_clip(folder / "film.mp4", luma_frames(20, 48, 64)).read_bytes()
    contents = {
        "half.jpg": photo[: len(photo) // 2],
        "head.jpg": photo[:200],
        "text.png": b"This is no picture.\n",
        "empty.png": b"",
        "half.mp4": clip[: len(clip) // 2],
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in contents]


def test_damaged_uploads_are_answered_in_one_line(site, tmp_path):
    client = pytest.importorskip("gradio_client")
    address, left, _ = site
    page = client.Client(address, verbose=False)

    def refusal(*values, api):
        with pytest.raises(client.exceptions.AppError) as caught:
            page.predict(*values, api_name=api)
        return str(caught.value)

    for path in damaged(tmp_path):
        upload = client.handle_file(path)
        if path.suffix == ".mp4":
            page.predict(upload, api_name="/opened_2")
            said = {refusal(1, 0, False, False, True, api="/made_2"): f"{path.name} cannot be read as a video: "}
            assert not list(left.glob("ae-demo-*/visits/*/*/*_colour*"))
        elif path.stem == "half":
            assert page.predict(upload, 1, 0, False, api_name="/opened")["after"].startswith("data:")
            said = {refusal(1, 0, False, api="/made"): "half_colour.jpg is without a part "}
            next(left.glob("ae-demo-*/visits/*/*/half_colour.jpg")).unlink()  # what could be read
        else:
            lines = refusal(upload, 1, 0, False, api="/opened"), refusal(upload, 1, api="/opened_1")
            said = dict.fromkeys(lines, f"{path.name} cannot be read as an image: ")
        for line, begin in said.items():
            assert line.startswith(begin)
            assert "\n" not in line


# In a browser


@pytest.fixture
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="this needs playwright")
    if CHROMIUM is None:
        pytest.skip("this needs Debian's chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def give(page, path):
    """Give the tab that is shown a file."""
    page.set_input_files("[role=tabpanel]:visible input[type=file]", str(path))


def pixels_shown(page):
    """Return the address of the picture that is shown as changed, which has its pixels."""
    return page.locator(".after:visible").get_attribute("src")


def downloaded(page, name):
    with page.expect_download() as waiting:
        page.locator(f"a:visible[download='{name}']").click()
    return Path(waiting.value.path()).read_bytes()


def leave(page, left):
    """Close the page, and wait until what was uploaded is deleted."""
    assert list(left.glob("ae-demo-*/visits/*"))
    page.close()
    deadline = time.monotonic() + 30
    while list(left.glob("ae-demo-*/visits/*")):
        assert time.monotonic() < deadline, "what was uploaded is still there"
        time.sleep(0.2)


@pytest.mark.browser
def test_a_photograph_is_coloured_with_points_and_saved_as_the_command_does(
    site, browser, models, photograph, tmp_path
):
    address, left, _ = site
    page = browser.new_page()
    page.goto(address)
    give(page, photograph)
    page.wait_for_selector(".after")
    first = pixels_shown(page)

    page.locator("input[type=range][aria-label*=share]").fill("80")
    assert page.locator(".before").evaluate("image => getComputedStyle(image).clipPath") == "inset(0px 20% 0px 0px)"

    seconds = []
    for number in range(1, 4):
        box = page.locator(".after").bounding_box()
        began = time.perf_counter()
        page.mouse.click(box["x"] + 0.2 * number * box["width"], box["y"] + box["height"] / 2)
        page.wait_for_function(f"document.querySelectorAll('.point').length == {number}")
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 1  # "at once", says docs/demo.md
    assert pixels_shown(page) != first
    page.get_by_role("button", name="Undo").click()
    page.wait_for_function("document.querySelectorAll('.point').length == 2")
    plain = pixels_shown(page)
    lively = page.locator("input[type=number][aria-label*=Vivid]:visible")
    lively.fill("0.5")
    lively.press("Enter")
    page.wait_for_function("before => document.querySelector('.after').src != before", arg=plain)

    page.get_by_role("button", name="Save").click()
    page.wait_for_selector("text=The same from the command line", timeout=60_000)
    assert "colorize.py cat.png cat_colour.png" in page.locator(".cm-content:visible").inner_text()
    saved, dots = downloaded(page, "cat_colour.png"), downloaded(page, "dots.png")
    (tmp_path / "dots.png").write_bytes(dots)
    command = [
        sys.executable,
        "scripts/colorize.py",
        photograph,
        tmp_path / "out.png",
        "--hints",
        tmp_path / "dots.png",
        "--vivid",
        "0.5",
    ]
    subprocess.run([*command, "--model", models / "hinted.safetensors"], cwd=ROOT, check=True)
    assert (tmp_path / "out.png").read_bytes() == saved

    leave(page, left)


@pytest.mark.browser
def test_noise_is_taken_under_a_loupe(site, browser, tmp_path):
    address, *_ = site
    noisy = np.clip(data.astronaut() + np.random.default_rng(0).normal(0, 20, (512, 512, 3)), 0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(tmp_path / "noisy.png")
    page = browser.new_page()
    page.goto(address)
    page.get_by_role("tab", name="Noise").click()
    give(page, tmp_path / "noisy.png")
    page.wait_for_selector(".after:visible")
    assert page.locator(".after:visible").evaluate("image => image.naturalWidth") == views.LOUPE[1]
    first = pixels_shown(page)
    page.locator("img[alt='']:visible, .image-frame img:visible").first.click(position={"x": 5, "y": 5})
    page.wait_for_function("first => document.querySelectorAll('.after')[0].src != first", arg=first)
    page.get_by_role("button", name="Save").locator("visible=true").click()
    page.wait_for_selector("text=The same from the command line >> visible=true", timeout=60_000)
    (tmp_path / "saved.png").write_bytes(downloaded(page, "noisy_clean.png"))
    assert read_image(tmp_path / "saved.png").pixels.shape == (1, 512, 512, 3)


@pytest.mark.browser
def test_a_clip_is_coloured_and_another_one_stopped(site, browser, tmp_path):
    address, *_ = site
    make_clip(tmp_path / "film.mp4", luma_frames(20, 48, 64))
    make_clip(tmp_path / "long.mp4", luma_frames(900, 240, 320))
    page = browser.new_page()
    page.goto(address)
    page.get_by_role("tab", name="Clips").click()
    give(page, tmp_path / "film.mp4")
    page.locator("button:visible", has_text="Colour").last.click()
    page.wait_for_selector("text=The same from the command line >> visible=true", timeout=60_000)
    assert downloaded(page, "shots.csv").startswith(b"start,what")
    assert page.locator("video:visible").count() == 1

    page.reload()
    page.get_by_role("tab", name="Clips").click()
    give(page, tmp_path / "long.mp4")
    page.get_by_label("The first 3 seconds only").uncheck()
    page.locator("button:visible", has_text="Colour").last.click()
    page.get_by_role("button", name="Stop").click()
    page.wait_for_selector("text=stopped >> visible=true")
    deadline = time.monotonic() + 30
    while subprocess.run(["pgrep", "-f", "long_colour.mp4"], capture_output=True).stdout:
        assert time.monotonic() < deadline, "the command still runs"
        time.sleep(0.2)


@pytest.mark.browser
def test_what_cannot_be_read_is_said_in_one_line(site, browser, tmp_path):
    address, left, _ = site
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8 nothing")
    page = browser.new_page()
    page.goto(address)
    give(page, tmp_path / "bad.jpg")
    message = page.locator("[data-testid=toast-body], .toast-body").first
    message.wait_for()
    assert "\nbad.jpg cannot be read" in message.inner_text()
    assert "Traceback" not in message.inner_text()
    leave(page, left)


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_window(site, browser, photograph, scheme, width):
    address, *_ = site
    page = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme).new_page()
    page.goto(address)
    give(page, photograph)
    page.wait_for_selector(".after")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    box = page.locator(".after").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
