"""What an import does and has done, in words: asked before it begins, told when it is over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from amo_bridge.webinars.imports.model import Counts, Import, Kept
from amo_bridge.webinars.imports.report import Progress, results

CREATES = ("create_person", "create_deal")
RESULTS: Mapping[str, Any] = {
    "deals": _l("создано сделок"), "contacts": _l("создано контактов"), "updated": _l("обновлено сделок"),
    "completed": _l("дополнено контактов"), "same": _l("без изменений"), "undone": _l("отменено"),
    "kept": _l("не отменено"), "intact": _l("возвращать нечего"),
    "failed": _l("не вышло"), "open": _l("ещё в работе"), "planned": _l("ещё не начато"),
    "left out": _l("не загружено"), "doubtful": _l("ждут решения"), "unmatched": _l("не сопоставить"),
    "banned": _l("забанены"), "skipped": _l("пропущены"), "other": _l("остальные, см. примечания"),
}  # fmt: skip


def came_of_it(rows: Iterable[Kept]) -> str:
    """What an import has done, in one sentence."""
    return results(rows).in_words(RESULTS)


def start_question(counts: Counts) -> str:
    """«Создать в amoCRM 3 сделки и 2 контакта, обновить 4 сделки?»"""
    people, updates = counts.what.get("create_person", 0), counts.what.get("update_deal", 0)
    made, changed = people + counts.what.get("create_deal", 0), _deals(updates)
    new = _("%(deals)s и %(contacts)s", deals=_deals(made), contacts=_contacts(people)) if people else _deals(made)
    if made and updates:
        return str(_("Создать в amoCRM %(new)s, обновить %(changed)s?", new=new, changed=changed))
    if made:
        return str(_("Создать в amoCRM %(new)s?", new=new))
    if updates:
        return str(_("Обновить в amoCRM %(changed)s?", changed=changed))
    return str(_("Записывать в amoCRM нечего. Всё равно закончить загрузку?"))


def undo_question(rows: Sequence[Kept]) -> str:
    """How many deals would be closed, how many put back."""
    closed = back = 0
    for kept in rows:
        closed += bool(kept.deal_id) and kept.before is None and kept.row.what in CREATES
        back += kept.before is not None
    told = [_("Отменить загрузку?")]
    if closed:
        told.append(
            ngettext(
                "%(num)s созданная сделка будет закрыта: удалить её через API нельзя.",
                "%(num)s созданных сделок будут закрыты: удалить их через API нельзя.",
                closed,
            )
        )
    if back:
        told.append(
            ngettext(
                "%(num)s изменённая сделка станет как была.", "%(num)s изменённых сделок станут как были.", back
            )
        )  # fmt: skip
    if any(kept.contact_was is not None for kept in rows):
        told.append(_("Почта и телефоны, которые загрузка добавила в контакты, будут убраны."))
    told.append(_("Что с тех пор меняли люди, останется.") if closed or back else _("Возвращать нечего."))
    return " ".join(told)


def did(kept: Kept, stage: str) -> str:
    """What was done about a person, or taken back; empty as long as nothing was. ``stage``: his by the webinar."""
    if kept.state == "undone":
        if kept.before is not None:
            return str(_("сделка снова как была"))
        has_deal = kept.deal_id is not None and kept.row.what in CREATES
        return str(_("сделка закрыта") if has_deal or kept.contact_was is None else _("контакт снова как был"))
    if kept.state == "intact":
        return str(_("менять было нечего"))
    if kept.state != "done":
        return ""
    told = _did_to_deal(kept, stage)
    if kept.contact_was is None:
        return told
    return str(_("%(deal)s; в контакт добавлено: %(told)s", deal=told, told=", ".join(kept.row.adds)))


def _did_to_deal(kept: Kept, stage: str) -> str:
    if kept.row.what == "create_person":
        return str(_("созданы контакт и сделка"))
    if kept.row.what == "create_deal":
        return str(_("создана сделка у его контакта"))
    if kept.before is None:
        return str(_("менять было нечего"))
    if kept.before["moved"]:
        return str(_("сделка обновлена и перенесена на «%(stage)s»", stage=stage))
    return str(_("сделка обновлена, этап прежний"))


def now(job: Import, told: Progress) -> str:
    """What is being done, and how far that is."""
    settled = _("%(done)s из %(all)s", done=told.settled, all=told.all)
    if job.state == "running" and told.is_making_contacts:
        made = _("%(done)s из %(all)s", done=told.made, all=told.contacts)
        return str(_("Создаю контакты: %(how_many)s. Сделки — следом.", how_many=made))
    if job.state == "running" and told.settled == told.all:
        return str(_("Всё записано, проверяю."))
    words = {"running": _("Загружаю"), "undoing": _("Отменяю"), "paused": _("На паузе")}
    return f"{words[job.state]}: {settled}."


def _deals(many: int) -> str:
    return str(ngettext("%(num)s сделку", "%(num)s сделок", many))


def _contacts(many: int) -> str:
    return str(ngettext("%(num)s контакт", "%(num)s контактов", many))
