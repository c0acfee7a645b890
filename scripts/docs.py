"""Build one site of the guides and of the API's pages."""

import posixpath
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from ae.runtime import cli

ROOT = Path(__file__).parents[1]
TEMPLATE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ margin: 0 auto; max-width: 72rem; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif; color: #222; }}
nav {{ border-bottom: 1px solid #ccc; padding-bottom: .5rem; }}
nav a {{ margin-right: 1rem; white-space: nowrap; }}
a {{ color: #0550ae; }}
img {{ max-width: 100%; }}
pre {{ background: #f6f8fa; padding: .75rem; overflow-x: auto; }}
table {{ border-collapse: collapse; display: block; overflow-x: auto; font-size: .875rem; }}
th, td {{ border: 1px solid #ddd; padding: .25rem .5rem; text-align: left; }}
</style>
<nav>{links}</nav>
{body}
</html>
"""


def main(out: Path = Path("build/site")) -> None:
    """Build the site: README.md as its index, all that it leads to, and the API from its docstrings; a warning ends it.

    Args:
        out: Folder for the site.
    """
    pages = dict(read_pages("README.md"))
    for path, tokens in pages.items():
        for target in targets(path, tokens):
            if target not in pages:
                write(out / target, (ROOT / target).read_bytes())
        write(out / html_name(path), render(path, tokens).encode())
    write_api(out / "api")
    print(out / "index.html")


def read_pages(first: str) -> Iterator[tuple[str, list[Any]]]:
    """Yield the Markdown files that links lead to: (path in the repository, tokens)."""
    waiting = [first]
    for path in waiting:
        tokens = parser().parse((ROOT / path).read_text())
        waiting += [target for target in targets(path, tokens) if target.endswith(".md") and target not in waiting]
        yield path, tokens


def parser() -> Any:
    """Return a parser of Markdown with tables."""
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable("table")


def links(tokens: list[Any]) -> Iterator[tuple[Any, str]]:
    """Yield links and pictures that lead to files of the repository: (token, name of its attribute)."""
    for token in tokens:
        yield from links(token.children or [])
        attribute = {"link_open": "href", "image": "src"}.get(token.type)
        if attribute and not re.match(r"\w+:|#", token.attrs[attribute]):
            yield token, attribute


def targets(path: str, tokens: list[Any]) -> list[str]:
    """Return the files that a page leads to, by their paths in the repository."""
    found = (token.attrs[attribute].partition("#")[0] for token, attribute in links(tokens))
    return list(dict.fromkeys(posixpath.normpath(posixpath.join(posixpath.dirname(path), link)) for link in found))


def title(tokens: list[Any]) -> str:
    """Return the text of the first heading."""
    return next(inline.content for token, inline in pairwise(tokens) if token.tag == "h1")


def html_name(path: str) -> str:
    """Return the path on the site of a file of the repository."""
    return "index.html" if path == "README.md" else re.sub(r"\.md$", ".html", path)


def navigation() -> dict[str, str]:
    """Return the names of the pages that every page leads to, by path: the list of guides in the README."""
    guides = re.findall(r"^- \[(.+)\]\((\S+\.md)\)", (ROOT / "README.md").read_text(), re.MULTILINE)
    return {"README.md": "ae", **{path: name for name, path in guides}, "api/ae.html": "API"}


def render(path: str, tokens: list[Any]) -> str:
    """Return a page as HTML, with links to the pages of the site."""
    for token, attribute in links(tokens):
        file, mark, anchor = token.attrs[attribute].partition("#")
        name = posixpath.normpath(posixpath.join(posixpath.dirname(path), file))
        token.attrs[attribute] = relative(path, name) + mark + anchor
    for heading, inline in pairwise(tokens):
        if heading.type == "heading_open":
            heading.attrs["id"] = slug(inline.content)
    above = "".join(f'<a href="{relative(path, page)}">{name}</a>' for page, name in navigation().items())
    body = parser().renderer.render(tokens, parser().options, {})
    return TEMPLATE.format(title=title(tokens), links=above, body=body)


def relative(page: str, target: str) -> str:
    """Return the link from a page to a file of the repository."""
    return posixpath.relpath(html_name(target), posixpath.dirname(page) or ".")


def slug(heading: str) -> str:
    """Return the anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def write(path: Path, content: bytes) -> None:
    """Write a file, and make its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def write_api(out: Path) -> None:
    """Write pdoc's pages of the package."""
    import warnings

    import pdoc

    import ae

    for name in ae.__all__:  # pdoc looks into the module, which imports names when they are first used
        setattr(ae, name, getattr(ae, name))
    warnings.simplefilter("error")
    pdoc.render.configure(docformat="markdown", show_source=True, search=True)
    pdoc.pdoc("ae", output_directory=out)


if __name__ == "__main__":
    cli.run(main)
