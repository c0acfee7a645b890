"""How steady coloured film is: what is measured, on the source, on what the model makes, and on what stays after steadying.

Clips are brought to 640x360 and written without loss, coloured from their luma, read back, and reduced to 320x180.
"""

import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ae.report.markdown import Table, tabulate

SIZE = (360, 640)
MEASURED = (180, 320)
AVERAGED = (3, 5)  # frames of which chroma is averaged
CONSISTENT = (0.01, 0.5)  # of the test for what is hidden (Sundaram, Brox and Keutzer, 2010)
EXCESSES = ("CDC", "flicker / colourfulness", "warp error")

Frames = np.ndarray  # RGB [T, H, W, 3] in [0, 1]


class Motion(NamedTuple):
    """Where the pixels of a frame were in the frame before, and which of them were seen there."""

    rows: np.ndarray  # [H, W]
    columns: np.ndarray  # [H, W]
    seen: np.ndarray  # [H, W]


def measured(path: Path, colorizer: Any, steady: tuple[float, ...], limit: int | None) -> dict[str, dict[str, float]]:
    """Return the scores of a clip, by method."""
    from ae.color import luma
    from ae.media.clips.conversions import colorize_clip
    from ae.media.clips.settings import ClipSettings

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "source.mkv")
        write_lossless(source, limited(path, limit))
        truth = read_back(source)

        def coloured(strength: float) -> Frames:
            target = Path(folder, f"{strength:g}.mkv")
            settings = ClipSettings(codec="ffv1", steady=strength, recolour=True)
            colorize_clip(source, target, colorizer, settings, log=lambda line: None)
            return read_back(target)

        fresh = coloured(0.0)
        methods = {"truth": truth, "gray": np.broadcast_to(np.asarray(luma(truth)), truth.shape), "as it is": fresh}
        methods |= {f"mean of {count} frames": averaged(fresh, count) for count in AVERAGED}
        methods |= {"FFmpeg's tmix": mixed(fresh)}
        methods |= {f"steady {strength:g}": coloured(strength) for strength in steady}
    motions = list(motions_of(np.asarray(luma(truth))[..., 0]))
    return {
        name: scores_of(frames, truth) | {"warp error": mean_warp_error(frames, motions)}
        for name, frames in methods.items()
    }


def at_size(path: Path, colorizer: Any, limit: int | None) -> dict[str, float]:
    """Return the scores of a clip whose frames the colorizer sees at its own size, each alone."""
    frames = np.stack(
        [frame.reformat(*SIZE[::-1], "rgb24", interpolation="AREA").to_ndarray() for frame in limited(path, limit)]
    )
    coloured = np.stack(list(colorizer.stream(frames, steady=0)))
    return scores_of(*(blocks.astype(np.float32).mean((2, 4)) / 255 for blocks in map(_blocks, (coloured, frames))))


