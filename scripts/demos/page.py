"""The page: colours for photographs, less noise, colours for clips."""

import gradio as gr
from demos.clips import clip_tab
from demos.colour import colour_tab
from demos.noise import noise_tab
from demos.parts import Site

from ae import Colorizer, Denoiser, load_model


def page(site: Site) -> gr.Blocks:
    """Return the page. Raises InputError where a model is not there, or for another task."""
    colorizer = Colorizer(load_model(site.models.get("colorize.py", "chroma_unet")))
    denoiser = Denoiser(load_model(site.models.get("denoise.py", "camera_denoiser")))

    def left(request: gr.Request) -> None:
        site.folders.forget(str(request.session_hash))

    with gr.Blocks(title="ae", delete_cache=(600, site.folders.seconds), analytics_enabled=False) as blocks:
        with gr.Tab("Colour"):
            colour_tab(site, colorizer, denoiser)
        with gr.Tab("Noise"):
            noise_tab(site, denoiser)
        with gr.Tab("Clips"):
            clip_tab(site, colorizer)
        blocks.unload(left)
    return blocks
