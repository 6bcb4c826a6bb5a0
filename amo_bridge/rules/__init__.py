"""Shapes that the options of several handlers share: a condition on the deal, a task to set, a letter, a notice …"""

from amo_bridge.rules.gates import Gate, WantedCall, WantedFile, WhichTasks
from amo_bridge.rules.options import (
    ActionsSpec,
    AudienceSpec,
    CarryOver,
    Condition,
    EscalationSpec,
    FolderSpec,
    LetterSpec,
    NoticeSpec,
    OneOrMore,
    TaskSpec,
    Violation,
    ViolationSpec,
)

__all__ = [
    "ActionsSpec",
    "AudienceSpec",
    "CarryOver",
    "Condition",
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
