"""The page as a browser shows and prints it; skipped where there is none."""

from __future__ import annotations

import pytest

from tests.reporting.browser import FOUND, NAMES, look, pieces_of_text, printed, violations

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(FOUND is None, reason=f"none of {', '.join(NAMES)} is installed"),
]

PHONE, DESK = 390, 1280
BROKEN = """<!doctype html><html><head>{policy}</head><body><p>Words.</p>
<div class="wide" style="width:900px">wide</div><img src="https://example.org/a.png" alt="">
<script>console.error("something broke")</script></body></html>"""
POLICY = """<meta http-equiv="Content-Security-Policy"
content="default-src 'none'; style-src 'unsafe-inline'">"""


@pytest.mark.parametrize(("name", "widths"), [("written", (PHONE, DESK)), ("unmediated", (PHONE,))])
def test_the_page_fits_its_window_and_asks_nobody_for_anything(request, name, widths, tmp_path):
    path, _ = request.getfixturevalue(name)
    seen, console = look(path.read_text("utf-8"), tmp_path, widths=widths)
    assert tuple(one.width for one in seen) == widths
    for one in seen:
        assert one.scroll_width <= one.width, one.too_wide
        assert one.requests == []
        assert one.words > 10_000
        assert one.height < 8 * 900
        assert one.width == PHONE or 0 < one.first_screen <= 900
    assert console == []


def test_the_page_prints_with_its_text(written, tmp_path):
    path, _ = written
    pdf = printed(path, tmp_path)
    assert pdf.startswith(b"%PDF-")
    assert pieces_of_text(pdf) > 1000


def test_no_rule_of_accessibility_is_broken(written, tmp_path):
    path, _ = written
    assert violations(path.read_text("utf-8"), tmp_path) == []


def test_a_picture_without_words_breaks_a_rule(tmp_path):
    page = (
        '<!doctype html><html lang="en"><title>T</title><main><h1>T</h1><img src="data:,"></main>'
    )
    assert "image-alt" in violations(page + "<body></body></html>", tmp_path)


def test_a_broken_page_is_found_out(tmp_path):
    (phone, desk), console = look(BROKEN.format(policy=""), tmp_path, widths=(PHONE, DESK))
    assert phone.scroll_width > PHONE
    assert phone.too_wide == ["DIV.wide"]
    assert desk.scroll_width <= DESK
    assert phone.requests == ["https://example.org/a.png"]
    assert any("something broke" in line for line in console)


def test_what_the_policy_of_a_page_stops_is_found_out_too(tmp_path):
    _, console = look(BROKEN.format(policy=POLICY), tmp_path, widths=(PHONE,))
    assert any(
        "example.org/a.png" in line and "Content Security Policy" in line for line in console
    )
    assert not any("something broke" in line for line in console)


def test_a_page_without_words_prints_without_text(tmp_path):
    page = tmp_path / "empty.html"
    page.write_text('<!doctype html><div style="background:#000;height:9cm"></div>', "utf-8")
    assert pieces_of_text(printed(page, tmp_path)) == 0
