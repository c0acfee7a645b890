"""Clips in colour: ours beside gray ones, the reference's way and the truth."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import tyro
from studies.common import SHOWN_WIDTH, Limit, Model, Out, write_study

from ae.report.markdown import Table, tabulate

SHOWN_FRAMES = 4  # of a clip
Reference = Annotated[str | None, tyro.conf.arg(help="Likewise the reference's colorizer (runs/colorizer_ae).")]


def clips(
    paths: tyro.conf.Positional[tuple[Path, ...]],
    model: Model = "chroma_unet",
    reference: Reference = None,
    out: Out = Path("results"),
    limit: Limit = None,
) -> None:
    """Colorize clips that have colour, and compare: ours, a gray clip, and the reference's way, each frame at 32x32.

    The last one only where its model is given.

    Args:
        paths: Clips in colour; the models see their luma alone.
    """
    from ae import load_model
    from ae.report.figures import save_rows
    from ae.restore.colorize import Colorizer

    ours, theirs = load_model(model), None if reference is None else load_model(reference)
    name, plain = ours.config.name, Colorizer(ours)
    livelier = (
        {f"{name}, vivid 0.5": replace(plain, vivid=0.5)}
        if plain.answers_vividly
        else {f"{name}, chroma x 1.5": replace(plain, saturation=1.5)}
    )
    colorizers = {name: plain, **livelier}
    scores = {}
    out.mkdir(parents=True, exist_ok=True)
    for path in paths:
        methods = compare_on_clip(path, colorizers, theirs, limit)
        scores[path.name] = {name: method.scores() for name, method in methods.items()}
        save_rows(out / f"study_clips_{path.stem}.jpg", {name: method.strip() for name, method in methods.items()})
    configs = [trained.config for trained in (ours, theirs) if trained is not None]
    write_study(out, "study_clips", clips_table(scores), configs)


COLUMNS = {"clip": None, "method": None, "PSNR pooled": 2, "colourfulness": 1, "CDC": 4, "chroma flicker": 2}


def clips_table(scores: dict[str, dict[str, dict[str, float]]]) -> Table:
    """Return the table of scores by clip and method."""
    rows = [
        {"clip": clip, "method": method} | row for clip, methods in scores.items() for method, row in methods.items()
    ]
    title = "Clips coloured from their luma: how near to the truth, how colourful and how steady they come out."
    return tabulate(title, COLUMNS, rows)


@dataclass
class Method:
    """Scores of a method so far, over frames of a clip: RGB [H, W, 3] in [0, 1] each."""

    errors: list[float] = field(default_factory=list)
    statistics: Any = None  # the state of a stage
    small: list[Any] = field(default_factory=list)

    def add(self, rgb: Any, truth: Any) -> None:
        """Count a frame."""
        import jax.numpy as jnp
        import numpy as np

        from ae.color import luma
        from ae.media.stages.statistics import Statistics
        from ae.restore.resizing import resized, sampled
        from ae.runtime.chain import Batch, step

        self.errors.append(float(jnp.square(rgb - truth).mean()))
        batch = Batch(luma(rgb)[None, ..., 0], np.ones(1, bool), np.zeros(1), samples=sampled(rgb)[None])
        self.statistics, _ = step((Statistics(),), self.statistics, batch)  # as for clips that are written
        self.small.append(np.asarray(resized(rgb, (SHOWN_WIDTH * rgb.shape[0] // rgb.shape[1], SHOWN_WIDTH))))

    def scores(self) -> dict[str, float]:
        """Return the scores by the columns of the table."""
        from ae.media.stages.statistics import clip_statistics
        from ae.metrics import pooled_psnr

        statistics = clip_statistics(*self.statistics)
        return {
            "PSNR pooled": float(pooled_psnr(sum(self.errors) / len(self.errors))),
            "colourfulness": statistics.colourfulness,
            "CDC": statistics.cdc,
            "chroma flicker": statistics.chroma_flicker,
        }

    def strip(self) -> Any:
        """Return frames from all over the clip, [N, h, w, 3]."""
        import numpy as np

        count = min(SHOWN_FRAMES, len(self.small))
        return np.stack([self.small[(2 * i + 1) * len(self.small) // (2 * count)] for i in range(count)])


def compare_on_clip(path: Path, colorizers: dict[str, Any], reference: Any, limit: int | None) -> dict[str, Method]:
    """Return each method, by name, with the scores of a clip's frames as they are shown, in full size."""
    from itertools import islice

    import numpy as np
    from tqdm import tqdm

    from ae.media.clips.coding import planar, planes
    from ae.media.clips.reading import Clip
    from ae.restore.frames import shown_frames
    from ae.restore.resizing import resized
    from ae.runtime.chain import Frame

    clip = Clip(path)
    frames = islice((item for item in clip if isinstance(item, Frame)), limit)
    theirs = () if reference is None else ("colorizer_ae, 32x32",)
    names = ("gray", *theirs, *colorizers, "truth")
    methods = {name: Method() for name in names}
    for frame in tqdm(frames, path.name, limit or clip.count, leave=False):
        codes, *true = (plane[None] for plane in planes(planar(frame.source)))
        neutral = np.full_like(true[0], 2 ** (clip.coding.bits - 1))
        chroma = {name: colorizer.planes(codes, clip.coding)[:2] for name, colorizer in colorizers.items()}
        chroma |= {"gray": (neutral, neutral), "truth": true}
        shown = {name: shown_frames(codes, *both, clip.coding)[0] for name, both in chroma.items()}
        for way in theirs:
            small = resized(clip.coding.luma(codes[0])[..., None], (32, 32))
            shown[way] = resized(reference(small[None])[0], codes.shape[1:])
        for name, method in methods.items():
            method.add(shown[name], shown["truth"])
    return methods
