import pytest

from ae.report.reference import REPORTED
from ae.train.early_stopping import EarlyStop


def stops(losses, patience=2):
    """(epochs run, best epoch) of Keras' rule on a list of validation losses."""
    rule = EarlyStop(patience)
    for loss in losses:
        rule = rule.update(loss)
        if rule.stop:
            break
    return rule.epoch, rule.best_epoch


# Values that round to the printed ones; as printed, the ConvAE's epoch 10 only ties with epoch 8 and would end it.
CONV_AE = [.1135, .0472, .0075, .0052, .0063, .0050, .00496, .00474, .0048, .00466, .0049, .0045, .0049, .0047]  # fmt: skip


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        (REPORTED["pixel_mlp"]["val_loss_by_epoch"], (7, 5)),
        (REPORTED["colorizer_ae"]["val_loss_by_epoch"], (8, 6)),
        (CONV_AE, (14, 12)),
        (REPORTED["conv_ae"]["val_loss_by_epoch"][:10], (10, 8)),
        ([3, 2, 1, 0.5], (4, 4)),
        ([1, 1, 1, 0.5], (3, 1)),
        ([1, 2, 0.5, 3, 4], (5, 3)),
    ],
)
def test_early_stopping_is_keras_rule(losses, expected):
    assert stops(losses) == expected


def test_literal_losses_round_to_the_printed_ones():
    assert [round(loss, 4) for loss in CONV_AE] == REPORTED["conv_ae"]["val_loss_by_epoch"]


def test_early_stopping_is_a_value():
    rule = EarlyStop(2)
    rule.update(1.0)
    assert rule == EarlyStop(2)
    history = tuple({"val_loss": loss} for loss in (3.0, 1.0, 2.0))
    assert EarlyStop.after(history, 2) == EarlyStop(2).update(3.0).update(1.0).update(2.0)
