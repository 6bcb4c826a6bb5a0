"""Somebody decided about after the import: the process is killed while he is being written, and he is there once."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.killed_import import HEAD, PATIENCE, SEED, Webinar, in_amocrm, sandbox
from support.local_crm import LocalCrm
from support.running_bridge import wait_until
from support.webinar_samples import LONG, school_config

from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.webinars.plan import Override

__all__ = ["sandbox"]
MAIL = "twice@example.ru"
PEOPLE = f"Имя;Почта;Минут;Дата\nГостья;other@example.ru;5;13.09.2021\nДвойная;{MAIL};70;13.09.2021\n".encode()


@pytest.mark.timeout(400)
def test_who_is_decided_about_later_is_there_once(sandbox: LocalCrm, office: CrmUser, tmp_path: Path) -> None:
    cards = {office.new_contact(HEAD, name, MAIL) for name in ("Двойная", "Она же")}
    webinar = Webinar(sandbox, school_config(sandbox.url, tmp_path / "data"), tmp_path, SEED)
    try:
        webinar.start(PEOPLE)
        wait_until(lambda: webinar.is_done, "the import is over", PATIENCE)
        guest, doubtful = webinar.book.rows(webinar.number)
        assert (guest.state, doubtful.waits, doubtful.state) == ("done", True, "skipped")
        known = len(office._rows("/api/v4/contacts", "contacts"))
        webinar.control.say(webinar.number, doubtful.number, Override(as_new=True))
        for _ in ("its contact", "its deal"):
            webinar.kill_somewhere()
            webinar.go_on()
        sandbox.good_weather()
        wait_until(lambda: webinar.is_done, "it is over again", PATIENCE)
        same_guest, decided = webinar.book.rows(webinar.number)
    finally:
        webinar.close()
    assert webinar.cut_off == 2, "nothing was broken off: this shows nothing"
    assert same_guest == guest, "who was done is left alone"
    assert decided.state == "done"
    assert decided.contact_id not in cards
    assert len(office._rows("/api/v4/contacts", "contacts")) == known + 1
    deal = in_amocrm(office)[f"{MAIL}, Двойная"]
    assert (deal["stage"], deal["contacts"], deal["count"]) == (LONG, [decided.contact_id], 1)
