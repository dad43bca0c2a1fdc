"""What an operator may set, from environment variables of the same names in upper case."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from variants import PATH

__all__ = ["FROM", "SECRETS", "Settings", "wrong"]

_ROOT = Path(__file__).parents[1]
SECRETS = Path("/run/secrets")
"""Where Docker Swarm and Compose put secrets, as files by their names."""

FROM = SettingsConfigDict(env_ignore_empty=True, secrets_dir=SECRETS if SECRETS.is_dir() else None)
"""What settings are read from: the environment, then files by the settings' names, such as ``database_url``."""

_Positive = Annotated[int, Field(gt=0)]


class Settings(BaseSettings):
    """The service's settings; raises ``pydantic.ValidationError`` on a value that is none.

    Raw rows and photos go after ``keep_days``, or, the oldest first, where the database holds more than
    ``database_mb``; what was counted from them stays. ``state_dir`` is where an earlier version kept its splits, which
    are taken over once. ``abtest_url`` is where the system answers, ``public_url`` where people find it,
    ``abtest_command`` how the command is typed there, and ``abtest_token`` the operator's first token, instead of one
    made at the first start. ``plan`` and ``variants`` are followed as people edit them. With ``access`` ``token`` the
    label page takes a labeller's token, and the report an operator's; so it is, unless it is said otherwise, where
    ``address``, on which nginx listens, is not for this machine only. ``keep_images`` is the folder where the variants
    leave photos to be labelled; ``yes`` means ``images_dir``. ``ledger_dir`` is None, typed ``none``, where followers
    beside the gateways read it.
    """

    model_config = FROM

    host: str = "127.0.0.1"
    experiment_port: Annotated[int, Field(ge=0, le=65535)] = 8010
    abtest_url: str = "http://localhost:8080"
    ledger_dir: Path | None = _ROOT / ".run" / "ledger"
    state_dir: Path = _ROOT / ".run" / "state"
    data_dir: Path = _ROOT / ".run" / "data"
    database_url: str = ""
    plan: Path = _ROOT / "experiment.toml"
    variants: Path = PATH
    keep_days: _Positive = 90
    database_mb: _Positive = 2048
    keep_images: Path | None = None
    images_dir: Path = _ROOT / ".run" / "images"
    abtest_command: str = "abtest"
    abtest_token: str = ""
    address: str = "127.0.0.1"
    access: Literal["open", "token"] | None = None
    public_url: Annotated[str, Field(pattern=r"^(https?://[A-Za-z0-9.:-]+)?$")] = ""

    @model_validator(mode="after")
    def _who_may_do_what(self) -> Self:
        if self.access is None:
            self.access = "open" if self.address.startswith("127.") or self.address == "localhost" else "token"
        return self

    @model_validator(mode="after")
    def _who_reads_the_ledger(self) -> Self:
        if str(self.ledger_dir) == "none":
            self.ledger_dir = None
        return self

    @model_validator(mode="after")
    def _where_images_are(self) -> Self:
        if str(self.keep_images) == "yes":
            self.keep_images = self.images_dir
        return self


def wrong(error: ValidationError) -> str:
    """Each setting that cannot be, in a line."""
    return "\n".join(
        f"{name} is not set." if e["type"] == "missing" else f"{name}={e['input']}: {e['msg']}"
        for e in error.errors()
        for name in [str(e["loc"][0]).upper()]
    )
