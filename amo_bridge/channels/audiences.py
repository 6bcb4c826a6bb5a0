"""Port of advertising audiences: clients held in them by deals, and uploads to the services.

A row of the outbox says only that a deal holds its client in, or does so no more. Everything else goes by the clock:
consent and opting out are looked at whenever the contact or the deal changes, clients are gathered and uploaded as
each service wants it, and a lost answer is settled by asking the service.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from sqlalchemy.engine import Connection

from amo_bridge.channels.audience_lists import audience_names, listed
from amo_bridge.channels.audience_log import NO_CONSENT_FIELD, AudienceLog, Consent
from amo_bridge.channels.audience_records import Hold, Joining, KeptList, KeptUpload, NoteCause, Verdict, next_state
from amo_bridge.channels.audience_services import (
    AudienceVendor,
    Digests,
    Progress,
    Upload,
    UploadKind,
    Wait,
    Waiting,
)
from amo_bridge.channels.mail import keys_of
from amo_bridge.channels.mail_log import MailMemory, Suppression
from amo_bridge.channels.port import FOREVER, Job, LostAnswer, NotSent, Outcome, Port, Sent
from amo_bridge.channels.recipients import Recipient, recipients
from amo_bridge.clock import Clock
from amo_bridge.config.advertising import AudienceList, AudiencesSection, FileFormat
from amo_bridge.crm.client import CrmClient, batches
from amo_bridge.crm.reads import contacts_by_ids, deals_by_ids
from amo_bridge.engine.alerts import Alerts
from amo_bridge.engine.effects import Channel, Effect
from amo_bridge.engine.journal import Journal
from amo_bridge.engine.outbox import Sendable, add_following
from amo_bridge.engine.rule_engine import CurrentRules, RuleEngine
from amo_bridge.errors import BridgeError, ChannelBusy, ChannelDown, ChannelError, ChannelRefused, ChannelUncertain
from amo_bridge.logs import log
from amo_bridge.mirror.deals import Mirror
from amo_bridge.retry import delay
from amo_bridge.storage.database import AccountStore

JOURNAL = "аудитории"
LOOKS = tuple(timedelta(minutes=minutes) for minutes in (0, 1, 2, 5, 10, 30))
"""After an upload, when the service is asked what became of it; from then on every half an hour."""
UNKNOWN_AFTER = 2
"""Looks at which the service does not know an upload: then it never got it."""
AFTER_REFUSAL = timedelta(hours=1)
SWEEP_EVERY, UNSEEN_EVERY = timedelta(seconds=20), timedelta(hours=1)
"""How often the mirror is searched for changes, and amoCRM is asked for what the mirror does not know."""
NOTES_AT_ONCE, CONTACTS_AT_ONCE = 200, 250


class AudiencePort(Port):
    """``vendors``: the services that are connected, by name; without them all audiences are files."""

    channel: Channel = "audiences"
    batch_size = 250
    # The row itself asks nobody but amoCRM.
    lost_answer: LostAnswer = "repeat"
    gives_up_after = FOREVER

    def __init__(
        self,
        vendors: Mapping[str, AudienceVendor],
        store: AccountStore,
        client: CrmClient,
        rule_engine: Callable[[], RuleEngine],
        clock: Clock,
        account_clock: Clock,
    ) -> None:
        # Files and rehearsals wait for nobody's server.
        self.is_far = bool(vendors)
        self._vendors = vendors
        self._store = store
        self._client = client
        self._rule_engine = rule_engine
        self._clock = clock
        self._account_clock = account_clock
        self._log = AudienceLog(store)
        self._journal = Journal(store)
        self._mail = MailMemory(store, clock)
        self._joining: dict[int, Joining] = {}
        self._sized_on: date | None = None
        self._swept_at: datetime | None = None
        self._unseen_at: datetime | None = None
        self._consent_issue: str | None = None

    # --- rows of the outbox ---

    def plan(self, rows: Sequence[Sendable]) -> Mapping[int, Outcome | Job]:
        self._joining.clear()
        joins = [row for row in rows if row.kind == "join_audience"]
        found = recipients(joins, self._client, self._rule_engine()) if joins else {}
        contacts = [one.contact for one in found.values() if isinstance(one, Recipient) and one.contact]
        suppressions = self._mail.suppressions(keys_of(self._store.account_id, contacts))
        planned: dict[int, Outcome | Job] = {row.id: self._join(row, found[row.id], suppressions) for row in joins}
        return planned | {row.id: self._leave(row) for row in rows if row.kind == "leave_audience"}

    def keep(self, connection: Connection, row: Sendable, outcome: Outcome) -> None:
        now = self._account_clock.now()
        if row.kind == "leave_audience":
            self._let_go(connection, self._listed(row)[0], row.deal_id, "сделка больше не держит", now)
        elif joining := self._joining.get(row.id):
            audience, contact_id, verdict = joining.audience, joining.contact_id, joining.verdict
            member = self._log.members([contact_id]).get((audience, contact_id))
            self._log.hold(
                connection, audience, row.deal_id, contact_id, row.rule, row.event_id, now, joining.deal_seen_at
            )
            into = next_state(member, verdict, is_held=True, why_left="")
            self._log.put(connection, audience, contact_id, member, verdict, into, now)

    def _join(self, row: Sendable, found: Recipient | NotSent, suppressions: Mapping[str, Suppression]) -> Outcome:
        if isinstance(found, NotSent):
            return found
        if found.contact is None:
            return NotSent("у сделки нет контакта")
        audience, how = self._listed(row)
        keys = keys_of(self._store.account_id, [found.contact])
        told = [suppressions[key] for key in keys if key in suppressions]
        now = self._account_clock.now()
        verdict = self._consent.verdict(found.contact, [found.record], self._format(how), told, now)
        self._joining[row.id] = Joining(audience, found.contact.id, verdict, found.record.updated_at)
        if verdict.problem:
            return NotSent(f"{verdict.problem}; исправят — войдёт сам, пока сделка его держит")
        return Sent(f"контакт {found.contact.id}, ждёт выгрузки")

    def _leave(self, row: Sendable) -> Outcome:
        audience, _ = self._listed(row)
        held = next((hold for hold in self._log.holds_of_deal(row.deal_id) if hold.audience == audience), None)
        if held is None:
            return NotSent("сделка никого в аудитории не держала")
        holds = self._log.holds_of([held.contact_id]).get((audience, held.contact_id), [])
        others = [hold.deal_id for hold in holds if hold.ended_at is None and hold.deal_id != row.deal_id]
        stays = f", остаётся: его держит сделка {others[0]}" if others else ", уйдёт со следующей выгрузкой"
        return Sent(f"контакт {held.contact_id}{stays}")

    def _let_go(self, connection: Connection, audience: str, deal_id: int, why: str, now: datetime) -> None:
        contact_id = self._log.let_go(connection, audience, deal_id, why, now)
        if contact_id is None:
            return
        holds = self._log.holds_of([contact_id]).get((audience, contact_id), [])
        member = self._log.members([contact_id]).get((audience, contact_id))
        if member is None or any(hold.ended_at is None and hold.deal_id != deal_id for hold in holds):
            return
        verdict = Verdict(Digests(), "", now)
        self._log.move(connection, member, next_state(member, verdict, is_held=False, why_left=why), now)

    # --- by the clock ---

    def recover(self) -> None:
        self._log.doubt_interrupted(self._account_clock.now())

    def run_due(self) -> int:
        """What has changed of deals and contacts; then each audience goes on, whatever becomes of the others."""
        if self._section is None:
            return 0
        self._follow_fields()
        names = self._names()
        for name in names:
            self._follow_service(name)
        moved = self._follow_changes()
        if not self._rule_engine().config.bridge.dry_run:
            moved += sum(self._advance(name) for name in names)
        moved += self._note()
        self._keep_sizes(names, is_news=bool(moved))
        return moved

    @property
    def _section(self) -> AudiencesSection | None:
        return self._rule_engine().config.channels.audiences

    @property
    def _consent(self) -> Consent:
        assert self._section is not None
        return Consent(self._rule_engine(), self._section)

    def _listed(self, row: Sendable) -> tuple[str, AudienceList]:
        return listed(self._section, row.body["audience"])

    def _names(self) -> list[str]:
        assert self._section is not None
        return audience_names(self._section, self._log)

    def _format(self, how: AudienceList) -> FileFormat:
        if how.service == "file":
            return how.format
        return "vk" if how.service == "vk" else "yandex"

    def _keep_sizes(self, names: Sequence[str], *, is_news: bool) -> None:
        today = self._rule_engine().calendar.local(self._account_clock.now()).date()
        if names and (is_news or today != self._sized_on):
            self._log.keep_sizes(today, names)
            self._sized_on = today

    # --- deals and contacts that have changed ---

    def _follow_fields(self) -> None:
        """The field of consent is lost: nobody may be in. It is there again: whoever was kept out is judged anew."""
        issue = self._consent.issue
        if issue == self._consent_issue:
            return
        if issue:
            told = (
                f"аудитории: {issue}. Согласие не проверить: никто не войдёт, кто есть — выйдут; исправьте [audiences]"
            )
            self._tell(told, "audiences:consent")
        with self._store.write() as connection:
            self._log.check_consents(connection, NO_CONSENT_FIELD, is_lost=bool(issue))
        self._consent_issue = issue

    def _follow_service(self, audience: str) -> None:
        """The config keeps an audience elsewhere, or in another format: it begins anew there, judged before."""
        how = listed(self._section, audience)[1]
        kept, kind = self._log.list_of(audience), self._format(how)
        if (kept.service, kept.format) == (how.service, kind):
            return
        self._tell_of_former(audience, how, kept)
        upload, now = self._log.open_upload(audience), self._account_clock.now()
        with self._store.write() as connection:
            if not kept.service:
                # Nothing is kept elsewhere yet.
                self._log.set_list(connection, audience, how.service, format=kind)
                return
            if upload is not None:
                self._log.end_upload(connection, upload.id, "dropped", "у аудитории другой сервис или формат", now)
            self._log.begin_list(connection, audience, how.service, kind)

    def _tell_of_former(self, audience: str, how: AudienceList, kept: KeptList) -> None:
        """The list that is left behind shows advertisements to whoever opts out from now on."""
        former, service = self._vendors.get(kept.service), self._vendors.get(how.service)
        title = former.title if former else kept.service
        if not kept.list_ref:
            return
        segment = f" и сегмент {kept.segment_ref}" if kept.segment_ref else ""
        told = (
            f"аудиторию «{audience}» теперь ведёт {service.title if service else 'человек (файл)'}. {title}: остался"
            f" список {kept.list_ref}{segment}, удалите в кабинете: мост его не меняет, кто отпишется, в нём останется"
        )
        self._tell(told, f"audience:{audience}:left:{kept.list_ref}")

    def _follow_changes(self) -> int:
        """Whoever is known to have changed is judged at once; what has changed besides is looked for by and by."""
        now, moved = self._account_clock.now(), 0
        if self._swept_at is None or abs(now - self._swept_at) >= SWEEP_EVERY:
            self._follow_deals()
            moved += self._look_again(self._log.to_check())
            self._swept_at = now
        else:
            moved += self._look_again(self._log.unchecked())
        if self._unseen_at is None or now - self._unseen_at >= UNSEEN_EVERY:
            moved += self._let_go_of_deleted(now)
            moved += self._look_again(self._log.contacts_unseen())
            self._unseen_at = now
        return moved

    def _follow_deals(self) -> None:
        """A deal has another main contact, or another tag: its clients are to be judged."""
        now = self._account_clock.now()
        changed = self._log.holds_of_changed_deals()
        records = Mirror(self._store).get(hold.deal_id for hold, _ in changed)
        for hold, seen_at in changed:
            main_contact_id = records[hold.deal_id].record.main_contact_id or hold.contact_id
            with self._store.write() as connection:
                self._log.change_hold(connection, hold.audience, hold.deal_id, seen_at=seen_at.timestamp())
                if main_contact_id != hold.contact_id:
                    self._let_go(connection, hold.audience, hold.deal_id, "у сделки другой контакт", now)
                    self._log.hold(
                        connection, hold.audience, hold.deal_id, main_contact_id, hold.rule, hold.event_id,
                        now, seen_at,
                    )  # fmt: skip
                    self._log.change_hold(connection, hold.audience, hold.deal_id, is_noted=False)
                # The change is seen only if its clients are sure to be judged, however amoCRM answers now.
                self._log.check_again(connection, hold.audience, {hold.contact_id, main_contact_id}, now)

    def _let_go_of_deleted(self, now: datetime) -> int:
        unseen = self._log.deals_unseen()
        if not unseen:
            return 0
        filters = self._rule_engine().account.is_api_filter_enabled
        there = deals_by_ids(self._client, {hold.deal_id for hold in unseen}, filter_enabled=filters)
        gone = [hold for hold in unseen if hold.deal_id not in there]
        for hold in gone:
            with self._store.write() as connection:
                self._let_go(connection, hold.audience, hold.deal_id, "сделки больше нет", now)
        return len(gone)

    def _look_again(self, contact_ids: Iterable[int]) -> int:
        """Read these contacts afresh and judge them anew; how many went elsewhere."""
        return sum(self._judge(some) for some in batches(sorted(set(contact_ids)), CONTACTS_AT_ONCE))

    def _judge(self, contact_ids: Sequence[int]) -> int:
        now, rule_engine, consent = self._account_clock.now(), self._rule_engine(), self._consent
        contacts = contacts_by_ids(self._client, contact_ids, filter_enabled=rule_engine.account.is_api_filter_enabled)
        suppressions = self._mail.suppressions(keys_of(self._store.account_id, contacts.values()))
        holds, members = self._log.holds_of(contact_ids), self._log.members(contact_ids)
        open_holds = {key: [hold for hold in some if hold.ended_at is None] for key, some in holds.items()}
        mirrored = Mirror(self._store).get(hold.deal_id for some in open_holds.values() for hold in some)
        moved = 0
        with self._store.write() as connection:
            for audience, contact_id in sorted({*members, *(key for key, some in open_holds.items() if some)}):
                member = members.get((audience, contact_id))
                holding = open_holds.get((audience, contact_id), [])
                contact = contacts.get(contact_id)
                keys = keys_of(self._store.account_id, [contact] if contact else [])
                verdict = consent.verdict(
                    contact,
                    [mirrored[hold.deal_id].record for hold in holding if hold.deal_id in mirrored],
                    self._format(listed(self._section, audience)[1]),
                    [suppressions[key] for key in keys if key in suppressions],
                    now,
                )
                words = member.words if member and not holding else ""
                into = next_state(member, verdict, is_held=bool(holding), why_left=words or "сделка больше не держит")
                self._log.put(connection, audience, contact_id, member, verdict, into, now)
                moved += member is None or into.state != member.state
        return moved

    # --- uploads ---

    def _advance(self, audience: str) -> int:
        """Ask what became of the upload that is on its way, or begin the next one; how much was moved on."""
        how = listed(self._section, audience)[1]
        vendor = self._vendors.get(how.service)
        if vendor is None:
            return 0
        now = self._account_clock.now()
        kept = self._list(audience, how, vendor)
        moved = self._make_segment(vendor, audience, kept, now)
        upload = self._log.open_upload(audience)
        is_paused = kept.retry_at is not None and now < kept.retry_at
        if is_paused and not self._may_remove(audience, upload, kept, now):
            return moved
        try:
            if upload is not None:
                return moved + self._look(vendor, upload, kept, now)
            return moved + self._begin(vendor, audience, kept, now, only_leavers=is_paused)
        except (ChannelDown, ChannelBusy) as error:
            seconds = error.retry_after if isinstance(error, ChannelBusy) else None
            self._wait_out(audience, vendor, str(error), timedelta(seconds=seconds or delay(kept.failures + 4)))
        except ChannelRefused as error:
            self._refused(audience, vendor, upload, self._cause_of(error, audience, vendor, kept), now)
        except ChannelError as error:
            self._wait_out(audience, vendor, str(error), LOOKS[1])
        return moved

    def _may_remove(self, audience: str, upload: KeptUpload | None, kept: KeptList, now: datetime) -> bool:
        """Whoever opts out does not wait out the pause after a refusal of something else; if he himself was refused,
        he is tried again sooner than others."""
        if upload is not None:
            # Begun in the pause.
            return kept.trouble_at is not None and upload.asked_at > kept.trouble_at
        if not self._log.is_anybody_urgent(audience):
            return False
        last = next(iter(self._log.uploads_of(audience, most=1)), None)
        if last is None or last.state != "failed":
            return False
        if last.kind not in ("remove", "replace") or kept.trouble_at is None:
            return True
        return now >= kept.trouble_at + LOOKS[min(kept.failures, len(LOOKS) - 1)]

    def _list(self, audience: str, how: AudienceList, vendor: AudienceVendor) -> KeptList:
        """What the service has."""
        kept = self._log.list_of(audience)
        if kept.list_ref or not how.base_list:
            return kept
        with self._store.write() as connection:
            self._log.set_list(connection, audience, vendor.name, list_ref=str(how.base_list))
        return self._log.list_of(audience)

    def _begin(
        self, vendor: AudienceVendor, audience: str, kept: KeptList, now: datetime, *, only_leavers: bool
    ) -> int:
        waiting = self._waiting(vendor, audience, kept, now)
        step = vendor.next_upload(replace(waiting, queued=0) if only_leavers else waiting)
        if isinstance(step, Wait):
            if step.words and step.words != kept.words:
                with self._store.write() as connection:
                    self._log.set_list(connection, audience, vendor.name, words=step.words)
            return 0
        joiners = [] if step == "remove" or only_leavers else self._log.in_states(audience, "queued")
        leavers = [] if step in ("base", "add") else self._log.in_states(audience, "leaving")
        clients = [Digests.from_json(one.digests) for one in joiners]
        if step == "remove":
            clients = [Digests.from_json(one.sent_digests) for one in leavers]
        elif step == "replace":
            stay = self._log.in_states(audience, "in")
            clients = [*(Digests.from_json(one.sent_digests) for one in stay), *clients]
        with self._store.write() as connection:
            number = self._log.begin_upload(connection, audience, vendor.name, step, joiners, leavers, now)
            self._log.freeze(connection, number)
        self._send(vendor, self._upload(step, audience, number, kept), number, clients, now)
        return 1

    def _send(
        self, vendor: AudienceVendor, upload: Upload, number: int, clients: Sequence[Digests], now: datetime
    ) -> None:
        try:
            ref = vendor.send(upload, clients)
        except (ChannelDown, ChannelBusy) as error:
            # Nothing was taken: all wait again.
            with self._store.write() as connection:
                self._log.end_upload(connection, number, "dropped", str(error), now)
            raise
        except ChannelRefused as error:
            with self._store.write() as connection:
                self._log.end_upload(connection, number, "failed", str(error), now)
            raise
        except ChannelUncertain as error:
            self._doubt(number, str(error), now)
        except BridgeError:
            # The store is gone, or somebody else leads: whoever goes on finds the upload as «asking».
            raise
        except Exception as error:
            log.exception("audience upload failed", upload=number)
            self._doubt(number, f"ошибка моста: {error!r}", now)
        else:
            with self._store.write() as connection:
                look_at = now.timestamp()
                self._log.set_upload(connection, number, state="processing", ref=ref[:80], look_at=look_at)

    def _doubt(self, number: int, words: str, now: datetime) -> None:
        with self._store.write() as connection:
            look_at = (now + LOOKS[1]).timestamp()
            self._log.set_upload(connection, number, state="doubt", words=words, look_at=look_at)

    def _waiting(self, vendor: AudienceVendor, audience: str, kept: KeptList, now: datetime) -> Waiting:
        counts = self._log.counts(audience).get(audience, {})
        last = self._log.last_upload_at(audience)
        last_hour, any_last = self._log.uploads_since(vendor.name, now - timedelta(hours=1))
        return Waiting(
            list_ref=kept.list_ref,
            queued=counts.get("queued", 0),
            leaving=counts.get("leaving", 0),
            present=counts.get("in", 0),
            is_urgent=self._log.is_anybody_urgent(audience),
            since_last=now - last if last else None,
            since_any=now - any_last if any_last else None,
            last_hour=last_hour,
        )

    def _upload(self, kind: UploadKind, audience: str, number: int, kept: KeptList) -> Upload:
        name = f"{audience} · мост {self._store.account_id}-{number}"
        return Upload(kind, name, audience, kept.list_ref)

    def _look(self, vendor: AudienceVendor, upload: KeptUpload, kept: KeptList, now: datetime) -> int:
        if upload.look_at is not None and now < self._look_at(upload, upload.look_at):
            return 0
        asked = self._upload(upload.kind, upload.audience, upload.id, kept)
        asked = replace(asked, ref=upload.ref, is_lost=upload.state == "doubt")
        try:
            progress = vendor.look(asked)
        except ChannelUncertain as error:
            progress = Progress("processing", str(error), upload.ref)
            return self._look_later(upload, progress, now, state=upload.state)
        if progress.state == "processing":
            return self._look_later(upload, progress, now, state="processing")
        if progress.state == "unknown" and upload.looks < UNKNOWN_AFTER:
            return self._look_later(upload, Progress("processing", upload.words), now, state=upload.state)
        if progress.state == "done":
            self._arrived(vendor, upload, progress, kept, now)
        elif progress.state == "failed":
            self._refused(upload.audience, vendor, upload, progress.words, now)
        else:
            is_gone = progress.state == "gone"
            words = "списка у сервиса больше нет, начинаем заново" if is_gone else "до сервиса не дошло, повторим"
            with self._store.write() as connection:
                self._log.end_upload(connection, upload.id, "dropped", words, now)
                if is_gone:
                    self._log.forget_list(connection, upload.audience, vendor.name)
        return 1

    def _look_at(self, upload: KeptUpload, planned: datetime) -> datetime:
        """When to ask: every minute while somebody may wait for the end of this upload in order to leave."""
        soon = planned - LOOKS[min(upload.looks, len(LOOKS) - 1)] + LOOKS[1]
        if soon < planned and (self._log.is_anybody_urgent(upload.audience) or self._log.to_check(upload.id)):
            return soon
        return planned

    def _look_later(self, upload: KeptUpload, progress: Progress, now: datetime, state: str) -> int:
        looks = upload.looks + 1
        look_at = now + LOOKS[min(looks, len(LOOKS) - 1)]
        with self._store.write() as connection:
            self._log.set_upload(
                connection, upload.id, state=state, looks=looks, look_at=look_at.timestamp(), words=progress.words,
                ref=(progress.ref or upload.ref)[:80],
            )  # fmt: skip
        return 0

    def _arrived(
        self, vendor: AudienceVendor, upload: KeptUpload, progress: Progress, kept: KeptList, now: datetime
    ) -> None:
        list_ref = (progress.ref or upload.ref)[:80]
        with self._store.write() as connection:
            self._log.arrived(connection, upload.id, now)
            self._log.end_upload(connection, upload.id, "done", progress.words, now)
            more: dict[str, object] = {"words": progress.words, "trouble": "", "failures": 0, "retry_at": None}
            if not kept.list_ref:
                # A list of our own gets a segment; see ``_make_segment``.
                more |= {"list_ref": list_ref, "segment_at": now.timestamp()}
            self._log.set_list(connection, upload.audience, vendor.name, **more)

    def _make_segment(self, vendor: AudienceVendor, audience: str, kept: KeptList, now: datetime) -> int:
        """What advertisements are shown to, of a list that is ready. The list goes on whatever becomes of it."""
        if kept.segment_at is None or now < kept.segment_at:
            return 0
        try:
            made = vendor.make_segment(audience, kept.list_ref)
        except ChannelRefused as error:
            words = f"список {kept.list_ref} готов, а сегмент для объявлений не создан: {error}"
            told = f"аудитория «{audience}», {vendor.title}: {words}. Создайте сегмент из этого списка в кабинете"
            self._tell(told, f"audience:{audience}:segment")
            return self._segment_later(audience, vendor, now + AFTER_REFUSAL, words)
        except ChannelError as error:
            return self._segment_later(audience, vendor, now + LOOKS[1], f"сегмент для объявлений: {error}")
        with self._store.write() as connection:
            self._log.set_list(connection, audience, vendor.name, segment_ref=made[:80], segment_at=None, words="")
        return 1

    def _segment_later(self, audience: str, vendor: AudienceVendor, moment: datetime, words: str) -> int:
        with self._store.write() as connection:
            self._log.set_list(connection, audience, vendor.name, segment_at=moment.timestamp(), words=words)
        return 0

    def _refused(
        self, audience: str, vendor: AudienceVendor, upload: KeptUpload | None, words: str, now: datetime
    ) -> None:
        """A person is to look at it; it is tried again in an hour."""
        with self._store.write() as connection:
            if upload is not None:
                self._log.end_upload(connection, upload.id, "failed", words, now)
        self._wait_out(audience, vendor, words, AFTER_REFUSAL)
        told = f"аудитория «{audience}», {vendor.title}: {words}. Что делать — страница моста «Аудитории»"
        self._tell(told, f"audience:{audience}")

    def _tell(self, words: str, about: str) -> None:
        Alerts(self._store, CurrentRules(self._rule_engine()), self._clock).tell(words, about)

    def _cause_of(self, error: ChannelRefused, audience: str, vendor: AudienceVendor, kept: KeptList) -> str:
        """What is wrong; a list that was deleted in the cabinet is begun anew."""
        try:
            if not kept.list_ref or vendor.has_list(kept.list_ref):
                return str(error)
        except ChannelError:
            return str(error)
        with self._store.write() as connection:
            self._log.forget_list(connection, audience, vendor.name)
        return f"списка {kept.list_ref} у сервиса больше нет, начинаем новый"

    def _wait_out(self, audience: str, vendor: AudienceVendor, words: str, wait: timedelta) -> None:
        now = self._account_clock.now()
        failures = self._log.list_of(audience).failures + 1
        log.warning("audience waits", audience=audience, service=vendor.name, error=words)
        with self._store.write() as connection:
            self._log.set_list(
                connection, audience, vendor.name, trouble=words, trouble_at=now.timestamp(), failures=failures,
                retry_at=(now + wait).timestamp(),
            )  # fmt: skip

    # --- what the cards say ---

    def _note(self) -> int:
        """Say on the cards who is in and who is no more; how many."""
        found = self._log.to_note(NOTES_AT_ONCE)
        if not found:
            return 0
        section, now = self._section, self._account_clock.now()
        told: dict[int, str] = {}
        with self._store.write() as connection:
            for hold, member in found:
                is_in = member.state == "in"
                self._log.change_hold(connection, hold.audience, hold.deal_id, is_noted=is_in)
                vendor = self._vendors.get(listed(section, hold.audience)[1].service)
                where = f" ({vendor.title})" if vendor else ""
                words = f"клиент в аудитории «{hold.audience}»{where}"
                if not is_in:
                    words = f"клиента больше нет в аудитории «{hold.audience}»{where}"
                    words += f": {member.words}" if member.words else ""
                told[hold.deal_id] = f"{told[hold.deal_id]}; {words}" if hold.deal_id in told else words
                if section and section.note:
                    self._add_note(connection, hold, words, f"{member.state}|{member.since.timestamp():.0f}", now)
            self._journal.note(connection, now.astimezone(UTC), JOURNAL, told)
        return len(found)

    def _add_note(self, connection: Connection, hold: Hold, words: str, mark: str, now: datetime) -> None:
        text = words[:1].upper() + words[1:]
        # amoCRM's own types targeting_in and targeting_out can't be written by the API (amoCRM docs, events-and-notes).
        params = {"service": "Аудитории", "text": text}
        body = {"entity_id": hold.deal_id, "note_type": "service_message", "params": params}
        effect = Effect("add_note", hold.deal_id, body, f"примечание «{text}»", not_before=now.timestamp())
        key = f"audience|{hold.audience}|{hold.deal_id}|{mark}"
        add_following(
            connection, self._store.account_id, NoteCause(key, hold.rule, hold.event_id), [effect], self._clock.now()
        )
