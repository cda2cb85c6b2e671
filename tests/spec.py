"""The platforms' own specifications as judges of what we send. Nobody here wrote them."""

import importlib.util
import json
import warnings
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from flows.text import utf16_len

PLATFORM = Path(__file__).parents[2] / "shared" / "platform"

needs_specs = pytest.mark.skipif(
    not PLATFORM.is_dir(), reason=f"the platforms' specifications are not in {PLATFORM}"
)


def _module(name: str) -> ModuleType:
    found = importlib.util.spec_from_file_location(name, PLATFORM / f"{name}.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # openapi-core's imports are not ours to mend
        found.loader.exec_module(module)
    return module


@cache
def _line(spec: str, host: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _module("line_check").Checker(PLATFORM / spec, host)


@cache
def _telegram() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it leaves its file open
        return _module("telegram_check").Spec(PLATFORM / "telegram_bot_api_10.1.json")


def line_faults(history: list[dict[str, Any]]) -> list[str]:
    """What LINE's OpenAPI holds against the requests with a JSON body."""
    checker = _line("messaging-api.tight.yml", "https://api.line.me")
    asked = [record for record in history if record["body"] is not None]
    return [
        fault
        for record in asked
        for fault in checker.errors(
            record["method"], record["path"], record["body"], record["headers"]
        )
    ]


FREE = {"text", "label", "data", "displayText", "altText", "title", "uri", "to"}
FREE |= {"originalContentUrl", "previewImageUrl", "replyToken"}
"""Strings of which a specification knows only how long they may be, and how they begin."""


def outermost(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of requests that differ in nothing but free texts, those whose texts are the longest and the
    shortest, each for itself: if these keep to the limits, so do those between. Judging a request
    by LINE's OpenAPI takes 15 ms."""
    kept: dict[tuple[str, str], tuple[int, int]] = {}
    for at, record in enumerate(history):
        lengths: dict[str, int] = {}
        shape = json.dumps(_shape(record["body"], "", lengths), sort_keys=True)
        for place, length in lengths.items():
            for far, size in (("long", length), ("short", -length)):
                key = shape, f"{place} {far}"
                if key not in kept or size > kept[key][0]:
                    kept[key] = size, at
        kept.setdefault((shape, ""), (0, at))
    return [history[at] for at in sorted({at for _, at in kept.values()})]


def _shape(value: Any, place: str, lengths: dict[str, int]) -> Any:
    """The same without its free texts, whose lengths are noted by where they stand."""
    if isinstance(value, dict):
        return {key: _shape(each, f"{place}.{key}", lengths) for key, each in value.items()}
    if isinstance(value, list):
        return [_shape(each, f"{place}.{n}", lengths) for n, each in enumerate(value)]
    if isinstance(value, str) and place.rpartition(".")[2] in FREE:
        lengths[place] = utf16_len(value)
        return value.partition(":")[0] if place.endswith(("uri", "Url")) else ""
    return value


def webhook_faults(body: dict[str, Any]) -> list[str]:
    """What LINE's OpenAPI holds against a webhook."""
    checker = _line("webhook.tight.yml", "https://example.com")
    faults: list[str] = checker.errors("post", "/callback", body, None)
    return faults


def telegram_faults(history: list[dict[str, Any]]) -> list[str]:
    """What the Bot API's specification holds against the requests."""
    spec = _telegram()
    asked = [record for record in history if record["method"] != "file"]
    return [
        fault
        for record in asked
        for fault in spec.request(record["method"], record["params"], record["files"])
    ]


def update_faults(update: dict[str, Any]) -> list[str]:
    """What the Bot API's specification holds against an update."""
    faults: list[str] = _telegram().obj("Update", update)
    return faults
