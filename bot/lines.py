"""Files of JSON lines beside the database: appended to, readable by this user only."""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any


def append(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write lines and fsync. A line that a crash cut off is closed first: it is never read."""
    text = "".join(json.dumps(row, sort_keys=True) + "\n" for row in rows)
    if not text:
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(handle, "r+b", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        if size:
            file.seek(size - 1)
            text = text if file.read(1) == b"\n" else "\n" + text
        file.write(text.encode())
        os.fsync(file.fileno())


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The lines that are whole."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if isinstance(row, dict):
                yield row


def rewrite(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """The file with these lines only; it is the old one or the new one, whatever happens."""
    partial = path.with_suffix(".part")
    partial.unlink(missing_ok=True)
    append(partial, rows)
    if partial.exists():
        partial.replace(path)
    else:
        path.unlink(missing_ok=True)
