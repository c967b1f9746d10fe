"""What the browser is given besides pages: ours, pinned, and nothing from elsewhere."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from tests.console.house import House
from toolgate.surfaces.console.assets import ASSETS, FOLDER

pytestmark = pytest.mark.anyio

HTMX = "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130"
"""The SHA-256 of dist/htmx.min.js as the htmx project publishes it with release 4.0.1."""
_TEMPLATES = sorted((FOLDER.parent / "templates").glob("*.html"))


@pytest.mark.req("M12.16")
def test_the_library_is_the_published_one_and_its_licence_lies_beside_it() -> None:
    assert hashlib.sha256(ASSETS["htmx-4.0.1.min.js"].content).hexdigest() == HTMX
    assert b"Zero-Clause BSD" in ASSETS["htmx-LICENSE.txt"].content


@pytest.mark.req("M12.16")
async def test_files_are_named_by_their_content_and_may_be_kept_for_a_year(house: House) -> None:
    async with house.browser() as browser:
        page = await browser.get("/console/sign-in")
        named = [
            given.get("src") or given.get("href") for tag, given in page.tags if tag in {"script", "link"}
        ]
        assert len(named) >= 4
        for url in named:
            assert url is not None
            await browser.get(url)
            assert browser.status == 200
            assert browser.answer.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert hashlib.sha256(browser.answer.content).hexdigest()[:16] in url
        await browser.get("/static/console.0000000000000000.css")
        assert browser.status == 404


@pytest.mark.req("M12.16")
@pytest.mark.parametrize("template", _TEMPLATES, ids=lambda path: path.stem)
def test_no_template_runs_styles_or_loads_anything_in_place(template: Path) -> None:
    text = template.read_text(encoding="utf-8")
    assert not re.search(r"\son[a-z]+\s*=", text), "handlers belong into console.js"
    assert not re.search(r"\sstyle\s*=|<style", text), "styles belong into console.css"
    assert not re.search(r"<script(?![^>]*\ssrc=)", text)
    assert not re.search(r"\s(src|href|action)=\"(https?:)?//", text), "nothing comes from another host"
    assert "|safe" not in re.sub(r"\s", "", text), "what is not escaped is made as Markup, in spelling"
    assert "autoescape" not in text
    assert not re.search(r"\shx-(on|vals|vars|headers)", text), "these would have to be evaluated"


@pytest.mark.req("M12.16")
@pytest.mark.parametrize("template", _TEMPLATES, ids=lambda path: path.stem)
def test_every_form_that_is_posted_carries_the_token_of_its_session(template: Path) -> None:
    for form in re.findall(
        r"<form[^>]*method=\"post\"[^>]*>.*?</form>", template.read_text(encoding="utf-8"), re.DOTALL
    ):
        before_the_session = 'action="{{ paths.SIGN_IN }}"' in form
        assert before_the_session or "parts.token()" in form or 'name="csrf"' in form


@pytest.mark.req("M12.17")
def test_the_style_sheet_moves_nothing_for_whoever_wants_no_motion() -> None:
    css = ASSETS["console.css"].content.decode()
    assert "prefers-reduced-motion: reduce" in css
    assert "url(" not in css


@pytest.mark.req("M12.17")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_keeps_its_contrast_to_what_it_stands_on(dark: bool) -> None:
    css = ASSETS["console.css"].content.decode()
    pairs = dict(re.findall(r"--([a-z-]+): light-dark\((#[0-9a-f]{6}, #[0-9a-f]{6})\)", css))
    colours = {name: both.split(", ")[dark] for name, both in pairs.items()} | {"on-solid": "#ffffff"}
    grounds = {
        "text": ("ground", "surface", "raised", "good-soft", "bad-soft"),
        "muted": ("ground", "surface", "raised"),
        "accent": ("ground", "surface", "raised", "accent-soft"),
        "good": ("surface", "good-soft", "raised"),
        "warn": ("surface", "warn-soft", "raised"),
        "bad": ("surface", "bad-soft", "raised"),
        "info": ("surface", "info-soft", "raised", "good-soft", "bad-soft"),
        "on-accent": ("accent",),
        "on-solid": ("good-solid", "bad-solid"),
    }
    for text, below in grounds.items():
        for ground in below:
            assert _contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    assert _contrast(colours["line-strong"], colours["surface"]) >= 3, "the edge of a field"


def _contrast(one: str, other: str) -> float:
    """WCAG 2.2, contrast ratio."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.req("M12.17")
async def test_the_colours_are_chosen_without_a_script_and_remembered(house: House) -> None:
    from tests.console.house import LEA

    async with house.person(LEA) as browser:
        page = await browser.get("/console/inbox?view=others")
        form = page.form("/console/theme")
        page = await browser.send(form, theme="dark")
        assert browser.path == "/console/inbox?view=others"
        assert ("html", {"lang": "en", "data-theme": "dark"}) in page.tags
        await browser.send(page.form("/console/theme"), theme="<script>", back="https://evil.example")
        assert browser.path == "/console/inbox"
        assert ("html", {"lang": "en", "data-theme": "dark"}) in browser.page.tags
