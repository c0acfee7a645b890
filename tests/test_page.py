import json
import re
from pathlib import Path

import pytest
from conftest import ROOT

from ae.errors import InputError
from ae.report import page, tables
from ae.report.markdown import fill, tabulate, to_markdown
from ae.report.overview import overview

FILES = {path: json.loads(path.read_text()) for path in sorted(ROOT.glob("results/*.json"))}
MEASURED = {path: values for path, values in FILES.items() if "preset" not in values}
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
TABLE = tabulate("A title.", {"method": None, "MSE": 5}, [{"method": "ours", "MSE": 0.00123456}])
MADE_WITH = {"command": "python scripts/study.py mine"}


def test_a_measurement_is_a_file_and_stands_in_the_pages(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = Path("results/study_mine.json")
    Path("README.md").write_text("<!-- table: results/study_mine.json -->\n<!-- end -->\n")
    text = page.write_measured(path, TABLE, [MADE_WITH], {"mse": [1.5]})
    assert page.read_measured(path) == {**TABLE, "made_with": [MADE_WITH], "details": {"mse": [1.5]}}
    assert "| ours | 0.00123 |" in text
    assert text in Path("README.md").read_text()
    assert [made.name for made in Path("results").iterdir()] == ["study_mine.json"]


def test_the_page_of_a_folder_shows_what_was_measured(tmp_path):
    page.write_tables(tmp_path)
    (tmp_path / "study_mine.png").touch()
    text = page.write_measured(tmp_path / "study_mine.json", TABLE, [MADE_WITH])
    shown = (tmp_path / "README.md").read_text()
    assert f"\n`python scripts/study.py mine`\n\n{text}\n![study_mine](study_mine.png)\n" in shown


def test_no_other_page_is_written(tmp_path):
    (tmp_path / "README.md").write_text("# A project\n")
    page.write_measured(tmp_path / "study_mine.json", TABLE, [MADE_WITH])
    assert (tmp_path / "README.md").read_text() == "# A project\n"


def test_a_file_of_an_earlier_version_is_refused(tmp_path):
    assert page.read_measured(tmp_path / "study_mine.json") == {}
    (tmp_path / "study_mine.json").write_text('{"mse": {}}')
    with pytest.raises(InputError, match=r"study_mine.json has no table.*: move it away"):
        page.read_measured(tmp_path / "study_mine.json")


def test_there_are_measurements():
    names = {path.stem for path in MEASURED}
    assert {"benchmark_train", "benchmark_video", "study_noise", "study_clips", "variants", "reliability"} <= names


@pytest.mark.parametrize("path", MEASURED, ids=lambda path: path.stem)
def test_every_committed_measurement_has_the_schema(path):
    values = MEASURED[path]
    assert list(values) == ["title", "columns", "rows", "digits", "made_with", "details"]
    assert len(values["columns"]) == len(set(values["columns"])) == len(values["digits"])
    assert values["title"].endswith(".")
    assert values["rows"]
    assert all(made["command"].startswith(("python scripts/", "pytest ")) for made in values["made_with"])
    for row in values["rows"]:
        for cell, digits in zip(row, values["digits"], strict=True):
            assert isinstance(cell, str | int | float | None if digits is None else float | None)


@pytest.mark.parametrize("path", MEASURED, ids=lambda path: path.stem)
def test_the_page_of_results_shows_the_figures_of_each_file(path):
    """Read back from the page: each number is the file's, to the decimals that the file asks for."""
    values, text = MEASURED[path], (path.parent / "README.md").read_text()
    _, _, after = text.partition(f"\n{values['title']}\n\n")
    head, _, *lines = [line.strip("|").split("|") for line in after.partition("\n\n")[0].splitlines() if line[0] == "|"]
    shown = [values["columns"].index(name.strip()) for name in head]
    for line, row in zip(lines, values["rows"], strict=True):
        for text, i in zip(line[1:], shown[1:], strict=True):
            check(text.strip(), row[i], values["digits"][i])


def check(text, cell, digits):
    if cell is None or isinstance(cell, str):
        assert text == (cell or "")
    elif digits is None:
        assert float(text.replace(",", "")) == cell
    else:
        assert len(text.partition(".")[2]) == digits
        assert float(text) == pytest.approx(cell, abs=0.5000001 * 10**-digits)


@pytest.mark.parametrize("folder", [ROOT / "results", ROOT / "results/quick"], ids=lambda path: path.name)
def test_committed_pages_of_results_are_those_of_their_files(folder):
    assert (folder / "README.md").read_text() == page.page(folder)


@pytest.mark.parametrize("guide", PAGES, ids=lambda path: path.name)
def test_committed_tables_equal_the_json(guide):
    text = guide.read_text()
    sources = re.findall(r"<!-- table: (\S+) -->", text)
    assert sources or guide != ROOT / "README.md"
    for source in map(Path, sources):
        of_folder = source.suffix != ".json"
        table = overview(tables.read_results(ROOT / source)) if of_folder else to_markdown(FILES[ROOT / source])
        assert fill(text, source, table) == text
