"""The settings, read once from the environment or `.env`; the only place that looks there."""

import os
import re
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from storage.database import ConfigError

PREFIXES = ("KAONA_", "LINE_", "TELEGRAM_")
"""How our settings begin. In the environment others may have names of the last two kinds."""


class Settings(BaseSettings):
    """Every setting there is; `.env.example` explains them one by one."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True)

    database_url: str = Field("sqlite:///var/kaona.db", validation_alias="KAONA_DATABASE_URL")
    public_url: str = Field("", validation_alias="KAONA_PUBLIC_URL")
    host: str = Field("127.0.0.1", validation_alias="KAONA_HOST")
    port: int = Field(8000, ge=1, le=65535, validation_alias="KAONA_PORT")
    secret_key: str = Field("", validation_alias="KAONA_SECRET_KEY")
    timezone: str = Field("Asia/Bangkok", validation_alias="KAONA_TIMEZONE")
    dpo_contact: str = Field("", validation_alias="KAONA_DPO_CONTACT")
    line_secret: str = Field("", validation_alias="LINE_CHANNEL_SECRET")
    line_token: str = Field("", validation_alias="LINE_CHANNEL_ACCESS_TOKEN")
    line_base: str = Field("https://api.line.me", validation_alias="LINE_API_BASE")
    line_safety: float = Field(0.1, ge=0, le=0.9, validation_alias="LINE_QUOTA_SAFETY")
    telegram_token: str = Field("", validation_alias="TELEGRAM_BOT_TOKEN")
    telegram_secret: str = Field("", validation_alias="TELEGRAM_WEBHOOK_SECRET")
    telegram_base: str = Field("https://api.telegram.org", validation_alias="TELEGRAM_API_BASE")
    telegram_mode: Literal["polling", "webhook"] = Field(
        "polling", validation_alias="TELEGRAM_MODE"
    )

    telegram_rate: float = Field(30.0, ge=1, le=100_000, validation_alias="TELEGRAM_RATE")

    oidc_issuer: str = Field("", validation_alias="KAONA_OIDC_ISSUER")
    oidc_client_id: str = Field("", validation_alias="KAONA_OIDC_CLIENT_ID")
    oidc_client_secret: str = Field("", validation_alias="KAONA_OIDC_CLIENT_SECRET")

    hook_hosts: str = Field("", validation_alias="KAONA_HOOK_HOSTS")
    badge_key: str = Field("", validation_alias="KAONA_BADGE_KEY")

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"no time zone is called {name!r}, try Asia/Bangkok") from error
        return name

    @field_validator("oidc_issuer")
    @classmethod
    def _issuer(cls, url: str) -> str:
        """As the provider writes it, to the letter: it may end with a slash."""
        if url and not url.startswith(("https://", "http://")):
            raise ValueError("must begin with https://")
        return url

    @field_validator("public_url", "line_base", "telegram_base")
    @classmethod
    def _web_address(cls, url: str) -> str:
        if url and not url.startswith(("https://", "http://")):
            raise ValueError("must begin with https://")
        return url.rstrip("/")

    @field_validator("database_url")
    @classmethod
    def _known_engine(cls, url: str) -> str:
        if not url.startswith(("sqlite:///", "postgresql+psycopg://")):
            raise ValueError("must begin with sqlite:/// or postgresql+psycopg://")
        return url

    @model_validator(mode="after")
    def _whole_channels(self) -> "Settings":
        """A channel is on with all that it needs, or off."""
        if bool(self.line_secret) != bool(self.line_token):
            missing = "LINE_CHANNEL_ACCESS_TOKEN" if self.line_secret else "LINE_CHANNEL_SECRET"
            raise ValueError(f"{missing}: LINE needs both its secret and its access token")
        if self.telegram_token and self.telegram_mode == "webhook":
            if len(self.telegram_secret) < 32:
                raise ValueError("TELEGRAM_WEBHOOK_SECRET: webhook mode needs 32 letters or more")
            if not self.public_url.startswith("https://"):
                raise ValueError("KAONA_PUBLIC_URL: Telegram's webhook mode needs an https:// URL")
        return self

    @model_validator(mode="after")
    def _whole_sign_on(self) -> "Settings":
        """The agency's own sign-on is on with all that it needs, or off."""
        parts = (self.oidc_issuer, self.oidc_client_id, self.oidc_client_secret)
        if any(parts) and not all(parts):
            raise ValueError("KAONA_OIDC_ISSUER: needs _CLIENT_ID and _CLIENT_SECRET, too")
        host = urlsplit(self.oidc_issuer).hostname
        if self.oidc_issuer.startswith("http://") and host not in ("localhost", "127.0.0.1"):
            raise ValueError("KAONA_OIDC_ISSUER: must begin with https://")
        return self

    @property
    def friends(self) -> frozenset[str]:
        """Hosts to which facts may be pushed although they are not public."""
        return frozenset(filter(None, re.split(r"[\s,]+", self.hook_hosts.lower())))

    def require_service(self) -> "Settings":
        """What a service with real people cannot do without."""
        if len(self.secret_key) < 32:
            raise ConfigError("KAONA_SECRET_KEY: set it to 32 random letters or more")
        if not self.dpo_contact:
            raise ConfigError("KAONA_DPO_CONTACT: name who answers questions on personal data")
        return self


def load_settings() -> Settings:
    """Read the settings; refuse values that cannot work and names that nobody reads."""
    _refuse_unknown()
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) + ": " if first["loc"] else ""
        raise ConfigError(name + first["msg"].removeprefix("Value error, ")) from error


def var_folder(settings: Settings) -> Path:
    """Where files live: beside the SQLite file, or `var/`."""
    if settings.database_url.startswith("sqlite:///"):
        return Path(settings.database_url.removeprefix("sqlite:///")).parent
    return Path("var")


def origin(settings: Settings, name: str) -> str:
    """Where a setting's value comes from: environment, file, or default."""
    alias = str(Settings.model_fields[name].validation_alias)
    if name not in settings.model_fields_set:
        return "default"
    return "environment" if alias in os.environ else "file"


def names() -> list[str]:
    return [str(field.validation_alias) for field in Settings.model_fields.values()]


def _refuse_unknown() -> None:
    """A misspelt setting would be silently without effect."""
    given = {name for name in os.environ if name.startswith("KAONA_")}
    if Path(".env").exists():
        lines = Path(".env").read_text(encoding="utf-8").splitlines()
        written = {line.partition("=")[0].strip().removeprefix("export ") for line in lines}
        given |= {name for name in written if name.startswith(PREFIXES)}
    known = set(names())
    for name in sorted(given):
        if name not in known:
            raise ConfigError(f"{name}: there is no such setting, see .env.example")
