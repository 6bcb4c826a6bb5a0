"""Audiences by name: those the config lists or its rules name, and their files for upload by hand."""

from __future__ import annotations

from datetime import datetime

from amo_bridge.channels.audience_log import AudienceLog
from amo_bridge.channels.audience_services import Digests, file_of
from amo_bridge.config.advertising import AudienceList, AudiencesSection
from amo_bridge.storage.database import AccountStore
from amo_bridge.text.names import same_name

NO_LIST = AudienceList()
LONGEST_NAME = 120


def listed(section: AudiencesSection | None, typed: str) -> tuple[str, AudienceList]:
    """An audience's name as the config writes it, and how it is kept; one that is not listed is a file."""
    lists = section.lists if section else {}
    known = next(((name, one) for name, one in lists.items() if same_name(name, typed)), (typed, NO_LIST))
    return known[0][:LONGEST_NAME], known[1]


def audience_names(section: AudiencesSection, kept: AudienceLog) -> list[str]:
    """Those that the config lists, and those that rules have named besides."""
    return list(dict.fromkeys((*section.lists, *kept.names())))


def make_file(store: AccountStore, section: AudiencesSection, audience: str, now: datetime) -> bytes:
    """The file of everybody who is in or is to be in, for upload by hand; who waits is on his way from now on.
    An earlier file that nobody confirmed is void."""
    kept, how = AudienceLog(store), listed(section, audience)[1]
    with store.write() as connection:
        if (before := kept.open_upload(audience)) is not None:
            kept.end_upload(connection, before.id, "dropped", "сделан новый файл", now)
    joiners, leavers, stay = (kept.in_states(audience, state) for state in ("queued", "leaving", "in"))
    # The format has changed, and they are yet to be judged.
    if kept.list_of(audience).format not in ("", how.format):
        joiners, stay = [], []
    joiners = [member for member in joiners if member.digests]
    with store.write() as connection:
        number = kept.begin_upload(connection, audience, "file", "file", joiners, leavers, now)
        kept.freeze(connection, number)
    clients = [Digests.from_json(one.sent_digests) for one in stay]
    return file_of(how.format, [*clients, *(Digests.from_json(one.digests) for one in joiners)])


def confirm_file(store: AccountStore, audience: str, now: datetime) -> bool:
    """A person has uploaded the last file; False if there is none to confirm."""
    kept = AudienceLog(store)
    upload = kept.open_upload(audience)
    if upload is None or upload.kind != "file":
        return False
    with store.write() as connection:
        kept.arrived(connection, upload.id, now)
        return kept.end_upload(connection, upload.id, "done", "загружен человеком", now)
