"""The tab that gives photographs colour."""

from collections.abc import Iterator
from dataclasses import replace
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

    def shown(
        view: GrayView | None, points: Points, saturation: float, vivid: float, restore: bool
    ) -> dict[str, Any] | None:
        if view is None:
            return None
        rgb = views.coloured(view, replace(colorizer, saturation=saturation, vivid=vivid), points, restore=restore)
        return views.comparison(view.gray, rgb, points)

    @told
    def opened(
        upload: str | None, saturation: float, vivid: float, restore: bool, request: gr.Request
    ) -> tuple[Any, ...]:
        if upload is None:
            return None, (), None, gr.update(interactive=False)
        path = site.folders.taken(upload, str(request.session_hash))
        view = views.open_gray(path, site.most_pixels)
        view = views.with_clean(view, denoiser) if restore else view
        return view, (), shown(view, (), saturation, vivid, restore), gr.update(interactive=True)

    @told
    def clicked(
        view: GrayView | None,
        points: Points,
        colour: str,
        saturation: float,
        vivid: float,
        restore: bool,
        event: gr.SelectData,
    ) -> tuple[Points, Any]:
        if view is None or not colorizer.takes_hints:
            return points, gr.skip()
        points = (*points, (*event.index, views.hex_colour(colour)))
        return points, shown(view, points, saturation, vivid, restore)

    @told
    def restored(
        view: GrayView | None, points: Points, saturation: float, vivid: float, restore: bool
    ) -> tuple[Any, ...]:
        view = views.with_clean(view, denoiser) if view is not None and restore else view
        return view, shown(view, points, saturation, vivid, restore)

    @told
    def made(
        view: GrayView, points: Points, saturation: float, vivid: float, restore: bool
    ) -> Iterator[tuple[Any, ...]]:
        target, hints = target_of(view.path, "colour"), view.path.with_name("dots.png")
        if points:
            views.write_dots(hints, view, points)
        options = [
            *(["--hints", hints] if points else []),
            *look_options(saturation, vivid, restore),
        ]
        command = site.command("colorize.py", view.path, target, *options)
        yield from saved(command, lambda: [target, *([hints] if points else [])])

    look = [saturation, vivid, restore]
    upload.change(opened, [upload, *look], [view, points, picture, save.button], **LARGE)
    picture.select(clicked, [view, points, colour, *look], [points, picture], **QUIET)
    undo.click(lambda view, points, *look: (points[:-1], shown(view, points[:-1], *look)),
               [view, points, *look], [points, picture], **QUIET)  # fmt: skip
    clear.click(lambda view, *look: ((), shown(view, (), *look)), [view, *look], [points, picture], **QUIET)
    for slider in (saturation, vivid):
        slider.change(shown, [view, points, *look], picture, trigger_mode="always_last", **QUIET)
    restore.change(restored, [view, points, *look], [view, picture], **LARGE)
    connect(save, taken, made, [view, points, *look])
