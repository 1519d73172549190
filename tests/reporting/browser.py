"""A browser without a window that looks at a page, cut off from every network."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import zlib
from dataclasses import dataclass
from pathlib import Path

NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "headless_shell",
)
FOUND = next((path for name in NAMES if (path := shutil.which(name))), None)
SECONDS = 120

# A window cannot be as narrow as a phone, a frame can. The page comes as the frame's content, not
# as its address: only then may the page around it measure it.
AROUND = """<!doctype html><html><head><script>
const seen = [];
function look(frame) {
  const page = frame.contentWindow, root = frame.contentDocument.documentElement;
  const closed = root.scrollHeight, last = root.querySelector(".studied");
  const first = last ? last.getBoundingClientRect().bottom : 0;
  root.querySelectorAll("details").forEach((block) => { block.open = true; });
  const outside = [...root.querySelectorAll("body *:not(svg *)")].filter(
    (e) => e.getBoundingClientRect().right > page.innerWidth + 1 && !e.closest(".scroll"));
  seen.push({
    width: page.innerWidth,
    scroll_width: root.scrollWidth,
    too_wide: outside.map((e) => e.tagName + "." + e.className),
    requests: page.performance.getEntriesByType("resource").map((e) => e.name),
    words: frame.contentDocument.body.innerText.length,
    height: closed,
    first_screen: first,
  });
  document.getElementById("seen").textContent = JSON.stringify(seen);
  frame.remove();  // so that it is not written out
}
</script></head><body><pre id="seen"></pre>FRAMES</body></html>"""
RUN_AXE = """axe.run(document).then((found) => {
  const shown = document.createElement("pre");
  shown.id = "axe";
  shown.textContent = JSON.stringify(found.violations.map((one) => one.id));
  document.body.replaceChildren(shown);
});"""
FRAME = '<iframe style="border:0;width:{width}px;height:800px" onload="look(this)" srcdoc="{page}">'


@dataclass(frozen=True)
class Seen:
    """What one frame showed: its width, that of its content, and what it asked others for.

    Everything that can be opened is open, but for the heights: that of the page as it is, and where
    its first screen ends.
    """

    width: int
    scroll_width: int
    too_wide: list[str]
    requests: list[str]
    words: int
    height: int
    first_screen: float


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the browser with a profile of its own; no name of any host can be resolved."""
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--no-first-run",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--enable-logging=stderr",
        f"--user-data-dir={folder / 'profile'}",
    ]
    return subprocess.run(
        [str(FOUND), *options, *arguments],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )


def look(page: str, folder: Path, *, widths: tuple[int, ...]) -> tuple[list[Seen], list[str]]:
    """Show a page in frames of some widths; return what was seen, and what the console says."""
    safe = html.escape(page, quote=True)
    frames = "".join(FRAME.format(width=width, page=safe) + "</iframe>" for width in widths)
    around = folder / "around.html"
    around.write_text(AROUND.replace("FRAMES", frames), encoding="utf-8")
    done = run("--window-size=1600,1200", "--dump-dom", around.as_uri(), folder=folder)
    found = re.search(r'<pre id="seen">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr
    seen = [Seen(**one) for one in json.loads(html.unescape(found[1]))]
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return sorted(seen, key=lambda one: one.width), console


def violations(page: str, folder: Path) -> list[str]:
    """Return the rules of axe-core that a page breaks with everything on it open."""
    import axe_core_python

    axe = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    page = re.sub(r"<details\b", "<details open", page)
    inside = page.replace("</body>", f"<script>{axe}</script><script>{RUN_AXE}</script></body>")
    copy = folder / "axe.html"
    copy.write_text(inside, encoding="utf-8")
    done = run("--virtual-time-budget=60000", "--dump-dom", copy.as_uri(), folder=folder)
    found = re.search(r'<pre id="axe">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found, done.stderr
    return json.loads(html.unescape(found[1]))


def printed(page: Path, folder: Path) -> bytes:
    """Print a page to PDF, and return the file."""
    target = folder / "printed.pdf"
    run("--no-pdf-header-footer", f"--print-to-pdf={target}", page.as_uri(), folder=folder)
    return target.read_bytes()


def pieces_of_text(pdf: bytes) -> int:
    """Count the operators that show text in a PDF."""
    count = 0
    for packed in re.findall(rb"FlateDecode.*?stream\r?\n(.*?)endstream", pdf, re.DOTALL):
        content = zlib.decompressobj().decompress(packed)
        if b"BT" in content:
            count += len(re.findall(rb"\bT[jJ]\b", content))
    return count
