"""Measure what one row of a table does not show: noise of other strengths, few latent numbers, the cost of colour."""

from studies.clips import clips
from studies.colours import colour
from studies.cuts import cuts
from studies.film import fade, film, film_sizes, strip
from studies.grids import side_by_side
from studies.hints import hints
from studies.latents import latents
from studies.looks import looks
from studies.noise import noise
from studies.old import old
from studies.photos import kodak, photos, sizes
from studies.recolour import recolour
from studies.references import reference
from studies.upsampling import upsampling

from ae.runtime import cli

if __name__ == "__main__":
    cli.run(
        {
            "noise": noise,
            "photos": photos,
            "kodak": kodak,
            "latents": latents,
            "colour": colour,
            "clips": clips,
            "cuts": cuts,
            "film": film,
            "fade": fade,
            "film-sizes": film_sizes,
            "strip": strip,
            "sizes": sizes,
            "recolour": recolour,
            "hints": hints,
            "reference": reference,
            "looks": looks,
            "old": old,
            "upsampling": upsampling,
            "side-by-side": side_by_side,
        }
    )
