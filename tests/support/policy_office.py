"""A team with rules of working in the CRM: the job, the buttons, the folder of texts."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from amo_bridge.channels.policies import PolicyButtons
from amo_bridge.channels.presses import ButtonJob
from amo_bridge.config.model import PoliciesSection
from amo_bridge.engine.policies import Acknowledgement, Policies, Policy, PolicyJob
from amo_bridge.engine.rule_engine import CurrentRules, RuleEngine
from amo_bridge.standins.server import StandIns
from amo_bridge.storage.database import Store
from support.daily_office import IVAN, MARIA, Agency
from support.fakes import user

TITLE = "Работа со сделками"


class PolicyAgency(Agency):
    """``section``: ``[policies]``; ``told``: what the person of ``[bridge] tell`` hears."""

    def __init__(self, store: Store, folder: Path, stand_ins: StandIns | None = None, **section: Any) -> None:
        self.folder = folder
        self.policies_section: dict[str, Any] = {"people": [IVAN, MARIA], **section}
        self.told: list[str] = []
        super().__init__(store, stand_ins)

    def begin(self) -> None:
        rules: Any = CurrentRules(self.rule_engine())
        rules.get = self.rule_engine
        tell = lambda text, about: self.told.append(text)  # noqa: E731
        self.job: Any = PolicyJob(self.store, rules, self.clock, self.clock, tell)
        subject = PolicyButtons(self.bots, self.store, self.rule_engine, self.clock, self.clock)
        self.buttons = ButtonJob([subject], self.bots, self.store, self.rule_engine, self.clock)

    def rule_engine(self) -> RuleEngine:
        engine = super().rule_engine()
        section = PoliciesSection.model_validate(self.policies_section)
        return replace(engine, config=replace(engine.config, path=self.folder / "config.toml", policies=section))

    # --- what happens ---

    def publish(self, text: str, title: str = TITLE, who: str = "anna") -> int | None:
        with self.store.write() as connection:
            return Policies(self.store, self.clock).publish(connection, "page:1", title, text, who)

    def write(self, text: str, name: str = "сделки", *, age: float = 3600) -> None:
        """A file of the folder, last changed so many seconds ago."""
        folder = self.folder / "policies"
        folder.mkdir(exist_ok=True)
        path = folder / f"{name}.md"
        path.write_text(text, "utf-8")
        changed = self.clock.now().timestamp() - age
        os.utime(path, (changed, changed))

    def read(self, who: str) -> str:
        """The person acknowledges on the page."""
        one = self.asked(who)[-1]
        with self.store.write() as connection:
            return Policies(self.store, self.clock).acknowledge(connection, one.number, f"{who}, login")

    # --- what is seen ---

    @property
    def texts(self) -> list[Policy]:
        return Policies(self.store, self.clock).all()

    def remove(self, name: str = "сделки") -> None:
        (self.folder / "policies" / f"{name}.md").unlink()

    @property
    def text(self) -> Policy:
        (one,) = self.texts
        return one

    def asked(self, who: str) -> list[Acknowledgement]:
        """Oldest version first."""
        found = Policies(self.store, self.clock).readers(1)
        return [one for one in reversed(found) if one.user_id == user(who)]
