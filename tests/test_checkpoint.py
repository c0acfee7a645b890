import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import equal_trees

from ae.errors import InputError
from ae.train import checkpoint
from ae.train.checkpoint import Checkpoints


def tree(value):
    return {"a": jnp.full((300, 70), value), "b": {"c": jnp.arange(5) * int(value)}}


@pytest.fixture
def folder(tmp_path):
    """Three checkpoints: the best, and the last two."""
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    for number, loss in ((1, 0.1), (2, 0.3), (3, 0.2)):
        checkpoints.save(number, tree(number), {"number": number}, score=loss)
    checkpoints.close()
    return tmp_path / "checkpoints"


def damage(folder, number, how):
    files = [path for path in (folder / str(number)).rglob("*") if path.is_file() and path.stat().st_size > 0]
    for path in files:
        content = path.read_bytes()
        path.write_bytes({"truncated": content[: len(content) // 2], "emptied": b""}[how])


def test_the_last_and_the_best_come_back(folder):
    checkpoints = Checkpoints(folder)
    restored, record = checkpoints.restore(tree(0))
    assert record["number"] == 3
    assert equal_trees(restored, tree(3))
    restored, record = checkpoints.restore(jax.eval_shape(lambda: tree(0)), best=True)
    assert record["number"] == 1
    assert equal_trees(restored, tree(1))


def test_only_the_last_two_and_the_best_are_kept(folder):
    checkpoints = Checkpoints(folder)
    checkpoints.save(4, tree(4), {"number": 4}, score=0.4)
    checkpoints.save(5, tree(5), {"number": 5})  # within an epoch
    checkpoints.save(6, tree(6), {"number": 6})
    kept = sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())
    assert kept == [1, 5, 6]


@pytest.mark.parametrize("how", ["truncated", "emptied"])
def test_a_damaged_checkpoint_is_passed_over_and_said(folder, capsys, how):
    damage(folder, 3, how)
    restored, record = Checkpoints(folder).restore(tree(0))
    assert record["number"] == 2
    assert equal_trees(restored, tree(2))
    assert "checkpoint 3" in capsys.readouterr().err


def test_flipped_bits_are_noticed(folder, capsys):
    data = max((folder / "3").rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else 0)
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 0x10
    data.write_bytes(content)
    _, record = Checkpoints(folder).restore(tree(0))
    assert record["number"] == 2
    assert "damaged" in capsys.readouterr().err


def test_without_a_whole_one_there_is_one_line(folder):
    for number in (1, 2, 3):
        damage(folder, number, "truncated")
    with pytest.raises(InputError, match="no checkpoint in .* can be read"):
        Checkpoints(folder).restore(tree(0))


def test_nothing_saved_is_nothing_restored(tmp_path):
    assert Checkpoints(tmp_path / "new").restore(tree(0)) is None


def test_reading_leaves_a_writers_unfinished_work_alone(folder):
    unfinished = folder / "9.orbax-checkpoint-tmp"
    unfinished.mkdir()
    checkpoints = Checkpoints(folder, read_only=True)
    assert checkpoints.restore(tree(0))[1]["number"] == 3
    assert unfinished.exists()
    Checkpoints(folder)
    assert not unfinished.exists()


def test_a_damaged_checkpoint_is_written_again(folder):
    damage(folder, 3, "truncated")
    checkpoints = Checkpoints(folder)
    checkpoints.save(3, tree(7), {"number": 3}, score=0.5)
    assert equal_trees(checkpoints.restore(tree(0))[0], tree(7))


@pytest.mark.parametrize(("stored", "wanted"), [((2000, 3000), (2, 3)), ((2, 3), (2000, 3000))])
def test_arrays_of_other_shapes_are_not_read(tmp_path, stored, wanted, capsys):
    Checkpoints(tmp_path / "run").save(1, {"a": np.ones(stored, np.float32)}, {})
    with pytest.raises(InputError, match="no checkpoint in .* can be read"):
        Checkpoints(tmp_path / "run", read_only=True).restore({"a": np.zeros(wanted, np.float32)})
    assert "its arrays are not those of the model" in capsys.readouterr().err


def test_arrays_that_a_small_file_claims_to_hold_are_not_read(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(checkpoint, "SMALL", 10**6)
    Checkpoints(tmp_path / "run").save(1, {"a": np.zeros((4000, 4000), np.float32)}, {})
    with pytest.raises(InputError, match="no checkpoint in .* can be read"):
        Checkpoints(tmp_path / "run", read_only=True).restore({"a": np.zeros((4000, 4000), np.float32)})
    assert "its arrays are too large for its files" in capsys.readouterr().err
