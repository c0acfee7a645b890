"""What a person can make of a photograph's colours: options of the look, and hints."""

from pathlib import Path

from studies.common import Model, Out

HINTS = {  # by photograph: places, as shares of height and width, and two sets of colours for them
    "sklearn/datasets/images/flower.jpg": (
        ((0.45, 0.48), (0.15, 0.15), (0.93, 0.58)),
        ("#e8954a", "#14605c", "#e8954a"),
        ("#d4649c", "#4a6a34", "#8a70c8"),
    ),
    "skimage/data/astronaut.png": (
        ((0.62, 0.3), (0.28, 0.43), (0.12, 0.82)),
        ("#d8602c", "#c89478", "#b8742c"),
        ("#3c62a8", "#c89478", "#4a8a5a"),
    ),
    "skimage/data/coffee.png": (
        ((0.65, 0.3), (0.33, 0.48), (0.1, 0.12)),
        ("#a02c18", "#a86428", "#96542c"),
        ("#286a48", "#58402c", "#7a7468"),
    ),
}


def looks(model: Model = "chroma_unet", out: Out = Path("results")) -> None:
    """Show on photographs that come with scikit-image and scikit-learn what options and hints do; it measures nothing."""
    import numpy as np
    from studies.photos import photographs, save_photos

    from ae import load_model
    from ae.color import luma
    from ae.data.samples import sample_photograph
    from ae.restore.colorize import Colorizer

    trained = load_model(model)
    shown = {
        "as it comes": Colorizer(trained),
        "saturation 1.5": Colorizer(trained, saturation=1.5),
        "vivid 0.5": Colorizer(trained, vivid=0.5),
        "vivid 1": Colorizer(trained, vivid=1.0),
        "white balance": Colorizer(trained, white_balance=True),
    }
    photos = photographs()
    grays = [np.asarray(luma(photo))[..., 0] for photo in photos]
    rows = {name: [colorizer.image(gray) for gray in grays] for name, colorizer in shown.items()}
    save_photos(out / "study_looks.jpg", {"gray": [gray[..., None] for gray in grays], **rows, "truth": photos})

    colorizer, rows = Colorizer(trained), {"gray": [], "automatic": [], "three hints": [], "three others": []}
    for scene, (places, one, other) in HINTS.items():
        gray = np.asarray(luma(np.float32(sample_photograph(scene)) / 255))[..., 0]
        points = [(row * gray.shape[0], column * gray.shape[1]) for row, column in places]
        rows["gray"].append(gray[..., None])
        rows["automatic"].append(colorizer.image(gray))
        for name, colours in {"three hints": one, "three others": other}.items():
            hints = [(*point, colour) for point, colour in zip(points, colours, strict=True)]
            rows[name].append(colorizer.image(gray, hints=hints))
    save_photos(out / "study_hand.jpg", rows)
