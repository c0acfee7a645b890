"""Take noise from images and folders of images, of any size."""

from pathlib import Path
from typing import Annotated

import tyro

from ae import cli


def main(
    source: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="INPUT")],
    target: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="OUTPUT")],
    model: str | None = None,
    sigma: float | None = None,
    most_pixels: int | None = None,
    data_dir: Path | None = None,
) -> None:
    """Take Gaussian noise from images.

    The models in the package have learned from handwritten digits: on photographs they blur what is no stroke of a pen.

    Args:
        source: An image, a folder of images, or a pattern like 'frames/*.png'.
        target: File to write, or folder where INPUT is several images.
        model: Name of weights in the package, a file of weights (.safetensors), or a run directory (default: weights in the
            package that have learnt from noise of about this level).
        sigma: Standard deviation of the noise, for images in [0, 1] (default: estimated for each image).
        most_pixels: Images with more pixels, all frames together, are refused (default: 2**27).
        data_dir: Folder of data sets prepared by tfds, for run directories.
    """
    from functools import cache

    from ae import load_data, load_model
    from ae.denoise import Denoiser, noise_level
    from ae.errors import InputError
    from ae.tasks import Denoise
    from ae.video.convert import change_image, change_images, gray_frames, is_many, map_channels
    from ae.video.images import MOST_PIXELS

    cli.check_above(0, most_pixels=most_pixels)
    cli.check_at_least(0, sigma=sigma)

    @cache
    def load(name):
        trained = load_model(name, lambda config: load_data(config, data_dir=data_dir))
        if not isinstance(trained.config.task, Denoise):
            raise InputError(f"{name} is a model for another task than noise")
        return Denoiser(trained)

    def change(picture):
        level = noise_level(gray_frames(picture)[0]) if sigma is None else sigma
        return map_channels(picture, load(model or model_for(level)).image)

    path = Path(source)
    if is_many(source):
        change_images(source, target, change, most_pixels=most_pixels or MOST_PIXELS)
    elif not path.exists():
        raise InputError(f"{path} does not exist")
    else:
        print("\n".join([*change_image(path, target, change, most_pixels=most_pixels or MOST_PIXELS), str(target)]))


def model_for(level: float) -> str:
    """Weights in the package for noise of a standard deviation."""
    from ae.pretrained import pretrained_names

    blind = "unet_denoiser_blind"
    return blind if blind in pretrained_names() and not 0.25 <= level <= 0.35 else "unet_denoiser"


if __name__ == "__main__":
    cli.run(main, interrupted="interrupted; what was written is whole")
