"""Whether the comparison is fair: what makes it invalid, which labels may not decide, and what weakens it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from experiment import statistics
from experiment.record.counting import SEEN
from experiment.report.evidence import Counts
from traffic.split import Split, weights

__all__ = ["Finding", "check_labels", "check_split", "check_weights", "unfair"]

# Turns taken by requests that are still being answered, or whose line is yet to be read.
_IN_FLIGHT = 64
# Each start of nginx, and each end of an experiment within an epoch, may put the turns off by one.
_LOADS = 8


@dataclass(frozen=True)
class Finding:
    """One check: ``ok``, not ok, or None where it could not be made; ``detail`` says what was seen.

    ``labels`` names the epoch, and whether pairs, whose seen labels do not decide since the check failed.
    """

    name: str
    ok: bool | None
    detail: str
    labels: tuple[int, bool] | None = None


def unfair(findings: list[Finding]) -> frozenset[tuple[int, bool]]:
    """The epochs and kinds of which seen labels may not decide."""
    return frozenset(finding.labels for finding in findings if finding.labels is not None)


def check_split(counts: Counts, splits: Mapping[int, Split]) -> list[Finding]:
    """Assignments against the split that was asked for, epoch by epoch."""
    findings = []
    skipped = counts.total("skipped")
    incomplete = counts.total("gap") + counts.total("lost") + counts.total("killed")
    for epoch, seen in sorted(_by_epoch(counts, "assigned").items()):
        name = f"split of epoch {epoch}"
        split = splits.get(epoch)
        if split is None:
            findings.append(Finding(name, None, f"no record says which split epoch {epoch} had"))
            continue
        total = sum(seen.values())
        table = ", ".join(f"{variant} {n:,} of {total:,}" for variant, n in sorted(seen.items()))
        if split.rule == "sticky":
            people = counts.by("people", "variant", epoch=epoch)
            if not people:
                findings.append(Finding(name, None, f"{table}; no people are known by whom to check it"))
                continue
            result = statistics.check_draws(people, split.shares, "people")
            table = ", ".join(f"{variant} {n:,} people" for variant, n in sorted(people.items()))
        elif split.random or incomplete:
            result = statistics.check_draws(seen, weights(split))
        else:
            again = counts.total("failover", epoch=epoch) + counts.total("repeated", epoch=epoch)
            by_gateway: dict[str, dict[str, int]] = {}
            for (variant, gateway), n in counts.by("assigned", "variant", "a", epoch=epoch).items():
                by_gateway.setdefault(gateway, {})[variant] = n
            result = statistics.check_turns(by_gateway, weights(split), again + skipped + _IN_FLIGHT, _LOADS)
        findings.append(Finding(name, result.ok, result.reason or table))
    return findings


def check_labels(counts: Counts) -> list[Finding]:
    """Whether people label the answers of one variant as often as those of the other, epoch by epoch."""
    findings = []
    answered, pairs = _by_epoch(counts, "answered"), counts.by("pair", "epoch", "variant", "a")
    for epoch in sorted(answered):
        shown = {(variant, kind == "differ"): n for (at, variant, kind), n in pairs.items() if at == epoch and variant}
        given = {
            (variant, kind == "differ"): n
            for (variant, kind), n in counts.by("labelled pair", "variant", "a", epoch=epoch, b=SEEN).items()
        }
        if given and len({variant for variant, _ in shown}) > 1:
            checked = statistics.check_pair_labels(given, shown).shown
            table = _of(_sum_variants(given), _sum_variants(shown))
            findings.append(_labels(epoch, True, checked.ok, checked.reason or f"pairs labelled: {table}"))
        single = _less(answered[epoch], _sum_variants(shown))
        labelled = _less(counts.by("label", "variant", epoch=epoch, a=SEEN), _sum_variants(given))
        if sum(labelled.values()) and len(single) > 1:
            result = statistics.check_labels(labelled, single)
            detail = result.reason or f"answers labelled: {_of(labelled, single)}"
            findings.append(_labels(epoch, False, result.ok, detail))
    return findings


def _labels(epoch: int, pairs: bool, ok: bool, detail: str) -> Finding:
    name = f"labels of epoch {epoch}"
    return Finding(name, True, detail) if ok else Finding(name, None, f"{detail}; left out", (epoch, pairs))


def check_weights(used: Mapping[str, list[dict[str, Any]]], compared: tuple[str, str]) -> list[Finding]:
    """Whether each variant compared stayed what it was."""
    findings = []
    for variant in compared:
        files = used.get(variant, [])
        if len(files) > 1:
            names = " then ".join(f"{file['file']} {file['sha256'][:12]}" for file in files)
            detail = f"{variant} changed its weights during the experiment ({names}): start a new one"
            findings.append(Finding(f"weights of {variant}", False, detail))
        elif files:
            findings.append(Finding(f"weights of {variant}", True, f"{files[0]['file']} {files[0]['sha256'][:12]}"))
    return findings


def _by_epoch(counts: Counts, what: str) -> dict[int, dict[str, int]]:
    found: dict[int, dict[str, int]] = {}
    for (epoch, variant), n in counts.by(what, "epoch", "variant").items():
        found.setdefault(epoch, {})[variant] = n
    return found


def _sum_variants(pairs: Mapping[tuple[str, bool], int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for (variant, _), n in pairs.items():
        found[variant] = found.get(variant, 0) + n
    return found


def _less(whole: Mapping[str, int], part: Mapping[str, int]) -> dict[str, int]:
    return {name: n - part.get(name, 0) for name, n in whole.items() if n > part.get(name, 0)}


def _of(labels: Mapping[str, int], answers: Mapping[str, int]) -> str:
    return ", ".join(f"{variant} {labels.get(variant, 0):,} of {n:,}" for variant, n in sorted(answers.items()))
