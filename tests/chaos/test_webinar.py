"""An importer that is killed for real: the process gets SIGKILL in the middle of an import, answers get lost, writes
land late; in the end everybody is in amoCRM once, with what belongs to him.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from support.killed_import import (
    ATTENDEES,
    HEAD,
    KILLS,
    KNOWN,
    PATIENCE,
    SEED,
    Webinar,
    bad_weather,
    expected,
    in_amocrm,
    mail,
    sandbox,
    table,
)
from support.local_crm import LocalCrm
from support.running_bridge import wait_until
from support.webinar_samples import school_config

from amo_bridge.demo.crm_user import CrmUser

__all__ = ["sandbox"]


@pytest.mark.timeout(400)
def test_who_is_imported_by_a_process_that_is_killed_is_there_once(
    sandbox: LocalCrm, office: CrmUser, tmp_path: Path
) -> None:
    known = {mail(number): office.new_contact(HEAD, f"Гость {number}", mail(number)) for number in range(KNOWN)}
    strangers = len(office._rows("/api/v4/contacts", "contacts")) - KNOWN
    webinar = Webinar(sandbox, school_config(sandbox.url, tmp_path / "data"), tmp_path, SEED)
    try:
        webinar.start(table())
        faults = bad_weather(sandbox, SEED)
        for _ in range(KILLS):
            webinar.kill_somewhere()
            webinar.go_on()
        struck = [sandbox.struck(fault) for fault in faults]
        sandbox.good_weather()
        wait_until(lambda: webinar.is_done, "the import is over", PATIENCE)
        states = webinar.book.counts(webinar.number).state
        rows = webinar.book.rows(webinar.number)
    finally:
        webinar.close()
    assert webinar.cut_off > 1, "nothing was broken off: this shows nothing"
    assert struck[:2] == [1, 1], "no answer was lost: this shows nothing"
    assert states == {"done": ATTENDEES}

    contacts = office._rows("/api/v4/contacts", "contacts")
    assert len(contacts) == strangers + ATTENDEES, "nobody twice, none missing"
    found = in_amocrm(office)
    assert len(found) == ATTENDEES
    for kept in rows:
        number = int(kept.row.person.name.removeprefix("Гость "))
        contact = known.get(mail(number), kept.contact_id)
        assert found[f"{mail(number)}, Гость {number}"] == {
            **expected(number), "contacts": [contact], "count": 1,
        }, number  # fmt: skip
