"""Take noise from images, folders of images and clips, of any size."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from ae.runtime import cli

FRAMES = 2  # of a clip that are computed at a time: each takes as long as an image


def main(
    source: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="INPUT")],
    target: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUTPUT")],
    model: str = "camera_denoiser",
    sigma: float | None = None,
    strength: float = 1.0,
    start: float = 0.0,
    preview: float | None = None,
    deinterlace: bool = False,
    hwaccel: str | None = None,
    codec: str | None = None,
    encoder_options: dict[str, str] | None = None,
    audio: Literal["copy", "aac", "opus"] = "copy",
    most_pixels: int | None = None,
    skip_existing: bool = False,
    resume: bool = False,
    checkpoint: Literal["last", "best"] | None = None,
    preset: str | None = None,
) -> None:
    """Take noise from images or clips, without taking detail for noise.

    The model in use has learnt from photographs as cameras make them. Also in the package are `photo_denoiser`, from
    photographs with white noise, `gray_denoiser`, from their luma, and `unet_denoiser`, from handwritten digits and strong
    noise (0.3) alone.

    Args:
        source: An image, an animation, a clip, a folder of them with its subfolders, or a pattern like 'frames/*.png'.
        target: File to write, whose suffix chooses the format, or folder where INPUT is several files.
        model: Name of weights in the package, a file of weights (.safetensors), or a run directory.
        sigma: Standard deviation of the noise, below 1 for pixels in [0, 1], above 1 for those up to 255; no more is taken
            away (default: estimated for each image, and for each shot of a clip, where the model has learnt from noise of
            all levels).
        strength: From 0 to 2; what is taken away is multiplied with it.
        start: Seconds from the beginning of a clip at which it is taken up.
        preview: Only so many seconds of a clip, from its beginning or from --start.
        deinterlace: Make one picture of the two fields of a clip's frames (FFmpeg's bwdif).
        hwaccel: Hardware that decodes clips, as in "cuda"; where it does not, the CPU does.
        codec: Encoder of clips (default: libvpx-vp9 for .webm, else libx264, or another where that cannot hold them).
            h264_nvenc, hevc_nvenc and av1_nvenc are NVIDIA's; where there is none, libx264 and so on do their work.
        encoder_options: Its options, as in "crf 20 preset veryfast".
        audio: What sound is encoded as that the output cannot hold as it is (default: it is left out, and said).
        most_pixels: Images with more pixels, all frames together, and clips with more in a frame are refused
            (default: 2**27).
        skip_existing: Of a folder or pattern, files that are in OUTPUT already stay as they are.
        resume: Go on with clips that an interrupted run has left unfinished.
        checkpoint: Of a run: the last weights (default), or those with the lowest validation loss.
        preset: The preset of a model or task that is defined in a file of your own (my_model.py:PRESET).
    """
    from ae import load_model
    from ae.errors import CheckFailedError, InputError
    from ae.media.clips.settings import ClipSettings
    from ae.presets import load_preset
    from ae.restore.denoise import Denoiser
    from ae.tasks import Denoising

    cli.check_above(0, most_pixels=most_pixels, preview=preview)
    cli.check_at_least(0, sigma=sigma, strength=strength, start=start)
    if strength > 2:
        raise InputError(f"--strength has to be from 0 to 2, not {strength:g}")
    own = load_preset(preset) if preset else None
    trained = load_model(model, preset=own, checkpoint=checkpoint)
    if not isinstance(trained.config.task, Denoising):
        raise InputError(f"{model} is a model for another task than noise")
    settings = ClipSettings(
        FRAMES,
        preview,
        most_pixels,
        deinterlace=deinterlace,
        codec=codec,
        encoder_options=encoder_options,
        audio=audio,
        start=start,
        hwaccel=hwaccel,
        resume=resume,
    )
    how = {"denoiser": Denoiser(trained), "sigma": in_unit_range(sigma), "strength": strength}
    try:
        denoise(source, target, how, settings, skip_existing=skip_existing)
    except CheckFailedError as error:
        from ae.media.clips.pipeline import print_report

        print_report(error.report)
        raise


def denoise(source: str, target: Path, how: dict[str, Any], settings: Any, *, skip_existing: bool) -> None:
    """Take the noise from a file, or from those of a folder or pattern.

    `how`: denoiser, sigma and strength. `settings`: a `ClipSettings`.
    """
    from ae.errors import InputError
    from ae.media.clips.suffixes import SUFFIXES
    from ae.media.folders import is_folder_or_pattern
    from ae.media.pictures import change_image, denoise_picture, is_image

    change: Any = partial(denoise_picture, **how)
    path = Path(source)
    if is_folder_or_pattern(source):
        denoise_many(source, target, change, how, settings, skip_existing=skip_existing)
    elif not path.exists():
        raise InputError(f"{path} does not exist")
    elif (
        is_image(path) and target.suffix.lower() not in SUFFIXES
    ):  # without what clips need, which takes a while to import
        change_image(path, target, change, most_pixels=settings.most_pixels)
    else:
        from ae.media.clips.conversions import denoise_clip
        from ae.media.clips.pipeline import print_report

        print_report(denoise_clip(path, target, settings=settings, **how))


def denoise_many(
    source: str, target: Path, change: Any, how: dict[str, Any], settings: Any, *, skip_existing: bool
) -> None:
    """Take the noise from every file of a folder or pattern (see `denoise`)."""
    from ae.media.clips.conversions import denoise_clip
    from ae.media.clips.pipeline import change_clips
    from ae.media.folders import change_folder
    from ae.media.pictures import change_images

    convert = partial(denoise_clip, settings=settings, **how)
    work = {
        "image": partial(change_images, change=change, most_pixels=settings.most_pixels),
        "clip": partial(change_clips, convert=convert),
    }
    change_folder(source, target, work, skip_existing=skip_existing)


def in_unit_range(sigma: float | None) -> float | None:
    """Return a standard deviation for pixels in [0, 1], and print it in both ranges. Raises InputError for 1."""
    from ae.errors import InputError

    if sigma == 1:
        raise InputError(
            "--sigma 1 could be all of the range [0, 1] or one of 255: write 0.99 for the first, 0.0039 for the second"
        )
    if sigma is None:
        return None
    unit = sigma if sigma < 1 else sigma / 255
    print(f"sigma {unit:.4g} for pixels in [0, 1], {255 * unit:.4g} for those up to 255")
    return unit


if __name__ == "__main__":
    cli.run(main, interrupted="interrupted; what was written is whole")
