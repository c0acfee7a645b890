import json

import pytest
from conftest import TINY

from ae.config import PRESETS, from_dict, on_sample, override, preset
from ae.errors import InputError
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
    with pytest.raises(InputError, match="unknown schedule 'cosine'; there are constant, one-cycle"):
        override(TINY, schedule="cosine")


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
