"""The style sheet's own promises: contrast in both colour schemes, logical directions, nothing from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SHEET = (Path(__file__).resolve().parents[2] / "templates" / "static" / "portal" / "portal.css").read_text()
TEXT_ON = [
    ("ink", "paper"), ("ink", "card"), ("soft", "paper"), ("soft", "card"), ("accent", "card"), ("accent", "paper"),
    ("on-accent", "accent"), ("on-accent", "accent-strong"), ("change", "change-paper"), ("ink", "change-paper"),
    ("read", "read-paper"), ("ink", "read-paper"), ("other", "other-paper"), ("soft", "other-paper"),
    ("alert", "alert-paper"), ("ink", "alert-paper"), ("ink", "tint"),
]  # fmt: skip
EDGES_ON = [("edge", "card"), ("accent", "card"), ("accent", "tint"), ("alert", "card")]


def tokens(scheme: str) -> dict[str, str]:
    blocks = re.findall(r":root \{([^}]*)\}", SHEET)
    light, dark = (dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block)) for block in blocks)
    return light if scheme == "light" else {**light, **dark}


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_edges_have_the_contrast_of_wcag_aa(scheme):
    known = tokens(scheme)
    assert contrast("#000000", "#ffffff") == 21
    for pairs, enough in ((TEXT_ON, 4.5), (EDGES_ON, 3.0)):
        for front, back in pairs:
            assert contrast(known[front], known[back]) >= enough, (scheme, front, back)


def test_directions_are_logical_so_that_right_to_left_mirrors():
    assert not re.search(
        r"(?:margin|padding|border|inset)-(?:left|right)|(?<![-a-z])(?:left|right):|text-align: (?:left|right)", SHEET
    )


def test_the_sheet_fetches_nothing():
    assert "url(" not in SHEET and "@import" not in SHEET


def test_sheet_and_logo_are_served(browser):
    for name, kind in (("portal.css", "text/css"), ("logo.svg", "image/svg+xml")):
        answer = browser.get(f"/static/portal/{name}")
        assert answer.status_code == 200 and answer.headers["Content-Type"].startswith(kind)
        b"".join(answer)
