"""The tab that takes noise from photographs."""

from collections.abc import Iterator
from typing import Any

import gradio as gr
from demos import views
from demos.parts import LARGE, QUIET, Site, compared, connect, results, saved, saving, target_of, told
from demos.views import NoisyView

from ae import Denoiser

Place = tuple[float, float]
MIDDLE: Place = (0.5, 0.5)


def noise_tab(site: Site, denoiser: Denoiser) -> None:
    """Add the tab to the page."""
    view, place = gr.State(None), gr.State(MIDDLE)
    with gr.Row():
        with gr.Column(scale=1, min_width=260):
            upload = gr.File(label="Photograph", height=120)
            level = gr.Markdown()
            strength = gr.Slider(0, 2, 1, step=0.05, label="Strength")
            save = saving("Save")
            whole = gr.Image(label="Click to look at another part", interactive=False, visible=False, buttons=[])
        with gr.Column(scale=3):
            part = compared("A part of the photograph appears here, pixel by pixel.")
            taken = results()

    def shown(view: NoisyView | None, place: Place, strength: float) -> dict[str, Any] | None:
        return None if view is None else views.comparison(*views.loupe(view, denoiser, place, strength))

    @told
    def opened(upload: str | None, strength: float, request: gr.Request) -> tuple[Any, ...]:
        if upload is None:
            return None, MIDDLE, "", gr.update(visible=False), None, gr.update(interactive=False)
        path = site.folders.taken(upload, str(request.session_hash))
        view = views.open_noisy(path, denoiser, site.most_pixels)
        said = "" if view.sigma is None else f"Noise of about {255 * view.sigma:.1f} of 255."
        whole = gr.update(value=views.as_bytes(view.small), visible=True)
        return view, MIDDLE, said, whole, shown(view, MIDDLE, strength), gr.update(interactive=True)

    @told
    def moved(view: NoisyView, strength: float, event: gr.SelectData) -> tuple[Place, Any]:
        height, width = view.small.shape[:2]
        place = event.index[1] / height, event.index[0] / width
        return place, shown(view, place, strength)

    @told
    def made(view: NoisyView, strength: float) -> Iterator[tuple[Any, ...]]:
        target = target_of(view.path, "clean")
        options = ["--strength", f"{strength:g}"] if strength != 1 else []
        command = site.command("denoise.py", view.path, target, *options)
        yield from saved(command, lambda: [target])

    upload.change(opened, [upload, strength], [view, place, level, whole, part, save.button], **LARGE)
    whole.select(moved, [view, strength], [place, part], **QUIET)
    strength.change(shown, [view, place, strength], part, trigger_mode="always_last", **QUIET)
    connect(save, taken, made, [view, strength])
