"""A variant's counters, as Prometheus reads them."""

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from .predictor import Prediction

__all__ = ["Metrics"]

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1, 2, 5)


class Metrics:
    """Predictions by outcome and class, and where their time went."""

    def __init__(self, variant: str) -> None:
        self._registry = CollectorRegistry()

        def counter(name: str, help_: str, label: str) -> Counter:
            return Counter(name, help_, ["variant", label], registry=self._registry)

        self._variant = variant
        self._outcomes = counter("predictions", "Predictions asked for, by outcome.", "outcome")
        self._classes = counter("predicted_class", "Predictions made, by class.", "class")
        self._seconds = Histogram(
            "prediction_seconds",
            "Time of one prediction's stage.",
            ["variant", "stage"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        for outcome in ("ok", "rejected", "overloaded", "failed"):
            self._outcomes.labels(variant, outcome)

    def count(self, outcome: str) -> None:
        """Counts a prediction as ``ok``, ``rejected`` (no photo), ``overloaded`` or ``failed``."""
        self._outcomes.labels(self._variant, outcome).inc()

    def observe(self, prediction: Prediction) -> None:
        """Counts the class, and the time of each stage."""
        self._classes.labels(self._variant, prediction.likely_class).inc()
        self._seconds.labels(self._variant, "decode").observe(prediction.decode_s)
        self._seconds.labels(self._variant, "infer").observe(prediction.infer_s)

    def text(self) -> bytes:
        return generate_latest(self._registry)
