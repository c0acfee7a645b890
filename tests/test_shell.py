"""Configurations from the command line, read in this process; what is trained with them stands in `test_scripts.py`."""

import json
import re
import subprocess
from dataclasses import fields, replace

import numpy as np
import pytest
import train
from conftest import ROOT, python, refused

from ae.config import CHOICES, override
from ae.errors import InputError
from ae.models import PixelMLP, UNet
from ae.presets import PRESETS, load_preset, on_sample
from ae.presets.shell import check, listing, on_sample_data, parse
from ae.tasks import Colorize, Denoise

OWN = """
from dataclasses import dataclass
import flax.linen as nn
import ae

class Own(nn.Module):
    width: int = 4  # channels of the only layer
    @nn.compact
    def __call__(self, x, train=False):
        return nn.Conv(1, (3, 3))(nn.Conv(self.width, (3, 3))(x))

@dataclass(frozen=True)
class Darker(ae.Denoise):
    light: float = 0.5  # of the clean image
    def __call__(self, key, image):
        return super().__call__(key, self.light * image)

PRESET = ae.Config(name="own", model=Own(), task=Darker(), data="sample-digits", epochs=1)
"""


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(OWN)
    return str(path)


def config_of(*args):
    """The configuration that a command line asks for."""
    return parse(train.main, args, "train.py").keywords["config"]


def refusal(*args):
    with pytest.raises(InputError) as error:
        parse(train.main, args, "train.py")
    assert "\n" not in str(error.value)
    return str(error.value)


def help_of(capsys, *args):
    """What the help says, by option, on one line each."""
    with pytest.raises(SystemExit) as end:
        parse(train.main, (*args, "--help"), "train.py")
    assert not end.value.code
    text = " ".join(line.strip("│ ") for line in capsys.readouterr().out.splitlines())
    return {part.split()[0].rstrip(","): part for part in re.split(r" (?=--(?!no-|[\w-]+\.no-))", text)}


def parts(config):
    """Every object that has fields, with what its options begin with."""
    objects = {"": config, "model.": config.model, "task.": config.task, "train-task.": config.train_task}
    return {prefix: part for prefix, part in objects.items() if part is not None}


def options(config):
    """(option, field, value) of all fields that hold a value."""
    return [
        (f"--{prefix}{field.name.replace('_', '-')}", field.name, getattr(part, field.name))
        for prefix, part in parts(config).items()
        for field in fields(part)
        if field.name != "parent" and not (part is config.model and field.name == "name")
        and not (part is config and field.name in ("model", "task", "train_task"))
    ]  # fmt: skip


OTHER = {**CHOICES, "ema_decay": (0.5, 0.25), "least_quality": (50.0, 40.0), "side": (16, 32), "most_zoom": (2.0, 3.0)}
NEEDS = {"--weight-decay": {"--optimizer": "adamw"}, "--warmup-steps": {"--schedule": "constant"}}  # to be allowed


def other(name, value):
    """Another value that a field can take, however small."""
    if name in OTHER:
        return next(choice for choice in OTHER[name] if choice != value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, str) or name in ("reference_split", "initial_weights"):
        return f"{value}0"
    if isinstance(value, tuple):
        return tuple(other(name, item) for item in value)
    return {int: 7, float: 0.125, type(None): {"limit": 7, "pixel_levels": 7}.get(name, 0.0625)}[type(value)]


def words(option, value):
    """The words of a command line that ask for a value."""
    if isinstance(value, bool):
        *path, name = option.removeprefix("--").split(".")
        return [option if value else f"--{'.'.join([*path, f'no-{name}'])}"]
    return [option, *map(str, value if isinstance(value, tuple) else [value])]


@pytest.mark.parametrize("name", PRESETS)
def test_every_field_of_every_preset_is_an_option(name, capsys):
    preset, said = PRESETS[name], help_of(capsys, name)
    wanted = {option: other(field, value) for option, field, value in options(preset)}
    alone = {option: NEEDS[option] | {option: wanted.pop(option)} for option in NEEDS}
    for changes in (wanted, *alone.values()):
        asked = [word for item in changes.items() for word in words(*item)]
        changed = {option: value for option, _, value in options(config_of(name, *asked))}
        assert changed == {option: value for option, _, value in options(preset)} | changes
    for option, _, _ in options(preset):
        assert re.search(r" [a-z].* \(default: ", said[option]), f"{option} has no comment: {said[option]}"


def test_several_fields_change_at_once():
    config = config_of(
        "unet_denoiser", "--model.widths", "8", "16", "--model.no-residual", "--task.sigma", ".2", "--task.least-sigma",
        "0", "--batch-size", "128", "--learning-rate=1e-3", "--limit", "32", "--reference_split", "None",
    )  # fmt: skip
    assert config == override(
        PRESETS["unet_denoiser"], model=UNet((8, 16)), task=Denoise(0.2, 0.0), batch_size=128, learning_rate=1e-3, limit=32,
        reference_split=None,
    )  # fmt: skip
    assert config_of("unet_denoiser") == PRESETS["unet_denoiser"]
    assert config_of("--resume", "unet_denoiser", "--epochs", "3").epochs == 3


def test_the_task_and_what_to_learn_from_change_apart():
    name = "photo_denoiser"
    assert config_of(name, "--task.sigma", ".2").train_task == PRESETS[name].train_task
    changed = config_of(name, "--train-task.sigma", ".6")
    assert changed == replace(PRESETS[name], train_task=replace(PRESETS[name].train_task, sigma=0.6))
    assert "has no train_task, as it learns from its task" in refusal("unet_denoiser", "--train_task.sigma", ".6")


