import numpy as np
import pytest
from PIL import Image

from ae.report import figures
from ae.report.reference import REPORTED
from ae.tasks import Colorize, Denoise


def test_a_strip_holds_the_images_unchanged():
    rng = np.random.default_rng(0)
    gray, rgb = rng.random((3, 4, 5, 1)), rng.random((3, 4, 5, 3))
    strip = figures.strip(gray, rgb)
    assert strip.shape == (8, 15, 3)
    assert np.array_equal(strip[:4, 5:10], np.repeat(gray[1], 3, axis=-1))
    assert np.array_equal(strip[4:, 10:], rgb[2])
    assert figures.strip(gray * 9 - 4).max() == 1


def test_a_strip_is_read_as_it_was_written(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (3, 9, 8, 8, 3)) / 255
    figures.save_strip(tmp_path / "images.png", *images)
    assert np.allclose(figures.read_strip(tmp_path / "images.png"), images)


@pytest.mark.parametrize("task", [Denoise(), Colorize()])
def test_grids_show_every_pixel_as_a_square(tmp_path, task):
    rng = np.random.default_rng(0)
    shape = (9, 8, 8, 3 if task == Colorize() else 1)
    pictures = rng.random((9, 8, 8, 1)), rng.random(shape), rng.random(shape)
    figures.save_grid(tmp_path / "grid.png", task, "title", pictures)
    grid = np.asarray(Image.open(tmp_path / "grid.png").convert("RGB"))
    assert grid.std() > 40
    # nearest-neighbour: inside the frame, most neighbours are equal
    middle = grid[100:200, 200:900].astype(int)
    assert (np.abs(np.diff(middle, axis=1)).sum(-1) == 0).mean() > 0.8
    assert [path.name for path in tmp_path.iterdir() if path.name != "cache"] == ["grid.png"]


def test_curves_are_drawn_with_reference_and_baselines(tmp_path):
    history = [
        {
            "epoch": i,
            "loss": 1 / i,
            "accuracy": 0.5,
            "val_loss": 2 / i,
            "val_accuracy": 0.4,
            "validation": "test[:9000]",
        }
        for i in (1, 2, 3)
    ]
    figures.save_curves(tmp_path / "plain.png", Denoise(), "title", history)
    figures.save_curves(tmp_path / "rich.png", Denoise(), "title", history, REPORTED["conv_ae"], {"noisy input": 0.7})
    plain, rich = (np.asarray(Image.open(tmp_path / name).convert("RGB")) for name in ("plain.png", "rich.png"))
    assert plain.shape == rich.shape == (380, 1000, 3)
    assert plain.std() > 10
    gray = np.all(np.abs(rich.astype(int) - 0x77) < 4, axis=-1)
    assert gray[:, :500].sum() > 100  # dashed and dotted lines


def test_a_training_loss_below_zero_is_no_curve_of_losses(tmp_path):
    """PSNR, negative, beside mean squared errors on a logarithmic axis."""
    row = {"accuracy": 0.5, "val_loss": 0.2, "val_accuracy": 0.5, "validation": "test"}
    figures.save_curves(tmp_path / "a.png", Denoise(), "title", [{**row, "loss": loss} for loss in (-20.0, -25.0)])
    figures.save_curves(tmp_path / "b.png", Denoise(), "title", [{**row, "loss": loss} for loss in (0.2, 0.3)])
    blue = [
        (np.asarray(Image.open(tmp_path / f"{name}.png").convert("RGB"))[:, :500].astype(int) @ (-1, 0, 1) > 100).sum()
        for name in "ab"
    ]
    assert blue[0] == 0 < blue[1]


def test_losses_below_zero_are_curves_where_validation_has_them_too(tmp_path):
    losses = [{"loss": loss, "val_loss": loss - 1} for loss in (-20.0, -25.0, -26.0)]
    history = [{**loss, "accuracy": 0.5, "val_accuracy": 0.5, "validation": "test"} for loss in losses]
    figures.save_curves(tmp_path / "a.png", Denoise(), "title", history, None, {"noisy input": -19.0})
    left = np.asarray(Image.open(tmp_path / "a.png").convert("RGB"))[:, :500].astype(int)
    assert (left @ (-1, 0, 1) > 100).sum() > 200  # blue
    assert (left @ (1, 0, -1) > 100).sum() > 200  # orange
    assert (np.abs(left - 0x77).max(-1) < 4).sum() > 50  # dotted


def test_one_epoch_is_enough_for_curves(tmp_path):
    row = {"epoch": 1, "loss": 0.1, "accuracy": 0.5, "val_loss": 0.2, "val_accuracy": 0.4, "validation": "test"}
    figures.save_curves(tmp_path / "curves.png", Denoise(), "title", [row])
    assert (tmp_path / "curves.png").stat().st_size > 5000
