"""Where scenes are cut: joined photographs that a camera pans over, and real clips."""

from itertools import permutations

import av
import numpy as np
import pytest
from conftest import SHARED
from skimage import data
from skimage.color import rgb2gray

from ae.restore.shots import AHEAD, ShotFinder, glance, with_shots
from ae.runtime.chain import Frame

NAMES = ("astronaut", "coffee", "chelsea", "rocket", "camera")


def scene(name, count=30, speed=2):
    """Return frames [T, 180, 320] in [0, 1] of a photograph that a camera pans over."""
    photograph = getattr(data, name)()
    gray = np.float32(rgb2gray(photograph) if photograph.ndim == 3 else photograph / 255)
    gray = np.pad(gray, ((0, max(0, 180 - gray.shape[0])), (0, 320)), mode="symmetric")
    return np.stack([gray[50:230, speed * index :][:, :320] for index in range(count)])


def starts(frames):
    """Return the numbers of frames that begin a shot, but for the first."""
    items = (Frame(frame, number) for number, frame in enumerate(frames))
    shots = [item.shot for item in with_shots(items, 1.0)]
    assert len(shots) == len(frames)
    return (np.flatnonzero(np.diff(shots)) + 1).tolist()


@pytest.mark.parametrize(("one", "other"), list(permutations(NAMES, 2))[::3])
def test_joined_scenes_are_cut_where_they_join(one, other):
    assert starts(np.concatenate([scene(one, 12), scene(other, 9)])) == [12]


@pytest.mark.parametrize("name", NAMES)
def test_neither_motion_nor_light_nor_flashes_are_cuts(name):
    assert starts(scene(name, speed=4)) == []
    frames = scene(name)
    light = np.linspace(1, 0.4, len(frames))[:, None, None]
    assert starts(frames * light) == []
    for length in (1, 2):
        flash = frames.copy()
        flash[15 : 15 + length] = np.clip(2.5 * flash[15 : 15 + length] + 0.3, 0, 1)
        assert starts(flash) == []
    noise = np.random.default_rng(0).normal(0, 0.1, frames.shape)
    assert starts(np.clip(frames + noise, 0, 1)) == []


@pytest.mark.parametrize(("one", "other"), list(permutations(NAMES, 2))[1::4])
def test_fades_are_one_cut_near_their_middle(one, other):
    first, second = scene(one), scene(other)
    share = np.linspace(0, 1, 14)[1:-1, None, None]
    across = np.concatenate([first[:-12], (1 - share) * first[-12:] + share * second[:12], second[12:]])
    (found,) = starts(across)
    assert abs(found - 24) <= 12
    ramp = np.linspace(1, 0, 10)[:, None, None]
    through = np.concatenate([first[:-10], ramp * first[-10:], ramp[::-1] * second[:10], second[10:]])
    (found,) = starts(through)
    assert abs(found - 30) <= 12


def test_every_frame_may_be_a_shot():
    frames = np.stack([scene(name, 1)[0] for name in NAMES])
    assert starts(frames) == [1, 2, 3, 4]


def test_one_frame_is_a_shot():
    assert starts(scene("camera", 1)) == []
    assert starts(np.zeros((20, 16, 16), np.float32)) == []
    assert list(with_shots([], 1.0)) == []


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (54, 96), (1080, 1920)])
def test_frames_of_any_size_are_compared(size):
    small = glance(np.random.default_rng(0).integers(0, 256, size, np.uint8), 255).small
    assert small.shape <= (size[0], size[1])
    assert small.shape[0] < 110
    assert small.shape[1] < 200


def test_what_is_no_frame_keeps_its_place_and_few_frames_wait():
    read = []

    def items():
        for number, frame in enumerate(scene("camera", 30)):
            read.append(number)
            yield Frame(frame, number)
            yield f"packet {number}"

    found = []
    for item in with_shots(items(), 1.0):
        found.append(item.source if isinstance(item, Frame) else item)
        assert len(read) <= len([entry for entry in found if isinstance(entry, int)]) + AHEAD + 1
    assert found == [entry for number in range(30) for entry in (number, f"packet {number}")]


def luma_of(path):
    with av.open(str(path)) as container:
        return [frame.reformat(format="gray").to_ndarray() for frame in container.decode(video=0)]


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "davis").is_dir(), reason="the clips of DAVIS are not there")
def test_real_clips_are_whole_and_joined_ones_are_cut_in_two():
    clips = {path.stem: luma_of(path) for path in sorted((SHARED / "davis").glob("*.mp4"))}
    glances = {name: [glance(frame, 255) for frame in frames] for name, frames in clips.items()}

    def begins(frames):
        finder = ShotFinder()
        return [at for at in range(len(frames)) if finder.begins(frames[at], frames[at + 1 : at + 1 + AHEAD])]

    assert [begins(frames) for frames in glances.values()] == [[]] * len(glances)
    pairs = list(permutations(glances.values(), 2))
    found = [begins(one + other) == [len(one)] for one, other in pairs]
    assert np.mean(found) >= 0.98
