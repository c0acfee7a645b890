import json

import jax
import pytest
from conftest import TINY

from ae.config import from_dict, override
from ae.errors import InputError
from ae.presets import PRESETS, on_sample, preset
from ae.tasks import Denoise


@pytest.mark.parametrize("name", PRESETS)
def test_presets_survive_json(name):
    config = PRESETS[name]
    assert config.name == name
    assert from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_unknown_presets_and_fields_are_named():
    with pytest.raises(InputError, match=r"unknown preset 'conv'; there are pixel_mlp, conv_ae"):
        preset("conv")
    with pytest.raises(InputError, match=r"unknown field 'learning_rat' of Config; it has .*learning_rate"):
        preset("conv_ae", learning_rat=1)
    with pytest.raises(InputError, match="unknown field 'x' of Config"):
        from_dict(PRESETS["conv_ae"].to_dict() | {"x": 1})
    model = {"class": "ConvAE", "depth": 3}
    with pytest.raises(InputError, match="unknown field 'depth' of ConvAE; it has encoder, decoder, momentum"):
        from_dict(PRESETS["conv_ae"].to_dict() | {"model": model})


def test_a_task_to_learn_from_survives_json():
    config = override(TINY, train_task=Denoise(sigma=0.6, least_sigma=0.0))
    assert from_dict(json.loads(json.dumps(config.to_dict())), TINY) == config


def test_unknown_schedules_are_named():
    with pytest.raises(InputError, match="unknown schedule 'step'; there are constant, one-cycle, cosine"):
        override(TINY, schedule="step")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("dtype", "bfloat17", "unknown dtype 'bfloat17'; there are float32, bfloat16"),
        ("epochs", 0, "epochs has to be at least 1, not 0"),
        ("limit", -1, "limit has to be at least 1, not -1"),
        ("batch_size", 0, "batch_size has to be at least 1"),
        ("patience", 0, "patience has to be at least 1"),
        ("seed", -1, r"seed has to be from 0 to 2\*\*32 - 1, not -1"),
        ("seed", 2**32, r"seed has to be from 0 to 2\*\*32 - 1, not 4294967296"),
        ("learning_rate", 0.0, "learning_rate has to be above 0"),
        ("learning_rate", float("nan"), "learning_rate has to be above 0"),
        ("optimizer", "sgd", "unknown optimizer 'sgd'; there are keras_adam, adamw, muon"),
        ("precision", "float64", "unknown precision 'float64'; there are default, float32"),
        ("clip_norm", 0.0, "clip_norm has to be above 0, and finite, not 0.0"),
        ("warmup_steps", -1, "warmup_steps has to be at least 0, and finite, not -1"),
        ("weight_decay", float("nan"), "weight_decay has to be at least 0, and finite, not nan"),
        ("tile", -1, "tile has to be at least 0"),
        ("scale", 0.0, "scale has to be above 0, and at most 1, not 0.0"),
        ("scale", 1.5, "scale has to be above 0, and at most 1, not 1.5"),
        ("weight_decay", 0.1, "weight_decay is for optimizer='adamw', not 'keras_adam'"),
        ("ema_decay", 1.0, "ema_decay has to be at least 0 and below 1"),
    ],
)
def test_values_that_cannot_be_are_named(field, value, message):
    with pytest.raises(InputError, match=message):
        override(TINY, **{field: value})


def test_one_cycle_has_a_warm_up_of_its_own():
    with pytest.raises(InputError, match="warmup_steps is for the schedules constant and cosine"):
        override(TINY, schedule="one-cycle", warmup_steps=3)


@pytest.mark.parametrize("sigmas", [(-0.1, None), (0.3, 0.4), (0.3, -0.1), (float("nan"), None)])
def test_noise_that_cannot_be_is_refused(sigmas):
    with pytest.raises(InputError, match="0 <= least_sigma <= sigma"):
        Denoise(*sigmas)


def test_missing_fields_are_an_error():
    with pytest.raises(InputError, match="data"):
        from_dict({key: value for key, value in PRESETS["conv_ae"].to_dict().items() if key != "data"})


def test_a_file_names_only_classes_of_the_package_or_of_the_given_preset():
    values = TINY.to_dict()
    with pytest.raises(InputError, match="unknown class 'Tiny'; name the file"):
        from_dict(values)
    assert from_dict(values, TINY) == TINY
    for name in ("partial", "nn", "Config", None):  # names that ae.models and ae.config hold, and are no models
        with pytest.raises(InputError, match="unknown class"):
            from_dict(PRESETS["conv_ae"].to_dict() | {"model": {"class": name}})


def test_on_sample_reads_no_test_data_before_the_end():
    config = on_sample(preset("conv_ae", batch_size=64))
    assert (config.data, config.validation_split, config.test_split) == ("sample-digits", "validation", "test")
    assert config.batch_size == 64


def test_override_keeps_the_rest():
    assert override(TINY, epochs=9).epochs == 9
    assert override(TINY, epochs=9).model == TINY.model


def test_configurations_of_earlier_versions_are_read():
    """Which had other names for two fields, and lacked some of today's."""
    config = preset("unet_denoiser", ema_decay=0.9, reference_split=None)
    values = config.to_dict()
    former = {"average": values.pop("ema_decay"), "fresh": values.pop("new_noise_each_epoch")}
    for name in (
        "reference_split",
        "tile",
        "scale",
        "optimizer",
        "warmup_steps",
        "weight_decay",
        "clip_norm",
        "precision",
    ):
        del values[name]
    assert from_dict(values | former) == config


def test_programs_are_compiled_for_all_but_names_schedule_seed_and_numbers():
    config = preset("unet_denoiser_blind")
    task = Denoise(sigma=0.5, least_sigma=0.1)
    other = override(config, name="other", learning_rate=0.1, schedule="cosine", epochs=3, seed=7, train_task=task)
    assert jax.tree.structure(other.compile_key) == jax.tree.structure(config.compile_key)
    assert jax.tree.leaves(other.compile_key) == [0.1, 0.0, 0.3, 0.5, 0.1]
    for change in ({"ema_decay": 0.9}, {"dtype": "bfloat16"}, {"train_task": Denoise(sigma=0.5)}, {"clip_norm": 1.0}):
        assert jax.tree.structure(override(config, **change).compile_key) != jax.tree.structure(config.compile_key)
