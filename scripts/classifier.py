"""Train the way down of the colorizer's U-Net to name things in gray, which a variant of it begins with."""

from pathlib import Path

from ae.runtime import cli

CLASSIFIER = Path("runs/tried/classifier.safetensors")


def main(
    epochs: int = 3,
    out: Path = CLASSIFIER,
    data_dir: Path | None = None,
    limit: int | None = None,
) -> None:
    """Train the way down of `chroma_unet_base` as a classifier of Tiny ImageNet in gray, and write weights to begin with.

    Args:
        epochs: How long.
        out: File of weights of the whole model, of which the way up is random.
        data_dir: Folder of data sets (default: TFDS_DATA_DIR, then ~/tensorflow_datasets).
        limit: Use only so many images.
    """
    from studies.measures.classifying import train_classifier

    train_classifier(epochs, out, data_dir, limit)


if __name__ == "__main__":
    cli.run(main)