def _blocks(frames: np.ndarray) -> np.ndarray:
    """Return frames of the size that is coloured, in blocks of which each becomes a pixel that is measured."""
    (height, width), (rows, columns) = MEASURED, (SIZE[0] // MEASURED[0], SIZE[1] // MEASURED[1])
    return frames.reshape(len(frames), height, rows, width, columns, 3)


def limited(path: Path, limit: int | None) -> Iterator[Any]:
    """Yield the frames of a clip."""
    from itertools import islice

    import av

    with av.open(str(path)) as container:
        yield from islice(container.decode(video=0), limit)


def write_lossless(path: Path, frames: Iterator[Any]) -> None:
    """Write frames at the size that is coloured."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        for number, frame in enumerate(frames):
            scaled = frame.reformat(width=SIZE[1], height=SIZE[0], format="yuv420p", interpolation="AREA")
            scaled.pts, scaled.time_base = number, 1 / stream.average_rate
            container.mux(stream.encode(scaled))
        container.mux(stream.encode(None))


def read_back(path: Path) -> Frames:
    """Return the frames of a clip at the size that is measured."""
    frames = [
        frame.reformat(width=MEASURED[1], height=MEASURED[0], format="rgb24", interpolation="AREA").to_ndarray()
        for frame in limited(path, None)
    ]
    return np.stack(frames).astype(np.float32) / 255


def averaged(frames: Frames, count: int) -> Frames:
    """Return frames whose chroma is the mean of so many around them."""
    from ae.color import into_gamut, luma, rgb_to_chroma, ycbcr_to_rgb

    gray, chroma, reach = np.asarray(luma(frames)), np.asarray(rgb_to_chroma(frames)), count // 2
    padded = np.pad(chroma, [(reach, reach), (0, 0), (0, 0), (0, 0)], mode="edge")
    mean = np.mean([padded[start : start + len(frames)] for start in range(count)], axis=0)
    return np.asarray(ycbcr_to_rgb(gray, into_gamut(gray, mean)))


def mixed(frames: Frames) -> Frames:
    """Return frames with the chroma of FFmpeg's filter tmix: the mean of three, up to the one that is shown."""
    import av

    from ae.color import luma, with_luma

    graph = av.filter.Graph()
    first = av.VideoFrame.from_ndarray(np.uint8(np.round(255 * frames[0])), "rgb24").reformat(format="yuv444p")
    source = graph.add_buffer(width=first.width, height=first.height, format=first.format, time_base=1)
    steps = [source, graph.add("tmix", "frames=3:planes=6"), graph.add("buffersink")]
    for before, after in pairwise(steps):
        before.link_to(after)
    graph.configure()
    done = []
    for number, values in enumerate(frames):
        frame = av.VideoFrame.from_ndarray(np.uint8(np.round(255 * values)), "rgb24").reformat(format="yuv444p")
        frame.pts, frame.time_base = number, 1
        graph.push(frame)
        done.append(graph.pull().to_ndarray(format="rgb24"))
    return np.asarray(with_luma(np.stack(done).astype(np.float32) / 255, luma(frames)))


def motions_of(gray: np.ndarray) -> Iterator[Motion]:
    """Yield the motion to each frame but the first from the one before it; luma [T, H, W].

    By the flow TV-L1 of scikit-image (Zach, Pock and Bischof, 2007), there and back.
    """
    from skimage.registration import optical_flow_tvl1

    height, width = gray.shape[1:]
    grid = np.mgrid[:height, :width].astype(np.float32)
    for before, after in pairwise(gray):
        back, there = optical_flow_tvl1(after, before), optical_flow_tvl1(before, after)
        rows, columns = grid + back
        inside = (rows >= 0) & (rows <= height - 1) & (columns >= 0) & (columns <= width - 1)
        returned = np.stack([warped(part, rows, columns) for part in there])
        share, least = CONSISTENT
        lengths = np.square(back).sum(0) + np.square(returned).sum(0)
        yield Motion(rows, columns, inside & (np.square(back + returned).sum(0) <= share * lengths + least))


def warped(plane: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return a plane [H, W] at other places, along straight lines between pixels."""
    from scipy.ndimage import map_coordinates

    return map_coordinates(plane, [rows, columns], order=1, mode="nearest")


def scores_of(frames: Frames, truth: Frames) -> dict[str, float]:
    """Return what is measured of a clip's frames, whatever moves."""
    import jax.numpy as jnp

    from ae import metrics
    from ae.color import colourfulness

    frames = np.clip(frames, 0, 1)
    vivid = float(np.mean(colourfulness(jnp.asarray(frames))))
    flicker = float(metrics.chroma_flicker(jnp.asarray(frames)))
    return {
        "PSNR": float(np.mean(metrics.psnr(jnp.asarray(frames), jnp.asarray(truth)))),
        "colourfulness": vivid,
        "CDC": float(metrics.cdc(jnp.asarray(frames))),
        "flicker": flicker,
        "flicker / colourfulness": flicker / vivid if vivid > 0.1 else 0.0,
    }


def mean_warp_error(frames: Frames, motions: list[Motion]) -> float:
    """Return the mean of `warp_error` over a clip's pairs of frames, times 10^4."""
    from ae.color import rgb_to_chroma

    pairs = zip(pairwise(rgb_to_chroma(np.clip(frames, 0, 1))), motions, strict=True)
    return 1e4 * float(np.mean([warp_error(*pair, motion) for pair, motion in pairs]))


def warp_error(before: np.ndarray, after: np.ndarray, motion: Motion) -> float:
    """Return the mean squared difference of chroma [H, W, 2] to that of the frame before, moved, where it was seen.

    As Lai et al. compute it of RGB, "Learning blind video temporal consistency" (2018).
    """
    moved = np.stack([warped(plane, motion.rows, motion.columns) for plane in np.moveaxis(before, -1, 0)], -1)
    squares = np.square(after - moved).sum(-1)
    return float(squares[motion.seen].mean()) if motion.seen.any() else 0.0


DIGITS = {"PSNR": 2, "colourfulness": 1, "CDC": 4, "flicker": 2, "flicker / colourfulness": 3, "warp error": 2}
TITLE = (
    "Warp error: mean squared difference of chroma, times 10^4, along the source's motion (TV-L1), where it was seen in the "
    "frame before."
)


def means_table(scores: dict[str, dict[str, dict[str, float]]]) -> Table:
    """Return the table of means over clips, with what is more than the truth's."""
    rows = [{"method": method} | mean_of(scores, method) for method in next(iter(scores.values()))]
    digits = {"method": None, **DIGITS, **{f"excess of {name}": 4 for name in EXCESSES}}
    title = (
        f"Film coloured from its luma, {len(scores)} clips: how near to the truth, and how steady. {TITLE} Excess: what is "
        "more than the truth's, a mean over the clips."
    )
    return tabulate(title, digits, rows)


def clips_table(scores: dict[str, dict[str, dict[str, float]]]) -> Table:
    """Return the table of each clip."""
    rows = [{"clip": clip, "method": name} | row for clip, methods in scores.items() for name, row in methods.items()]
    return tabulate(
        f"Film coloured from its luma, clip by clip. {TITLE}", {"clip": None, "method": None, **DIGITS}, rows
    )


def sizes_table(config: Any, clips: str, scores: dict[int, list[dict[str, float]]]) -> Table:
    """Return the table of means over clips by the size at which the model sees a frame."""
    from ae.restore.colorize import working_size
    from ae.score.flops import multiply_adds

    rows = []
    for pixels, of_clips in scores.items():
        size = working_size(config, *SIZE, pixels)
        means = {name: float(np.mean([row[name] for row in of_clips])) for name in of_clips[0]}
        cost = 2e-9 * multiply_adds(config.model, (*size, 1))
        rows.append({"pixels": pixels, "seen at": f"{size[1]}x{size[0]}", "GFLOP a frame": cost} | means)
    digits = {"pixels": None, "seen at": None, "GFLOP a frame": 2, **{name: DIGITS[name] for name in means}}
    title = f"Film that {config.name} sees at several sizes, each frame coloured alone: {clips}."
    return tabulate(title, digits, rows)


def mean_of(scores: dict[str, dict[str, dict[str, float]]], method: str) -> dict[str, float]:
    """Return the means of a method over all clips."""
    own = [(clip[method], clip["truth"]) for clip in scores.values()]
    means = {name: float(np.mean([row[name] for row, _ in own])) for name in own[0][0]}
    excesses = {
        f"excess of {name}": float(np.mean([max(0.0, row[name] - truth[name]) for row, truth in own]))
        for name in EXCESSES
    }
    return means | excesses
