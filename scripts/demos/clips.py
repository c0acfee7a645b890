"""The tab that gives clips colour."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from demos.parts import QUIET, Site, connect, look_options, results, saved, saving, told

from ae import Colorizer

PREVIEW = 3  # seconds


def clip_tab(site: Site, colorizer: Colorizer) -> None:
    """Add the tab to the page."""
    clip = gr.State(None)
    with gr.Row():
        with gr.Column(scale=1, min_width=260):
            upload = gr.File(label="Clip", height=120)
            saturation = gr.Slider(0, 3, 1, step=0.05, label="Saturation")
            vivid = gr.Slider(0, 1, 0, step=0.05, label="Vivid", visible=colorizer.answers_vividly)
            restore = gr.Checkbox(False, label="Take noise away")
            recolour = gr.Checkbox(False, label="New colours where there are some")
            preview = gr.Checkbox(True, label=f"The first {PREVIEW} seconds only")
            save = saving("Colour")
        with gr.Column(scale=3):
            film = gr.Video(label="Clip in colour", interactive=False, visible=False)
            sheet = gr.Image(label="Its shots, as they were and in colour", interactive=False, visible=False)
            taken = results()

    @told
    def opened(upload: str | None, request: gr.Request) -> tuple[Any, ...]:
        path = None if upload is None else site.folders.taken(upload, str(request.session_hash))
        return path, gr.update(interactive=path is not None)

    @told
    def made(
        clip: Path,
        saturation: float,
        vivid: float,
        restore: bool,
        recolour: bool,
        preview: bool,
        request: gr.Request,
    ) -> Iterator[tuple[Any, ...]]:
        folder = site.folders.new(str(request.session_hash))
        target, shots, picture = (folder / name for name in (f"{clip.stem}_colour.mp4", "shots.csv", "sheet.jpg"))
        options = [
            *look_options(saturation, vivid, restore),
            *(["--colour-shots", "recolour"] if recolour else []),
            *(["--preview", str(PREVIEW)] if preview else []),
        ]
        command = site.command("colorize.py", clip, target, *options, "--shots", shots, "--sheet", picture)
        for values in saved(command, lambda: [target, shots, picture]):
            yield *values, gr.skip(), gr.skip()
        looked_at = (gr.update(value=str(path), visible=True) for path in (target, picture))
        yield *(gr.skip() for _ in values), *looked_at

    upload.change(opened, upload, [clip, save.button], **QUIET)
    connect(save, taken, made, [clip, saturation, vivid, restore, recolour, preview], [film, sheet])
