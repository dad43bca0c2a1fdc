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
from variants import TITLE, VARIANTS, Variant

__all__ = ["UNRECORDED", "render_routes"]

UNRECORDED = 0
"""The epoch of a gateway that serves before it ever heard of a split: all variants in turn."""

# What nginx itself says, in JSON on /predict, on a page on /result/, elsewhere as it was asked for: by its own number
# for it, the status and the sentence. Numbers that are no status are those of the templates and of nginx's own.
_SENTENCES = {
    400: (400, "This request cannot be understood."),
    403: (403, "Choosing a variant takes an operator's token. Leave X-Variant out, and one is drawn."),
    404: (404, "There is nothing here."),
    405: (405, "Send a photo with POST."),
    408: (408, "The photo took too long to arrive. Try again."),
    413: (413, "The upload is larger than 10 MB."),
    414: (414, "This address is too long."),
    416: (416, "This part of it cannot be had."),
    429: (429, "More is sent than may be at once. Try again in a moment."),
    463: (403, "Photos are sent from this site's own pages, or by programs."),
    464: (400, "There is no variant of that name. The variants are {names}."),
    494: (431, "The request says too much of itself."),
    495: (400, "The certificate that was shown is not accepted."),
    497: (400, "This port speaks TLS: the address begins with https."),
    500: (500, "Something went wrong here. Try again in a moment."),
    501: (501, "That is not something this server does."),
    502: (502, "No variant could answer. Try again in a moment."),
    503: (503, "No variant could answer. Try again in a moment."),
    504: (504, "No variant answered in time. Try again in a moment."),
    505: (505, "This version of HTTP is not spoken here."),
}
_NO_EXPERIMENT = "The experiment service does not answer. Predictions go on without it."

# Those of them that nginx may say of a request that it could not read.
_UNREADABLE = (400, 408, 414, 494, 495, 497, 501, 505)

# And those that it may say further within, of what the public server let in.
_WITHIN = (400, 404, 405, 413, 502, 503, 504)

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
        sentences={
            number: (said, _quoted(text.format(names=", ".join(names)))) for number, (said, text) in _SENTENCES.items()
        },
        unreadable=_UNREADABLE,
        within=_WITHIN,
        no_experiment=_NO_EXPERIMENT,
        error_page=lambda sentence: page.render(sentence=sentence, site=TITLE).strip(),
        health=health.strip(),
        key=key,
    )


def _quoted(sentence: str) -> str:
    """As it may stand between nginx's single quotes."""
    return sentence.replace("'", "\\'")


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
