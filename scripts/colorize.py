"""Give images, folders of images, animations and clips colour; clips keep their luma, frames, times and sound."""

from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from ae.runtime import cli

DENOISER = "camera_denoiser"  # that --restore takes


def main(
    source: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="INPUT")],
    target: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUTPUT")],
    model: str = "chroma_unet",
    saturation: float = 1.0,
    vivid: float = 0.0,
    white_balance: Literal["none", "auto"] = "none",
    hints: tuple[str, ...] = (),
    reference: Path | None = None,
    steady: float | None = None,
    restore: bool = False,
    keep_grain: bool = False,
    pixels: int | None = None,
    batch: int | None = None,
    colour_shots: Literal["keep", "recolour"] = "keep",
    shots: Path | None = None,
    sheet: Path | None = None,
    start: float = 0.0,
    preview: float | None = None,
    side_by_side: bool = False,
    deinterlace: bool = False,
    hwaccel: str | None = None,
    codec: str | None = None,
    encoder_options: dict[str, str] | None = None,
    audio: Literal["copy", "aac", "opus"] = "copy",
    fps: str | None = None,
    most_pixels: int | None = None,
    skip_existing: bool = False,
    resume: bool = False,
    checkpoint: Literal["last", "best"] | None = None,
    preset: str | None = None,
) -> None:
    """Give images or clips colour.

    Args:
        source: An image, an animation, a clip, a folder of them with its subfolders, or a pattern like 'frames/*.png'.
        target: File to write, whose suffix chooses the format, or folder where INPUT is several files. A clip of several
            images (see --fps); images of a clip, as in frames/%06d.png.
        model: Name of weights in the package, a file of weights (.safetensors), or a run directory.
        saturation: What colours are multiplied with; least squares makes them dull, 1.5 is livelier.
        vivid: How lively, from 0 to 1, colours are where strong ones are likely; nearly gray things stay so.
        white_balance: "auto" takes away the tint of what is bright and nearly gray, in each frame.
        hints: A picture with colours where you want them, and transparent elsewhere; or the photograph painted over. Of
            another size it is scaled. Of a clip from a time on, as in 0:12.5=dots.png, until the scene is cut or others
            follow.
        reference: A picture in colour, whose colours things that look alike get.
        steady: Share, from 0 to 1, of a clip's colours that are those of the frame before, moved along, where these agree
            (default: 0.95); with 0 each frame is coloured alone, and colours flicker.
        restore: Take noise away before colours are chosen, as old material needs it, and leave it out of the result.
        keep_grain: With --restore: the result has its noise all the same.
        pixels: About how many pixels the one copy has that the model sees (default: it sees a photograph at two sizes, 3,136
            and 9,408, and the mean of its answers counts; a frame of a clip at 1,800).
        batch: Frames of a clip that are computed at a time (default: 8).
        colour_shots: What becomes of shots of a clip that are in colour: they keep it, or are given new ones.
        shots: A table (.csv) of a clip's shots: where each starts, and whether it is gray, tinted, in colour or blank. It
            is written; where it is there already, it is followed, as you have edited it.
        sheet: A picture to write: of each shot of a clip a frame, gray above coloured.
        start: Seconds from the beginning of a clip at which it is taken up.
        preview: Only so many seconds of a clip, from its beginning or from --start.
        side_by_side: Gray on the left, coloured on the right.
        deinterlace: Make one picture of the two fields of a clip's frames (FFmpeg's bwdif).
        hwaccel: Hardware that decodes clips, as in "cuda"; where it does not, the CPU does.
        codec: Encoder of clips (default: libvpx-vp9 for .webm, else libx264, or another where that cannot hold them).
            h264_nvenc, hevc_nvenc and av1_nvenc are NVIDIA's; where there is none, libx264 and so on do their work.
        encoder_options: Its options, as in "crf 20 preset veryfast".
        audio: What sound is encoded as that the output cannot hold as it is (default: it is left out, and said).
        fps: Frames a second where a clip is made of images: 24, 23.976 or 24000/1001.
        most_pixels: Images with more pixels, all frames together, and clips with more in a frame are refused
            (default: 2**27).
        skip_existing: Of a folder or pattern, files that are in OUTPUT already stay as they are.
        resume: Go on with clips that an interrupted run has left unfinished.
        checkpoint: Of a run: the last weights (default), or those with the lowest validation loss.
        preset: The preset of a model or task that is defined in a file of your own (my_model.py:PRESET).
    """
    from ae import load_model
    from ae.errors import InputError
    from ae.media.clips.settings import ClipSettings
    from ae.presets import load_preset
    from ae.restore.colorize import BATCH_SIZE, Colorizer
    from ae.restore.steady import STRENGTH
    from ae.runtime.files import check_target
    from ae.tasks import Colorize

    cli.check_above(0, batch=batch, pixels=pixels, preview=preview, most_pixels=most_pixels)
    steady = STRENGTH if steady is None else steady
    cli.check_at_least(0, saturation=saturation, vivid=vivid, start=start, steady=steady)
    for name, share in {"steady": steady, "vivid": vivid}.items():
        if share > 1:
            raise InputError(f"--{name} has to be at most 1, not {share:g}")
    if shots is not None:
        check_target(shots)
    if sheet is not None:
        from ae.media.clips.sheet import check_sheet

        check_sheet(sheet)
    own = load_preset(preset) if preset else None
    trained = load_model(model, preset=own, checkpoint=checkpoint)
    if not isinstance(trained.config.task, Colorize):
        raise InputError(f"{model} is a model for another task than colour")
    colorizer = Colorizer(trained, saturation, pixels, white_balance == "auto", vivid=vivid)
    if reference is not None:
        colorizer = with_reference(colorizer, reference, most_pixels)
    settings = ClipSettings(
        batch or BATCH_SIZE,
        preview,
        most_pixels,
        side_by_side,
        deinterlace,
        codec,
        encoder_options,
        audio,
        start=start,
        steady=steady,
        recolour=colour_shots == "recolour",
        shots=shots,
        sheet=sheet,
        hwaccel=hwaccel,
        resume=resume,
    )
    how = {"colorizer": colorizer, "restoration": restoration_of(restore, keep_grain)}
    colorize(source, target, how, settings, hints, fps=fps, skip_existing=skip_existing)


