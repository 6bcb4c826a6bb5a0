"""The journal's verdicts and the states of effects, as pages say them: a kind of chip and a word."""

from __future__ import annotations

from flask import Flask
from flask_babel import lazy_gettext as _l

VERDICTS = {
    "acts": ("good", _l("сделано")),
    "would_act": ("warning", _l("вхолостую")),
    "skipped": ("quiet", _l("не подошло")),
    "awaits": ("quiet", _l("ждёт срока")),
    "failed": ("bad", _l("сбой")),
    "held": ("bad", _l("остановлено")),
    "retried": ("warning", _l("возвращено")),
    "dropped": ("quiet", _l("снято")),
    "at_work": ("warning", _l("в работе")),
    "refused": ("bad", _l("отказ")),
    "unsent": ("bad", _l("не отправлено")),
    "unknown": ("warning", _l("неизвестно")),
    "partly": ("warning", _l("частично")),
}
STATES = {
    "done": ("good", _l("готово")),
    "ready": ("warning", _l("ждёт отправки")),
    "waiting": ("warning", _l("ждёт другого")),
    "sending": ("warning", _l("отправляется")),
    "doubt": ("warning", _l("проверяется")),
    "failed": ("bad", _l("отказ")),
    "unsent": ("bad", _l("не отправлено")),
    "unknown": ("warning", _l("неизвестно")),
    "dry": ("quiet", _l("вхолостую")),
    "dropped": ("quiet", _l("снято")),
}


def install(app: Flask) -> None:
    app.jinja_env.globals.update(
        verdict_of=lambda verdict: VERDICTS.get(verdict, ("quiet", verdict)),
        state_of=lambda state: STATES.get(state, ("quiet", state)),
    )
