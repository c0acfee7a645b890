from pathlib import Path

from ae.report.markdown import fill, fill_pages, rows_of, tabulate, to_markdown

ROWS = [
    {"clip": "a.mp4", "frames": 1200, "sigma": 0.05, "PSNR": 17.06297, "method": "gray"},
    {"clip": "a.mp4", "method": "a|b", "sigma": 1.0, "PSNR": [24.371, 0.00412]},
    {"clip": "b.mp4", "frames": 7, "sigma": 0.5, "PSNR": 80.0, "method": "gray"},
]
DIGITS = {"clip": None, "method": None, "frames": None, "sigma": None, "PSNR": 2, "SSIM": 3}
TABLE = tabulate("A title.", DIGITS, ROWS)


def test_a_table_has_a_cell_for_each_column():
    assert TABLE["columns"] == ["clip", "method", "frames", "sigma", "PSNR", "SSIM"]
    assert TABLE["digits"] == [None, None, None, None, 2, 3]
    assert TABLE["rows"][1] == ["a.mp4", "a|b", None, 1.0, [24.371, 0.00412], None]
    assert rows_of(TABLE) == [dict.fromkeys(DIGITS) | row for row in ROWS]


def test_markdown_of_a_table():
    """Typed by hand: no column of empty cells, no first cell twice, each number with the decimals of its column."""
    assert to_markdown(TABLE).splitlines() == [
        "A title.",
        "",
        "| clip | method | frames | sigma | PSNR |",
        "| --- | --- | --- | --- | --- |",
        "| a.mp4 | gray | 1,200 | 0.05 | 17.06 |",
        "|  | a\\|b |  | 1 | 24.37 ± 0.004 |",
        "| b.mp4 | gray | 7 | 0.5 | 80.00 |",
    ]
    assert to_markdown(TABLE | {"title": ""}) == to_markdown(TABLE).partition("\n\n")[2]


def test_a_table_stands_between_its_marks_alone():
    text = "before\n<!-- table: results/a.json -->\nold\n<!-- end -->\nafter\n<!-- end -->\n"
    assert fill(text, Path("results/a.json"), "new\n") == text.replace("old", "new")
    assert fill(text, Path("results/b.json"), "new\n") == text


def test_pages_that_show_a_table_are_filled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "<!-- table: results/a.json -->\n<!-- end -->\n"
    pages = [Path("README.md"), Path("docs/guide.md"), Path("docs/deep/other.md")]
    Path("docs/deep").mkdir(parents=True)
    for page in pages:
        page.write_text(text)
    fill_pages(Path("results/a.json"), "new\n")
    filled = text.replace("<!-- end", "new\n<!-- end")
    assert [page.read_text() for page in pages] == [filled, filled, text]
