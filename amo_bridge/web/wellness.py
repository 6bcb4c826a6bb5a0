"""Is everything well? What is not, in the order of its weight, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from flask_babel import gettext as _
from flask_babel import ngettext

from amo_bridge.engine import alerts
from amo_bridge.engine.metrics import Vitals
from amo_bridge.web.office import PageAccount

# The reconciliation comes every five minutes; so long after it something holds it up.
RECONCILED_WITHIN = 15 * 60
MENDED_LATELY = 24 * 3600


@dataclass(frozen=True)
class Trouble:
    """``weight``: bad or warning. ``page``: the endpoint where something can be done about it."""

    weight: str
    words: str
    page: str = ""


def troubles(account: PageAccount, vitals: Vitals | None, now: datetime) -> list[Trouble]:
    """Everything that somebody should look at; bad things first."""
    is_ready = account.bridge.state == "ready"
    found = [*_of_bridge(account), *(_of_vitals(vitals, is_ready=is_ready) if vitals else ()), *_of_config(account)]
    if words := alerts.warning(account.bridge.token_ends_at, now):
        found.append(Trouble("warning", words, "connect_page.show"))
    return sorted(found, key=lambda one: one.weight != "bad")


def _of_bridge(account: PageAccount) -> list[Trouble]:
    bridge = account.bridge
    if bridge.problems:
        return [Trouble("bad", words, "config.edit") for words in bridge.problems]
    if bridge.trouble:
        return [Trouble("bad", _("Мост ждёт: %(why)s", why=bridge.trouble), "connect_page.show")]
    if bridge.state.startswith("waiting"):
        why = bridge.state.partition(": ")[2]
        return [Trouble("bad", _("Мост ещё не работает: %(why)s", why=why), "connect_page.show")]
    if bridge.state != "ready":
        return [Trouble("warning", _("Мост запускается"))]
    return []


def _of_vitals(vitals: Vitals, *, is_ready: bool) -> list[Trouble]:
    found = []
    if vitals.stopped:
        found.append(Trouble("bad", _("amoCRM не принимает запросы: %(why)s", why=vitals.stopped), "connect_page.show"))
    if failed := sum(vitals.failed.values()):
        words = ngettext("%(num)s отказ ждёт решения", "%(num)s отказов ждут решения", failed)
        found.append(Trouble("bad", words, "failed.show"))
    if vitals.overdue:
        words = ngettext(
            "%(num)s дело ждёт дольше минуты", "%(num)s дел ждут дольше минуты", vitals.overdue
        )  # fmt: skip
        found.append(Trouble("warning", words))
    if is_ready and vitals.last_hook_age is None:
        found.append(Trouble("warning", _("Хуков ещё не было: подвиньте любую сделку в amoCRM, и мост о ней узнает")))
    if vitals.reconcile_age is not None and vitals.reconcile_age > RECONCILED_WITHIN:
        found.append(Trouble("warning", _("Сверка с amoCRM давно не проходила")))
    if vitals.hook_mended_age is not None and vitals.hook_mended_age < MENDED_LATELY:
        found.append(Trouble("warning", _("За сутки amoCRM теряла подписку на хуки; мост вернул её")))
    return found


def _of_config(account: PageAccount) -> list[Trouble]:
    state = account.bridge.watch.state
    found = []
    if state.problems:
        words = _("Настройка в файле сломана, действует прежняя: %(first)s", first=state.problems[0])
        if more := len(state.problems) - 1:
            words += f" ({_('и ещё %(n)s', n=more)})"
        found.append(Trouble("warning", words, "config.edit"))
    if state.needs_restart:
        keys = ", ".join(state.needs_restart)
        found.append(Trouble("warning", _("Вступит в силу после перезапуска: %(keys)s", keys=keys), "config.edit"))
    if account.config.bridge.dry_run:
        found.append(Trouble("warning", _("Весь мост работает вхолостую: решает, но ничего не меняет"), "config.edit"))
    return found
