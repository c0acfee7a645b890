"""Give images, folders of images, animations and clips colour; clips keep their luma, frames, times and sound."""

from pathlib import Path
from typing import Annotated, Literal

import tyro

from ae import cli


def main(
    source: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="INPUT")],
    target: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUTPUT")],
    model: str = "chroma_unet",
    saturation: float = 1.0,
    pixels: int | None = None,
    batch: int | None = None,
    preview: float | None = None,
    side_by_side: bool = False,
    codec: str | None = None,
    encoder_options: dict[str, str] | None = None,
    most_pixels: int | None = None,
    skip_existing: bool = False,
    checkpoint: Literal["last", "best"] | None = None,
    preset: str | None = None,
) -> None:
    """Give images or clips colour.

    Args:
        source: An image, an animation, a clip, a folder of images with its subfolders, or a pattern like 'frames/*.png'.
        target: File to write, or folder where INPUT is several images. Its suffix chooses the format.
        model: Name of weights in the package, a file of weights (.safetensors), or a run directory.
        saturation: What colours are multiplied with; least squares makes them dull, 1.5 is livelier.
        pixels: About how many pixels the model sees of a frame (default: 1,800); more are slower, and seldom better.
        batch: Frames of a clip that are computed at a time (default: 8).
        preview: Only so many seconds from the beginning of a clip.
        side_by_side: Gray on the left, coloured on the right.
        codec: Encoder of clips (default: libvpx-vp9 for .webm, else libx264).
        encoder_options: Its options, as in "crf 20 preset veryfast".
        most_pixels: Images with more pixels, all frames together, and clips with more in a frame are refused
            (default: 2**27).
        skip_existing: Of a folder or pattern, files that are in OUTPUT already stay as they are.
        checkpoint: Of a run: the last weights (default), or those with the lowest validation loss.
        preset: The preset of a model or task that is defined in a file of your own (my_model.py:PRESET).
    """
    from functools import partial

    from ae import load_model
    from ae.colorize import BATCH_SIZE, PIXELS, Colorizer
    from ae.errors import InputError
    from ae.tasks import Colorize
    from ae.video.clips import SUFFIXES
    from ae.video.convert import colorize_clip
    from ae.video.folders import change_folder, is_many
    from ae.video.pictures import change_image, change_images, colorize_picture, is_image

    cli.check_above(0, batch=batch, pixels=pixels, preview=preview, most_pixels=most_pixels)
    cli.check_at_least(0, saturation=saturation)
    own = cli.load_preset(preset) if preset else None
    trained = load_model(model, preset=own, checkpoint=checkpoint)
    if not isinstance(trained.config.task, Colorize):
        raise InputError(f"{model} is a model for another task than colour")
    colorizer = Colorizer(trained, saturation, pixels or PIXELS)
    change = partial(colorize_picture, colorizer=colorizer, beside=side_by_side)
    path = Path(source)
    if is_many(source):
        work = {"image": partial(change_images, change=change, most_pixels=most_pixels)}
        change_folder(source, target, work, skip_existing=skip_existing)
    elif not path.exists():
        raise InputError(f"{path} does not exist")
    elif is_image(path) and target.suffix.lower() not in SUFFIXES:
        change_image(path, target, change, most_pixels=most_pixels)
    else:
        report = colorize_clip(
            path,
            target,
            colorizer,
            batch_size=batch or BATCH_SIZE,
            seconds=preview,
            most_pixels=most_pixels,
            beside=side_by_side,
            codec=codec,
            options=encoder_options,
        )
        print_report(report)


def print_report(report) -> None:
    """What was checked, and how steady the colours are; where not all could be read, an error."""
    from ae.errors import InputError

    for check in report.checks:
        print(f"  {check.name}: {check.found}")
    steadiness = report.steadiness
    print(f"PASS {report.path}")
    print(
        f"colourfulness {steadiness.colourfulness:.1f}, colour distribution consistency (CDC) {steadiness.cdc:.4f}, "
        f"chroma flicker {steadiness.chroma_flicker:.2f} of 255"
    )
    if report.lost:
        more = f" and {len(report.lost) - 3} more" if len(report.lost) > 3 else ""
        raise InputError(f"{report.path} is without {'; '.join(report.lost[:3])}{more}, which could not be read")


if __name__ == "__main__":
    cli.run(main, interrupted="interrupted; nothing was written")
