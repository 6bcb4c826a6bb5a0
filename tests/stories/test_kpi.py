"""What people do in amoCRM stands in their figures: talks, new clients, sales, when they began (S1, S9); once, though
every webhook comes twice."""

from __future__ import annotations

from datetime import timedelta

from support.local_crm import LocalCrm
from support.running_bridge import RunningBridge, wait_until

from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.reports.kpi import Figures, per_day, summed

IVAN, MARIA, HEAD = "Иван Петров", "Мария Кузнецова", "Елена Орлова"


def figures(bridge: RunningBridge, office: CrmUser, who: str) -> Figures:
    """Of this day and the next one: a test may stand at midnight."""
    account = bridge.app.extensions["amo_bridge"].account_at(None)
    now = office.now()
    midnight = now.astimezone(account.zone).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    midnights = {(midnight + timedelta(days=n)).date(): midnight + timedelta(days=n) for n in range(2)}
    own = account.crm_account.current_user_id
    found = per_day(account.account_store, midnights, midnight + timedelta(days=2), own_user_id=own, talk_seconds=30)
    return summed(found.values()).get(office.users[who], Figures())


def test_a_day_of_two_people(bridge: RunningBridge, office: CrmUser, sandbox: LocalCrm) -> None:
    office.every_hook_twice()
    deals = {}
    for who, name in ((IVAN, "Ромашка"), (IVAN, "Лютик"), (MARIA, "Василёк")):
        deals[name] = office.new_deal(who, name, "Продажи / Новый клиент", office.new_contact(who, name), 5000)
        sandbox.later()
    began = office.now()
    office.call(IVAN, deals["Ромашка"], seconds=95)
    sandbox.later()
    office.call(IVAN, deals["Лютик"], seconds=0)
    sandbox.later()
    # Not a new client any more: Ivan has talked with him.
    office.call(MARIA, deals["Ромашка"], seconds=40)
    bridge.settle(sandbox)
    wait_until(lambda: figures(bridge, office, MARIA).talks == 1, "what was done is known")
    ivan, maria = figures(bridge, office, IVAN), figures(bridge, office, MARIA)
    assert (ivan.contacts, ivan.worked, ivan.talks, ivan.unanswered) == (1, 2, 1, 1)
    assert (maria.contacts, maria.worked, maria.talks, maria.sales) == (0, 1, 1, 0)
    assert ivan.first_at is not None
    assert abs(ivan.first_at - began) <= timedelta(seconds=2)

    # A deal that is put back was not sold; one that may be won is, by whoever it is his now.
    sold = office.new_deal(MARIA, "Пион", "Продажи / Утвержденный проект", office.new_contact(MARIA, "Пион"), 5000)
    for requisites in ("Реквизиты клиента", "Реквизиты подрядчика"):
        office.fill(MARIA, sold, requisites, "ИНН 7700000000")
    sandbox.later()
    for deal in (deals["Ромашка"], sold):
        office.move(HEAD, deal, "Продажи / Успешно реализовано")
    bridge.settle(sandbox)
    wait_until(lambda: figures(bridge, office, MARIA).sales == 1, "the sale counts for whose deal it is")
    assert (figures(bridge, office, MARIA).amount, figures(bridge, office, IVAN).sales) == (5000, 0)
