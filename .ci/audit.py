"""Look for known vulnerabilities of pinned requirements: ``python audit.py all.txt``.

An audit that finds nothing because it reached no data looks like a clean one: the auditor skips
packages that its source does not know, and says that it found nothing. So a release that is
known to be vulnerable is asked about first. Exit status: 0 clean, 1 vulnerable or in part unknown,
3 no data can be reached.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

AUDIT = ("uvx", "pip-audit", "--no-deps", "--disable-pip", "--format", "json")
SOURCES = ("pypi", "osv")
# CVE-2014-1402 and later ones.
VULNERABLE = "jinja2==2.7"
CLEAN, FOUND, NO_DATA = 0, 1, 3


def audited(requirements: Path, source: str) -> list[dict] | None:
    """Return what the auditor says of each package, or None if it gives no answer."""
    command = [*AUDIT, "--vulnerability-service", source, "--requirement", str(requirements)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        return json.loads(said.stdout)["dependencies"]
    except (json.JSONDecodeError, KeyError):
        print(f"{source}:", *said.stderr.strip().splitlines()[-1:])
        return None


def knows(source: str) -> bool:
    """Whether a source of data knows a vulnerability that is certain."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "one.txt"
        file.write_text(f"{VULNERABLE}\n", encoding="utf-8")
        found = audited(file, source)
    return bool(found) and bool(found[0].get("vulns"))


def main(requirements: Path) -> int:
    """Print what is known; return the exit status."""
    source = next((name for name in SOURCES if knows(name)), None)
    if source is None:
        print(f"No source of data ({', '.join(SOURCES)}) knows that {VULNERABLE} is vulnerable.")
        return NO_DATA
    found = audited(requirements, source)
    if found is None:
        return NO_DATA
    bad = [one for one in found if one.get("vulns") or "skip_reason" in one]
    for one in bad:
        known = ", ".join(v["id"] for v in one.get("vulns", [])) or one["skip_reason"]
        print(f"{one['name']} {one.get('version', '')}: {known}")
    print(f"{source}: {len(found)} packages, {len(bad)} vulnerable or unknown")
    return FOUND if bad else CLEAN


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
