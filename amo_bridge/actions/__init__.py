"""Vocabulary 2: what to do. A handler returns these (or Skip); only the engine carries them out.

Actions speak in the config's words: a stage is «Продажи / Бриф получен», a person is a role («head») or a user's name.
The engine turns names into ids when it takes an action over (``engine/resolve/``), writes it into the outbox under a
key that never changes, and sends it.

``to`` of a task is a role, a user's name, or a user's id (a handler knows an id only from an event).
"""

from amo_bridge.actions.base import Action, Decision, Person, Skip
from amo_bridge.actions.crm import (
    AddNote,
    AddTags,
    AssignDeal,
    ChangeTask,
    CreateDeal,
    CreateTask,
    FinishTask,
    Lack,
    LinkContacts,
    MoveDeal,
    Place,
    RollBack,
    SetFields,
)
from amo_bridge.actions.outside import (
    JoinAudience,
    LeaveAudience,
    Notify,
    RecordViolation,
    SendLetter,
    SendSms,
    StartAutoDial,
    StartSeries,
    StopAutoDial,
    StopSeries,
    StoreFile,
)

__all__ = [
    "Action",
    "AddNote",
    "AddTags",
    "AssignDeal",
    "ChangeTask",
    "CreateDeal",
    "CreateTask",
    "Decision",
    "FinishTask",
    "JoinAudience",
    "Lack",
    "LeaveAudience",
    "LinkContacts",
    "MoveDeal",
    "Notify",
    "Person",
    "Place",
    "RecordViolation",
    "RollBack",
    "SendLetter",
    "SendSms",
    "SetFields",
    "Skip",
    "StartAutoDial",
    "StartSeries",
    "StopAutoDial",
    "StopSeries",
    "StoreFile",
]
