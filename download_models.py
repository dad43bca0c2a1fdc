"""Fetches the published weights of both variants and checks them: ``python download_models.py``.

A download that breaks goes on where it stopped, in the same run or the next. A file takes its final name only when it
is whole and fits its variant's model; until then it lies beside that name, as ``.part``. Its SHA-256 is written beside
it at the first fetch (``.sha256``, as ``sha256sum --check`` reads it), and another file is refused ever after, unless
``--expect`` says which. A variant serves it from its next start on.
"""

import argparse
import hashlib
import re
import sys
import time
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from serving.models.networks.weights import WeightsError, check, read

try:
    import requests
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
except ImportError as missing:
    sys.exit(f"download_models.py needs {missing.name}. Install what it uses: pip install requests rich torch")

if TYPE_CHECKING:
    from torch import Tensor

BASE_URL = "https://s3.eu-central-1.wasabisys.com/certifai/deployment-training-labs/models"
PUBLISHED = {"app_custom": "fruit_classifier_state_dict.pt", "app_vgg16": "transfer_learning_model.pt"}
ROOT = Path(__file__).parent

TIMEOUT_S = (10.0, 30.0)  # to connect, and between two pieces of an answer
PAUSES_S = (1.0, 2.0, 4.0)  # before the second, third and fourth try
CHUNK_BYTES = 1 << 16  # what a break can cost


class OtherFileError(WeightsError):
    """A file whose SHA-256 is not the ``expected`` one."""

    def __init__(self, path: Path, expected: str) -> None:
        super().__init__(f"its SHA-256 is {sha256_of(path)}, not {expected}")


def main(argv: Sequence[str] | None = None) -> int:
    """Fetches what is not there yet; the exit status: 0, 1 where a file could not be had, 130 after Ctrl-C."""
    args = _parser().parse_args(argv)
    status = 0
    try:
        for service, name in PUBLISHED.items():
            target = (args.dest or ROOT / service / "app" / "artifacts") / name
            expected = dict(args.expect).get(service) or pinned(target)
            if target.is_file() and not args.force:
                if expected in ("", sha256_of(target)):
                    print(f"{target} is already there (--force fetches it again).")
                else:
                    print(f"{target}: {OtherFileError(target, expected)} (--force fetches it again).", file=sys.stderr)
                    status = 1
                continue
            try:
                found = fetch(f"{args.base_url.rstrip('/')}/{name}", target, service, expected)
            except (WeightsError, ImportError, OSError, ValueError) as error:
                stays = "The file that was there stays" if target.is_file() else "The starter weights go on serving"
                where = f"{name} was not fetched from {args.base_url}"
                print(f"{where}: {_sentence(error)} {stays}.", file=sys.stderr)
                status = 1
            else:
                print(f"{target}: {found}")
    except KeyboardInterrupt:
        print("Interrupted. Run this again to go on where it stopped.", file=sys.stderr)
        return 130
    return status


