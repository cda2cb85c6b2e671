"""How a command of the office is asked: of the running service, or done in this process."""

import asyncio
import os
import tomllib
from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from bot.config import load_settings
from flows.text import common_year
from storage.database import ConfigError

out = Console(highlight=False, soft_wrap=True)
By = Annotated[str, typer.Option(help="Your id at HR; it takes the role hr.")]
Year = Annotated[int, typer.Option(help="The fiscal year (Buddhist era), such as 2570.")]
ERA = 2400
"""Years above it are of the Buddhist era."""


class Unwilling(ConfigError):
    """What was asked cannot be done."""


def ask(do: str, **args: Any) -> Any:
    """Do one thing; what is refused ends the command."""
    from bot.service import call

    answer = asyncio.run(call(load_settings(), "office", {"do": do, "args": args}))
    if isinstance(answer, dict) and "refused" in answer:
        refuse(answer["refused"])
    return answer


def refuse(sentences: Iterable[str]) -> None:
    """One line for everything that must be mended."""
    said = list(sentences)
    if said:
        raise Unwilling("\nkaona: ".join(said))


def read_toml(path: Path) -> dict[str, Any]:
    """A file as plain JSON; years of dates may be of either era."""
    try:
        plain: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Unwilling(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Unwilling(f"{path}: not TOML: {error}") from error
    return {key: _json(value) for key, value in plain.items()}


def _json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _json(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_json(inner) for inner in value]
    if isinstance(value, datetime):
        value = value.date()
    if isinstance(value, date):
        year = common_year(value.year) if value.year > ERA else value.year
        return f"{year:04}-{value:%m-%d}"
    return value


def write_file(path: Path, data: bytes) -> None:
    """Write a file whole, for this user only, or say why not."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, 0o600)
            file.write(data)
    except OSError as error:
        raise Unwilling(f"{path}: {error.strerror}") from error
