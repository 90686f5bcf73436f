"""The documentation says what is there: links resolve, lists are complete, generated pages are fresh."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), ROOT / "apps" / "README.md", *(ROOT / "deploy").glob("*.md"), *(ROOT / "docs").rglob("*.md")]
)
_FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)")
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
_TEST = re.compile(r"tests/[\w/]+\.py(?:::(\w+))?")


def prose(page: Path) -> str:
    """The text without code blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """What can stand behind `#`, as the common renderers make it."""
    found: set[str] = set()
    for heading in _HEADING.findall(prose(page)):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        anchor = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        found.add(anchor if anchor not in found else f"{anchor}-{sum(a.startswith(anchor) for a in found)}")
    return found


def broken(page: Path, inside: Path = ROOT) -> list[str]:
    """Links of a page that lead nowhere, or out of the repository."""
    wrong = []
    for target in _LINK.findall(prose(page)):
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        path, _, anchor = unquote(target).partition("#")
        place = (page.parent / path).resolve() if path else page
        if not place.exists() or not place.is_relative_to(inside):
            wrong.append(f"{target}: nothing there")
        elif anchor and place.suffix == ".md" and anchor not in anchors(place):
            wrong.append(f"{target}: no such heading")
    return wrong


def rows(page: str, *, under: str = "") -> list[list[str]]:
    """The cells of all table rows of a page, or of those below one heading."""
    text = (ROOT / page).read_text(encoding="utf-8")
    if under:
        text = text.split(f"\n{under}\n", 1)[1]
        text = re.split(r"^#", text, maxsplit=1, flags=re.MULTILINE)[0]
    lines = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| ---")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


@pytest.mark.parametrize("page", PAGES, ids=[str(p.relative_to(ROOT)) for p in PAGES])
def test_links_resolve(page: Path):
    assert broken(page) == []


def test_a_broken_link_is_noticed(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text("# Head\n[a](nowhere.md) [b](#head) [c](#tail) [d](https://example.org)\n```\n[e](gone.md)\n```\n")
    assert broken(page, tmp_path) == ["nowhere.md: nothing there", "#tail: no such heading"]


def test_cited_tests_exist():
    wrong = []
    for page in PAGES:
        for match in _TEST.finditer(page.read_text(encoding="utf-8")):
            path, name = ROOT / match[0].split("::")[0], match[1]
            if not path.exists() or (name and f"def {name}(" not in path.read_text(encoding="utf-8")):
                wrong.append(f"{page.relative_to(ROOT)}: {match[0]}")
    assert wrong == []


def test_the_list_of_audit_events_is_fresh():
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "make_audit_events.py"), "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_dependencies_and_their_reasons_are_those_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    page = "docs/reference/dependencies.md"
    groups = project["dependency-groups"]
    wanted = {
        "## To run": project["project"]["dependencies"],
        "## For the demo and the tests": groups["demo"],
        "## For the tests": groups["test"],
        "## For the checks": groups["lint"],
    }
    assert set(groups) == {"demo", "test", "lint"}
    for heading, requirements in wanted.items():
        table = rows(page, under=heading)[1:]
        assert [quoted(row[0])[0] for row in table] == requirements, heading
        assert [row[0] for row in table if not row[1]] == [], "a reason for each"
        bounded = [row[0] for row in table if re.search(r"<\d|==\d", row[0]) and not row[2].strip(" |")]
        assert bounded == [], "a reason for each upper bound"


def test_every_operation_is_in_the_compatibility_table_with_its_state():
    from apps.entrypoints.aws_wire.operations import SUPPORTED, UNSUPPORTED

    state = {
        name: row[1].startswith("served")
        for heading in ("### Data plane", "### Control plane")
        for row in rows("docs/reference/aws-compatibility.md", under=heading)[1:]
        for name in quoted(row[0])
    }
    assert {name for name, served in state.items() if served} == SUPPORTED
    assert {name for name, served in state.items() if not served} == UNSUPPORTED


def test_every_error_code_is_in_the_table_of_errors():
    from apps.core.errors import Code
    from apps.entrypoints.aws_wire.errors import TABLE, WireError

    def told(error: WireError) -> str:
        return f"{error.name} ({error.reason})" if error.reason else error.name

    table = {quoted(row[0])[0]: row for row in rows("docs/reference/errors.md", under="## On the AWS wire")[1:]}
    assert set(table) == {code.value for code in Code}
    for code, (first, otherwise) in TABLE.items():
        _, name, status, *rest = table[code.value]
        assert (name, status) == (told(first), str(first.status)), code
        second = "" if otherwise is first else f"{told(otherwise)}, {otherwise.status}"
        assert " ".join(rest).strip(" |") == second, code


def test_every_setting_is_described_and_every_described_one_is_read():
    named = re.compile(r"IDENTITY_PORTAL_[A-Z_]*[A-Z]|DATABASE_(?:OWNER_)?URL|REDIS_URL|AWS_STRICT_SESSION_STATUS")
    code = "".join(path.read_text() for path in (ROOT / "identity_portal").rglob("*.py"))
    page = (ROOT / "docs" / "reference" / "configuration.md").read_text()
    assert set(named.findall(page)) == set(named.findall(code))


def test_every_command_is_described():
    folder = ROOT / "apps" / "entrypoints" / "ops" / "management" / "commands"
    commands = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    page = (ROOT / "docs" / "reference" / "commands.md").read_text()
    assert set(re.findall(r"^### (\w+)$", page, re.MULTILINE)) == commands
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert targets <= set(re.findall(r"`make ([a-z-]+)`", page))


def test_the_licence_is_whole():
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text and "END OF TERMS AND CONDITIONS" in text and "APPENDIX" in text
