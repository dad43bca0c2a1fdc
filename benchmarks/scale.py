"""How answers grow with replicas and gateways, and what one gateway passes: ``python -m benchmarks.scale``.

What is behind the gateways here only waits, so that two cores can show it: a replica answers so many photos at a time,
each after a moment. The gateways are the project's own, with their ledgers; the photos 22 KB.
"""

import asyncio
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import requests

from benchmarks.measuring.load import Load, Target, load
from benchmarks.measuring.photos import SIZES, make_photos
from local.parts import ROOT, Place, commands, lay_out
from tests.system import eventually, free_port

_AT_ONCE = 4
_WAIT_S = 0.1
_SECONDS = 5
_WARM_UP_S = 0.5
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Predicted-Class: none\r\nX-Probability: 0.9\r\n"
    b"Content-Length: 2\r\n\r\n{}"
)


async def _replica(port: int, wait_s: float) -> None:
    """A server that reads a request whole, and answers it when it has waited; ``_AT_ONCE`` of them at a time."""
    turn = asyncio.Semaphore(_AT_ONCE)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"(?i)\ncontent-length: *([0-9]+)", head)
                await reader.readexactly(int(length[1]) if length else 0)
                if wait_s:
                    async with turn:
                        await asyncio.sleep(wait_s)
                writer.write(_ANSWER)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, limit=2**20)
    await server.serve_forever()


def _run_replica(port: int, wait_s: float) -> None:
    asyncio.run(_replica(port, wait_s))


@contextmanager
def replicas(count: int, wait_s: float) -> Iterator[list[int]]:
    """So many processes; their ports."""
    ports = [free_port() for _ in range(count)]
    processes = [multiprocessing.Process(target=_run_replica, args=(port, wait_s), daemon=True) for port in ports]
    for process in processes:
        process.start()
    try:
        yield ports
    finally:
        for process in processes:
            process.kill()
            process.join()


@contextmanager
def gateway(folder: Path, ports: Sequence[int]) -> Iterator[tuple[str, int]]:
    """A gateway whose every variant has the replicas on these ports; its address, and the process of its nginx."""
    with tempfile.TemporaryDirectory(prefix="ab-scale-") as run:
        place = Place(f"127.0.0.1:{free_port()}", run, folder, experiment_port=free_port(), workers="2")
        lay_out(place)
        routes = Path(run, "conf", "routes.in")
        servers = r"\n".join(rf"    server 127.0.0.1:{port}\1;" for port in ports)
        routes.write_text(re.sub(r"    server @host:[^@]+@:[0-9]+@resolve@(.*);", servers, routes.read_text()))
        arguments, extra = commands(place)["nginx"]
        environment = {"PATH": "/usr/bin:/bin", "FIRST_WAIT_S": "0", **extra}
        process = subprocess.Popen(arguments, env=environment, stderr=subprocess.DEVNULL)
        try:
            eventually(lambda: requests.get(f"{place.url}/healthz", timeout=5).ok)
            yield place.url, process.pid
        finally:
            process.terminate()
            process.wait(30)


def through(urls: Sequence[str], photo: bytes, connections: int) -> float:
    """Answers a second, over all gateways together."""
    found: list[Load] = []

    def one(url: str) -> None:
        found.append(load(Target(f"{url}/predict"), photo, connections // len(urls), _SECONDS, _WARM_UP_S))

    threads = [threading.Thread(target=one, args=(url,)) for url in urls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    failed = sum((each.errors for each in found), start=type(found[0].errors)())
    if failed:
        sys.exit(f"Some requests failed: {dict(failed)}")
    return sum(each.per_second for each in found)


def processor_s(nginx: int) -> float:
    """Seconds of processor time that nginx and its workers took so far."""
    workers = Path(f"/proc/{nginx}/task/{nginx}/children").read_text().split()
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in (nginx, *workers)]
    return sum(int(found[11]) + int(found[12]) for found in fields) / os.sysconf("SC_CLK_TCK")


def measure(count: int, gateways: int, photo: bytes) -> float:
    """Answers a second of so many replicas through so many gateways."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        ports = stack.enter_context(replicas(count, _WAIT_S))
        started = [stack.enter_context(gateway(Path(folder, str(number)), ports)) for number in range(gateways)]
        return through([url for url, _ in started], photo, 2 * _AT_ONCE * count)


def most(photo: bytes) -> tuple[float, float]:
    """Answers a second through one gateway whose replicas do not wait, and its processor time for each, in seconds."""
    with tempfile.TemporaryDirectory() as folder, replicas(2, 0) as ports, gateway(Path(folder), ports) as (url, nginx):
        before = processor_s(nginx)
        rate = through([url], photo, 16)
        took = processor_s(nginx) - before
        return rate, took / rate / (_SECONDS + _WARM_UP_S)


def main() -> None:
    """Prints what was measured."""
    photo = make_photos(ROOT / "sample_data", SIZES[:1])[SIZES[0].name]
    least = 1.0
    for gateways in (1, 2):
        alone = measure(1, gateways, photo)
        for count in (1, 2, 4):
            rate = measure(count, gateways, photo) if count > 1 else alone
            least = min(least, rate / alone / count)
            print(f"{gateways} gateways, {count} replicas: {rate:.0f} a second, {rate / alone / count:.2f} of linear")
    print(f"the least is {least:.2f} of linear")
    rate, took = most(photo)
    print(
        f"one gateway, 22 KB, replicas that wait for nothing: {rate:.0f} a second; {took * 1e3:.2f} ms of a core each"
    )


if __name__ == "__main__":
    main()
