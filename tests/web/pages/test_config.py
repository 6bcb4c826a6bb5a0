"""The config's editor by HTTP: mistakes for their lines while it is written, what it completes; for admins alone."""

from __future__ import annotations

import pytest
from support.pages import Pages, Visit, agency

from amo_bridge.web.auth.users import Role


def test_all_mistakes_come_with_their_lines(pages: Pages, admin: Visit) -> None:
    text = pages.bridge.config.path.read_text("utf-8")
    at = text.count("\n")
    told = admin.post("/config/marks", {"text": f"{text}\r\n[extra]\r\n[handlers.nothing.x]\r\n"}, page="/config").json
    assert [one["line"] for one in told] == [at + 2, at + 3]
    assert told[0]["words"].startswith("[extra]: такого раздела нет")
    assert admin.post("/config/marks", {"text": text}, page="/config").json == []
    assert pages.bridge.config.path.read_text("utf-8") == text


def test_a_text_that_would_take_minutes_is_told_at_once(admin: Visit) -> None:
    (told,) = admin.post("/config/marks", {"text": "a" + ".a" * 20_000 + " = 1\n"}, page="/config").json
    assert (told["line"], told["words"]) == (1, "вложено слишком глубоко: таких настроек нет")


def test_what_is_completed_is_the_accounts_and_the_kinds_own(pages: Pages, admin: Visit) -> None:
    pages.know_account(agency())
    known = admin.get("/config/names").json
    assert "Продажи / Новый клиент" in known["names"]["этап"]
    assert {"enabled", "stages", "tasks"} <= set(known["keys"]["handlers.stage_creates_tasks"])
    assert "from" in known["keys"]["mail"], "as the file spells it"
    assert {"bridge", "roles", "handlers.stage_creates_tasks"} <= set(known["blocks"][""])


@pytest.mark.parametrize("role", [Role.VIEWER, Role.HEAD])
def test_it_is_the_admins(pages: Pages, role: Role) -> None:
    visit = pages.visit(role)
    assert visit.get("/config/names").status_code == 403
    assert visit.post("/config/marks", {"text": ""}, page="/").status_code == 403
