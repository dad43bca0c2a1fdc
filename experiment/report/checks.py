"""Whether the comparison is fair: what makes it invalid, and what weakens it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from experiment import statistics
from experiment.report.evidence import Counts
from traffic.split import Split, weights

__all__ = ["Finding", "check_labels", "check_split", "check_weights"]

# Turns taken by requests that are still being answered, or whose line is yet to be read.
_IN_FLIGHT = 64
# Each start of nginx, and each end of an experiment within an epoch, may put the turns off by one.
_LOADS = 8


@dataclass(frozen=True)
class Finding:
    """One check: ``ok``, not ok, or None where it could not be made; ``detail`` says what was seen."""

    name: str
    ok: bool | None
    detail: str


def check_split(counts: Counts, splits: Mapping[int, Split]) -> list[Finding]:
    """Assignments against the split that was asked for, epoch by epoch."""
    findings = []
    skipped = counts.total("skipped")
    gap = counts.total("gap") + counts.total("lost")
    for epoch, seen in sorted(_by_epoch(counts, "assigned").items()):
        name = f"split of epoch {epoch}"
        split = splits.get(epoch)
        if split is None:
            findings.append(Finding(name, None, f"no record says which split epoch {epoch} had"))
            continue
        total = sum(seen.values())
        table = ", ".join(f"{variant} {n:,} of {total:,}" for variant, n in sorted(seen.items()))
        if split.rule == "sticky":
            findings.append(Finding(name, None, f"{table}; people were drawn, not requests, so this cannot be tested"))
            continue
        if gap or split.random:
            result = statistics.check_draws(seen, weights(split))
        else:
            again = counts.total("failover", epoch=epoch) + counts.total("repeated", epoch=epoch)
            loads = _LOADS * max(1, len(set(counts.by("assigned", "a", epoch=epoch))))
            result = statistics.check_turns(seen, weights(split), again + skipped + _IN_FLIGHT, loads)
        findings.append(Finding(name, result.ok, result.reason or table))
    return findings


def check_labels(counts: Counts) -> list[Finding]:
    """Whether the answers of one variant are labelled more often than those of the other, epoch by epoch."""
    labels = _by_epoch(counts, "label")
    findings = []
    for epoch, answered in sorted(_by_epoch(counts, "answered").items()):
        given = labels.get(epoch, {})
        if len(answered) < 2 or not given:
            continue
        result = statistics.check_labels(given, answered)
        table = ", ".join(f"{variant} {given.get(variant, 0):,} of {n:,}" for variant, n in sorted(answered.items()))
        findings.append(Finding(f"labels of epoch {epoch}", result.ok, result.reason or f"answers labelled: {table}"))
    return findings


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
