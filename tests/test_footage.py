"""Films whose shots are gray, tinted, in colour, or blank."""

from dataclasses import replace
from itertools import permutations

import av
import numpy as np
import pytest
from clips import colorizer
from conftest import refused
from PIL import Image, ImageDraw
from skimage import data

from ae.color import Coding
from ae.errors import InputError
from ae.media.clips import pipeline
from ae.media.clips.conversions import colorize_clip
from ae.media.clips.frames import write_frames
from ae.media.clips.settings import ClipSettings
from ae.media.images import read_image
from ae.restore.colorize import Colorizer
from ae.restore.footage import Kind, Shot, is_blank, read_shots, seen, with_given, with_own_kind, write_shots
from ae.restore.weights import write_weights
from ae.runtime.chain import Frame

SIZE = (180, 320)
SETTINGS = ClipSettings(4, codec="ffv1")


def scene(name, count=14, speed=2):
    """Return frames RGB [T, 180, 320, 3], uint8, of a photograph that a camera pans over."""
    photograph = getattr(data, name)()
    wide = np.pad(photograph, ((0, max(0, 180 - len(photograph))), (0, 320), (0, 0)), mode="symmetric")
    return np.stack([wide[50:230, speed * index :][:, :320] for index in range(count)])


def gray(frames):
    return np.uint8(np.round(frames @ [0.299, 0.587, 0.114]))[..., None].repeat(3, -1)


def sepia(frames):
    share = gray(frames) / 255
    return np.uint8(np.round(255 * np.clip(share ** [0.8, 1.0, 1.3], 0, 1)))


def title(text="THE END", colour=(235, 235, 235), ground=(16, 16, 16), count=14):
    image = Image.new("RGB", SIZE[::-1], ground)
    draw = ImageDraw.Draw(image)
    draw.text((110, 60), text, fill=colour, font_size=24)
    draw.text((80, 110), "A film by nobody in particular", fill=colour, font_size=12)
    return np.stack([np.asarray(image)] * count)


def solid(value, count=14):
    return np.full((count, *SIZE, 3), value, np.uint8)


def write(path, *parts, options=None, pixels="yuv420p"):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options=options or {"crf": "18", "preset": "veryfast"})
        stream.height, stream.width, stream.pix_fmt = *SIZE, pixels
        for number, values in enumerate(np.concatenate(parts)):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(values), "rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = number, 1 / stream.average_rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def chroma(path):
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray() for frame in container.decode(video=0)]
    return np.stack([frame[SIZE[0] :] for frame in frames])


def decided(path):
    rows = [line.split(",") for line in path.read_text().splitlines()[1:]]
    return [(float(start), what) for start, what, *_ in rows]


