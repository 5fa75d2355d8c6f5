"""Renders a page from its template, and says what a browser may do with it: show it and its stylesheet, and nothing else.

What a template is not given stops the page instead of leaving a gap in it, and everything it is given is escaped.

Source: Content Security Policy Level 3.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.responses import HTMLResponse, Response

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).parent
STYLESHEET = "/pages/style.css"
CACHED_S = 300
"""Seconds that what changes with the version alone may be kept."""
CACHED = {"cache-control": f"public, max-age={CACHED_S}"}
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {"content-security-policy": _POLICY}


def content(template: str, **shown: Any) -> str:
    """The HTML that ``template`` makes of what is ``shown``."""
    return _templates().get_template(f"{template}.html").render(shown)


def page(html: str, *, kept: bool = False) -> Response:
    """The page as an answer, which caches may keep if it is ``kept``."""
    return HTMLResponse(html, headers=_HEADERS | CACHED if kept else _HEADERS)


@cache
def stylesheet() -> bytes:
    """The one stylesheet of all pages."""
    return (FOLDER / "style.css").read_bytes()


@cache
def _templates() -> Environment:
    """Jinja is imported at the first page: it would be a twentieth of the time in which a server is ready."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {"version": version("care-backbone"), "stylesheet": STYLESHEET}
    return made
