"""Where the parts of one running system are: in containers, or all on this machine."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from variants import Variant

__all__ = ["CONTAINERS", "Site"]


@dataclass(frozen=True)
class Site:
    """Addresses and folders as nginx sees them.

    ``conf`` holds the rendered configuration, ``run`` sockets and temporary files, ``state`` the split, ``ledger`` the
    ledger, which is also written to ``ledger_stream``. Services are found by ``resolver``; without one, on 127.0.0.1.
    ``url`` is where nginx itself is found from beside it. With ``own_ports`` nginx listens on each variant's port, too,
    and passes on what comes there, so that one port of the host serves any number of replicas.
    """

    listen: str
    conf: str
    run: str
    state: str
    ledger: str
    ledger_stream: str = "/dev/stdout"
    resolver: str = ""
    url: str = "http://nginx"
    experiment_port: int = 8010
    own_ports: bool = False

    def address(self, service: str, port: int) -> str:
        """How an nginx ``server`` line names a service."""
        return f"{service}:{port} resolve" if self.resolver else f"127.0.0.1:{port}"

    def socket(self, variant: Variant) -> str:
        """Where the server of one variant listens."""
        return f"unix:{self.run}/{variant.name}.sock"

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def state_folder(self) -> Path:
        return Path(self.state)


# Docker's own name server, in every network that a Compose file makes.
CONTAINERS = Site("80", "/etc/nginx", "/run/nginx", "/state", "/ledger", resolver="127.0.0.11", own_ports=True)
