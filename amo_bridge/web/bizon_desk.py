"""What the page of webinars, and programs, see and do of Bizon365."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import request
from flask_babel import lazy_gettext as _l

from amo_bridge.clock import SystemClock
from amo_bridge.runtime.worker import BIZON
from amo_bridge.web.here import account, write_down
from amo_bridge.webinars.bizon_import import BizonReports, BizonSettings
from amo_bridge.webinars.bizon_import import State as BizonState

LONGEST_TOKEN = 500
STATES: Mapping[BizonState, Any] = {
    "waiting": _l("Ждёт отчёта"), "taken": _l("Получен"), "failed": _l("Не получен"),
}  # fmt: skip
STATE_KINDS: Mapping[BizonState, str] = {"waiting": "warning", "taken": "good", "failed": "bad"}


@dataclass(frozen=True)
class BizonDesk:
    """``address``: what is to be written into Bizon365's settings."""

    settings: BizonSettings
    reports: BizonReports
    address: str
    states: Mapping[BizonState, Any]
    state_kinds: Mapping[BizonState, str]


def bizon_desk() -> BizonDesk | None:
    """Of the account that the page is about; None where Bizon365 is switched off. Raises StoreUnavailable, NotMet."""
    here = account()
    webinar = here.config.webinar
    if webinar is None or webinar.bizon is None:
        return None
    settings = BizonSettings(here.config, here.bridge.environment)
    base = here.config.bridge.public_url or request.host_url.rstrip("/")
    return BizonDesk(
        settings,
        BizonReports(here.store, here.key, SystemClock()),
        f"{base}/hooks/bizon/{settings.hook_secret}",
        STATES,
        STATE_KINDS,
    )


def keep_token(desk: BizonDesk, token: str) -> None:
    """An empty one is forgotten. What waits for a report is tried with the new one."""
    desk.settings.keep_token(token)
    desk.reports.try_again()
    account().bridge.hurry(BIZON)
    write_down("bizon.token", "Токен Бизон365 задан" if token else "Токен Бизон365 удалён")


def fetch_again(desk: BizonDesk, webinar_id: str) -> bool:
    """Fetch this report once more; False if Bizon365 has told of none such."""
    if not desk.reports.try_again(webinar_id):
        return False
    account().bridge.hurry(BIZON)
    write_down("bizon.again", f"Отчёт Бизон365 {webinar_id[:200]}: попробовать ещё раз")
    return True