def fetch(url: str, target: Path, service: str, expected: str = "") -> str:
    """Puts the file at ``url`` to ``target`` if it holds the weights of ``service``; says what it is.

    ``expected`` is its SHA-256 in hexadecimal, where that is known. Where it raises, whatever was at ``target`` is as
    before: ``requests.RequestException`` or ``ValueError`` (a bad address) where the file cannot be had,
    ``WeightsError`` where it is another, ``OSError`` where it cannot be written, ``ImportError`` where PyTorch is
    missing.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part, version = target.with_name(f"{target.name}.part"), target.with_name(f"{target.name}.version.part")
    download(url, part, version)
    try:
        # First, since nothing is read from a file that is not the one.
        if expected and sha256_of(part) != expected:
            raise OtherFileError(part, expected)
        parameters, sha256 = verify(part, service)
    except WeightsError:
        part.unlink()
        version.unlink()
        raise
    part.replace(target)
    version.unlink()
    _pin(target).write_text(f"{sha256}  {target.name}\n")
    return f"whole and checked, {parameters:,} parameters, SHA-256 {sha256}"


def pinned(target: Path) -> str:
    """The SHA-256, in hexadecimal, of what was fetched to ``target`` first; empty where nothing was."""
    pin = _pin(target)
    found = re.match(r"[0-9a-f]{64}\b", pin.read_text("latin-1")) if pin.is_file() else None
    return found[0] if found else ""


def sha256_of(path: Path) -> str:
    """In hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download(url: str, part: Path, version: Path) -> None:
    """Completes ``part`` in a few tries, with a progress bar; ``version`` keeps which version of the file it is of.

    Raises the last try's ``requests.RequestException``; ``ValueError`` for a bad address; ``OSError``.
    """
    columns = (BarColumn(20), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(TextColumn(part.stem), *columns, console=Console(stderr=True)) as bars:
        bars.add_task("", total=None)
        for pause in (*PAUSES_S, None):
            try:
                receive(url, part, version, bars)
            except requests.RequestException as error:
                if pause is None or not _may_pass(error):
                    raise
                message = f"The download stopped: {_root(error)}. Next try in {pause:g} s."
                bars.console.print(message, markup=False, highlight=False, soft_wrap=True)
                time.sleep(pause)
            else:
                return


def receive(url: str, part: Path, version: Path, bars: Progress) -> None:
    """Asks once for what ``part`` still lacks. Raises as ``download`` does."""
    known = version.read_text("latin-1") if version.is_file() else ""
    # The last byte is asked for again: of a file that is whole already, the range after it would be refused.
    start = max(part.stat().st_size - 1, 0) if known and part.is_file() else 0
    headers = {"Accept-Encoding": "identity"}
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": known}
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
        if response.status_code == 416:
            part.unlink(missing_ok=True)
        if response.status_code not in (200, 206):
            answer = f"the server answered {response.status_code} {response.reason}"
            raise requests.HTTPError(answer, response=response)
        begin, total = _extent(response)
        sent = _validator(response)
        # A server may know ranges and not If-Range, or mistake the range.
        if begin not in (0, start) or (begin and sent not in ("", known)):
            part.unlink(missing_ok=True)
            raise requests.ConnectionError("the server sent a piece that does not fit the one before")
        bars.reset(bars.task_ids[0], total=total, completed=begin)
        with part.open("r+b" if begin else "wb") as file:
            if not begin:  # not before what was there is gone: it may be of another version
                version.write_text(sent, "latin-1")
            file.seek(begin)
            for chunk in response.iter_content(CHUNK_BYTES):
                file.write(chunk)
                bars.advance(bars.task_ids[0], len(chunk))
    size = part.stat().st_size
    if total not in (None, size):
        if size > total:
            part.unlink()
        raise requests.ConnectionError(f"{size:,} bytes came of {total:,}")


def verify(path: Path, service: str) -> tuple[int, str]:
    """The number of parameters and the SHA-256, in hexadecimal, of a file with the published weights of ``service``.

    Raises ``WeightsError`` naming the first thing wrong with any other file, ``ImportError`` where PyTorch is missing.
    """
    import torch  # noqa: PLC0415  (takes a second, and there may be nothing to check)

    state = _state(path)
    with torch.device("meta"):
        module = import_module(f"{service}.app.model").build({})
    check(module, state)
    return sum(tensor.numel() for tensor in state.values()), sha256_of(path)


def _pin(target: Path) -> Path:
    return target.with_name(f"{target.name}.sha256")


def _expectation(text: str) -> tuple[str, str]:
    """A service and the SHA-256 of its file, from VARIANT=SHA256."""
    variant, _, sha256 = text.partition("=")
    if f"app_{variant}" not in PUBLISHED or not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        names = " or ".join(service.removeprefix("app_") for service in PUBLISHED)
        raise argparse.ArgumentTypeError(f"{text!r} is not VARIANT=SHA256: {names}, and 64 hexadecimal digits")
    return f"app_{variant}", sha256.lower()


def _state(path: Path) -> "dict[str, Tensor]":
    with path.open("rb") as file:
        head = file.read(16)
    archive = zipfile.is_zipfile(path)
    if not archive and not head.startswith(b"\x80"):  # what PyTorch wrote before it wrote archives
        raise WeightsError(f"it is no PyTorch file, or a part of one (it begins with {head!r})")
    with suppress(Exception):  # a damaged file raises anything
        if not archive:
            return read(path)
        with zipfile.ZipFile(path) as members:
            if members.testzip() is None:  # PyTorch does not look at the checksums
                return read(path)
    raise WeightsError("it is damaged, or holds more than a state dict's tensors")


def _extent(response: requests.Response) -> tuple[int, int | None]:
    """Where the answer's bytes begin in the file, and the length of the whole file where the server tells it."""
    if response.status_code == 206:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
        return (int(found[1]), int(found[2])) if found else (-1, None)
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def _validator(response: requests.Response) -> str:
    """What ``If-Range`` takes: a strong ETag, else the date of the last change, else nothing."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else response.headers.get("Last-Modified", "")


def _may_pass(error: requests.RequestException) -> bool:
    if error.response is not None:
        return error.response.status_code >= 500 or error.response.status_code in (408, 416, 429)
    passing = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
    return isinstance(error, passing) and not isinstance(error, requests.exceptions.SSLError)


def _root(error: BaseException) -> BaseException:
    """The error behind the others: theirs name objects in memory, its own says what happened."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return error


def _sentence(error: Exception) -> str:
    """What went wrong, and what to do about it."""
    match error:
        case OtherFileError():
            what = f"{error}. If it was replaced on purpose, say so with --expect."
        case WeightsError():
            what = f"it is not the published model: {error}. Give another address with --base-url."
        case ImportError():
            what = f"checking it takes PyTorch ({error}). Install it (pip install torch) and run this again."
        case requests.HTTPError():
            what = f"{error}. Try again later, or give another address with --base-url."
        case requests.RequestException() if _may_pass(error):
            what = f"{_root(error)}. Check the network and run this again: it goes on where it stopped."
        case requests.RequestException() | ValueError():
            what = f"{_root(error)}. Check the address (--base-url), and this machine's clock and certificates."
        case _:
            what = f"{error}. Make room or give another folder with --dest, and run this again."
    return what


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Fetches the published weights of both variants and checks them.")
    parser.add_argument("--force", action="store_true", help="fetch also what is already there")
    dest = "folder for both files (default: app_*/app/artifacts, where the variants look)"
    parser.add_argument("--dest", type=Path, metavar="DIR", help=dest)
    base_url = "address of the folder that holds both files (default: %(default)s)"
    parser.add_argument("--base-url", default=BASE_URL, metavar="URL", help=base_url)
    expect = "the SHA-256 that a variant's file has to have, for example vgg16=5e1f…; once for each variant"
    parser.add_argument(
        "--expect", type=_expectation, action="append", default=[], metavar="VARIANT=SHA256", help=expect
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
