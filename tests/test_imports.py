"""What a process does not import: whatever it holds costs it seconds at the start and megabytes for ever."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from amo_bridge.runtime.account import Role
from amo_bridge.server.options import ROLES

ROOT = Path(__file__).parent.parent
HEAVY = (
    "alembic",
    "amo_bridge.config.model",
    "amo_bridge.engine.dispatcher",
    "amo_bridge.rules",
    "amo_bridge.runtime.leader",
    "amo_bridge.web.app",
    "apscheduler",
    "babel",
    "cryptography",
    "flask",
    "holidays",
    "jinja2",
    "openpyxl",
    "phonenumbers",
    "prometheus_client",
    "pydantic",
    "requests",
    "rich",
    "sqlalchemy",
    "structlog",
    "tenacity",
    "tomlkit",
)

RECEIVER = {
    "babel",
    "jinja2",
    "amo_bridge.config.model",
    "amo_bridge.rules",
    "cryptography",
    "holidays",
    "phonenumbers",
    "prometheus_client",
    "pydantic",
    "requests",
    "rich",
    "sqlalchemy",
    "structlog",
    "tenacity",
    "tomlkit",
}
"""What the config and the store take; not the engine itself, and no page."""

CONFIG = {
    "amo_bridge.config.model",
    "amo_bridge.rules",
    "babel",
    "holidays",
    "jinja2",
    "phonenumbers",
    "pydantic",
    "rich",
}
HISTORY = {"amo_bridge.config.model", "amo_bridge.rules", "babel", "pydantic", "rich", "sqlalchemy"}
LOADED = "; from amo_bridge.config.loader import load; import pathlib; load(pathlib.Path('config.example.toml'), {})"
NO_RULES = LOADED.replace("import load;", "import load_without_rules as load;")


def imported(program: str) -> set[str]:
    """The heavy packages that are there when the program has run."""
    tell = f"\nimport sys; print(*set({HEAVY!r}) & sys.modules.keys())"
    run = subprocess.run([sys.executable, "-c", program + tell], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(run.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("program", "allowed"),
    [
        pytest.param("import amo_bridge.cli.serve, amo_bridge.server.gunicorn", set(), id="the process that waits"),
        pytest.param(
            "import amo_bridge.server.process", RECEIVER, id="the process that works, until it takes webhooks"
        ),
        pytest.param(f"import amo_bridge.cli.rules{LOADED}", CONFIG, id="amo-bridge rules"),
        pytest.param(f"import amo_bridge.cli.journal{NO_RULES}", HISTORY, id="amo-bridge why"),
    ],
)
def test_what_is_not_needed_is_not_imported(program: str, allowed: set[str]) -> None:
    assert imported(program) <= allowed


RUN = """
import sys
sys.argv[0] = "amo-bridge"
from amo_bridge.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print(*sorted(sys.modules), file=sys.stderr)
"""
ALL_COMMANDS_WITHOUT = ("alembic", "apscheduler", "asyncio", "flask", "holidays", "jinja2", "requests", "structlog")
NO_STORE = (*ALL_COMMANDS_WITHOUT, "cryptography", "sqlalchemy", "werkzeug")
PACKAGES_BEHIND = ("engine", "runtime", "storage", "web")


@pytest.mark.parametrize(
    ("command", "without", "most"),
    [
        pytest.param(
            ["webinar", "preview", "{table}", "--json", "--offline", "--config", "examples/webinar.toml"],
            (*NO_STORE, "rich", *(f"amo_bridge.{one}" for one in PACKAGES_BEHIND)),
            80,
            id="webinar preview --offline",
        ),
        pytest.param(
            ["intake", "replay", "{request}", "--json", "--config", "config.example.toml"],
            (*NO_STORE, "rich", *(f"amo_bridge.{one}" for one in PACKAGES_BEHIND)),
            80,
            id="intake replay",
        ),
        pytest.param(
            ["rules", "--config", "config.example.toml"],
            (*NO_STORE, *(f"amo_bridge.{one}" for one in PACKAGES_BEHIND)),
            60,
            id="rules",
        ),
        pytest.param(
            ["check", "--offline", "--config", "config.example.toml"],
            (
                *NO_STORE,
                "rich",
                "tenacity",
                "tomlkit",
                "urllib3",
                "amo_bridge.channels.registry",
                "amo_bridge.channels.telegram",
                "amo_bridge.crm.client",
                "amo_bridge.intake",
                "amo_bridge.runtime",
                "amo_bridge.storage",
                "amo_bridge.web",
            ),
            66,
            id="check --offline",
        ),
    ],
)
def test_a_short_command_imports_little(
    command: list[str], without: tuple[str, ...], most: int, tmp_path: Path
) -> None:
    """Programs run these once for each file, in a process of its own."""
    (tmp_path / "t.csv").write_text("Имя;Почта;Минут;Дата\nАнна;a@example.ru;65;13.09.2021\n", "utf-8")
    (tmp_path / "one.body.json").write_text(json.dumps({"your-name": "Анна", "your-tel": "+7 916 123-45-67"}), "utf-8")
    saved = {
        "vendor": "cf7", "method": "POST", "headers": {"Content-Type": "application/json"},
        "body_file": "one.body.json", "secrets": {},
    }  # fmt: skip
    (tmp_path / "one.meta.json").write_text(json.dumps(saved), "utf-8")
    told = [one.format(table=tmp_path / "t.csv", request=tmp_path / "one.meta.json") for one in command]
    run = subprocess.run([sys.executable, "-c", RUN, *told], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    modules = set(run.stderr.splitlines()[-1].split())
    assert not modules & set(without)
    own = {name for name in modules if name.startswith("amo_bridge")}
    assert len(own) <= most, "what a command imports, everybody who runs it waits for"


def test_only_logs_names_the_library_that_writes_them() -> None:
    """It is set up with the first line, which must be its own."""
    importing = re.compile(r"^\s*(import|from) structlog\b", re.MULTILINE)
    files = [path for path in (ROOT / "amo_bridge").rglob("*.py") if importing.search(path.read_text("utf-8"))]
    assert files == [ROOT / "amo_bridge" / "logs.py"]


def test_the_roles_that_may_be_asked_for_are_those_there_are() -> None:
    assert get_args(Role) == ROLES
