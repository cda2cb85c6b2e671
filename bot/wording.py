"""The words of the console, of all its pages; commands that do the same say the same."""

import tomllib
from functools import cache
from pathlib import Path

import content
from content.schema import Lang

WORDS = Path(content.__file__).parent / "console"


@cache
def words(lang: Lang) -> dict[str, str]:
    """Every word of the console in one language, of all its pages."""
    found: dict[str, str] = {}
    for path in sorted(WORDS.glob(f"*.{lang}.toml")):
        found |= tomllib.loads(path.read_text("utf-8"))
    return found
