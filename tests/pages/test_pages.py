"""The pages for people: what they say, what they may load, who can read them, and how a real browser shows them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urldefrag

import pytest
import pytest_asyncio

from gateway.pages.render import FOLDER
from schemas.errors import StoreUnavailable
from tests.gateway.http_rig import Rig, rigged
from tests.gateway.served import served
from tests.pages.browser import CURE, Tab, browser, installed

PAGES = ("/", "/pages/reference", "/pages/catalogue")
BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
TEXT_CONTRAST = 4.5
"""Least ratio of text to its background. Source: WCAG 2.2, 1.4.3 (AA)."""


@pytest_asyncio.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rigged(tmp_path) as made:
        yield made


class Outline(HTMLParser):
    """What of a page matters to somebody who cannot see it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.attributes: dict[str, dict[str, str | None]] = {}
        self.inline: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        self.tags.append(tag)
        self.attributes.setdefault(tag, said)
        self.inline |= {name for name in said if name == "style" or name.startswith("on")}
        self.ids += [said["id"] or ""] if "id" in said else []
        if tag == "a":
            self.links.append(said["href"] or "")
        elif "href" in said or "src" in said:
            self.loads.append(said.get("href") or said.get("src") or "")

    @property
    def headings(self) -> list[int]:
        return [int(tag[1]) for tag in self.tags if re.fullmatch("h[1-6]", tag)]


async def outline(rig: Rig, path: str) -> Outline:
    answer = await rig.client.get(path, headers=BROWSER)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8"), answer.text
    return Outline(answer.text)


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.asyncio
async def test_a_page_can_be_read_without_seeing_it(rig: Rig, path: str) -> None:
    page = await outline(rig, path)
    assert page.attributes["html"]["lang"] == "en-GB"
    assert [page.tags.count(tag) for tag in ("title", "header", "main", "footer", "h1")] == [1] * 5
    assert page.headings[0] == 1
    assert all(after <= before + 1 for before, after in zip(page.headings, page.headings[1:], strict=False))
    assert len(page.ids) == len(set(page.ids))
    assert page.tags.count("table") == page.tags.count("caption")


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.asyncio
async def test_a_page_has_no_script_and_loads_nothing_but_its_stylesheet(rig: Rig, path: str) -> None:
    page = await outline(rig, path)
    assert not {"script", "iframe", "object", "embed", "form", "style", "base"} & set(page.tags)
    assert not page.inline
    assert page.loads == ["data:,", "/pages/style.css"]
    policy = (await rig.client.get(path)).headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; img-src 'self' data:;")
    assert "script" not in policy


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.asyncio
async def test_every_link_of_a_page_leads_to_something_here(rig: Rig, path: str) -> None:
    page = await outline(rig, path)
    for link in dict.fromkeys(page.links):
        target, fragment = urldefrag(link)
        assert target == "" or target.startswith("/")
        found = await outline(rig, target) if fragment and target else page
        assert not fragment or fragment in found.ids, link
        assert not target or (await rig.client.get(target, headers=BROWSER)).status_code == 200, link


@pytest.mark.asyncio
async def test_the_front_page_says_how_it_is_now_and_that_nobody_is_kept_out(rig: Rig, tmp_path: Path) -> None:
    await rig.freshness.measure()
    well = (await rig.client.get("/", headers=BROWSER)).text
    assert "No access control." in well
    assert '<span class="good">ready</span>, version ' in well
    await rig.lose_the_store(tmp_path)
    ill = (await rig.client.get("/", headers=BROWSER)).text
    assert '<span class="bad">not ready</span>' in ill
    assert '<span class="bad">does not answer</span>' in ill


@pytest.mark.asyncio
async def test_a_cure_is_shown_as_text_whatever_it_holds(tmp_path: Path) -> None:
    async def store() -> None:
        raise StoreUnavailable(cure="Run `backbone doctor` <b>& wait</b>.")

    async with rigged(tmp_path, store=store) as rig:
        shown = (await rig.client.get("/", headers=BROWSER)).text
        assert "Run <code>backbone doctor</code> &lt;b&gt;&amp; wait&lt;/b&gt;." in shown


