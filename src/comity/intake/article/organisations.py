# SPDX-License-Identifier: Apache-2.0
"""Pure: organisations of the gazetteer that an article mentions; an alias of low quality never counts alone."""

from collections.abc import Sequence

from comity.intake.article.mentions import Kind, Mention
from comity.intake.article.scene import Scene
from comity.intake.article.words import Hit, choose_longest

__all__ = ["find_organisations", "list_organisation_mentions"]

_LOW = "low-alias"


def find_organisations(scene: Scene) -> list[Hit]:
    """The hits that count, in the order of the text."""
    hits = scene.list_hits("known")
    named = {hit.sense.value for hit in hits if hit.sense.rule != _LOW}
    return choose_longest(hit for hit in hits if hit.sense.value in named)


def list_organisation_mentions(hits: Sequence[Hit], drafts: Sequence[str]) -> list[Mention]:
    """The mentions of the organisations, each with its draft."""
    return [
        Mention(
            kind=Kind.ORGANISATION,
            start=hit.start,
            end=hit.end,
            rule=hit.sense.rule,
            value=hit.sense.value,
            draft=draft,
        )
        for hit, draft in zip(hits, drafts, strict=True)
    ]