def with_reference(colorizer: Any, path: Path, most_pixels: int | None = None) -> Any:
    """Return a colorizer that takes colours from a picture. Raises InputError where that is gray, or cannot be read."""
    from ae.media.images import read_image
    from ae.media.pictures import reference_colours

    return colorizer.with_reference(reference_colours(read_image(path, most_pixels=most_pixels), path.name))


def restoration_of(restore: bool, keep_grain: bool) -> Any:
    """Return what is done to noise, if anything. Raises InputError where it is to be kept and not taken away."""
    from ae import load_model
    from ae.errors import InputError
    from ae.restore.denoise import Denoiser
    from ae.restore.restoration import Restoration

    if keep_grain and not restore:
        raise InputError("--keep-grain is for --restore, which takes the noise away")
    return Restoration(Denoiser(load_model(DENOISER)), keep_grain) if restore else None


def colorize(
    source: str,
    target: Path,
    how: dict[str, Any],
    settings: Any,
    hints: tuple[str, ...],
    *,
    fps: str | None,
    skip_existing: bool,
) -> None:
    """Colorize a file, or those of a folder or pattern; print the report of a clip that failed the check.

    `how`: colorizer and restoration. `settings`: a `ClipSettings`.
    """
    from ae.errors import CheckFailedError
    from ae.media.folders import is_folder_or_pattern

    try:
        if is_folder_or_pattern(source):
            refuse_extras(hints, settings, "for one file: name it as INPUT")
            colorize_many(source, target, how, settings, fps=fps, skip_existing=skip_existing)
        else:
            colorize_one(Path(source), target, how, settings, hints)
    except CheckFailedError as error:
        from ae.media.clips.pipeline import print_report

        print_report(error.report)
        raise


def refuse_extras(hints: tuple[str, ...], settings: Any, reason: str) -> None:
    """Raise InputError where hints, shots or a sheet are given; `reason`: what they are for."""
    from ae.errors import InputError

    for option, given in {"--hints are": hints, "--shots is": settings.shots, "--sheet is": settings.sheet}.items():
        if given:
            raise InputError(f"{option} {reason}")


