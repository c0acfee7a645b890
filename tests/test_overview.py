import json

import pytest
from conftest import ROOT

from ae.report.overview import SHOWN, SIMPLE, overview

RESULTS = [json.loads((ROOT / f"results/{name}.json").read_text()) for name in SHOWN]


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_row_for_each_model_with_the_figures_of_its_file():
    head, _, *rows = map(cells, overview(RESULTS).splitlines())
    assert head == ["model", "task", "data", "parameters", "MSE", "simple baseline", "reference"]
    assert [row[0] for row in rows] == [f"`{name}`" for name in SHOWN]
    assert [int(row[3].replace(",", "")) for row in rows] == [result["parameters"] for result in RESULTS]
    for row, result in zip(rows, RESULTS, strict=True):
        losses = [seed["reference_split"]["mse"] for seed in result.get("by_seed", ())] or [
            result["reference_split"]["mse"]
        ]
        assert float(row[4]) == pytest.approx(sum(losses) / len(losses), abs=5.1e-5)


def test_models_that_the_reference_lacks_stand_beside_its_best():
    reference = {name: cells(line)[6] for name, line in zip(SHOWN, overview(RESULTS).splitlines()[2:], strict=True)}
    assert reference["pixel_mlp"] == "0.0270"
    assert reference["conv_ae"] == "0.0047"
    assert reference["unet_denoiser"] == "0.0047 (its best)"
    assert reference["chroma_unet_cifar"] == "0.0114 (its best)"


@pytest.mark.parametrize("result", RESULTS, ids=SHOWN)
def test_no_baseline_that_sees_the_input_alone_is_better(result):
    fair = [name for name in result["baselines"] if "clean image" not in name and "true" not in name]
    best = min(fair, key=lambda name: result["baselines"][name]["reference_split"]["mse"])
    assert best == SIMPLE[result["config"]["task"]["class"]]


def test_results_that_are_not_shown_are_left_out():
    assert overview([RESULTS[0] | {"preset": "mine"}, RESULTS[1]]) == overview([RESULTS[1]])
