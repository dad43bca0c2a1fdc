import pytest
import torch

from training.score import calibration, table, temperature


def test_what_is_sure_and_wrong_is_counted() -> None:
    logits = torch.tensor([[0.95, 0.05, 1e-9], [0.95, 0.05, 1e-9], [0.6, 0.4, 1e-9], [0.5, 0.3, 0.2]]).log()
    error, sure, wrong = calibration(logits, torch.tensor([0, 1, 0, 0]))
    assert (sure, wrong) == (0.5, 0.5)
    assert error == pytest.approx((abs(1 - 1.9) + abs(1 - 0.6) + abs(1 - 0.5)) / 4, abs=1e-5)


def test_the_temperature_undoes_what_was_multiplied() -> None:
    torch.manual_seed(0)
    logits = torch.randn(20_000, 3) / 2
    labels = torch.multinomial(logits.softmax(1), 1).flatten()
    assert temperature((logits * 3, labels)) == pytest.approx(3, rel=0.05)


def test_the_temperature_makes_answers_modest_of_which_too_many_would_be_sure_and_wrong() -> None:
    sure = torch.eye(3).repeat(100, 1) * 5
    labels = sure.argmax(1)
    labels[::20] = (labels[::20] + 1) % 3
    hard, easy = (sure, labels), (sure, sure.argmax(1))
    assert calibration(sure / temperature(hard), labels)[1] == 0
    assert calibration(sure / temperature(hard, easy), labels)[1] == 1


def test_each_source_weighs_the_same_in_the_temperature() -> None:
    torch.manual_seed(0)
    logits = torch.randn(20_000, 3)
    labels = torch.multinomial(logits.softmax(1), 1).flatten()
    alone, both = temperature((logits, labels)), temperature((logits, labels), (logits[:2000] * 9, labels[:2000]))
    assert both > 1.5 * alone


def test_the_table_has_each_source_and_their_mean() -> None:
    easy = (torch.eye(3)[[0, 1]] * 5, torch.tensor([0, 1]))
    hard = (torch.eye(3)[[0, 1]] * 5, torch.tensor([1, 1]))
    lines = table({"easy": easy, "hard": hard}).splitlines()
    assert lines[2].startswith("| easy | 2 | 1.000 | 1.000 | 1.000 | – |")
    assert lines[3].startswith("| hard | 2 | 0.500 | – | 0.500 | – |")
    assert lines[4].startswith("| mean | 4 | 0.750 | 1.000 | 0.750 | – |")
