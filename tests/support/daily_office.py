"""A team that reports every day: the job, the buttons, the stand-ins of Telegram and MAX, a clock to be moved."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from amo_bridge.channels.daily_reports import DailyReportButtons
from amo_bridge.channels.max_bot import MaxBot
from amo_bridge.channels.messengers import Messenger
from amo_bridge.channels.presses import ButtonJob, Press, Reply, StaffBots, keep_press
from amo_bridge.channels.telegram import Bot
from amo_bridge.config.channels import Channels, MaxBotSection, PersonSection, TelegramSection, Way
from amo_bridge.config.model import DailyReportSection, KpiSection
from amo_bridge.config.other_crms import PipedriveSection
from amo_bridge.crm.account import LOST, WON, LossReason
from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.daily_reports import DailyReport, DailyReports
from amo_bridge.engine.people import People
from amo_bridge.engine.rule_engine import CurrentRules, RuleEngine
from amo_bridge.events import TouchRecord
from amo_bridge.mirror.deals import Mirror, MirroredDeal
from amo_bridge.mirror.touches import add_touches
from amo_bridge.reports.daily import DailyReportJob
from amo_bridge.rules.option_types import UserName
from amo_bridge.standins.bots import BotStandIn, MaxStandIn, TelegramStandIn
from amo_bridge.standins.server import StandIns
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import outbox
from support.fakes import ACCOUNT, NOON, clock, rule_engine, user

HEAD, IVAN, MARIA = "Елена Орлова", "Иван Петров", "Мария Кузнецова"
NUMBERS = {HEAD: 11, IVAN: 22, MARIA: 33}
PLAN = "Прозвонить более 70 лидов, найти новых 10 клиентов."
MONDAY_EVENING = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
"""18:00 in Moscow, of the Monday that begins at NOON."""


class Agency:
    """``section``: ``[daily_report]``; ``ways``: how each is reached; ``stand_ins``: None without messengers."""

    def __init__(self, store: Store, stand_ins: StandIns | None = None, **section: Any) -> None:
        self.store = AccountStore(store, ACCOUNT)
        self.clock = clock(NOON)
        self.stand_ins = stand_ins
        self.section: dict[str, Any] = {"people": [IVAN], "plan": PLAN, **section}
        self.kpi: dict[str, Any] = {}
        self.ways: dict[str, dict[str, Any]] = {name: {"telegram": number} for name, number in NUMBERS.items()}
        self.absences: Any = {}
        self.reasons: dict[int, str] = {}
        self.pipedrive: PipedriveSection | None = None
        self.is_dry = False
        self.sections: dict[str, Any] = {}
        self._told = ""
        bots: dict[Way, Messenger] = {}
        if stand_ins is not None:
            for name in ("telegram", "max"):
                bot = stand_ins[name]
                assert isinstance(bot, BotStandIn)
                bot.people |= {number: person for person, number in NUMBERS.items()}
                bot.webhook_url = f"{stand_ins.url}/nowhere"
            self.sections = {
                "telegram": TelegramSection(api=f"{stand_ins.url}/telegram"),
                "max": MaxBotSection(api=f"{stand_ins.url}/max"),
            }
            bots = {
                "telegram": Bot(self.sections["telegram"], self.telegram.token),
                "max": MaxBot(self.sections["max"], self.max.token),
            }
        self.bots = StaffBots(bots, self.clock)
        self.begin()
        self._keys = iter(range(10_000))

    def begin(self) -> None:
        """The process starts, or starts again after it was killed."""
        rules: Any = CurrentRules(self.rule_engine())
        rules.get = self.rule_engine
        self.job = DailyReportJob(self.store, rules, self.clock, self.clock)
        subject = DailyReportButtons(self.bots, self.store, self.rule_engine, self.clock, self.clock)
        self.buttons = ButtonJob([subject], self.bots, self.store, self.rule_engine, self.clock)

    @property
    def telegram(self) -> TelegramStandIn:
        assert self.stand_ins is not None
        bot = self.stand_ins["telegram"]
        assert isinstance(bot, TelegramStandIn)
        return bot

    @property
    def max(self) -> MaxStandIn:
        assert self.stand_ins is not None
        bot = self.stand_ins["max"]
        assert isinstance(bot, MaxStandIn)
        return bot

    def rule_engine(self) -> RuleEngine:
        """By the sections as they are now; a round asks for it, so what did not change is not put together anew."""
        told = (self.ways, self.sections, self.pipedrive, self.is_dry, self.kpi, self.section, self.reasons)
        if repr(told) != self._told:
            self._told, self._made = repr(told), self._rule_engine()
        return replace(self._made, people=People(rule_engine().account, {"head": UserName(HEAD)}, self.absences))

    def _rule_engine(self) -> RuleEngine:
        engine = rule_engine()
        people = {UserName(name): PersonSection.model_validate(ways) for name, ways in self.ways.items()}
        telegram = self.sections.get("telegram") or TelegramSection()
        channels = Channels(
            mail=self.sections.get("mail"),
            telegram=telegram,
            max=self.sections.get("max"),
            people=people,
            pipedrive=self.pipedrive,
        )
        bridge = engine.config.bridge.model_copy(
            update={"dry_run": self.is_dry, "public_url": "https://bridge.example"}
        )
        config = replace(
            engine.config,
            channels=channels,
            bridge=bridge,
            kpi=KpiSection.model_validate(self.kpi),
            daily_report=DailyReportSection.model_validate(self.section),
        )
        reasons = tuple(LossReason(number, name) for number, name in self.reasons.items())
        return RuleEngine.of(config, replace(engine.account, loss_reasons=reasons), self.clock)

    # --- what people do ---

    def call(self, when: datetime, who: str = IVAN, seconds: int = 60) -> None:
        number = next(self._keys)
        one = TouchRecord(
            key=f"k{number}", kind="call", direction="out", at=when, card=("deal", 900 + number), user_id=user(who),
            seconds=seconds, phone=f"+7916{number:07}",
        )  # fmt: skip
        with self.store.write() as connection:
            add_touches(connection, ACCOUNT, [one])

    def sell(self, when: datetime, price: int, who: str = IVAN, deal_id: int = 30) -> None:
        won = DealRecord(
            id=deal_id, responsible_user_id=user(who), price=price, pipeline_id=1, status_id=WON, closed_at=when,
            updated_at=when,
        )  # fmt: skip
        with self.store.write() as connection:
            Mirror(self.store).put(connection, [MirroredDeal(won, when, ())], when)

    def lose(self, when: datetime, reason: str, deal_id: int, *, status: int = LOST, number: int | None = None) -> None:
        record = DealRecord(
            id=deal_id, responsible_user_id=user(IVAN), pipeline_id=1, status_id=status, updated_at=when,
            closed_at=when if status == LOST else None, loss_reason=reason, loss_reason_id=number,
        )  # fmt: skip
        with self.store.write() as connection:
            Mirror(self.store).put(connection, [MirroredDeal(record, when, ())], when)

    def press(self, who: str, data: str = "", *, key: str = "", way: Way = "telegram") -> None:
        """As the webhook brings it, under the newest message."""
        assert self.stand_ins is not None
        bot: Any = self.stand_ins[way]
        sent = bot.sent[-1]
        press = Press(
            way=way,  # type: ignore[arg-type]
            person=NUMBERS.get(who, 99),
            chat_id=sent.get("chat_id", sent.get("user_id")),
            message=str(sent["id"]),
            press=f"press-{who}-{key}",
            data=data or next(iter(sent["buttons"].values()), "dr:1:1"),
        )
        with self.store.write() as connection:
            keep_press(connection, self.store, press.press, press, self.clock.now().timestamp())
        self.buttons.send()

    def reply(
        self, who: str, text: str, *, key: str = "", way: Way = "telegram", message: str = "", late: float = 0
    ) -> str:
        """As the webhook brings it, to the newest message; what the bot says to it. ``late``: hours that it waited."""
        assert self.stand_ins is not None
        bot: Any = self.stand_ins[way]
        number, chat = NUMBERS.get(who, 99), bot.sent[-1].get("chat_id", bot.sent[-1].get("user_id"))
        told = Reply(way, number, chat, message or str(bot.sent[-1]["id"]), text, is_private=True)  # type: ignore[arg-type]
        before = len(bot.sent)
        with self.store.write() as connection:
            keep_press(connection, self.store, key or text, told, self.clock.now().timestamp() - late * 3600)
        self.buttons.send()
        new = [one["text"] for one in bot.sent[before:]]
        del bot.sent[before:]
        return "; ".join(new)

    # --- time ---

    def at(self, moment: datetime) -> None:
        """It is then, and the jobs have run."""
        self.clock.move_to(moment)
        self.job.run()
        if self.stand_ins is not None:
            self.buttons.send()
            return
        with self.store.write() as connection:
            # As the buttons do.
            for report in (one for one in self.reports if one.told_at is None):
                DailyReports(self.store, self.clock).mark(connection, report.number, told_at=moment.timestamp())

    def after(self, **time: float) -> None:
        self.at(self.clock.now() + timedelta(**time))

    # --- what is seen ---

    @property
    def reports(self) -> list[DailyReport]:
        found = DailyReports(self.store, self.clock)
        return found.between(NOON.date() - timedelta(days=30), NOON.date() + timedelta(days=30))

    @property
    def report(self) -> DailyReport:
        (one,) = self.reports
        return one

    def confirm(self, who: str = "Иван Петров, ivan") -> str:
        with self.store.write() as connection:
            return DailyReports(self.store, self.clock).confirm(connection, self.report.number, who)

    @property
    def put(self) -> list[tuple[str, dict[str, Any]]]:
        """Kind and body of what waits in the outbox."""
        with self.store.read() as connection:
            rows = connection.execute(select(outbox.c.kind, outbox.c.payload).order_by(outbox.c.id)).all()
        return [(row.kind, json.loads(row.payload)["body"]) for row in rows]

    @property
    def notices(self) -> list[tuple[int, str]]:
        return [(body["user_id"], body["text"]) for kind, body in self.put if kind == "notify"]

    @property
    def answers(self) -> list[str]:
        return [words for _, words in [*self.telegram.pressed, *self.max.pressed]]
