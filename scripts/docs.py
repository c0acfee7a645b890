"""Write the pages of the API from its docstrings."""

from pathlib import Path

from ae.runtime import cli


def main(out: Path = Path("docs")) -> None:
    """Write the pages of the API; a warning ends it.

    Args:
        out: Folder for the pages; index.html is the first.
    """
    import warnings

    import pdoc

    import ae

    for name in ae.__all__:  # pdoc looks into the module, which imports names when they are first used
        setattr(ae, name, getattr(ae, name))
    warnings.simplefilter("error")
    pdoc.render.configure(docformat="markdown", show_source=True, search=True)
    pdoc.pdoc("ae", output_directory=out)
    print(out / "index.html")


if __name__ == "__main__":
    cli.run(main)
