"""The conventions of what `ae` exports."""

import ast
import inspect
from pathlib import Path

import pytest

import ae

ROOT = Path(__file__).parents[1]
MODULES = sorted(path.relative_to(ROOT) for folder in ("ae", "scripts") for path in (ROOT / folder).rglob("*.py"))
NO_VERBS = {
    *(
        "A",
        "All",
        "An",
        "Any",
        "Each",
        "Every",
        "One",
        "Other",
        "Same",
        "Some",
        "That",
        "The",
        "These",
        "This",
        "Those",
    ),
    *(
        "How",
        "What",
        "When",
        "Where",
        "Whether",
        "Which",
        "Who",
        "Whose",
        "Why",
        "If",
        "It",
        "Not",
        "There",
        "Whatever",
    ),
    *("About", "After", "As", "At", "Before", "By", "For", "From", "In", "Like", "Of", "On", "To", "With", "Without"),
}


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


def public_functions(tree):
    """Yield the functions of a module and the methods of its classes, those with an underscore apart: (node, is_method)."""
    for node in tree.body:
        inside = node.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_") else ()
        for function in (node, *inside):
            if isinstance(function, ast.FunctionDef) and not function.name.startswith("_"):
                yield function, function is not node


def faults_of(source):
    """Return the functions in a source that are not documented, or not by a sentence that begins with an imperative."""
    faults = []
    for function, is_method in public_functions(ast.parse(source)):
        first = (ast.get_docstring(function) or "").partition(" ")[0].rstrip(",:.")
        is_verb = first[:1].isupper() and first not in NO_VERBS and (not first.endswith("s") or first.endswith("ss"))
        if not is_verb and (first or not is_method):  # what overrides a method need not say it again
            faults.append(f"{function.lineno}: {function.name}: {first}")
    return faults


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_docstrings_of_functions_begin_with_a_verb(path):
    faults = faults_of((ROOT / path).read_text())
    assert faults == []


@pytest.mark.parametrize("opening", ["The mean.", "What is left.", "Returns it.", "[B] -> [B].", "mean of it", ""])
def test_docstrings_that_begin_otherwise_are_refused(opening):
    assert len(faults_of(f'def f():\n    """{opening}"""\n')) == 1
    assert not faults_of(f'def _f():\n    """{opening}"""\n')
    assert not faults_of('class A:\n    def f(self):\n        """Compress it."""\n')
