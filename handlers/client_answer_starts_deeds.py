"""The client writes or calls → what this stage asks for: a task, a move.

``kinds``: by what he answered (call, mail, chat, sms); empty is anything. ``with_files``: only a letter with a file.
Does nothing if the deal is on another stage, he answered in another way, or the condition of ``when`` does not hold. A
second message while the task of the first is still open sets no second one.
Covers A111 («Работа с потерянными»: the client answers → task, back to «Продажи»); A11, M4 («Анкета» by mail).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from amo_bridge.events import ClientAnswered
from amo_bridge.rules import (
    Action,
    ActionsSpec,
    Condition,
    Deal,
    Options,
    Skip,
    StageName,
    handler,
    new_tasks_only,
    skip_unless,
)

SLOT = "answered"


class ClientAnswerStartsDeeds(Options):
    stages: Annotated[tuple[StageName, ...], Field(min_length=1)]
    when: Condition | None = None
    kinds: tuple[Literal["call", "mail", "chat", "sms"], ...] = ()
    with_files: bool = False
    do: ActionsSpec


@handler(on=ClientAnswered, options=ClientAnswerStartsDeeds, needs={"own_tasks"})
def client_answer_starts_deeds(
    event: ClientAnswered, deal: Deal, options: ClientAnswerStartsDeeds
) -> Skip | list[Action]:
    if not deal.is_on(options.stages):
        return Skip(f"на этапе «{deal.stage.title}» ответа клиента не ждут")
    if options.kinds and event.by not in options.kinds:
        return Skip("клиент ответил не тем способом, которого ждёт правило")
    if options.with_files and not event.files:
        return Skip("в ответе клиента нет файлов")
    if unmet := skip_unless(options.when, deal):
        return unmet
    new = new_tasks_only(options.do.for_deal(deal, slot=SLOT), deal)
    return new or Skip("задача об ответе клиента ещё открыта")
