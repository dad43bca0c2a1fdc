"""What every gateway is given of a split, from nginx's templates: ``python -m traffic.render FILE`` writes the default.

Words between ``@`` signs in it are a gateway's own: folders, addresses, its name. ``nginx/gateway.sh`` puts them in.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from traffic.split import Split, make_split, weights
from variants import VARIANTS, Variant

__all__ = ["UNRECORDED", "render_routes"]

UNRECORDED = 0
"""The epoch of a gateway that serves before it ever heard of a split: all variants in turn."""

# What nginx itself says, in JSON on /predict and on a page on /result/.
_SENTENCES = {
    400: "There is no variant of that name. The variants are {names}.",
    404: "There is nothing here.",
    405: "Send a photo with POST.",
    413: "The upload is larger than 10 MB.",
    502: "No variant could answer. Try again in a moment.",
    503: "No variant could answer. Try again in a moment.",
    504: "No variant answered in time. Try again in a moment.",
}

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parents[1] / "nginx" / "templates"),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    autoescape=False,  # noqa: S701  (nginx configuration, not HTML; nothing in it comes from a request)
)


def render_routes(split: Split, variants: Sequence[Variant] = VARIANTS, key: str = "") -> str:
    """The part of nginx's configuration that depends on the split and on the list of variants.

    ``key`` makes the hashes of people the experiment's own.

    Its first line says the epoch, its second the split as ``Split.as_json`` has it.
    """
    names = [variant.name for variant in variants]
    page = _templates.get_template("error.html.j2")
    health = _templates.get_template("healthz.json.j2").render(variants=variants)
    return _templates.get_template("routes.conf.j2").render(
        split=split,
        split_json=json.dumps(split.as_json()),
        weights=weights(split),
        stretches=_stretches(split),
        variants=variants,
        sentences={status: text.format(names=", ".join(names)) for status, text in _SENTENCES.items()},
        error_page=lambda sentence: page.render(sentence=sentence).strip(),
        health=health.strip(),
        key=key,
    )


def _stretches(split: Split) -> list[tuple[str, float]]:
    """Who owns which stretch of the hash, in percent; none where variants take turns."""
    if split.rule == "sticky":
        return [(name, share) for name, share in split.segments if share]
    if not split.random:
        return []
    named = [name for name, share in split.shares.items() if share]
    if split.rule == "weighted":
        return [(name, split.shares[name]) for name in named]
    # split_clients knows hundredths of a percent; the last takes what is left.
    return [(name, int(10000 / len(named)) / 100) for name in named]


if __name__ == "__main__":
    default = make_split("round_robin", {}, [variant.name for variant in VARIANTS])
    Path(sys.argv[1]).write_text(render_routes(replace(default, epoch=UNRECORDED)))
