"""Follows every link and sends every form of the console as somebody, without a browser."""

from collections import deque
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

from msgspec import Struct

MOST = 600
"""Pages at most; a crawl that finds more goes in circles."""
LEAVES = ("/console/sign-out", "/console/language", "/console/prove", "/console/own/end")
"""Forms that end or change the crawler's own session."""
VARIANTS = 2
"""So many pages of each kind."""


class Field(Struct):
    """A field as it stands in a form."""

    name: str
    kind: str
    value: str = ""
    options: list[str] = []


class Form(Struct):
    action: str
    method: str
    fields: list[Field]
    multipart: bool = False
    found_on: str = ""

    def values(self) -> list[tuple[str, str]]:
        """What a browser would send if somebody pressed the first button and changed nothing."""
        sent = []
        for field in self.fields:
            if not field.name or field.kind in ("file", "off"):
                continue
            value = field.value or (field.options[0] if field.options else "")
            sent.append((field.name, value))
        pressed, first = [], True
        for field, pair in zip([f for f in self.fields if f.name and f.kind not in ("file", "off")],
                               sent, strict=True):  # fmt: skip
            if field.kind == "submit":
                if not first:
                    continue
                first = False
            pressed.append(pair)
        return pressed

    def texts(self) -> list[str]:
        """Names of the fields into which something can be typed."""
        typed = ("text", "search", "textarea", "email", "url", "tel", "password")
        return [field.name for field in self.fields if field.kind in typed and field.name]


class Reader(HTMLParser):
    """Links and forms of a page."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self.links: list[str] = []
        self.forms: list[Form] = []
        self._area: Field | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        if tag == "a" and given.get("href") and "download" not in given:
            self.links.append(urljoin(self.path, given["href"]))
        elif tag == "form":
            action = urljoin(self.path, given.get("action", "") or self.path)
            method = given.get("method", "get").lower()
            multipart = given.get("enctype") == "multipart/form-data"
            self.forms.append(Form(action, method, [], multipart, self.path))
        elif tag in ("input", "button", "textarea", "select") and self.forms:
            self._field(tag, given)
        elif tag == "option" and self.forms and self.forms[-1].fields:
            field = self.forms[-1].fields[-1]
            field.options.append(given.get("value", ""))
            if "selected" in given:
                field.value = given.get("value", "")

    def _field(self, tag: str, given: dict[str, str]) -> None:
        usual = {"input": "text", "button": "submit"}
        kind = given.get("type", usual.get(tag, tag)).lower()
        if kind in ("checkbox", "radio") and "checked" not in given and "required" not in given:
            kind = "off"
        value = given.get("value", "on" if kind in ("checkbox", "radio") else "")
        field = Field(given.get("name", ""), kind, value)
        self.forms[-1].fields.append(field)
        self._area = field if tag == "textarea" else None

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self._area.value += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            self._area = None


def kind_of(path: str) -> str:
    """A path with a star for what names one of many: a number, somebody's id, an entry."""
    parts = path.strip("/").split("/")
    named = [part if part.isalpha() and part.islower() else "*" for part in parts]
    if named[1:2] == ["content"] and len(named) > 3:
        named[3] = "*"
    return "/".join(named)


class Crawl:
    """All that somebody who is signed in meets: answers by path, and the forms that are there."""

    def __init__(
        self, get: Callable[[str], Any], start: str = "/console/", each: int = VARIANTS
    ) -> None:
        self._get, self._each = get, each
        self.answers: dict[str, Any] = {}
        self.forms: dict[tuple[str, tuple[str, ...]], Form] = {}
        self._kinds: dict[str, int] = {}
        waiting = deque([start])
        while waiting:
            path = waiting.popleft()
            if path in self.answers or not self._wanted(path):
                continue
            assert len(self.answers) < MOST, "too many pages"
            answer = self._get(path)
            self.answers[path] = answer
            if answer.status_code in (302, 303, 307):
                waiting.append(urljoin(path, answer.headers["location"]))
            if answer.headers.get("content-type", "").startswith("text/html"):
                waiting.extend(self._read(path, answer.text))

    def _wanted(self, path: str) -> bool:
        parts = urlsplit(path)
        if parts.netloc or not parts.path.startswith("/console") or parts.path in LEAVES:
            return False
        names = ",".join(sorted(key for key, _ in parse_qsl(parts.query)))
        kind = f"{kind_of(parts.path)}?{names}"
        self._kinds[kind] = self._kinds.get(kind, 0) + 1
        return self._kinds[kind] <= self._each

    def _read(self, path: str, html: str) -> list[str]:
        reader = Reader(path)
        reader.feed(html)
        for form in reader.forms:
            names = tuple(field.name for field in form.fields)
            self.forms.setdefault((urlsplit(form.action).path, names), form)
        return [link.partition("#")[0] for link in reader.links]

    def posts(self) -> list[Form]:
        """Forms that change or fetch something, but for those that end the crawl."""
        return [
            form
            for form in self.forms.values()
            if form.method == "post" and urlsplit(form.action).path not in LEAVES
        ]