def frame(rgb):
    yuv = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), "rgb24").reformat(format="yuv420p").to_ndarray()
    (height, width), area = SIZE, SIZE[0] * SIZE[1]
    flat = yuv.ravel()
    cb, cr = (part.reshape(height // 2, width // 2) for part in np.split(flat[area:], 2))
    return with_own_kind(Frame(flat[:area].reshape(SIZE), None, 0.0, cb, cr), Coding())


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea", "rocket"])
def test_what_is_seen_of_a_frame(name):
    (picture,) = scene(name, 1)
    assert seen(frame(picture), Coding()).spread > 3 / 255
    for other in (gray(picture), sepia(picture)):
        assert seen(frame(other), Coding()).spread < 1.2 / 255
        assert not is_blank(frame(other), Coding())
    assert seen(frame(sepia(picture)), Coding()).tint > 4 / 255


def test_blank_frames_and_titles():
    for blank in (solid(0, 1), solid(255, 1), solid(128, 1), title(count=1), title("FIN", (10,) * 3, (250,) * 3, 1)):
        assert is_blank(frame(blank[0]), Coding())
    night = np.full((*SIZE, 3), 8, np.uint8)
    night[100:, 40:130] = np.linspace(20, 200, 90, dtype=np.uint8)[None, :, None]
    assert not is_blank(frame(night), Coding())
    silhouette = np.full((*SIZE, 3), 12, np.uint8)
    silhouette[:40] = 190
    assert not is_blank(frame(silhouette), Coding())


def test_every_shot_is_decided(tmp_path):
    parts = [
        gray(scene("astronaut")), scene("coffee"), sepia(scene("chelsea")), title(), gray(scene("coffee")),
        title(colour=(220, 60, 40)), scene("rocket"), solid(0), gray(scene("chelsea")),
    ]  # fmt: skip
    source = write(tmp_path / "in.mp4", *parts)
    lines = []
    settings = ClipSettings(4, codec="ffv1", shots=tmp_path / "shots.csv")
    colorize_clip(source, tmp_path / "out.mkv", colorizer(), settings, log=lines.append)
    whats = ["gray", "colour", "tinted", "blank", "gray", "colour", "colour", "", "gray"]  # black belongs to a shot
    expected = [(round(0.56 * number, 2), what) for number, what in enumerate(whats) if what]
    assert decided(tmp_path / "shots.csv") == expected
    assert lines[:-1] == [
        "3 of 8 shots are in colour and keep it, from 0:00.560, 0:02.800, 0:03.360 on",
        "1 of 8 shots are gray with a tint, which goes, from 0:01.120 on",
    ]
    before, after = chroma(source), chroma(tmp_path / "out.mkv")
    length = 14
    for number in (1, 5, 6):
        inside = slice(number * length + 1, (number + 1) * length - 1)
        np.testing.assert_array_equal(after[inside], before[inside])
    for number in (0, 2, 4, 8):
        assert np.abs(after[number * length + 8] - 128.0).max() > 3
    for number in (3, 7):
        np.testing.assert_array_equal(after[number * length + 8], 128)


@pytest.mark.parametrize(("one", "other"), list(permutations(["astronaut", "coffee", "chelsea"], 2)))
def test_joined_shots_are_decided(tmp_path, one, other):
    for first, second, expected in ((gray, None, ["gray", "colour"]), (None, sepia, ["colour", "tinted"])):
        parts = [how(scene(name)) if how else scene(name) for how, name in ((first, one), (second, other))]
        source = write(tmp_path / "in.mp4", *parts)
        table = tmp_path / "shots.csv"
        table.unlink(missing_ok=True)
        colorize_clip(source, tmp_path / "out.mkv", colorizer(), ClipSettings(4, codec="ffv1", shots=table))
        assert decided(table) == list(zip([0.0, 0.56], expected, strict=True))


def test_a_shot_that_fades_in_keeps_its_colours(tmp_path):
    ramp = np.linspace(0, 1, 14)[:, None, None, None]
    source = write(tmp_path / "in.mp4", solid(0), np.uint8(scene("coffee") * ramp), scene("coffee"))
    colorize_clip(source, tmp_path / "out.mkv", colorizer(), SETTINGS)
    before, after = chroma(source), chroma(tmp_path / "out.mkv")
    np.testing.assert_array_equal(after[-14:], before[-14:])


def test_colours_can_be_given_anew(tmp_path):
    source = write(tmp_path / "in.mp4", scene("coffee"))
    colorize_clip(source, tmp_path / "kept.mkv", colorizer(), SETTINGS)
    colorize_clip(source, tmp_path / "new.mkv", colorizer(), ClipSettings(4, codec="ffv1", recolour=True))
    np.testing.assert_array_equal(chroma(tmp_path / "kept.mkv"), chroma(source))
    assert np.abs(chroma(tmp_path / "new.mkv") - np.float32(chroma(source))).mean() > 3


@pytest.mark.parametrize("pixels", ["yuv444p", "yuv422p", "yuv420p10le"])
def test_other_layouts_are_kept_too(tmp_path, pixels):
    source = write(tmp_path / "in.mkv", scene("coffee", 5), pixels=pixels)
    colorize_clip(source, tmp_path / "out.mkv", colorizer(), SETTINGS)
    with av.open(str(source)) as one, av.open(str(tmp_path / "out.mkv")) as other:
        for before, after in zip(one.decode(video=0), other.decode(video=0), strict=True):
            np.testing.assert_array_equal(before.to_ndarray(), after.to_ndarray())


def test_the_table_is_followed_as_it_was_edited(tmp_path, call):
    write_weights(tmp_path / "model.safetensors", *colorizer().trained, "float32")
    write(tmp_path / "in.mp4", scene("coffee"), gray(scene("astronaut")))
    command = [
        "colorize.py",
        "in.mp4",
        "out.mkv",
        "--model",
        "model.safetensors",
        "--codec",
        "ffv1",
        "--shots",
        "s.csv",
    ]
    assert "2 shots: s.csv" in call(*command).stdout
    table = tmp_path / "s.csv"
    table.write_text(table.read_text().replace("0.000,colour", "0.000,gray").replace("0.560,gray", "0.600,blank"))
    assert call(*command).stdout.count("shots:") == 0
    after = chroma(tmp_path / "out.mkv")
    assert np.abs(after[:14] - np.float32(chroma(tmp_path / "in.mp4")[:14])).mean() > 3
    np.testing.assert_array_equal(after[15:], 128)
    for text, words in {
        "start,what\n0,green\n": ["s.csv, line 2", "'green'"],
        "start,what\n0,gray\n2,gray\n1,colour\n": ["line 4", "at 1 s, not after the one before it", "starts at 2 s"],
        "start,what\n0,gray\n\n2,gray\n2.0,blank\n": ["line 5", "at 2 s, not after", "starts at 2 s"],
        "start,what\nsoon,gray\n": ["line 2", "number of seconds"],
        "": ["has no shots"],
    }.items():
        table.write_text(text)
        refused(call(*command, status=2), *words)
    refused(call("colorize.py", ".", "out", "--shots", "s.csv", status=2), "--shots is for one file")


def test_shots_after_the_last_frame_are_said(tmp_path):
    """A clip whose last frame is shown at 0.52 s."""
    source, table = write(tmp_path / "in.mp4", gray(scene("coffee"))), tmp_path / "s.csv"
    for starts, wanted in {
        ("0", "0.52"): [],
        ("0", "0.53"): ["1 of 2 shots come after the last frame, from 0:00.530 on"],
        ("9", "10", "70", "80"): [
            "4 of 4 shots come after the last frame, from 0:09.000, 0:10.000, 1:10.000 and 1 more on"
        ],
    }.items():
        table.write_text("\n".join(["start,what", *(f"{start},gray" for start in starts)]))
        said = []
        settings = ClipSettings(4, codec="ffv1", shots=table)
        assert colorize_clip(source, tmp_path / "out.mkv", colorizer(), settings, log=said.append).passed
        assert said == wanted


def test_tables_are_read_as_they_were_written(tmp_path):
    shots = [Shot(3.0, Kind.GRAY, 0.001, 0.05), Shot(5.5, Kind.COLOUR, 0.03, 0.04), Shot(9.0, Kind.GRAY, 0.0, 0.0)]
    write_shots(tmp_path / "s.csv", shots, 3.0)
    read = read_shots(tmp_path / "s.csv")
    assert [(shot.start, shot.kind) for shot in read] == [(0.0, 0), (2.5, 1), (6.0, 0)]
    frames = [Frame(np.zeros((2, 2)), None, time) for time in (3.0, 5.4, 5.5, 20.0)]
    assert [(item.shot, item.kind) for item in with_given(frames, read, 3.0)] == [(0, 0), (0, 0), (1, 1), (2, 0)]
    with pytest.raises(InputError, match="cannot be read"):
        read_shots(tmp_path)


def test_a_sheet_shows_each_shot(tmp_path, call, monkeypatch):
    write_weights(tmp_path / "model.safetensors", *colorizer().trained, "float32")
    write(tmp_path / "in.mp4", scene("coffee"), gray(scene("astronaut")), gray(scene("chelsea", 5)))
    command = ["colorize.py", "in.mp4", "out.mp4", "--model", "model.safetensors", "--sheet"]
    call(*command, "sheet.jpg")
    sheet = np.asarray(Image.open(tmp_path / "sheet.jpg"), np.float32)
    assert sheet.shape == (2 * 135 + 14, 3 * 240, 3)
    grays, colours = sheet[5:130], sheet[140:265]
    assert np.ptp(grays, axis=-1).mean() < 2
    for number in range(3):
        assert np.ptp(colours[:, 240 * number :][:, :240], axis=-1).mean() > 5
    settings = ClipSettings(4, sheet=tmp_path / "again.jpg", resume=True)
    monkeypatch.setattr(pipeline, "SEGMENT", 8)
    planes, calls = Colorizer.film_planes, []

    def limited(*args, **kwargs):
        calls.append(1)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return planes(*args, **kwargs)

    monkeypatch.setattr(Colorizer, "film_planes", limited)
    with pytest.raises(KeyboardInterrupt, match="--resume goes on"):
        colorize_clip(tmp_path / "in.mp4", tmp_path / "again.mp4", colorizer(), settings)
    colorize_clip(tmp_path / "in.mp4", tmp_path / "again.mp4", colorizer(), settings)
    again = np.asarray(Image.open(tmp_path / "again.jpg"), np.float32)
    assert again.shape == sheet.shape
    assert np.abs(again - sheet).mean() < 4
    refused(call(*command, "nowhere/sheet.jpg", status=2), "there is no folder nowhere")
    refused(call(*command, "sheet.xyz", status=2), "sheet.xyz is to be a picture")


def test_a_clip_that_is_cut_at_every_frame(tmp_path):
    """Every shot is in the table and on the sheet, and has no colours of another."""
    names = ("astronaut", "coffee", "chelsea", "rocket", "retina", "immunohistochemistry")
    scenes = np.concatenate([gray(scene(name, 1)) for name in names])
    frames = np.concatenate([scenes, scenes[:, ::-1]])
    source = write(tmp_path / "in.mkv", frames, options={"qp": "0", "preset": "ultrafast"})
    settings = ClipSettings(4, codec="ffv1", shots=tmp_path / "shots.csv", sheet=tmp_path / "sheet.png", steady=0.95)
    said = []
    assert colorize_clip(source, tmp_path / "steady.mkv", colorizer(), settings, log=said.append).passed
    assert said == [f"12 shots: {tmp_path}/shots.csv"]
    assert decided(tmp_path / "shots.csv") == [(round(0.04 * number, 2), "gray") for number in range(12)]
    assert Image.open(tmp_path / "sheet.png").size == (5 * 240, 3 * (2 * 135 + 14))
    colorize_clip(source, tmp_path / "alone.mkv", colorizer(), replace(SETTINGS, steady=0.0))
    after = chroma(tmp_path / "steady.mkv")
    assert len(after) == 12
    assert np.abs(after - np.float32(chroma(tmp_path / "alone.mkv"))).max() <= 1
    assert min(np.abs(plane - 128.0).max() for plane in after) > 3


def test_numbered_frames_of_shots_in_colour_keep_it(tmp_path):
    write(tmp_path / "in.mp4", scene("astronaut"), gray(scene("coffee")), options={"crf": "10", "preset": "veryfast"})
    said = []
    assert write_frames(tmp_path / "in.mp4", tmp_path / "kept/%02d.png", colorizer(), SETTINGS, log=said.append) == 28
    assert said == ["1 of 2 shots are in colour and keep it, from 0:00.000 on"]
    kept = [read_image(tmp_path / f"kept/{number:02d}.png").pixels[0] for number in (5, 25)]
    assert np.abs(np.float32(kept[0]) - scene("astronaut")[4]).mean() < 6
    write(tmp_path / "sepia.mp4", sepia(scene("chelsea", 3)))
    write_frames(tmp_path / "sepia.mp4", tmp_path / "sepia/%d.png", colorizer(), SETTINGS, log=said.append)
    assert said[1:] == ["1 of 1 shots are gray with a tint, which goes, from 0:00.000 on"]
    write_frames(tmp_path / "in.mp4", tmp_path / "new/%02d.png", colorizer(), replace(SETTINGS, recolour=True))
    new = [read_image(tmp_path / f"new/{number:02d}.png").pixels[0] for number in (5, 25)]
    assert np.abs(np.float32(new[0]) - scene("astronaut")[4]).mean() > 15
    assert np.array_equal(new[1], kept[1])
