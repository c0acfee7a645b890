"""The guides, the site that is built of them, and the tour."""

import inspect
import json
import re
import subprocess
from html.parser import HTMLParser
from urllib.parse import unquote

import matplotlib
import pytest
from conftest import ROOT, python
from test_rooms import ROOMS

from ae.config import CHOICES, DEFAULTS, TRACED_FIELDS
from ae.data import load_data
from ae.report.made_with import PACKAGES, made_with
from ae.restore.weights import load_pretrained, pretrained_names
from ae.score.baselines import FITTED_ON
from ae.train.log import EPOCH_COLUMNS, LOG_SECONDS, STEP_COLUMNS
from ae.train.profile import PROFILED_STEPS

PAGES = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(ROOT.glob("results/**/*.md")),
)


def prose(page):
    return re.sub(r"```.*?```|`[^`\n]+`", "", page.read_text(), flags=re.DOTALL)


def anchors(page):
    """As GitHub makes them: lower case, hyphens for spaces, no other signs."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {"".join(c for c in heading.lower().replace(" ", "-") if c.isalnum() or c in "-_") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        file, _, anchor = link.partition("#")
        if not file.startswith("http"):
            target = page.parent / file if file else page
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


def test_the_readme_is_short_and_links_every_guide():
    readme = (ROOT / "README.md").read_text()
    assert len(readme.encode()) <= 9 * 1024
    for guide in (ROOT / "docs").iterdir():
        assert f"](docs/{guide.name})" in readme


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("docs") / "site"
    subprocess.run(python(ROOT / "scripts/docs.py", "--out", out), check=True)
    return out


class Page(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.ids = [], set()
        self.feed(path.read_text())

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.links += [attrs[name] for name in ("href", "src") if attrs.get(name)]
        self.ids |= {attrs[name] for name in ("id", "name") if attrs.get(name)}


def test_the_site_has_every_guide(site):
    index = Page(site / "index.html").links
    assert {f"docs/{guide.stem}.html" for guide in (ROOT / "docs").glob("*.md")} <= set(index)
    assert {"CONTRIBUTING.html", "results/README.html", "api/ae.html"} <= set(index)
    assert "<table>" in (site / "results/README.html").read_text()


def test_links_of_the_site_lead_to_files_and_anchors(site):
    pages = {path: Page(path) for path in site.rglob("*.html")}
    broken = []
    for path, page in pages.items():
        for link in page.links:
            file, _, anchor = unquote(link).partition("#")
            target = (path.parent / file).resolve() if file else path
            if not re.match(r"\w+:", link) and not (
                target.exists() and (not anchor or target not in pages or anchor in pages[target].ids)
            ):
                broken.append(f"{path.relative_to(site)}: {link}")
    assert broken == []


@pytest.mark.slow
def test_the_tour(tmp_path, monkeypatch, capsys):
    """Its cells in order, with one short epoch in place of two minutes' worth; they have been committed without outputs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(matplotlib.rcParams, "backend", "agg")
    cells = json.loads((ROOT / "docs/tour.ipynb").read_text())["cells"]
    cells = [cell for cell in cells if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] or cell["execution_count"] for cell in cells)
    code = "\n".join("".join(cell["source"]) for cell in cells)
    code, found = re.subn(r"(?m)^EPOCHS, IMAGES = \d+, \d+", "EPOCHS, IMAGES = 1, 64", code)
    assert found == 1
    values = {}
    exec(code, values)
    assert "epoch   1" in capsys.readouterr().out
    assert values["coloured"].shape == values["photo"].shape
    assert abs(values["denoised"] - values["photo"]).mean() < abs(values["noisy"] - values["photo"]).mean() / 2
    assert abs(values["outputs"] - values["clean"]).mean() < abs(values["noisy_digits"] - values["clean"]).mean()


def section(page, heading):
    """The text below a heading, to the next one."""
    return re.split(r"^## .*$", (ROOT / page).read_text().partition(f"\n## {heading}\n")[2], flags=re.MULTILINE)[0]


def code_names(text):
    return set(re.findall(r"`([^`\n]+)`", text))


def test_the_guide_to_training_names_the_optimizers_fields_with_their_defaults():
    rows = [
        line.strip("| ").split(" | ") for line in section("docs/training.md", "Optimiser").splitlines() if "|" in line
    ]
    shown = {field.strip("`"): (default.strip("`"), meaning) for field, default, meaning in rows[2:]}
    assert {field: default for field, (default, _) in shown.items()} == {field: str(DEFAULTS[field]) for field in shown}
    for field in ("optimizer", "schedule"):
        assert code_names(shown[field][1]) == set(CHOICES[field])
    assert {"learning_rate", "weight_decay", "clip_norm"} <= set(shown)


def test_the_guide_to_training_says_what_is_logged():
    text = section("docs/training.md", "Log and profile")
    assert {*EPOCH_COLUMNS, *STEP_COLUMNS} <= code_names(text)
    assert (LOG_SECONDS, "each half minute" in text) == (30, True)
    assert (PROFILED_STEPS, "twenty steps" in text) == (20, True)


def test_the_guide_to_training_knows_the_limits_of_streaming_and_all_precisions():
    text = section("docs/training.md", "Large data sets")
    assert inspect.signature(load_data).parameters["resident_bytes"].default == 2 * 2**30
    assert "(2 GiB by default)" in " ".join(text.split())
    assert f"the first {FITTED_ON:,} images" in text
    assert {*CHOICES["dtype"], "dtype", "precision"} <= code_names(section("docs/training.md", "Precision"))


def test_the_guide_to_training_says_what_stands_in_every_result():
    text = section("docs/training.md", "Run directories")
    assert set(made_with("command")) <= code_names(text)
    assert (len(PACKAGES), "JAX and seven other packages" in text) == (8, True)


def test_the_guide_to_the_parts_has_them_in_the_order_of_imports():
    text = (ROOT / "docs/design.md").read_text()
    parts = [name for cell in re.findall(r"^\| (`.*?) \|", text, re.MULTILINE) for name in re.findall(r"`(\w+)`", cell)]
    assert parts == list(ROOMS)
    assert set(TRACED_FIELDS) <= code_names(section("docs/design.md", "The configuration as a pytree"))


@pytest.mark.parametrize("name", pretrained_names())
def test_the_guide_to_data_says_what_each_released_weight_has_learnt_from(name):
    config = load_pretrained(name).config
    (row,) = re.findall(rf"^\| `{name}` \|.*$", (ROOT / "docs/data.md").read_text(), re.MULTILINE)
    titles = {
        "mnist": "MNIST",
        "bsds500": "BSDS500",
        "tiny_imagenet": "Tiny ImageNet",
        "photo_squares": "`bsds500`",
        "object_squares": "Caltech-101",
        "large_squares": "Caltech-101",
    }
    for data in config.data.split("+"):
        assert titles[data] in row
    assert f"`{config.train_split}`" in row
    assert f"`{config.validation_split}`" in row
    assert ("luma" in row) == getattr(config.task, "gray", False)
