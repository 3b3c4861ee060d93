# SPDX-License-Identifier: Apache-2.0
"""Shell: `classify`, `rules`, `list` and `assessment`."""

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import click

from comity.cli.session import ActCommand, PersonCommand, Session, ask_reason, name_object, read_input
from comity.cli.words import classify as words
from comity.operations.reply import Json

__all__ = ["assessment", "classify", "lists", "rules"]

_FIELDS = (
    ("subjects", "--subject", "S", "Whom or what it is about, as scheme:id."),
    ("regions", "--region", "R", "Where, by ISO 3166-1 alpha-2 code."),
    ("kinds", "--kind", "K", "What kind of information it is."),
    ("person_classes", "--person-class", "C", "Why a person is in it."),
    ("special_categories", "--special-category", "C", "Special categories of data that it holds."),
    ("handling", "--handling", "H", "Europol handling code, H0 to H3."),
    ("evaluation", "--evaluation", "E", "europol-4x4:B2, admiralty:B2, or national: and a code of your own."),
)


def _with_words(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options by which words are said."""
    for name, option, metavar, text in reversed(_FIELDS):
        command = click.option(option, name, metavar=metavar, multiple=True, help=text)(command)
    return command


def _list_words(said: Mapping[str, Sequence[str]]) -> dict[str, Json]:
    return {field: [*listed] for field, listed in said.items()}


@click.group()
def classify() -> None:
    """Say what an object is about, by people, and take it back."""


@classify.command(
    "add",
    cls=PersonCommand,
    example="comity --node aurelia --as anna.badge classify add report--4b2e --subject unsc:QDe.901 --region IQ"
    " --reason 'Named in it.'",
)
@name_object
@_with_words
@ask_reason
@click.pass_obj
def add(session: Session, /, object_id: str, reason: str, **said: Sequence[str]) -> int:
    """Say words of OBJECT, and of all its versions, from here on.

    They let an object of this party go where terms admit it. Of what another party gave they can only keep it back.
    OBJECT may be any unique beginning of its id; each option may be repeated.
    """
    arguments: dict[str, Json] = {"id": object_id, "reason": reason, **_list_words(said)}
    return session.run_as("classify.add", arguments, words.describe_classified)


@classify.command(
    "remove",
    cls=PersonCommand,
    example="comity --node aurelia --as anna.badge classify remove report--4b2e --region IQ --reason 'It is not.'",
)
@name_object
@_with_words
@ask_reason
@click.pass_obj
def remove(session: Session, /, object_id: str, reason: str, **said: Sequence[str]) -> int:
    """Say words of OBJECT no more, whoever said them here; that they were said stays on record."""
    arguments: dict[str, Json] = {"id": object_id, "reason": reason, **_list_words(said)}
    return session.run_as("classify.remove", arguments, words.describe_taken_back)


@classify.command(
    "preview", cls=ActCommand, example="comity --node aurelia classify preview report--4b2e --subject unsc:QDe.901"
)
@name_object
@_with_words
@click.pass_obj
def preview(session: Session, /, object_id: str, **said: Sequence[str]) -> int:
    """Show which releases would be gained or lost if these words were said of OBJECT; nothing is changed."""
    arguments: dict[str, Json] = {"id": object_id, **_list_words(said)}
    return session.run("classify.preview", arguments, words.describe_preview)


@classify.command("show", cls=ActCommand, example="comity --node aurelia classify show report--4b2e")
@name_object
@click.pass_obj
def show(session: Session, object_id: str) -> int:
    """Show all that is and was said of OBJECT: by itself or its giver, by people, by rules; when and why."""
    return session.run("classify.show", {"id": object_id}, words.describe_classification)


@click.group()
def rules() -> None:
    """Say what objects are about by rules: look first, apply, take back."""


@rules.command("preview", cls=ActCommand, example="comity --node aurelia rules preview harbour.toml")
@click.argument("file", metavar="FILE")
@click.pass_obj
def preview_rules(session: Session, file: str) -> int:
    """Show what the rules in FILE would say of which objects, and which releases would be gained or lost by it."""
    return session.run("rules.preview", {"data": _read(file)}, words.describe_rules_preview)


@rules.command(
    "apply",
    cls=PersonCommand,
    example="comity --node aurelia --as anna.badge rules apply harbour.toml --reason 'Case 12.'",
)
@click.argument("file", metavar="FILE")
@ask_reason
@click.option("--digest", metavar="D", help="Apply no other set than the one that `rules preview` showed by D.")
@click.pass_obj
def apply(session: Session, file: str, reason: str, digest: str | None) -> int:
    """Apply the rules in FILE to the objects of this party; two people, who give the same command.

    From then on they are said of what comes in later too, in the act that takes it in. Applied again it changes
    nothing, but what meets its conditions by now is said, and what does no more is not.
    """
    asked: dict[str, Json] = {"data": _read(file), "reason": reason, "digest": digest}
    return session.run_as("rules.apply", asked, words.describe_applied)


@rules.command(
    "end", cls=PersonCommand, example="comity --node aurelia --as anna.badge rules end harbour --reason 'Case closed.'"
)
@click.argument("name", metavar="RULES")
@ask_reason
@click.pass_obj
def end(session: Session, name: str, reason: str) -> int:
    """Take a rule set back: what it alone said is said no more. RULES is its name, or a beginning of its digest.

    One that says a special category or a minor of anything takes two people, one of them as legal.
    """
    return session.run_as("rules.end", {"rules": name, "reason": reason}, words.describe_applied)


@rules.command("list", cls=ActCommand, example="comity --node aurelia rules list")
@click.pass_obj
def list_rules(session: Session) -> int:
    """List the rule sets that were applied, and how many words each says now."""
    return session.run("rules.list", {}, words.list_rules)


@click.group("list")
def lists() -> None:
    """Lists of subjects: take in versions, see what changes, decide on who leaves one."""


@lists.command(
    "preview",
    cls=ActCommand,
    example="comity --node aurelia list preview unsc-2026-03-01.json",
)
@click.argument("file", metavar="FILE")
@click.pass_obj
def preview_list(session: Session, file: str) -> int:
    """Show what the version of a list in FILE would change, and what it would stop. Nothing is kept."""
    return session.run("list.preview", {"data": _read(file)}, words.describe_foreseen)


@lists.command(
    "load",
    cls=PersonCommand,
    example="comity --node aurelia --as anna.badge list load unsc-2026-03-01.json --reason 'Version of 1 March.'",
)
@click.argument("file", metavar="FILE")
@ask_reason
@click.option("--digest", metavar="D", help="Load no other version than the one that `list preview` showed by D.")
@click.pass_obj
def load(session: Session, file: str, reason: str, digest: str | None) -> int:
    """Take in the version of a list in FILE. What is about who left the list goes to nobody from then on."""
    asked = {"data": _read(file), "reason": reason, "digest": digest}
    return session.run_as("list.load", asked, words.describe_loaded)


@lists.command("versions", cls=ActCommand, example="comity --node aurelia list versions")
@click.pass_obj
def versions(session: Session) -> int:
    """List the versions of lists that were loaded, and what each changed."""
    return session.run("list.versions", {}, words.list_versions)


@lists.command("show", cls=ActCommand, example="comity --node aurelia list show unsc")
@click.argument("name", metavar="LIST")
@click.pass_obj
def show_list(session: Session, name: str) -> int:
    """Show the last version of LIST: who stands on it, by which names."""
    return session.run("list.show", {"list": name}, words.describe_list)


@lists.command("questions", cls=ActCommand, example="comity --node aurelia list questions")
@click.pass_obj
def questions(session: Session) -> int:
    """List the subjects that left a list, and what people decided of each."""
    return session.run("list.questions", {}, words.list_questions)


@lists.command(
    "decide",
    cls=PersonCommand,
    example="comity --node aurelia --as anna.badge list decide unsc:QDe.901 keep --reason 'Named by its new name.'",
)
@click.argument("subject", metavar="SUBJECT")
@click.argument("decision", metavar="keep|stop", type=click.Choice(["keep", "stop"]))
@ask_reason
@click.pass_obj
def decide(session: Session, subject: str, decision: str, reason: str) -> int:
    """Decide whether what is about SUBJECT goes on though it left its list: keep takes two people, stop one."""
    arguments: dict[str, Json] = {"subject": subject, "decision": decision, "reason": reason}
    return session.run_as("list.decide", arguments, words.describe_decided)


@lists.command(
    "review", cls=PersonCommand, example="comity --node aurelia --as anna.badge list review unsc --reason 'Seen.'"
)
@click.argument("name", metavar="LIST")
@ask_reason
@click.pass_obj
def review(session: Session, name: str, reason: str) -> int:
    """Note that you have looked at what the last version of LIST changes."""
    return session.run_as("list.review", {"list": name, "reason": reason}, words.describe_reviewed)


@click.group()
def assessment() -> None:
    """Threat assessments of groups and persons: write, look, renew."""


@assessment.command(
    "write",
    cls=PersonCommand,
    example="comity --node aurelia --as anna.badge assessment write intrusion-set--c22e --title 'Marrow Ford'"
    " --threat 'may attack shipping' --text 'It said so.' --basis 'two reports' --evaluation admiralty:B2"
    " --author 'Desk 3' --may-return-to AM --until 2026-12-01T00:00:00Z",
)
@name_object
@click.option("--title", metavar="TEXT", required=True, help="What it is about, in a line.")
@click.option("--threat", metavar="TEXT", required=True, help="What they may do.")
@click.option("--text", metavar="TEXT", required=True, help="The assessment itself.")
@click.option("--basis", metavar="TEXT", required=True, help="What it rests on.")
@click.option("--evaluation", metavar="E", required=True, help="Source and information, as of `classify add`.")
@click.option("--author", metavar="TEXT", required=True, help="Who assesses, as partners are told: a desk.")
@click.option("--may-go-to", "may_go_to", metavar="CC", multiple=True, help="Where they may go; may be repeated.")
@click.option("--may-return-to", "may_return_to", metavar="CC", multiple=True, help="Where they may return to.")
@click.option("--tlp", metavar="LEVEL", default="amber", show_default=True, help="How far it may go, by TLP 2.0.")
@click.option("--until", metavar="TIME", required=True, help="From then on it goes to nobody.")
@click.pass_obj
def write(session: Session, /, object_id: str, **said: Any) -> int:  # noqa: ANN401 (as click gives it)
    """Write an assessment of OBJECT: a group or person that is held as an object.

    It is a note that refers to OBJECT, so that terms must admit both. It is said in words: no number is taken.
    """
    arguments: dict[str, Json] = {"id": object_id, **said}
    for name in ("may_go_to", "may_return_to"):
        arguments[name] = [*said[name]]
    return session.run_as("assessment.write", arguments, words.describe_assessed)


@assessment.command(
    "renew",
    cls=PersonCommand,
    example="comity --node aurelia --as anna.badge assessment renew note--77aa --until 2027-06-01T00:00:00Z"
    " --reason 'Nothing has changed.'",
)
@name_object
@click.option("--until", metavar="TIME", required=True, help="From then on it goes to nobody.")
@click.option("--text", metavar="TEXT", help="The assessment in other words; without it they stay.")
@ask_reason
@click.pass_obj
def renew(session: Session, object_id: str, until: str, text: str | None, reason: str) -> int:
    """Renew an assessment of this party: a next version of it, which ends later."""
    arguments: dict[str, Json] = {"id": object_id, "until": until, "text": text, "reason": reason}
    return session.run_as("assessment.renew", arguments, words.describe_assessed)


@assessment.command("show", cls=ActCommand, example="comity --node aurelia assessment show note--77aa")
@name_object
@click.pass_obj
def show_assessment(session: Session, object_id: str) -> int:
    """Show an assessment in full, and whether its time has passed."""
    return session.run("assessment.show", {"id": object_id}, words.describe_assessment)


@assessment.command("list", cls=ActCommand, example="comity --node aurelia assessment list")
@click.pass_obj
def list_assessments(session: Session) -> int:
    """List the assessments that are held, own and received, the one that ends first in front."""
    return session.run("assessment.list", {}, words.list_assessments)


def _read(file: str) -> str:
    return base64.b64encode(read_input(file)).decode()
