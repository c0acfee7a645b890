"""Take noise from images and folders of images, of any size."""

from pathlib import Path
from typing import Annotated, Literal

import tyro

from ae.runtime import cli


def main(
    source: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="INPUT")],
    target: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUTPUT")],
    model: str = "photo_denoiser",
    sigma: float | None = None,
    strength: float = 1.0,
    most_pixels: int | None = None,
    skip_existing: bool = False,
    checkpoint: Literal["last", "best"] | None = None,
    preset: str | None = None,
) -> None:
    """Take Gaussian noise from images, without taking detail for noise.

    The model in use has learnt from photographs; `unet_denoiser`, also in the package, from handwritten digits and strong
    noise (0.3) alone.

    Args:
        source: An image, a folder of images with its subfolders, or a pattern like 'frames/*.png'.
        target: File to write, or folder where INPUT is several images.
        model: Name of weights in the package, a file of weights (.safetensors), or a run directory.
        sigma: Standard deviation of the noise, below 1 for pixels in [0, 1], above 1 for those up to 255; no more is taken
            away (default: estimated for each image, where the model has learnt from noise of all levels).
        strength: From 0 to 2; what is taken away is multiplied with it.
        most_pixels: Images with more pixels, all frames together, are refused (default: 2**27).
        skip_existing: Of a folder or pattern, files that are in OUTPUT already stay as they are.
        checkpoint: Of a run: the last weights (default), or those with the lowest validation loss.
        preset: The preset of a model or task that is defined in a file of your own (my_model.py:PRESET).
    """
    from functools import partial

    from ae import load_model
    from ae.errors import InputError
    from ae.media.folders import change_folder, is_folder_or_pattern
    from ae.media.pictures import change_image, change_images, denoise_picture
    from ae.presets import load_preset
    from ae.restore.denoise import Denoiser
    from ae.tasks import Denoise

    cli.check_above(0, most_pixels=most_pixels)
    cli.check_at_least(0, sigma=sigma, strength=strength)
    if strength > 2:
        raise InputError(f"--strength has to be from 0 to 2, not {strength:g}")
    sigma = in_unit_range(sigma)
    own = load_preset(preset) if preset else None
    trained = load_model(model, preset=own, checkpoint=checkpoint)
    if not isinstance(trained.config.task, Denoise):
        raise InputError(f"{model} is a model for another task than noise")
    change = partial(denoise_picture, denoiser=Denoiser(trained), sigma=sigma, strength=strength)
    path = Path(source)
    if is_folder_or_pattern(source):
        work = {"image": partial(change_images, change=change, most_pixels=most_pixels)}
        change_folder(source, target, work, skip_existing=skip_existing)
    elif not path.exists():
        raise InputError(f"{path} does not exist")
    else:
        change_image(path, target, change, most_pixels=most_pixels)


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
