"""How the cuts that are found are counted."""

import json

import numpy as np
import pytest
from clips import make_clip
from conftest import refused
from studies.measures.cuts import FADE, Join, Looked, cuts_table, faded, joined
from test_shots import scene

from ae.report.markdown import rows_of


def looked(name, count=30, cuts=()):
    return Looked(name, np.uint8(np.round(255 * scene(name, count))), list(cuts))


def test_joined_clips_are_cut_where_they_join():
    one, other = looked("coffee", 12), looked("rocket", 9)
    assert joined(one, other) == (("coffee", "rocket"), 12, 0, [12])
    across = faded(looked("coffee"), looked("rocket"))
    assert across.place == 30 - FADE // 2
    assert across.is_found


def test_a_cut_is_right_near_its_place_alone():
    assert Join(("a", "b"), 20, 0, [3, 20]).is_found
    assert not Join(("a", "b"), 20, 0, [19, 21]).is_found
    assert Join(("a", "b"), 20, 12, [32]).is_found
    assert not Join(("a", "b"), 20, 12, [33]).is_found


def test_the_table_counts_what_is_found_elsewhere():
    names = ("a", "b")
    by_cut = [Join(names, 20, 0, cuts) for cuts in ([20], [7, 20], [], [21])]
    by_fade = [Join(names, 20, 12, []) for _ in range(2)]
    table = cuts_table(by_cut, by_fade, [looked("coffee", 2, [0.52, 1.2]), looked("rocket", 2)])
    cut, fade, alone = rows_of(table)
    assert (cut["cuts"], cut["found"], cut["found elsewhere"]) == (4, 2, 2)
    assert (cut["recall"], cut["precision"]) == (0.5, 0.5)
    assert (fade["found"], fade["recall"], fade["precision"]) == (0, 0, None)
    assert (alone["number"], alone["cuts"], alone["found elsewhere"]) == (2, 0, 2)
    assert table["title"].endswith("Found in clips alone: coffee at 0.52, 1.20 s.")


def test_cuts(call, tmp_path):
    for name in ("coffee", "rocket", "astronaut"):
        make_clip(tmp_path / f"{name}.mp4", np.uint8(np.round(16 + 219 * scene(name, 24))))
    call("study.py", "cuts", "coffee.mp4", "rocket.mp4", "--alone", "astronaut.mp4", "--limit", "20")
    values = json.loads((tmp_path / "results/study_cuts.json").read_text())
    cut, fade, alone = rows_of(values)
    assert (cut["number"], cut["recall"], cut["precision"]) == (2, 1, 1)
    assert fade["number"] == 2
    assert (alone["number"], alone["found elsewhere"]) == (3, 0)
    assert values["details"]["not found"]["cuts"] == []


@pytest.mark.parametrize(("clips", "why"), [(["a.mp4"], "name two or more"), (["a.mp4", "short.mp4"], "has 5 frames")])
def test_too_little_is_refused(call, tmp_path, clips, why):
    for name, count in {"a": 14, "short": 5}.items():
        make_clip(tmp_path / f"{name}.mp4", np.uint8(np.round(255 * scene("coffee", count))))
    refused(call("study.py", "cuts", *clips, status=2), why)
