"""Chroma brought to full size in several ways: what each costs."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from studies.measures.recolour import luma_of, psnr

from ae.report.markdown import Table, tabulate

REACH = 2  # pixels of the small copy to each side
NEAR = 0.75  # of them: standard deviation in space
LIKE = 0.06  # standard deviation in luma


def enlarged(colorizer: Any, truth: np.ndarray) -> dict[tuple[str, str], np.ndarray]:
    """Return chroma [H, W, 2] of a photograph by what it is of, and how it came to full size."""
    import jax.numpy as jnp

    from ae.color import rgb_to_chroma
    from ae.restore.chroma import mean_colours
    from ae.restore.resizing import resized

    gray, name = luma_of(truth), colorizer.trained.config.name
    copies = copies_of(colorizer, gray)
    small = copies[-1]
    true = np.asarray(resized(rgb_to_chroma(jnp.asarray(truth)), small.shape[:2]))
    answers = [jnp.asarray(chroma_for(colorizer, copy)) for copy in copies]
    answered = np.asarray(mean_colours(answers, jnp.asarray(small)).chroma)
    made = {
        (what, how): enlarge(chroma, small, gray)
        for what, chroma in (("the true chroma", true), (name, answered))
        for how, enlarge in WAYS.items()
    }
    whole = [length // 8 * 8 for length in gray.shape]
    full = chroma_for(colorizer, gray[: whole[0], : whole[1], None])
    padding = [(0, length - side) for length, side in zip(gray.shape, whole, strict=True)]
    return made | {(name, "computed at full size"): np.pad(full, [*padding, (0, 0)], "edge")}


def copies_of(colorizer: Any, gray: np.ndarray) -> list[np.ndarray]:
    """Return luma [H, W] at each of the sizes that the model sees, [h, w, 1]."""
    import jax.numpy as jnp

    from ae.restore.resizing import resized

    return [np.asarray(resized(jnp.asarray(gray)[..., None], size)) for size in colorizer.working_sizes(*gray.shape)]


def chroma_for(colorizer: Any, gray: np.ndarray) -> np.ndarray:
    """Return the chroma [h, w, 2] that the model answers to luma [h, w, 1]."""
    import jax

    from ae.restore.chroma import predict_chroma

    trained = colorizer.trained
    return np.asarray(jax.jit(predict_chroma)(trained.config.compile_key, trained.variables, gray, colorizer.look))


def guided(chroma: np.ndarray, small: np.ndarray, gray: np.ndarray) -> np.ndarray:
    """Return chroma at full size as the colorizer makes it: by lines in luma that are fitted to windows."""
    import jax.numpy as jnp

    from ae.restore.chroma import colours_of, full_chroma

    return np.moveaxis(np.asarray(full_chroma(colours_of(jnp.asarray(chroma), small), gray)), 0, -1)


def through_points(chroma: np.ndarray, small: np.ndarray, gray: np.ndarray) -> np.ndarray:
    """Return chroma at full size by lines of the same slopes that go through the chroma of each point."""
    import jax.numpy as jnp

    from ae.restore.chroma import Colours, colours_of, full_chroma

    slope = colours_of(jnp.asarray(chroma), small).slope
    return np.moveaxis(np.asarray(full_chroma(Colours(chroma, slope, chroma - slope * small), gray)), 0, -1)


def straight(chroma: np.ndarray, small: np.ndarray, gray: np.ndarray) -> np.ndarray:
    """Return chroma at full size along straight lines, whatever luma is."""
    from ae.restore.resizing import resized

    return np.asarray(resized(chroma, gray.shape))


def joint_bilateral(chroma: np.ndarray, small: np.ndarray, gray: np.ndarray) -> np.ndarray:
    """Return chroma at full size as means of small pixels that are near and as bright.

    From Kopf et al., "Joint bilateral upsampling" (2007).
    """
    rows, columns = (
        (np.arange(full) + 0.5) * part / full - 0.5 for full, part in zip(gray.shape, chroma.shape, strict=False)
    )
    sums, weights = np.zeros((*gray.shape, 2), np.float32), np.full((*gray.shape, 1), 1e-12, np.float32)
    for down in range(-REACH, REACH + 1):
        for right in range(-REACH, REACH + 1):
            at = [np.round(places).astype(int) + move for places, move in ((rows, down), (columns, right))]
            distance = np.square(at[0] - rows)[:, None] + np.square(at[1] - columns)
            index = np.ix_(*(np.clip(place, 0, side - 1) for place, side in zip(at, chroma.shape, strict=False)))
            unlike = np.square(small[index][..., 0] - gray)
            weight = np.exp(-0.5 * (distance / NEAR**2 + unlike / LIKE**2))[..., None]
            sums, weights = sums + weight * chroma[index], weights + weight
    return sums / weights


WAYS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "guided filter (ours)": guided,
    "lines through each point": through_points,
    "joint bilateral": joint_bilateral,
    "straight lines": straight,
}


def in_colour(gray: np.ndarray, chroma: np.ndarray) -> np.ndarray:
    """Return RGB [H, W, 3] of luma [H, W] and chroma [H, W, 2], as far as the range allows."""
    from ae.color import into_gamut, ycbcr_to_rgb

    return np.asarray(ycbcr_to_rgb(gray[..., None], into_gamut(gray[..., None], np.float32(chroma))))


def upsampling_table(name: str, errors: dict[tuple[str, str], Sequence[float]]) -> Table:
    """Return the table of PSNR by what was brought to full size, and how."""
    rows = [
        {
            "chroma": what,
            "brought to full size by": how,
            "PSNR of the mean": float(psnr(np.mean(values))),
            "mean of PSNR": float(psnr(np.array(values)).mean()),
        }
        for (what, how), values in errors.items()
    ]
    count = len(next(iter(errors.values())))
    title = f"{count} photographs of {name}: chroma of the working size brought to full size. PSNR in dB."
    return tabulate(
        title, {"chroma": None, "brought to full size by": None, "PSNR of the mean": 2, "mean of PSNR": 2}, rows
    )
