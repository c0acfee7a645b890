"""Parts that the tabs of the page share."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from inspect import isgeneratorfunction
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
from demos import jobs
from demos.folders import Folders, without_folders

from ae.errors import InputError
from ae.media.images import MOST_PIXELS

PARTS = Path(__file__).parent
LARGE: dict[str, Any] = {"concurrency_id": "large", "concurrency_limit": 1}  # of what takes memory: one at a time
QUIET: dict[str, Any] = {"show_progress": "hidden"}  # of what answers at once
KEPT = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp")  # formats that a result keeps


class Site(NamedTuple):
    """What all tabs go by."""

    folders: Folders
    most_pixels: int
    models: dict[str, str]  # of "colorize.py" and "denoise.py", where they are not those in use anyway

    def command(self, script: str, source: Path, target: Path, *options: str | Path) -> list[str | Path]:
        """Return the arguments of a script for a file, to run it by."""
        model = ["--model", self.models[script]] if script in self.models else []
        limit = ["--most-pixels", str(self.most_pixels)] if self.most_pixels > MOST_PIXELS else []
        return [script, source, target, *model, *options, *limit]


def look_options(saturation: float, vivid: float, restore: bool) -> list[str]:
    """Return the options of colorize.py that say how colours are to look."""
    return [
        *(["--saturation", f"{saturation:g}"] if saturation != 1 else []),
        *(["--vivid", f"{vivid:g}"] if vivid else []),
        *(["--restore"] if restore else []),
    ]


def told(function: Callable) -> Callable:
    """Return a function, or a generator, whose InputErrors the page shows as one line."""

    @wraps(function)
    def tried(*arguments: Any) -> Any:
        with _shown_errors():
            return function(*arguments)

    @wraps(function)
    def tried_step_by_step(*arguments: Any) -> Iterator[Any]:
        with _shown_errors():
            yield from function(*arguments)

    return tried_step_by_step if isgeneratorfunction(function) else tried


@contextmanager
def _shown_errors() -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise gr.Error(without_folders(str(error)), title="", print_exception=False) from None


def compared(empty: str) -> gr.HTML:
    """Return two pictures under a slider, on which one can click; `empty`: what is said where there are none."""
    html, css, js = ((PARTS / f"comparison.{suffix}").read_text() for suffix in ("html", "css", "js"))
    return gr.HTML(None, html_template=html, css_template=css, js_on_load=js, empty=empty)


class Saving(NamedTuple):
    """The part of a tab by which results are made."""

    button: gr.Button
    stop: gr.Button
    status: gr.Markdown


def saving(label: str) -> Saving:
    """Add the part of a tab by which results are made."""
    button = gr.Button(label, variant="primary", interactive=False)
    return Saving(button, gr.Button("Stop", visible=False), gr.Markdown())


class Results(NamedTuple):
    """The part of a tab where results are."""

    files: gr.File
    command: gr.Code


def results() -> Results:
    """Add the part of a tab where results are."""
    files = gr.File(label="Files", visible=False, interactive=False, file_count="multiple")
    command = gr.Code(
        label="The same from the command line", language="shell", visible=False, interactive=False, lines=1
    )
    return Results(files, command)


def saved(arguments: Sequence[str | Path], files: Callable[[], Sequence[Path]]) -> Iterator[tuple[Any, ...]]:
    """Run a command, and yield values for stop and status of `Saving`, and for `Results`; `files`: what it has made."""
    for state in jobs.run(arguments):
        if isinstance(state, jobs.Progress):
            share = "" if state.share is None else f" {state.share:.0%}"
            yield gr.update(visible=True), f"{state.label}{share}", gr.update(), gr.update()
        else:
            made = [str(path) for path in files()]
            lines = [line for line in state.lines if not any(line.endswith(path) for path in made)]
            status = "  \n".join(lines)
            command = gr.update(value=jobs.command_line(arguments), visible=True)
            yield gr.update(visible=False), status, gr.update(value=made, visible=True), command


def connect(save: Saving, taken: Results, made: Callable, inputs: Sequence[Any], more: Sequence[Any] = ()) -> None:
    """Let the buttons of a tab begin and stop what is made; `more`: what is shown of it beside its files."""
    run = save.button.click(made, inputs, [save.stop, save.status, *taken, *more], **LARGE, **QUIET)
    save.stop.click(lambda: (gr.update(visible=False), "stopped"), None, [save.stop, save.status], cancels=[run])


def target_of(source: Path, what: str) -> Path:
    """Return the file beside a photograph that a result goes into; formats that few programs read become PNG."""
    suffix = source.suffix.lower() if source.suffix.lower() in KEPT else ".png"
    return source.with_name(f"{source.stem}_{what}{suffix}")