def test_models_and_tasks_of_a_file_of_ones_own_have_options_too(own, capsys):
    config = config_of(own, "--model.width", "8", "--task.light", ".25", "--task.sigma", ".1")
    assert (config.model.width, config.task.light, config.task.sigma) == (8, 0.25, 0.1)
    assert type(config.task).__name__ == "Darker"
    said = help_of(capsys, own)
    assert "channels of the only layer (default: 4)" in said["--model.width"]
    assert "of the clean image (default: 0.5)" in said["--task.light"]
    assert "standard deviation of the noise" in said["--task.sigma"]
    assert refusal(own, "--model.widths", "8") == "unknown option --model.widths; near: --model.width"


def test_a_file_leaves_no_bytecode_beside_itself(own, tmp_path):
    load_preset(own)
    assert [path.name for path in tmp_path.iterdir() if path.name != "cache"] == ["own.py"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--model.width", "3"), "unknown option --model.width; near: --model.widths, --model.depth"),
        (("--sigma", "3"), "unknown option --sigma; near: --task.sigma"),
        (("--resum",), "unknown option --resum; near: --resume"),
        (("--xyz", "3"), "unknown option --xyz; --help lists the options"),
        (("--model.widths", "3", "x"), "--model.widths: Could not find valid parse for arguments: ['3', 'x']"),
        (("--batch-size", "3.5"), "--batch-size: invalid literal for int() with base 10: '3.5'"),
        (("--limit", "x"), "--limit: no type matching {None}|INT could be instantiated from ['x']."),
        (("--batch-size", "0"), "batch_size has to be at least 1, not 0"),
        (("--learning-rate", "nan"), "learning_rate has to be above 0, and finite, not nan"),
        (("--schedule", "linear"), "unknown schedule 'linear'; there are constant, one-cycle, cosine"),
        (("--task.sigma", "-1"), "config.task: noise has to be 0 <= least_sigma <= sigma, not 0.0 and -1.0"),
        (("16",), "Unrecognized options: 16"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_line(args, message):
    assert refusal("unet_denoiser", *args) == message


def test_the_preset_has_to_be_named():
    assert "unknown preset 'unet'" in refusal("unet", "--epochs", "1")
    assert "name the preset" in refusal("--epochs", "1")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": PixelMLP(widths=(4, 4))}, "PixelMLP(widths=(4, 4)) cannot do Denoise on such images: "),
        ({"model": UNet(())}, "UNet(widths=()) cannot do Denoise"),
        ({"model": UNet((4, -4))}, "UNet(widths=(4, -4)) cannot do Denoise"),
        ({"model": UNet((4, 4), outputs=3)}, "got (1, 28, 28, 3) and (1, 28, 28, 1)"),
        ({"train_task": Colorize(shift=-3)}, "cannot do Colorize(shift=-3) on such images: "),
    ],
)
def test_models_and_tasks_that_cannot_learn_are_refused_before_training(changes, message):
    images = np.zeros((3, 28, 28, 1), np.uint8)
    check(PRESETS["unet_denoiser"], images)
    with pytest.raises(InputError) as error:
        check(override(PRESETS["unet_denoiser"], **changes), images)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_what_a_model_returns_in_training_is_for_its_training_task_alone():
    vivid = load_preset(str(ROOT / "scripts/vivid.py"))  # classes in training, colours else
    check(vivid, np.zeros((1, 32, 32, 3), np.uint8))
    with pytest.raises(InputError, match="equal shapes"):
        check(override(vivid, train_task=Colorize()), np.zeros((1, 32, 32, 3), np.uint8))


def test_sample_data_keeps_what_is_asked_for():
    preset = PRESETS["unet_denoiser"]
    changed = override(preset, data="sample", epochs=2, train_split="train[:64]")
    assert on_sample_data(changed, preset) == override(on_sample(preset), epochs=2, train_split="train[:64]")


def test_help_lists_the_presets_as_they_are(call):
    """`python -m ae.presets.shell > scripts/presets.txt` writes the list anew."""
    assert listing() == (ROOT / "scripts/presets.txt").read_text().rstrip()
    said = call("train.py", "--help").stdout
    assert "--resume" in said
    assert listing() in said
    assert "unet_denoiser        UNet(32, 64, 104), Denoise, mnist, up to 9 epochs\n" in said


def test_help_imports_nothing_slow():
    code = (
        "import atexit, runpy, sys\n"
        "sys.argv = sys.argv[1:]\n"
        "atexit.register(lambda: print('slow:', *({'jax', 'flax', 'numpy'} & set(sys.modules))))\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    done = subprocess.run(
        python("-c", code, ROOT / "scripts/train.py", "--help"), capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("slow:\n")


def test_a_run_says_what_was_asked_for(call, tmp_path, own):
    call(
        "train.py",
        own,
        "--limit",
        "16",
        "--model.width",
        "2",
        "--task.light",
        ".25",
        "--batch-size",
        "8",
        "--out",
        "run",
    )
    said = json.loads((tmp_path / "run/config.json").read_text())
    assert said == config_of(own, "--limit", "16").to_dict() | {
        "model": {"class": "Own", "width": 2},
        "task": config_of(own).to_dict()["task"] | {"light": 0.25},
        "batch_size": 8,
    }
    refused(call("train.py", own, "--limit", "16", "--out", "run", "--resume", status=2), "model is", "light")
