from collections import Counter
from typing import Any

import pytest

from benchmarks.contest.comparison import CEILING, NGINX, OURS, Contender, Round, compare, summary
from benchmarks.contest.report import targets, text


def _rounds(*rates: float, **more: Any) -> list[Round]:
    return [Round(rate, 100.0, 150.0, **more) for rate in rates]


def _cell(model: str, photo: str, connections: int, ours: float = 50.0) -> dict[str, Any]:
    rounds = {
        OURS: _rounds(ours, ours + 2, ours - 2),
        NGINX: _rounds(ours - 1, ours - 1, ours - 1),
        "FastAPI": _rounds(10, 10, 10),
        "Ray Serve": _rounds(8, 9, 8, errors=Counter({"500": 1})),
    }
    if connections == 8:
        rounds[CEILING] = _rounds(ours + 5, ours + 5, ours + 5)
    found = summary(rounds)
    return {"model": model, "photo": photo, "connections": connections, "predecoded_per_s": 70.0, **found}


@pytest.fixture
def results() -> dict[str, Any]:
    used = {"rest_pss_mb": 200, "rest_rss_mb": 210, "load_pss_mb": 300, "load_rss_mb": 310}
    return {
        "taken": "2030-01-01 00:00 UTC",
        "took_minutes": 20.4,
        "rounds": 3,
        "seconds": 3.0,
        "machine": {
            "processor": "A processor",
            "flags": ["avx2"],
            "cores": 2,
            "memory_gb": 8.0,
            "system": "Linux 6",
            "python": "3.11.7",
        },
        "versions": {"torch": "2.13.0"},
        "weights": {"vgg16": "starter.safetensors"},
        "failed": {"BentoML": "it did not start"},
        "settings": {
            "vgg16": {
                "FastAPI": [
                    {"workers": 2, "threads": 1, "batch": 1, "per_s": 10.5},
                    {"workers": 1, "threads": 2, "batch": 1, "per_s": 9.5},
                ]
            }
        },
        "load": [
            _cell(model, photo, connections)
            for model in ("vgg16", "custom")
            for connections in (1, 8, 32)
            for photo in ("22 KB", "100 KB", "12 Mpx")
        ],
        "cores": {"vgg16": {"1": {"median": 25.0, "low": 24.0, "high": 26.0}}},
        "nginx_cost": {
            "vgg16, 22 KB": {"photo": "22 KB", "direct_ms": 20.0, "added_ms": 0.4, "middle_half_ms": [0.3, 0.6]}
        },
        "start": {"app_vgg16": {"first_s": 9.0, "next_s": {"median": 2.1, "low": 2.0, "high": 2.2}}},
        "memory": {"app_vgg16": used, "FastAPI, the full model": {**used, "load_pss_mb": 700}},
    }


def test_summary_has_medians_spreads_and_ratios() -> None:
    cell = _cell("vgg16", "22 KB", 8)

    assert cell["systems"][OURS]["per_s"] == {"median": 50, "low": 48, "high": 52}
    assert cell["ratio"] == {"median": 5, "low": 4.8, "high": 5.2}
    assert cell["ratio_through_nginx"]["median"] == pytest.approx(4.9)
    assert cell["systems"][OURS]["p99_over_p50"] == 1.5
    assert cell["systems"]["Ray Serve"]["errors"] == {"500": 3}
    assert cell["share_of_ceiling"]["median"] == pytest.approx(50 / 55)
    assert CEILING not in cell["systems"]


def test_a_round_with_too_few_answers_has_no_latency() -> None:
    cell = summary({OURS: [Round(0.3)]})

    assert cell["systems"][OURS]["p99_ms"] is None
    assert "ratio" not in cell


def test_everyone_gets_the_same_turns() -> None:
    asked: list[tuple[str, str, int, float]] = []

    def contender(name: str) -> Contender:
        def measure(photo: str, connections: int, seconds: float) -> Round:
            asked.append((name, photo, connections, seconds))
            return Round(1.0)

        return Contender(name, list, measure)

    compare([contender("a"), contender("b")], "22 KB", 8, rounds=2, seconds=3)

    assert asked == [(name, "22 KB", 8, 3) for name in ("a", "b", "b", "a")]


def test_the_report_says_who_failed_and_what_was_measured(results: dict[str, Any]) -> None:
    report = text(results)

    assert "Taken 2030-01-01 00:00 UTC in 20 minutes" in report
    assert "**BentoML took no part**: it did not start" in report
    assert "| 22 KB | 8 | 50 | 49 | 10.0 | 8.0 | 5.0 × (4.8 to 5.2) |" in report
    assert "**errors: 3 × 500**" in report
    assert "**2 × 1, 1: 10.5**; 1 × 2, 1: 9.5" in report
    assert "`/predict` reaches 91 %" in report
    assert "2.1 s; 9.0 s the first time" in report


def test_targets_are_judged(results: dict[str, Any]) -> None:
    judged = {name: (reached, met) for name, _, reached, met in targets(results)}

    assert judged["vgg16, 22 KB, 8 connections, against the best peer"] == ("5.0 × (4.8 to 5.2)", True)
    assert judged["custom, 12 Mpx, 8 connections, against the best peer"][1] is False
    assert judged["share of the engine's throughput, vgg16, 22 KB"] == ("91 %", True)
    assert judged["memory under load, against FastAPI with the full model"] == ("0.43", True)
    assert judged["nginx's cost per request, 22 KB"] == ("0.40 ms", True)
    assert judged["start to ready, app_vgg16"] == ("2.1 s", True)


def test_without_peers_there_is_no_ratio(results: dict[str, Any]) -> None:
    for cell in results["load"]:
        del cell["ratio"]
    del results["memory"]["FastAPI, the full model"]

    assert not any(met for name, _, _, met in targets(results) if "best peer" in name)
    assert "memory under load, against FastAPI with the full model" not in {name for name, *_ in targets(results)}