@pytest.mark.parametrize(
    ("accept", "status", "kind"),
    [
        ("*/*", 200, "text/html; charset=utf-8"),
        ("text/html", 200, "text/html; charset=utf-8"),
        ("application/json, text/html;q=0.5", 200, "text/html; charset=utf-8"),
        ("application/json", 200, "application/json"),
        ("image/png", 406, "application/problem+json"),
    ],
)
@pytest.mark.asyncio
async def test_who_asks_for_json_is_told_where_the_interface_is_described(
    rig: Rig, accept: str, status: int, kind: str
) -> None:
    answer = await rig.client.get("/", headers={"accept": accept})
    assert (answer.status_code, answer.headers["content-type"]) == (status, kind)
    if kind == "application/json":
        assert [(await rig.client.get(path)).status_code for path in answer.json().values() if path[0] == "/"] == [200] * 5


@pytest.mark.parametrize("path", [*PAGES, "/pages/style.css"])
@pytest.mark.asyncio
async def test_a_page_is_answered_by_head_and_options_too_and_takes_no_parameters(rig: Rig, path: str) -> None:
    got, head = await rig.client.get(path), await rig.client.head(path)
    assert (head.status_code, head.content, head.headers["content-type"]) == (200, b"", got.headers["content-type"])
    assert (await rig.client.options(path)).headers["allow"] == "GET, HEAD, OPTIONS"
    assert (await rig.client.get(f"{path}?a=b")).status_code == 400
    assert (await rig.client.post(path)).status_code == 405
    assert ("max-age" in got.headers["cache-control"]) is (path != "/")


@pytest.mark.asyncio
async def test_the_reference_shows_every_path_every_parameter_and_every_shape(rig: Rig) -> None:
    shown = (await rig.client.get("/pages/reference")).text
    document = (await rig.client.get("/openapi.json")).json()
    for path, methods in document["paths"].items():
        assert f"<code>{path}</code></h3>" in shown
        for operation in methods.values():
            assert all(f"<code>{one['name']}</code>" in shown for one in operation.get("parameters", ()))
    assert all(f'id="shape-{name}"' in shown for name in document["components"]["schemas"])


STYLE = (FOLDER / "style.css").read_text()
PAIRS = [("ink", "paper"), ("quiet", "paper"), ("link", "paper"), ("good", "paper"), ("bad", "paper"), ("warn", "warned")]


def schemes() -> Iterator[dict[str, str]]:
    """The colours of each scheme, by name."""
    for block in re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)[:2]:
        yield dict(re.findall(r"--([a-z]+): #([0-9a-f]{6});", block))


def luminance(colour: str) -> float:
    """Source: WCAG 2.2, relative luminance."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("pair", PAIRS)
def test_text_stands_out_from_its_background_by_day_and_by_night(pair: tuple[str, str]) -> None:
    for colours in schemes():
        light, dark = sorted((luminance(colours[name]) for name in pair), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= TEXT_CONTRAST


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    path = installed()
    if path is None:
        pytest.skip(CURE)
    with browser(path) as made:
        yield made


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("width", [1280, 390, 320])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.asyncio
async def test_a_browser_shows_a_page_whole_and_has_nothing_to_complain_of(
    rig: Rig, tab: Tab, path: str, width: int, scheme: str
) -> None:
    with served(rig.app) as url:
        tab.complaints.clear()
        tab.asked.clear()
        tab.show(url + path, width, scheme)
        assert tab.value("document.documentElement.scrollWidth") <= width, "it scrolls sideways"
        assert tab.value("getComputedStyle(document.body).backgroundColor") == _painted(scheme), (
            "its stylesheet is not in force"
        )
        assert tab.complaints == []
        assert [one for one in tab.asked if not one.startswith((url, "data:"))] == []


def _painted(scheme: str) -> str:
    colour = dict(zip(("light", "dark"), schemes(), strict=True))[scheme]["paper"]
    return f"rgb({', '.join(str(int(colour[place : place + 2], 16)) for place in (0, 2, 4))})"


@pytest.mark.asyncio
async def test_the_keyboard_reaches_the_content_at_once(rig: Rig, tab: Tab) -> None:
    with served(rig.app) as url:
        tab.show(f"{url}/")
        for kind in ("rawKeyDown", "keyUp"):
            tab.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        assert tab.value("document.activeElement.getAttribute('href')") == "#content"
        assert tab.value("document.activeElement.getBoundingClientRect().left") >= 0
