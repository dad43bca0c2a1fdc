from prometheus_client.parser import text_string_to_metric_families

from serving.metrics import Metrics
from serving.predictor import Prediction
from tests.classes import APPLE, LEMON


def values(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Every sample by its name and its labels' values, in the order of the labels' names."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
    }


def test_outcomes_are_there_before_they_happen() -> None:
    seen = values(Metrics("custom"))

    assert {key: value for key, value in seen.items() if key[0] == "predictions_total"} == {
        ("predictions_total", outcome, "custom"): 0 for outcome in ("ok", "rejected", "overloaded", "failed")
    }


def test_counts() -> None:
    metrics = Metrics("custom")
    metrics.count("ok")
    metrics.count("ok")
    metrics.count("rejected")
    metrics.observe(Prediction({APPLE: 0.1, LEMON: 0.9}, "", decode_s=0.25, infer_s=0.004))
    metrics.observe(Prediction({APPLE: 0.1, LEMON: 0.9}, "", decode_s=0.5, infer_s=0.004))

    seen = values(metrics)

    assert seen["predictions_total", "ok", "custom"] == 2
    assert seen["predictions_total", "rejected", "custom"] == 1
    assert seen["predictions_total", "failed", "custom"] == 0
    assert seen["predicted_class_total", LEMON, "custom"] == 2
    assert seen["prediction_seconds_count", "decode", "custom"] == 2
    assert seen["prediction_seconds_sum", "decode", "custom"] == 0.75
    assert seen["prediction_seconds_bucket", "0.005", "infer", "custom"] == 2
    assert seen["prediction_seconds_bucket", "0.0025", "infer", "custom"] == 0


def test_two_variants_in_one_process_do_not_mix() -> None:
    custom, vgg16 = Metrics("custom"), Metrics("vgg16")

    custom.count("ok")

    assert values(custom)["predictions_total", "ok", "custom"] == 1
    assert values(vgg16)["predictions_total", "ok", "vgg16"] == 0
