"""Call scripts by the API: listed, filled in with the deal's data, and told when they are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.api_client import Program
from support.pages import Pages, agency

PATH = "/deals/30000001/scripts"


@pytest.fixture
def folder(pages: Pages) -> Path:
    """Where the scripts are; of a deal that is known."""
    pages.know_account(agency())
    pages.know_deal("Ромашка")
    made = pages.bridge.config.path.parent / "scripts"
    made.mkdir()
    (made / "call.txt").write_text("Тема: Звонок: {{ сделка.название }}\n\n# Узнать\n\n- Бюджет?\n- Срок?\n", "utf-8")
    return made


def test_a_script_has_the_deals_data_in_it(folder: Path, reader: Program) -> None:
    assert reader.get(PATH) == {"deal_id": 30000001, "names": ["call"]}
    told = reader.get(f"{PATH}/call")
    assert told["title"] == "Звонок: Ромашка"
    assert told["blocks"] == [
        {"kind": "heading", "lines": ["Узнать"]},
        {"kind": "list", "lines": ["Бюджет?", "Срок?"]},
    ]


def test_a_script_that_is_wrong_says_so(folder: Path, reader: Program) -> None:
    (folder / "bad.txt").write_text("Тема: x\n\n{{ нет.такого", "utf-8")
    refused = reader.ask("GET", f"{PATH}/bad")
    assert (refused.status_code, refused.json["detail"].startswith("В скрипте ошибка")) == (409, True)


@pytest.mark.parametrize("path", [f"{PATH}/none", f"{PATH}/..%2Fcall", "/deals/5/scripts", "/deals/5/scripts/call"])
def test_what_is_not_there(folder: Path, reader: Program, path: str) -> None:
    assert reader.ask("GET", path).status_code == 404
