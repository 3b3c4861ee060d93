# SPDX-License-Identifier: Apache-2.0
"""Shell: what people say one object is about: seen before it is said, said, and taken back.

Terms test what is said of an object, so a word can let it go. The form to say words is shown only below what these very
words would change; what the node then does is decided there again.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from starlette.datastructures import FormData, QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from comity.console.pages import conclude, make_page, read_form, read_text, read_through, show, show_failure
from comity.console.visit import Visit, find_visit
from comity.errors import MalformedRequest
from comity.operations.reply import Json, fail_with
from comity.vocabulary import HANDLING, KINDS, PERSON_CLASSES, SPECIAL_CATEGORIES

__all__ = ["FIELDS", "ROUTES", "Field"]

_KINDS_OF_ACT = frozenset({"say", "take-back", "take-back-safeguard"})


class Field(NamedTuple):
    """What can be said in one field: the words to choose from, or none where they are typed, with an example."""

    name: str
    title: str
    choices: tuple[str, ...]
    example: str


FIELDS: Sequence[Field] = (
    Field("subjects", "Whom or what it is about, as scheme:id", (), "unsc:QDe.901"),
    Field("regions", "Where, by ISO 3166-1 alpha-2 code", (), "IQ SY"),
    Field("kinds", "What kind of information it is", tuple(sorted(KINDS)), ""),
    Field("person_classes", "Why a person is in it", tuple(sorted(PERSON_CLASSES)), ""),
    Field("special_categories", "Special categories of data that it holds", tuple(sorted(SPECIAL_CATEGORIES)), ""),
    Field("handling", "Europol handling code", tuple(sorted(HANDLING)), ""),
    Field("evaluation", "Evaluation, kept as it is written", (), "europol-4x4:B2"),
)
"""The fields of `classification.words.FIELDS`, in the order in which people fill them in."""


async def show_saying(request: Request) -> Response:
    """What is said of the object, and the form; with words in the query, what they would change, and to say them."""
    visit, name = find_visit(request), request.path_params["id"]
    said = await visit.read("classify.show", {"id": name})
    wanted = read_words(request.query_params)
    effects, error = await _foresee(visit, said["object"], wanted)
    result: dict[str, Json] = {
        "object": said["object"],
        "plain": said["plain"],
        "restricts_only": said["restricts_only"],
        "said": [item for item in said["said"] if item["ended_at"] is None],
        "wanted": dict[str, Json](wanted),
        "effects": effects,
        "error": error,
        "matters": await _find_matters(visit, said["object"]),
    }
    return show(request, "saying.html", result, form=FIELDS)


async def say(request: Request) -> Response:
    """Say these words of the object from here on."""
    visit, form, name = find_visit(request), await read_form(request), request.path_params["id"]
    asked: dict[str, Json] = {"id": name, **read_words(form), "reason": read_text(form, "reason").strip()}
    return conclude(request, await visit.ask("classify.add", asked), to=_find_page(name))


async def take_back(request: Request) -> Response:
    """Say the words that were chosen no more."""
    visit, form, name = find_visit(request), await read_form(request), request.path_params["id"]
    words = dict[str, list[Json]]()
    for item in form.getlist("said"):
        field, _, word = str(item).partition(" ")
        words.setdefault(field, []).append(word)
    if not words or not words.keys() <= {field.name for field in FIELDS}:
        return show_failure(request, fail_with(MalformedRequest("choose what is said no more", where="said")))
    asked: dict[str, Json] = {"id": name, **words, "reason": read_text(form, "reason").strip(), **read_through(form)}
    return conclude(request, await visit.ask("classify.remove", asked), to=_find_page(name))


async def _foresee(visit: Visit, name: str, words: Mapping[str, list[Json]]) -> tuple[Json, Json]:
    """What would become of releases, or what is wrong with the words; neither where there are none."""
    if not words:
        return None, None
    reply = await visit.ask("classify.preview", {"id": name, **words})
    return (None, reply.error) if reply.result is None else (reply.result["effects"], None)


async def _find_matters(visit: Visit, name: str) -> list[Json]:
    """What a colleague has said of the object that waits for a second person."""
    matters: list[dict[str, Any]] = (await visit.read("approvals"))["matters"]
    return [item for item in matters if item["kind"] in _KINDS_OF_ACT and item["facts"].get("object") == name]


def read_words(fields: QueryParams | FormData) -> dict[str, list[Json]]:
    """The words by field: those that are typed stand in one text with spaces between them; codes are in upper case."""
    found = dict[str, list[Json]]()
    for field in FIELDS:
        texts = [item for item in fields.getlist(field.name) if isinstance(item, str)]
        words = [text for text in texts if text] if field.choices else [word for text in texts for word in text.split()]
        if field.name == "regions":
            words = [word.upper() for text in words for word in text.split(",") if word]
        if words:
            found[field.name] = list[Json](dict.fromkeys(words))
    return found


def _find_page(name: str) -> str:
    return f"/objects/{quote(name)}/say"


ROUTES = [
    *make_page("/objects/{id}/say", show_saying),
    Route("/objects/{id}/say", say, methods=["POST"]),
    Route("/objects/{id}/take-back", take_back, methods=["POST"]),
]
