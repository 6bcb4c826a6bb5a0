"""Accounts to prepare: the agency's with nothing of its own in it, and what the example asks of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from amo_bridge.sandbox.account_file import AGENCY
from amo_bridge.sandbox.account_start import load_world
from support.local_crm import LocalCrm, served

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"


def bare_account(of: Path = AGENCY, **changed: Any) -> dict[str, Any]:
    """A new account: amoCRM's default pipeline, its predefined fields, the people of the account file ``of``; task
    types and loss reasons were made by hand, because the API makes none."""
    account = json.loads(of.read_text("utf-8"))
    stages = ["Первичный контакт", "Переговоры", "Принимают решение", "Согласование договора"]
    account["pipelines"] = [{"name": "Воронка", "is_main": True, "stages": [{"name": name} for name in stages]}]
    fields = account["custom_fields"]
    account["custom_fields"] = {
        entity: [field for field in own if field.get("is_predefined")] for entity, own in fields.items()
    }
    return {**account, "contacts": [], "companies": [], **changed}


@contextmanager
def crm_with(account: dict[str, Any], folder: Path) -> Iterator[LocalCrm]:
    """A local amoCRM that holds this account."""
    path = folder / "account.json"
    path.write_text(json.dumps(account, ensure_ascii=False), "utf-8")
    with served(load_world(path)) as crm:
        yield crm
