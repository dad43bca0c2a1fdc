"""The configuration of nginx, from its templates: ``python -m traffic.render FOLDER`` writes the containers'."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from variants import VARIANTS, Variant

from .site import CONTAINERS, Site
from .split import Split, make_split, weights

__all__ = ["render_nginx", "render_split"]

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


def render_nginx(site: Site, variants: Sequence[Variant] = VARIANTS) -> dict[str, str]:
    """The files of ``site.conf`` and their texts, the split to start with among them."""
    names = [variant.name for variant in variants]
    sentences = {status: text.format(names=", ".join(names)) for status, text in _SENTENCES.items()}
    page = _templates.get_template("error.html.j2")
    context = {"site": site, "variants": variants, "sentences": sentences}
    return {
        "nginx.conf": _templates.get_template("nginx.conf.j2").render(
            context, error_page=lambda sentence: page.render(sentence=sentence).strip()
        ),
        "healthz.json": _templates.get_template("healthz.json.j2").render(context),
        "site.json": json.dumps(site.as_json()),
        "split.conf": render_split(make_split("round_robin", {}, names), site, variants),
    }


def render_split(split: Split, site: Site, variants: Sequence[Variant] = VARIANTS) -> str:
    """The text of ``split.conf``, the one part of the configuration that changes while the system runs."""
    template = _templates.get_template("split.conf.j2")
    return template.render(split=split, weights=weights(split), site=site, variants=variants)


if __name__ == "__main__":
    for name, text in render_nginx(CONTAINERS).items():
        Path(sys.argv[1], name).write_text(text)
