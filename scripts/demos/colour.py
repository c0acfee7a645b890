"""The tab that gives photographs colour."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr
from demos import views
from demos.parts import LARGE, QUIET, Site, compared, connect, look_options, results, saved, saving, target_of, told
from demos.views import GrayView, Point

from ae import Colorizer, Denoiser

EMPTY = "Colours appear here; click where you want another one."
Points = tuple[Point, ...]


def colour_tab(site: Site, colorizer: Colorizer, denoiser: Denoiser) -> None:
    """Add the tab to the page."""
    view, points = gr.State(None), gr.State(())
    with gr.Row():
        with gr.Column(scale=1, min_width=260):
            upload = gr.File(label="Photograph", height=120)
            colour = gr.ColorPicker("#b04a3a", label="Colour of the next point", visible=colorizer.takes_hints)
            with gr.Row(visible=colorizer.takes_hints):
                undo, clear = (gr.Button(label, size="sm", min_width=80) for label in ("Undo", "No points"))
            saturation = gr.Slider(0, 3, 1, step=0.05, label="Saturation")
            vivid = gr.Slider(0, 1, 0, step=0.05, label="Vivid", visible=colorizer.answers_vividly)
            restore = gr.Checkbox(False, label="Take noise away")
            save = saving("Save")
        with gr.Column(scale=3):
            picture = compared(EMPTY if colorizer.takes_hints else "Colours appear here.")
            taken = results()

    on = Answers(site, colorizer, denoiser)
    look = [saturation, vivid, restore]
    opened = upload.change(on.opened, [upload, *look], [view, points, picture, save.button], **LARGE)
    opened.then(on.prepared, [view, *look], None, **QUIET)
    picture.select(on.clicked, [view, points, colour, *look], [points, picture], **QUIET)
    undo.click(lambda view, points, *look: (points[:-1], on.shown(view, points[:-1], *look)),
               [view, points, *look], [points, picture], **QUIET)  # fmt: skip
    clear.click(lambda view, *look: ((), on.shown(view, (), *look)), [view, *look], [points, picture], **QUIET)
    for slider in (saturation, vivid):
        slider.change(on.shown, [view, points, *look], picture, trigger_mode="always_last", **QUIET)
    restore.change(on.restored, [view, points, *look], [view, picture], **LARGE)
    connect(save, taken, on.made, [view, points, *look])


@dataclass(frozen=True)
class Answers:
    """What the tab does when one opens a photograph, sets points, or changes the look: saturation, vivid, restore."""

    site: Site
    colorizer: Colorizer
    denoiser: Denoiser

    def shown(
        self, view: GrayView | None, points: Points, saturation: float, vivid: float, restore: bool
    ) -> dict[str, Any] | None:
        """Return the comparison of a view with its colours."""
        if view is None:
            return None
        colorizer = replace(self.colorizer, saturation=saturation, vivid=vivid)
        return views.comparison(view.gray, views.coloured(view, colorizer, points, restore=restore), points)

    @told
    def opened(self, upload: str | None, request: gr.Request, *look: Any) -> tuple[Any, ...]:
        """Return the view of a photograph, without points, its comparison, and whether it can be saved."""
        if upload is None:
            return None, (), None, gr.update(interactive=False)
        path = self.site.folders.taken(upload, str(request.session_hash))
        view, picture = self.restored(views.open_gray(path, self.site.most_pixels), (), *look)
        return view, (), picture, gr.update(interactive=True)

    def prepared(self, view: GrayView | None, *look: Any) -> None:
        """Compile what the first click needs, while one looks at the photograph."""
        if view is not None and self.colorizer.takes_hints:
            self.shown(view, ((0, 0, "#808080"),), *look)

    @told
    def clicked(
        self, view: GrayView | None, points: Points, colour: str, event: gr.SelectData, *look: Any
    ) -> tuple[Points, Any]:
        """Return the points with another one, and the comparison."""
        if view is None or not self.colorizer.takes_hints:
            return points, gr.skip()
        points = (*points, (*event.index, views.hex_colour(colour)))
        return points, self.shown(view, points, *look)

    @told
    def restored(
        self, view: GrayView | None, points: Points, saturation: float, vivid: float, restore: bool
    ) -> tuple[Any, ...]:
        """Return the view, which knows itself without noise where that is asked for, and the comparison."""
        view = views.with_clean(view, self.denoiser) if view is not None and restore else view
        return view, self.shown(view, points, saturation, vivid, restore)

    @told
    def made(self, view: GrayView, points: Points, *look: Any) -> Iterator[tuple[Any, ...]]:
        """Yield how far the command is, and what it has made."""
        target, hints = target_of(view.path, "colour"), view.path.with_name("dots.png")
        if points:
            views.write_dots(hints, view, points)
        options = [*(["--hints", hints] if points else []), *look_options(*look)]
        command = self.site.command("colorize.py", view.path, target, *options)
        yield from saved(command, lambda: [target, *([hints] if points else [])])
