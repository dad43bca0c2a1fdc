"""Labels to a verdict, by several tests: ``python -m benchmarks.labels`` writes the table in experiment/README.md.

It simulates experiments with known accuracies and lets every test look after each label, up to the thousandth, and
then after each percent more. GrowthBook's test is computed by its own package, in an environment of its own.
"""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from benchmarks.measuring.environment import ROOT, VENV
from experiment.statistics import Arms, Evidence, Scenario, Tally, log_e, mcnemar_log_e

__all__ = ["main", "planned_mcnemar", "planned_z", "table"]

ALPHA, POWER = 0.05, 0.8
CASES = ((0.85, 0.88), (0.88, 0.96), (0.95, 0.96))
EQUAL = 0.85
# Agreement of errors beyond chance, and how often the answers differ where both are wrong.
AGREEMENT, UNLIKE = 0.6, 0.3
RUNS, ERROR_RUNS, ERROR_LABELS = 400, 1000, 2000
FEWEST = 20
_NEEDED = -np.log(ALPHA)
_Z = float(stats.norm.ppf(1 - ALPHA / 2))
# C. Jennison, B. Turnbull, *Group Sequential Methods*, 1999: five looks, α = 0.05; constant of the boundary (table 2.3)
# and how much longer than a fixed sample it may take, at 90 % power (table 2.4).
_LOOKS, _OBRIEN_FLEMING, _INFLATION = 5, 2.040, 1.026

Stops = NDArray[np.float64]
"""Labels at which each run was decided, infinite where it was not."""


@dataclass(frozen=True)
class Method:
    """One test: its name, the labels it takes in a case, and how often it errs where one looks after every label."""

    name: str
    labels: Callable[[float, float], str]
    errors: Callable[[], float]


def at_looks(horizon: int, every: bool = False) -> NDArray[np.int64]:
    """Numbers of labels at which one looks: each, or after the thousandth each percent more."""
    if every or horizon <= 1000:
        return np.arange(FEWEST, horizon + 1)
    later = np.geomspace(1000, horizon, int(np.log(horizon / 1000) / np.log(1.01)) + 2)[1:]
    return np.concatenate([np.arange(FEWEST, 1001), np.unique(np.rint(later).astype(np.int64))])


def drawn(chances: NDArray[np.float64], looks: NDArray[np.int64], runs: int) -> Any:
    """Running counts of each outcome, shape (outcomes, runs, looks)."""
    arrived = np.broadcast_to(np.diff(looks, prepend=0), (runs, looks.size))
    rng = np.random.default_rng(9)
    return np.moveaxis(rng.multinomial(arrived, chances / chances.sum()).cumsum(axis=1), -1, 0)


def arms(control: float, candidate: float, looks: NDArray[np.int64], runs: int) -> dict[str, Any]:
    right0, wrong0, right1, wrong1 = drawn(Scenario(control, candidate).outcomes()[3:], looks, runs)
    return {"k0": right0, "n0": right0 + wrong0, "k1": right1, "n1": right1 + wrong1}


def pairs(control: float, candidate: float, looks: NDArray[np.int64], runs: int, disputed: bool = False) -> Any:
    """Only the candidate right, only the control right, and the other labels: of all photos, or of disputed ones."""
    b, c, alike = Scenario(control, candidate, agreement=AGREEMENT, shadow_share=1).outcomes()[:3]
    if disputed:
        both_wrong = 1 - candidate - c
        alike = UNLIKE * both_wrong
    return drawn(np.array([b, c, alike]), looks, runs)


def first(decided: NDArray[np.bool_], looks: NDArray[np.int64]) -> Stops:
    return np.where(decided.any(axis=1), looks[decided.argmax(axis=1)], np.inf)


def said(stops: Stops) -> str:
    quantiles = np.quantile(stops, [0.5, 0.9], method="inverted_cdf")
    return " / ".join(f"{at:,.0f}" if np.isfinite(at) else "undecided" for at in quantiles)


# This project


def unpaired(counts: dict[str, Any]) -> NDArray[np.bool_]:
    both = Arms(Tally(counts["k0"], counts["n0"]), Tally(counts["k1"], counts["n1"]))
    return np.asarray(log_e(Evidence(arms=(both,))) >= _NEEDED)


def paired(counts: Any) -> NDArray[np.bool_]:
    return np.asarray(mcnemar_log_e(counts[0], counts[1]) >= _NEEDED)


def _ours(disputed: bool) -> Method:
    def labels(control: float, candidate: float) -> str:
        looks = at_looks(20_000)
        return said(first(paired(pairs(control, candidate, looks, RUNS, disputed)), looks))

    def errors() -> float:
        looks = at_looks(ERROR_LABELS, every=True)
        return float(paired(pairs(EQUAL, EQUAL, looks, ERROR_RUNS, disputed)).any(axis=1).mean())

    return Method("this project, " + ("label page" if disputed else "pairs"), labels, errors)


def _ours_unpaired() -> Method:
    def labels(control: float, candidate: float) -> str:
        looks = at_looks(100_000)
        return said(first(unpaired(arms(control, candidate, looks, RUNS)), looks))

    def errors() -> float:
        looks = at_looks(ERROR_LABELS, every=True)
        return float(unpaired(arms(EQUAL, EQUAL, looks, ERROR_RUNS)).any(axis=1).mean())

    return Method("this project, unpaired", labels, errors)


# Others


def growthbook_python() -> str:
    """The interpreter of the environment that has GrowthBook's package, made where it is missing."""
    place, needs = VENV / "growthbook", Path(__file__).with_name("labels-requirements.txt")
    done = place / ".requirements"
    if not done.is_file() or done.read_text() != needs.read_text():
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        pip = [str(place / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "--requirement", needs], check=True)
        done.write_text(needs.read_text())
    return str(place / "bin" / "python")


