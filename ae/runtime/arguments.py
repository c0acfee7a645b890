"""Command lines read by tyro, whose complaints become one line."""

import difflib
import io
import re
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from functools import partial, wraps
from itertools import dropwhile, takewhile

import tyro

from ae.errors import InputError

Main = Callable[..., None]
Parser = Callable[..., Main]


def parse(main: Main | dict[str, Main], args: Sequence[str], **about: str) -> Main:
    """Return `main`, or the one of several that is named, bound to its arguments: what is left is to call it.

    `about` has tyro's `prog` and `description`. Raises InputError for arguments that do not fit; help ends the program.
    """
    parser = _parser(main, about)
    complaint = io.StringIO()
    try:
        with redirect_stderr(complaint):
            return parser(args=args)
    except SystemExit as end:
        if not end.code:
            raise
        raise InputError(_unknown_option(parser, args) or _one_line(complaint.getvalue())) from None


def _parser(main: Main | dict[str, Main], about: dict[str, str]) -> Parser:
    if isinstance(main, dict):
        commands = {name: _bound(function) for name, function in main.items()}
        return partial(tyro.extras.subcommand_cli_from_dict, commands, **about)
    return partial(tyro.cli, _bound(main), **about)


def _bound(main: Main) -> Parser:
    """Return a function like `main` that only returns its call, so that reading ends before the work begins."""
    if isinstance(main, partial):
        return partial(_bound(main.func), *main.args, **main.keywords)
    return wraps(main)(lambda *args, **options: partial(main, *args, **options))


def _unknown_option(parser: Parser, args: Sequence[str]) -> str | None:
    """Return what to say of the first option that the help does not name."""
    known = _options(parser, args)
    given = (word.partition("=")[0].replace("_", "-") for word in args if word.startswith("--"))
    unknown = next((option for option in given if option not in known), None)
    if unknown is None:
        return None
    near = _near(unknown, known)
    return f"unknown option {unknown}; " + (f"near: {', '.join(near)}" if near else "--help lists the options")


def _near(word: str, known: set[str]) -> list[str]:
    """Return up to three words that are like one, the most like it first; without those that are much less so."""
    likeness = {other: difflib.SequenceMatcher(a=other, b=word).ratio() for other in sorted(known)}
    least = max(0.7, max(likeness.values(), default=0) - 0.15)
    return sorted((other for other in likeness if likeness[other] >= least), key=lambda other: -likeness[other])[:3]


def _options(parser: Parser, args: Sequence[str]) -> set[str]:
    command = takewhile(lambda word: not word.startswith("-"), args)
    with redirect_stdout(io.StringIO()) as text, suppress(SystemExit):
        parser(args=[*command, "--help"])
    return set(re.findall(r"--[\w.-]+", text.getvalue()))


def _one_line(box: str) -> str:
    """Return the first part of a box of tyro's, without descriptions of options, which are indented most."""
    lines = [re.sub("[│╰╯]", " ", line) for line in box.splitlines()[1:]]  # without the title
    part = takewhile(_is_text, dropwhile(lambda line: not _is_text(line), lines))
    words = " ".join(line.strip() for line in part if not line.startswith(" " * 10))
    return words.removeprefix("Error parsing ").partition(" Got errors:")[0]


def _is_text(line: str) -> bool:
    return bool(line.strip(" ─-"))  # not a rule
