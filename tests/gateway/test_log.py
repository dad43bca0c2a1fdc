"""The lines that people read: who served what, in turn."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.parts import ROOT
from tests.system import System, eventually

ID = "0d539f9f246907ed86023d0ebb86722d"


def shown(*lines: str) -> list[str]:
    """What becomes of nginx's lines."""
    awk = ["awk", "-f", str(ROOT / "nginx" / "people.awk")]
    given = "".join(f"{line}\n" for line in lines)
    environment = {**os.environ, "LC_ALL": "C"}  # as gateway.sh has it
    done = subprocess.run(awk, input=given, env=environment, capture_output=True, check=True, encoding="utf-8")
    return done.stdout.splitlines()


def line(variant: str, status: int = 200, by: str = "round_robin", request_id: str = ID, label: str = '"lemon"') -> str:
    answer = f"{label}\t0.964287" if status < 400 else "null\tnull"
    return f"2026-11-26T12:04:31.250Z\t{request_id}\t{variant}\t{by}\t{status}\t{answer}\t0.0119"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (line("vgg16"), "12:04:31 vgg16      lemon 0.96            12 ms  0d539f9f…"),
        (line("custom", by="shadow"), "12:04:31 custom     lemon 0.96            12 ms  0d539f9f…  (shadow)"),
        (line("custom", by="forced"), "12:04:31 custom     lemon 0.96            12 ms  0d539f9f…  (forced)"),
        (line("custom", 400), "12:04:31 custom     refused (400)         12 ms  0d539f9f…"),
        (line("custom", 499), "12:04:31 custom     client left           12 ms  0d539f9f…"),
        (line("custom", 502), "12:04:31 custom     failed (502)          12 ms  0d539f9f…"),
        (line("custom", request_id="order-66.b_c"), "12:04:31 custom     lemon 0.96            12 ms  order-66.b_c"),
        (line("vgg16", label='"crack/chip"'), "12:04:31 vgg16      crack/chip 0.96       12 ms  0d539f9f…"),
        (line("vgg16", label=r'"5\" pipe"'), '12:04:31 vgg16      5" pipe 0.96          12 ms  0d539f9f…'),
        (line("vgg16", label=r'"a\\b"'), r"12:04:31 vgg16      a\b 0.96              12 ms  0d539f9f…"),
        (line("vgg16", label='"Kratzer groß"'), "12:04:31 vgg16      Kratzer groß 0.96     12 ms  0d539f9f…"),
        (line("vgg16", label='"\\u30ad\\u30ba"'), "12:04:31 vgg16      キズ 0.96             12 ms  0d539f9f…"),
        (line("vgg16", label='"금이 간 것"'), "12:04:31 vgg16      금이 간 것 0.96       12 ms  0d539f9f…"),
        ("gateway: vgg16 hangs; the others answer for it.", "gateway: vgg16 hangs; the others answer for it."),
    ],
)
def test_a_line(given: str, expected: str) -> None:
    assert shown(given) == [expected]


def test_an_outage_is_a_line_a_request() -> None:
    lines = [line("custom", request_id="a")]
    for name in "bcd":
        lines += [line("vgg16", 502, request_id=name), line("custom", request_id=name)]
    lines += [line("vgg16", 502, by="forced", request_id="e"), line("vgg16", request_id="f")]

    said = [re.sub(r"^\S+ (\S+) +(.*?) +12 ms  ", r"\1 \2 ", text) for text in shown(*lines)]

    assert said == [
        "custom lemon 0.96 a",
        "vgg16 failed (502) b",
        "custom lemon 0.96 b  (failover from vgg16)",
        "custom lemon 0.96 c  (failover from vgg16)",
        "custom lemon 0.96 d  (failover from vgg16)",
        "vgg16 failed (502) e  (forced)",
        "vgg16 lemon 0.96 f  (after 4 failures)",
    ]


def test_a_shadow_between_a_failure_and_its_failover_changes_nothing() -> None:
    said = shown(line("custom", 502), line("vgg16", by="shadow"), line("vgg16"))

    assert said[2].endswith("(failover from custom)")


def test_where_nobody_can_answer_every_request_is_said() -> None:
    both = [line(variant, 502, request_id=name) for name in "abc" for variant in ("vgg16", "custom")]

    assert [text for text in shown(*both) if "(failover from vgg16)" in text] == shown(*both)[1::2]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with System(tmp_path_factory.mktemp("log")) as started:
        yield started


def test_a_running_system_says_who_served_what(own: System, photo: bytes) -> None:
    def notes(request_id: str, lines: int = 1) -> list[tuple[str, str]]:
        """Who is said to have scored a request, and what is noted beside."""

        def look() -> list[tuple[str, str]]:
            found = re.findall(
                rf"^\d\d:\d\d:\d\d (\w+) +.+? \d\.\d\d +\d+ ms  {request_id}(?:  \((.*)\))?$", own.log("gateway"), re.M
            )
            return found if len(found) >= lines else []

        return sorted(eventually(look))

    own.change("split", rule="weighted", shares={"custom": 100}, shadow={"variant": "vgg16", "sample": 100})
    own.predict(photo, **{"X-Request-ID": "with-shadow"})
    assert notes("with-shadow", 2) == [("custom", ""), ("vgg16", "shadow")]
    for variant, marked in (("custom", ""), ("vgg16", r" \(shadow\)")):
        pattern = rf"request_id=with-shadow class=.* 200{marked}\n"
        eventually(lambda name=f"app_{variant}", pattern=pattern: re.search(pattern, own.log(name)))  # type: ignore[misc]

    own.predict(photo, **{"X-Request-ID": "asked-for", "X-Variant": "vgg16"})
    assert ("vgg16", "forced") in notes("asked-for")

    own.kill("app_custom")
    own.predict(photo, **{"X-Request-ID": "away"})
    eventually(lambda: ("vgg16", "failover from custom") in notes("away"))


def test_programs_get_the_ledgers_lines(tmp_path: Path, photo: bytes) -> None:
    with System(tmp_path, LOG="json") as running:
        running.predict(photo, **{"X-Request-ID": "for-programs"})
        (line,) = running.ledger_of("for-programs")
        # Whoever reads logs is not to give labels in others' names.
        del line["ticket"]
        eventually(lambda: line in [json.loads(said) for said in running.log("gateway").splitlines() if said[0] == "{"])


def test_the_lines_in_the_documentation_are_such_lines() -> None:
    texts = [(ROOT / page).read_text() for page in ("README.md", "docs/operations.md")]
    lines = [found[1] for text in texts for found in re.finditer(r"(?m)^(?:nginx_1 +\| )?(\d\d:\d\d:\d\d .*)$", text)]
    assert len(lines) > 2
    for said in lines:
        assert re.fullmatch(r"\S{8} [\w ]{10} [\w .()]{18} [\d ]{5} ms  [0-9a-f]{8}…(  \(.*\))?", said), said
