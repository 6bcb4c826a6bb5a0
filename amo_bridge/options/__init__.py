"""Shapes that the options of several handlers share: a condition on the deal, a task to set, a letter, a notice …"""

from amo_bridge.options.carry_over import CarryOver
from amo_bridge.options.condition import Condition
from amo_bridge.options.deeds import Deeds
from amo_bridge.options.gates import Gate
from amo_bridge.options.lists import OneOrMore
from amo_bridge.options.on_card import WantedCall, WantedFile, WhichTasks
from amo_bridge.options.outside import (
    AudienceSpec,
    EscalationSpec,
    FolderSpec,
    LetterSpec,
    NoticeSpec,
    Violation,
    ViolationSpec,
)
from amo_bridge.options.tasks import TaskSpec

__all__ = [
    "AudienceSpec",
    "CarryOver",
    "Condition",
    "Deeds",
    "EscalationSpec",
    "FolderSpec",
    "Gate",
    "LetterSpec",
    "NoticeSpec",
    "OneOrMore",
    "TaskSpec",
    "Violation",
    "ViolationSpec",
    "WantedCall",
    "WantedFile",
    "WhichTasks",
]