def colorize_many(
    source: str, target: Path, how: dict[str, Any], settings: Any, *, fps: str | None, skip_existing: bool
) -> None:
    """Colorize a folder or pattern: every file by itself, or images to one clip (see `colorize`)."""
    from functools import partial

    from ae.errors import InputError
    from ae.media.clips.conversions import colorize_clip
    from ae.media.clips.frames import colorize_frames, parse_rate
    from ae.media.clips.pipeline import change_clips, print_report
    from ae.media.folders import change_folder
    from ae.media.pictures import change_images, colorize_picture

    if makes_clip(target):
        if fps is None:
            raise InputError(f"{target} is to be a clip of images: --fps says how many a second")
        print_report(colorize_frames(source, target, rate=parse_rate(fps), settings=settings, **how))
        return
    change = partial(colorize_picture, side_by_side=settings.side_by_side, **how)
    work = {
        "image": partial(change_images, change=change, most_pixels=settings.most_pixels),
        "clip": partial(change_clips, convert=partial(colorize_clip, settings=settings, **how)),
    }
    change_folder(source, target, work, skip_existing=skip_existing)


def colorize_one(source: Path, target: Path, how: dict[str, Any], settings: Any, hints: tuple[str, ...] = ()) -> None:
    """Colorize an image to an image, with hints or without, a clip to a clip, or a clip to numbered images."""
    from ae.errors import InputError
    from ae.media.pictures import is_image

    if not source.exists():
        raise InputError(f"{source} does not exist")
    if is_image(source) and not makes_clip(target):  # without what clips need, which takes a while to import
        colorize_image(source, target, how, settings, hints)
    else:
        colorize_frames_of(source, target, how, settings, hints)


def colorize_image(source: Path, target: Path, how: dict[str, Any], settings: Any, hints: tuple[str, ...]) -> None:
    """Colorize an image to an image, with hints or without."""
    from functools import partial

    from ae.errors import InputError
    from ae.media.images import read_image
    from ae.media.pictures import change_image, colorize_picture

    if len(hints) > 1:
        raise InputError("--hints of a picture are one picture; of a clip several, each with its time")
    named = read_image(Path(hints[0]), most_pixels=settings.most_pixels) if hints else None
    change = partial(colorize_picture, side_by_side=settings.side_by_side, hints=named, **how)
    change_image(source, target, change, most_pixels=settings.most_pixels)


def colorize_frames_of(source: Path, target: Path, how: dict[str, Any], settings: Any, hints: tuple[str, ...]) -> None:
    """Colorize a clip to a clip, with hints or without, or to numbered images."""
    from ae.media.clips.conversions import colorize_clip
    from ae.media.clips.frames import is_numbered, write_frames
    from ae.media.clips.pipeline import print_report

    if is_numbered(target) and not makes_clip(target):
        refuse_extras(hints, settings, f"for pictures and clips, not for numbered images as {target}")
        print(f"{write_frames(source, target, settings=settings, **how)} frames: {target}")
    else:
        timed = [timed_hints(entry, settings.most_pixels) for entry in hints]
        print_report(colorize_clip(source, target, settings=settings, hints=timed, **how))


def timed_hints(entry: str, most_pixels: int | None = None) -> Any:
    """Return the hints of TIME=FILE, or of FILE, which hold from the beginning. TIME: 12.5, 0:12.5 or 1:00:12.5."""
    import re

    from ae.media.images import read_image
    from ae.media.pictures import painted
    from ae.restore.hints import TimedHints

    found = re.fullmatch(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)=(.+)", entry)
    hours, minutes, seconds, file = found.groups() if found else (None, None, "0", entry)
    start = 3600 * int(hours or 0) + 60 * int(minutes or 0) + float(seconds)
    return TimedHints(start, painted(read_image(Path(file), most_pixels=most_pixels)))


def makes_clip(target: Path) -> bool:
    """Return whether the suffix of what is to be written is a clip's."""
    from ae.media.clips.suffixes import SUFFIXES

    return target.suffix.lower() in SUFFIXES


if __name__ == "__main__":
    cli.run(main, interrupted="interrupted; nothing was written")
