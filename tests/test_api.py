"""The conventions of what `ae` exports."""

import inspect

import pytest

import ae


def exported():
    """Functions, and the methods of classes, by name; what flax and dataclasses add apart."""
    for name in ae.__all__:
        value = getattr(ae, name)
        if inspect.isfunction(value):
            yield name, value
        elif inspect.isclass(value):
            for method, function in vars(value).items():
                own = inspect.isfunction(function) and function.__module__.startswith("ae.")
                if own and (not method.startswith("_") or method == "__call__"):
                    yield f"{name}.{method}", function


@pytest.mark.parametrize(
    ("name", "function"), list(exported()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_functions_are_annotated_and_their_options_have_names(name, function):
    signature = inspect.signature(function)
    parameters = [parameter for parameter in signature.parameters.values() if parameter.name != "self"]
    assert signature.return_annotation is not signature.empty
    for parameter in parameters:
        assert parameter.annotation is not parameter.empty, parameter
        is_layer = parameter.name == "train"  # as flax's examples pass it
        assert parameter.default is parameter.empty or parameter.kind is parameter.KEYWORD_ONLY or is_layer, parameter


@pytest.mark.parametrize("name", ae.__all__)
def test_everything_is_documented(name):
    value = getattr(ae, name)
    own = "" if isinstance(value, dict) else inspect.getdoc(value) or ""
    assert len(own) > 20 or not callable(value)
    assert not own.startswith(f"{name}(")  # what dataclasses write themselves


def test_keys_come_first():
    functions = [function for name, function in exported() if name != "train_step"]  # the loop's: state, batch, key
    keys = [list(inspect.signature(function).parameters) for function in functions]
    with_keys = [names for names in keys if "key" in names]
    assert with_keys
    for names in with_keys:
        assert next(name for name in names if name != "self") == "key"
