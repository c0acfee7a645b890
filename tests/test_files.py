"""Files are written whole or not at all, under the name that is meant."""

import os
import subprocess
import sys

import pytest

from ae.errors import InputError
from ae.runtime.files import atomic_write, check_target, remove_abandoned, with_infix, write_text


def test_what_fails_midway_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("before")
    with pytest.raises(RuntimeError), atomic_write(path) as temporary:  # noqa: PT012
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_what_killed_processes_left_is_removed(tmp_path):
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    left = [f".{process}-out.mp4" for process in (done.pid, os.getpid(), 1, "a", "9" * 30)]
    for name in [*left, "out.mp4", f".{done.pid}-another.mp4"]:
        (tmp_path / name).touch()
    remove_abandoned(tmp_path / "out.mp4")
    assert {path.name for path in tmp_path.iterdir()} == {*left[1:], "out.mp4", f".{done.pid}-another.mp4"}


@pytest.mark.parametrize("letter", ["a", "ü"])
def test_names_as_long_as_a_file_system_takes(tmp_path, letter):
    path = tmp_path / f"{letter * ((255 - 4) // len(letter.encode()))}.txt"
    check_target(path)
    write_text(path, "whole")
    assert path.read_text() == "whole"
    other = with_infix(path, "failed")
    other.write_text("kept")
    assert other.name.endswith(f"{letter}.failed.txt")
    assert len(list(tmp_path.iterdir())) == 2


def test_a_word_goes_before_the_suffix(tmp_path):
    assert with_infix(tmp_path / "out.mp4", "failed") == tmp_path / "out.failed.mp4"


@pytest.mark.parametrize("exists", [True, False])
def test_what_a_link_leads_to_is_replaced_and_the_link_stays(tmp_path, exists):
    (tmp_path / "far").mkdir()
    (tmp_path / "link.txt").symlink_to("far/file.txt")
    if exists:
        (tmp_path / "far/file.txt").write_text("before")
    check_target(tmp_path / "link.txt")
    write_text(tmp_path / "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "far/file.txt").read_text() == "new"
    assert [path.name for path in (tmp_path / "far").iterdir()] == ["file.txt"]


def test_targets_that_cannot_be_written_are_refused_with_the_cause(tmp_path):
    (tmp_path / "file").write_text("a file")
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "link.mp4").symlink_to("missing/out.mp4")
    causes = {
        "folder.mp4": "folder.mp4 is a folder: name a file in it",
        "file/out.mp4": "file is no folder: out.mp4 cannot be written to it",
        "missing/out.mp4": "there is no folder .*missing to write out.mp4 to",
        "link.mp4": "there is no folder .*missing, to which .*link.mp4 leads, to write link.mp4 to",
        "/proc/self/out.mp4": "cannot write out.mp4 to /proc/self: No such file",  # not even root may write there
        f"{'a' * 256}.mp4": "File name too long",
    }
    for name, message in causes.items():
        with pytest.raises((InputError, OSError), match=message):
            check_target(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(tmp_path):
    (tmp_path / "mine").mkdir(mode=0o500)
    with pytest.raises(InputError, match=r"cannot write out.mp4 to .*mine: Permission denied"):
        check_target(tmp_path / "mine/out.mp4")
