# SPDX-License-Identifier: Apache-2.0
"""Shell: whether a file was taken in before, or is being taken in, by what was asked of its bytes and what stands."""

from collections.abc import Iterator
from contextlib import contextmanager

from comity.errors import ConflictError, MalformedRequest
from comity.ids import Digest
from comity.intake.formats import Format
from comity.intake.money import DATA_SET, find_data_set
from comity.node.looking import Look, Plan, name_act
from comity.node.node import Node
from comity.store import files
from comity.store.files import TakenFile

__all__ = ["check_data_set", "find_known", "is_taken", "keep_others_out", "stands"]


@contextmanager
def keep_others_out(node: Node, digest: Digest) -> Iterator[None]:
    """While the block runs nobody else takes in the same file: both would count it, and go on where the other is.

    Raises:
        ConflictError: somebody does.
    """
    if digest in node.files_under_way:
        raise ConflictError(
            "the same file is being taken in already, and that goes on; `comity object files` shows how far it is"
        )
    node.files_under_way.add(digest)
    try:
        yield
    finally:
        node.files_under_way.discard(digest)


def find_known(node: Node, look: Look, plan: Plan) -> TakenFile | None:
    """The file of which just this was asked before, done or not."""
    with node.store.read() as transaction:
        return files.find_file(transaction, name_act(look, plan))


def stands(node: Node, known: TakenFile) -> bool:
    """Whether a file is done and all that it said is held still: what was deleted since then is taken in again.

    So is what else was asked for of the same bytes since, as another marking: who asks for the first again means that.
    """
    if known.done_at is None:
        return False
    with node.store.read() as transaction:
        others = files.list_alike(transaction, known.digest, besides=known.act)
        if any((other.done_at or other.retrieved_at) > known.done_at for other in others):
            return False
        return files.count_of_file(transaction, known.number) == known.added + known.known


def check_data_set(node: Node, look: Look, plan: Plan) -> None:
    """Refuse a data set that is held under another name: all of it would be held twice.

    Raises:
        MalformedRequest: it is.
    """
    if look.form is not Format.FOLLOW_THE_MONEY:
        return
    with node.store.read() as transaction:
        for other in files.list_alike(transaction, look.digest, besides=name_act(look, plan)):
            made = files.find_said(transaction, other.number)
            name = None if made is None else find_data_set(made)
            if name is not None and name != (plan.source or DATA_SET):
                raise MalformedRequest(
                    f"the same file was taken in as the data set {name!r} (file {other.number}), and all of it would be"
                    f" held twice; give that name{' or none' if name == DATA_SET else ''}",
                    where="--source",
                )


def is_taken(node: Node, look: Look, plan: Plan) -> bool:
    """Whether the same was asked of the same file before, and all of it stands: then nothing would be done."""
    known = find_known(node, look, plan)
    return known is not None and stands(node, known)
