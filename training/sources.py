"""How weights do on photos from elsewhere: ``python -m training.sources app_mine PHOTOS``.

For each source that ``python -m training.train … --without SOURCE`` left out, those weights are asked about its photos.
What they say at which probability also gives the temperature for weights that are trained on all sources.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from training import bank, network
from training.photos import CLASSES, find
from training.score import calibration, count, temperature
from training.train import VIEWS, again, without

__all__ = ["main", "table"]

Said = tuple[Tensor, Tensor]
"""Logits ``(N, classes)``, and labels ``(N,)``."""


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m training.sources", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("app", help="the variant's folder, such as app_custom")
    parser.add_argument("photos", type=Path, help="a folder with a folder of photos for each class")
    parser.add_argument("--views", type=int, default=VIEWS, help="as in training")
    given = parser.parse_args(arguments)
    files = sorted(without(given.app, "").parent.glob("without-*.safetensors"))
    if not files:
        parser.error(f"no weights of {given.app} that did without a source; see training.train --without")
    photos = find(given.photos)
    views = bank.seen(photos, again(photos, given.views, 0), 0)
    labels = torch.tensor([photo.label for photo in photos])
    said: dict[str, Said] = {}
    for file in files:
        state, facts = network.open_weights(file)
        net = network.fresh(given.app)
        network.start(net, state)
        trunk = network.cut(net, facts["frozen"])
        rows = [row for row, photo in enumerate(photos) if photo.source in facts["without"]]
        logits = bank.answered(net, bank.mapped(trunk, views)[rows]) * facts["temperature"]
        said[", ".join(facts["without"])] = logits, labels[rows]
    print(table(said))


def table(said: dict[str, Said]) -> str:
    """Markdown, and the temperature that suits all sources, each of which weighs the same.

    Each source's own figures are at the temperature of the others.
    """
    names = [*CLASSES, "calibration error", "at ≥ 0.9", "of these wrong"]
    lines = ["| left out | photos | accuracy | " + " | ".join(names) + " |", "| --- |" + " ---: |" * (2 + len(names))]
    rows = []
    for source, (logits, labels) in said.items():
        others = [pair for other, pair in said.items() if other != source]
        score, trust = count(logits.argmax(1), labels.tolist()), calibration(logits / _suits(others), labels)
        rows.append([score.accuracy, *score.recalls, *trust])
        lines.append(_line(source, len(labels), rows[-1]))
    lines.append(_line("mean", sum(len(labels) for _, labels in said.values()), torch.tensor(rows).nanmean(0).tolist()))
    return "\n".join([*lines, "", f"Temperature: {_suits(list(said.values())):.2f}"])


def _suits(said: list[Said]) -> float:
    if not said:
        return 1.0
    shares = torch.cat([torch.full((len(labels),), 1 / len(labels)) for _, labels in said])
    return temperature(torch.cat([logits for logits, _ in said]), torch.cat([labels for _, labels in said]), shares)


def _line(name: str, count: int, figures: list[float]) -> str:
    return f"| {name} | {count} | " + " | ".join("–" if x != x else f"{x:.3f}" for x in figures) + " |"  # noqa: PLR0124


if __name__ == "__main__":
    main()
