"""Show a page in the browser on which one can try the models: colours, less noise, clips."""

import os
import signal
import threading
from contextlib import closing

from ae.runtime import cli

MOST_PIXELS = 2**26


def main(
    colorizer: str | None = None,
    denoiser: str | None = None,
    host: str = "127.0.0.1",
    port: int = 7860,
    most_pixels: int = MOST_PIXELS,
    most_megabytes: int = 500,
) -> None:
    """Show a page in the browser on which one can try the models: colours, less noise, clips. Ctrl-C ends it.

    What is uploaded stays on this machine, and is deleted when the page is closed, after an hour, and at the end.

    Args:
        colorizer: Model of colours, as colorize.py takes it (default: the same).
        denoiser: Model of noise, as denoise.py takes it (default: the same).
        host: Address that the page is for: 127.0.0.1, this machine alone; 0.0.0.0, all of the network.
        port: Where it is: http://HOST:PORT.
        most_pixels: Pictures, and frames of clips, with more pixels are refused.
        most_megabytes: Files that are larger are refused.
    """
    from demos.folders import Folders

    from ae.errors import InputError

    cli.check_above(0, port=port, most_pixels=most_pixels, most_megabytes=most_megabytes)
    with closing(Folders()) as folders:
        os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_TEMP_DIR": str(folders.root / "uploads")}
        try:
            import gradio
        except ImportError as error:
            raise InputError("the page needs gradio: pip install 'ae[demo]'") from error
        from demos.page import page
        from demos.parts import Site

        models = {"colorize.py": colorizer, "denoise.py": denoiser}
        blocks = page(Site(folders, most_pixels, {script: name for script, name in models.items() if name}))
        try:
            blocks.launch(
                server_name=host, server_port=port, share=False, quiet=True, prevent_thread_lock=True,
                max_file_size=f"{most_megabytes}mb", theme=gradio.themes.Base(), footer_links=[], show_error=True,
                ssr_mode=False,
            )  # fmt: skip
        except OSError as error:
            raise InputError(f"port {port} of {host} cannot be used: --port names another") from error
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # nothing is left behind then either
        print(f"http://{host}:{port} (Ctrl-C ends it)", flush=True)
        try:
            threading.Event().wait()
        finally:
            blocks.close(verbose=False)


if __name__ == "__main__":
    try:
        cli.run(main, interrupted="ended; what was uploaded is deleted")
    except SystemExit as end:
        if end.code == 130:
            os._exit(130)  # where a thread still computes, Python's own end would kill it within XLA, which aborts
        raise