def growthbook(counts: dict[str, Any], looks: NDArray[np.int64]) -> Stops:
    with TemporaryDirectory(prefix="labels-") as folder:
        given, stops = Path(folder, "counts.npz"), Path(folder, "stops.npy")
        np.savez(given, **counts)
        script = ROOT / "benchmarks" / "peers" / "growthbook.py"
        subprocess.run([growthbook_python(), script, given, stops], check=True)
        at = np.load(stops)
    return np.where(at < 0, np.inf, looks[at])


def _growthbook() -> Method:
    def labels(control: float, candidate: float) -> str:
        # Sparser looks: each one is a call of the package.
        looks = at_looks(100_000)[::3]
        return said(growthbook(arms(control, candidate, looks, RUNS), looks))

    def errors() -> float:
        looks = at_looks(ERROR_LABELS, every=True)
        return float(np.isfinite(growthbook(arms(EQUAL, EQUAL, looks, RUNS), looks)).mean())

    return Method("GrowthBook, sequential (`gbstats` 0.8.0, tuned for 5,000)", labels, errors)


def z_scores(counts: dict[str, Any]) -> NDArray[np.float64]:
    k0, n0, k1, n1 = (counts[name] for name in ("k0", "n0", "k1", "n1"))
    pooled = (k0 + k1) / (n0 + n1)
    error = np.sqrt(pooled * (1 - pooled) * (1 / np.maximum(n0, 1) + 1 / np.maximum(n1, 1)))
    return np.asarray((k1 / np.maximum(n1, 1) - k0 / np.maximum(n0, 1)) / np.where(error > 0, error, np.inf))


def planned_z(control: float, candidate: float, power: float = POWER) -> int:
    """Labels, both variants together, of a two-sided z-test."""
    variance = control * (1 - control) + candidate * (1 - candidate)
    each = (_Z + stats.norm.ppf(power)) ** 2 * variance / (candidate - control) ** 2
    return 2 * int(np.ceil(each))


def _fixed_z() -> Method:
    def errors() -> float:
        looks = at_looks(ERROR_LABELS, every=True)
        return float((abs(z_scores(arms(EQUAL, EQUAL, looks, ERROR_RUNS))) > _Z).any(axis=1).mean())

    return Method("z-test, one look, 80 % power", lambda *case: f"{planned_z(*case):,}", errors)


def planned_mcnemar(control: float, candidate: float, power: float = POWER) -> int:
    """Pairs of an exact two-sided McNemar test."""
    b, c = Scenario(control, candidate, agreement=AGREEMENT, shadow_share=1).outcomes()[:2]

    def reaches(count: int) -> bool:
        discordant = np.arange(count + 1)
        least = stats.binom.ppf(ALPHA / 2, discordant, 0.5)
        least = np.where(stats.binom.cdf(least, discordant, 0.5) > ALPHA / 2, least - 1, least)
        rejects = stats.binom.cdf(least, discordant, c / (b + c))
        return bool((stats.binom.pmf(discordant, count, b + c) * rejects).sum() >= power)

    low, high = 1, 2
    while not reaches(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return high


def _mcnemar() -> Method:
    def errors() -> float:
        looks = at_looks(ERROR_LABELS, every=True)
        b, c, _ = pairs(EQUAL, EQUAL, looks, ERROR_RUNS)
        return float((2 * stats.binom.cdf(np.minimum(b, c), b + c, 0.5) < ALPHA).any(axis=1).mean())

    return Method("exact McNemar, pairs, one look, 80 % power", lambda *case: f"{planned_mcnemar(*case):,}", errors)


def _obrien_fleming() -> Method:
    def labels(control: float, candidate: float) -> str:
        most = int(np.ceil(_INFLATION * planned_z(control, candidate, 0.9)))
        looks = np.rint(np.linspace(0, most, _LOOKS + 1)[1:]).astype(np.int64)
        scores = abs(z_scores(arms(control, candidate, looks, 20 * RUNS)))
        # It ends with the last look, decided or not.
        return said(np.minimum(first(scores > _OBRIEN_FLEMING * np.sqrt(most / looks), looks), most))

    def errors() -> float:
        looks = at_looks(ERROR_LABELS, every=True)
        scores = abs(z_scores(arms(EQUAL, EQUAL, looks, ERROR_RUNS)))
        return float((scores > _OBRIEN_FLEMING * np.sqrt(ERROR_LABELS / looks)).any(axis=1).mean())

    return Method("O'Brien–Fleming, five looks, 90 % power", labels, errors)


def methods() -> list[Method]:
    others = [_growthbook(), _fixed_z(), _mcnemar(), _obrien_fleming()]
    return [_ours(disputed=True), _ours(disputed=False), _ours_unpaired(), *others]


def table() -> str:
    """The table as Markdown."""
    head = "".join(f" {control:.2f} / {candidate:.2f} |" for control, candidate in CASES)
    lines = [f"| |{head} wrong, looking after every label |", "| --- |" + " ---: |" * (len(CASES) + 1)]
    for method in methods():
        cells = " | ".join(method.labels(*case) for case in CASES)
        lines.append(f"| {method.name} | {cells} | {method.errors():.1%} |")
        print(lines[-1], flush=True)
    return "\n".join(lines) + "\n"


def main() -> None:
    """Takes about five minutes."""
    readme = ROOT / "experiment" / "README.md"
    found = table()
    head, begin, rest = readme.read_text().partition("<!-- labels -->\n")
    _, end, tail = rest.partition("<!-- end of labels -->")
    readme.write_text(head + begin + found + end + tail)


if __name__ == "__main__":
    main()
