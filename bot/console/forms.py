"""What a form of the console holds, and what keeps other sites from sending one."""

from collections.abc import AsyncGenerator
from urllib.parse import parse_qsl

from msgspec import Struct
from python_multipart.exceptions import FormParserError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from bot import web
from bot.errors import BadRequest

LARGEST = 256 * 1024
"""Bytes of a form without files."""
DIGITS = 18
"""Of a row's number, at most: what is longer names nothing that a database could hold."""
FIELDS = 1000


class Upload(Struct, frozen=True):
    """A file that came with a form. Its name is the sender's: to be shown, never to be opened."""

    name: str
    data: bytes


class Form(Struct, frozen=True):
    """Fields in their order, as text without NUL, and files by their fields."""

    pairs: list[tuple[str, str]] = []
    files: dict[str, Upload] = {}

    def one(self, name: str) -> str:
        """A field; of several the last."""
        return next((value for key, value in reversed(self.pairs) if key == name), "")

    def many(self, name: str) -> list[str]:
        """Every value of a field, such as of ticked boxes."""
        return [value for key, value in self.pairs if key == name]


def number(text: str) -> int | None:
    """A row's number as an address or a hidden field has it; None for all that is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= DIGITS else None


def refuse_other_sites(request: Request) -> None:
    """No other site writes in an officer's name; the cookie is SameSite and forms have a token,
    besides."""
    site = request.headers.get("sec-fetch-site")
    # our own Referrer-Policy makes browsers say "null" for our own forms
    origin = request.headers.get("origin", "null")
    ours = origin in ("null", f"{request.url.scheme}://{request.url.netloc}")
    if site not in ("same-origin", "none") if site else not ours:
        raise BadRequest(403, "cross_site")


async def read_form(request: Request, most: int = 0) -> Form:
    """The form that was sent. `most` is how many bytes its files may have; 0: it has none."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if most and kind == "multipart/form-data":
        return await _read_parts(request, await web.read(request, most + LARGEST))
    if kind != "application/x-www-form-urlencoded":
        raise BadRequest(415, "bad_form")
    body = await web.read(request, LARGEST)
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FIELDS)
    except (UnicodeDecodeError, ValueError):
        raise BadRequest(400, "bad_form") from None
    return Form([(name, _clean(value)) for name, value in pairs])


async def _read_parts(request: Request, body: bytes) -> Form:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(
        request.headers, stream(), max_files=4, max_fields=FIELDS, max_part_size=LARGEST
    )
    try:
        data: FormData = await parser.parse()
    except (MultiPartException, FormParserError, UnicodeDecodeError, KeyError):
        raise BadRequest(400, "bad_form") from None
    files = {
        name: Upload(_clean(value.filename or ""), await value.read())
        for name, value in data.multi_items()
        if isinstance(value, UploadFile) and value.filename
    }
    await data.close()
    texts = [(name, value) for name, value in data.multi_items() if isinstance(value, str)]
    return Form([(name, _clean(value)) for name, value in texts], files)


def _clean(value: str) -> str:
    return value.replace("\x00", "")
