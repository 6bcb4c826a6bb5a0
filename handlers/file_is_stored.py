"""A file is attached → a copy of it goes to the document storage, into the deal's folder.

Each file once, however often it is told of; fields of the deal lead to the folder and to the newest copy of each kind.
Does nothing if the name does not match, the deal is in another pipeline or not what ``when`` asks for.
Covers A77 (all documents of the deal in a folder of the deal), A80 (the links to offer and contract).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from amo_bridge.events import FileAttached
from amo_bridge.rules import (
    Conditional,
    CustomFieldName,
    Deal,
    FolderSpec,
    OneOrMore,
    PipelineName,
    Skip,
    StoreFile,
    handler,
    same_name,
    starts_with,
)


class FileIsStored(Conditional):
    name_starts_with: tuple[str, ...] = ()
    pipelines: tuple[PipelineName, ...] = ()
    folder: FolderSpec = Field(default_factory=FolderSpec)
    links: dict[CustomFieldName, OneOrMore[Annotated[str, Field(min_length=1)]]] = Field(default_factory=dict)


@handler(on=FileAttached, options=FileIsStored)
def file_is_stored(event: FileAttached, deal: Deal, options: FileIsStored) -> Skip | StoreFile:
    wanted = options.name_starts_with
    if wanted and not any(starts_with(event.file_name, name) for name in wanted):
        return Skip(f"файл «{event.file_name}» назван не так, как ждёт правило")
    if options.pipelines and not any(same_name(deal.stage.pipeline, name) for name in options.pipelines):
        return Skip(f"документы воронки «{deal.stage.pipeline}» это правило не хранит")
    if unmet := options.unmet(deal):
        return unmet
    return StoreFile(
        deal_id=deal.id,
        file_name=event.file_name,
        file_uuid=event.file_uuid,
        folder=options.folder.name.for_deal(deal),
        link_field=options.folder.link_field,
        links={str(field): beginnings for field, beginnings in options.links.items()},
    )
