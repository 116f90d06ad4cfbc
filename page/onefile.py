"""The page as one file, with style, script and data inside. Pure, except that it reads the page's own files."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from page.facts import Data

FILES: Final = Path(__file__).parent / "files"
_STYLE: Final = '<link rel="stylesheet" href="page.css">'
_SCRIPT: Final = '<script src="page.js" defer></script>'


def file(name: str) -> str:
    """A file of the page's own."""
    return (FILES / name).read_text(encoding="utf-8")


def as_json(found: Mapping[str, Data]) -> str:
    """The data as JSON inside a page: no text in it can end the element around it."""
    text = json.dumps(found, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def one_file(found: Mapping[str, Data]) -> str:
    """Return the whole page as one text. Its policy allows to run and load only what is in it."""
    style, script = file("page.css"), file("page.js")
    policy = f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; img-src data:; base-uri 'none'"
    head = f'<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" content="{policy}">'
    data = f'<script type="application/json" id="data">{as_json(found)}</script>'
    page = file("index.html").replace('<meta charset="utf-8">', head, 1)
    page = page.replace(_STYLE, f"<style>{style}</style>", 1)
    return page.replace(_SCRIPT, f"{data}\n<script>{script}</script>", 1)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
