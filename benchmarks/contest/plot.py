"""The README's picture: ``python -m benchmarks.contest.plot results.json throughput.svg``, by the peers' Python."""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot

__all__ = ["draw"]

CONNECTIONS = 8
_OURS = ("#1b7f5c", "#7cc4a8")
_THEIRS = ("#8a94a6", "#a3acba", "#bcc3ce", "#d3d8e0")


def draw(results: dict[str, Any], path: Path) -> None:
    """Answers per second at ``CONNECTIONS`` connections, a panel a model; bars are medians, whiskers all rounds."""
    mpl.rcParams.update({"font.family": "DejaVu Sans", "font.size": 9.5, "svg.hashsalt": "throughput"})
    models = list(dict.fromkeys(cell["model"] for cell in results["load"]))
    cells = {
        model: [c for c in results["load"] if c["model"] == model and c["connections"] == CONNECTIONS]
        for model in models
    }
    heights = [sum(len(cell["systems"]) + 1 for cell in cells[model]) for model in models]
    figure, panels = pyplot.subplots(
        len(models), 1, figsize=(7.6, 0.21 * sum(heights) + 1.4), height_ratios=heights, layout="constrained"
    )
    for panel, model in zip(panels, models, strict=True):
        _panel(panel, model, cells[model])
    figure.suptitle(f"Answers per second, {CONNECTIONS} connections, {results['machine']['cores']} cores", fontsize=11)
    figure.savefig(path, metadata={"Date": None}, facecolor="white")
    if path.suffix == ".svg":  # matplotlib leaves spaces at the ends of lines
        path.write_text("\n".join(line.rstrip() for line in path.read_text().splitlines()) + "\n")


def _panel(panel: Any, model: str, cells: list[dict[str, Any]]) -> None:
    greatest = max(system["per_s"]["high"] for cell in cells for system in cell["systems"].values())
    at = 0
    for cell in cells:
        ours, theirs = iter(_OURS), iter(_THEIRS)
        panel.text(0, at, f"{cell['photo']} photo", va="center", fontweight="bold")
        at += 1
        for name, system in cell["systems"].items():
            rate = system["per_s"]
            colour = next(ours if name.startswith("this project") else theirs)
            panel.barh(at, rate["median"], 0.82, color=colour)
            panel.plot([rate["low"], rate["high"]], [at, at], color="#333", linewidth=1)
            label = f"{rate['median']:.1f}" if rate["median"] < 20 else f"{rate['median']:.0f}"
            panel.text(max(rate["high"], rate["median"]) + greatest / 90, at, label, va="center")
            panel.text(-greatest / 90, at, name, va="center", ha="right")
            at += 1
    panel.set(ylim=(at - 0.3, -0.7), xlim=(0, 1.08 * greatest), yticks=[], title=model)
    panel.title.set(fontsize=10, fontweight="bold", ha="left", position=(0, 1))
    panel.spines[["top", "right", "bottom"]].set_visible(False)
    panel.tick_params(axis="x", labelsize=8, colors="#666", length=0)
    panel.grid(axis="x", color="#eee")
    panel.set_axisbelow(True)


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
