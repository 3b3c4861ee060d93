# SPDX-License-Identifier: Apache-2.0
"""Every place in the code by which bytes leave a process: what leaves there, and what is on record before it does.

By module, and the function that hands the bytes over. `test_ways_out` holds this against the code, so that no way out
appears without being listed: whoever adds one says here what must be committed first, and lets a test see it.
"""

__all__ = ["WAYS"]

WAYS = {
    # --- answers to partners, readers of the log and witnesses: `tests/faults/test_log_first.py`, by a wire and strace
    "taxii/server.py TaxiiApp._send.write": "an answer, which the node call that made it committed before it gave it",
    "taxii/server.py TaxiiApp._send": "the same, part by part",
    "taxii/guard.py _watched.send_on": "the same, noted on its way",
    "taxii/gathering.py GatheringTransport.write": "the same, kept until the end of the block",
    "taxii/gathering.py GatheringTransport._hand_over": "the same, to asyncio's transport",
    "taxii/gathering.py _write_at_once": "the same, to the operating system",
    "witness/server.py WitnessApp.__call__": "a cosignature, after the COMMIT of its head: tests/e2e/test_witness.py",
    # --- calls to others: `tests/faults/test_log_first.py`, by a wire
    "calls.py open_client": "makes the client of those below",
    "calls.py _CheckedStream.write": "the bytes of the calls below, once the server has shown its key",
    "calls.py fetch": "a request for a page, receipt or proof; it holds a position and an access token alone",
    "news.py _open_page": "a request for a page that may wait; the same",
    "peers.py _deliver": "a message of the outbox, in which it was put by the COMMIT of its event",
    "peers.py send_acknowledgement": "an acknowledgement, after the COMMIT of its entry",
    "console/provider.py Provider._call": "a question to the OpenID provider; a code of its own, nothing of the store",
    "witnessing.py _post": "a head and a proof, read from what is committed",
    # --- the program's own output: `tests/faults/test_log_first.py`, by strace
    "cli/session.py Session.show": "the result of an operation, which returned after its COMMIT",
    "cli/session.py Session.show_error": "an error",
    "cli/session.py Session.note": "a remark on the result, after it",
    "cli/serve.py _say_ready": "where it listens; nothing of the store",
    "cli/commands/witness.py serve.say": "where it listens; nothing of the store",
    "cli/session.py write_new": "the result of an operation, to a file, after its COMMIT",
    "cli/session.py write_private": "the same, for its owner alone: a receipt, a certificate, a statement",
    "cli/session.py write_parts": "committed objects of this party's own, for its own people: there is no recipient",
    "operations/printing.py format_pdf": "a certificate as a document, into memory",
    "cli/commands/people.py _write": "a badge, after the COMMIT that registers its person",
    # --- between processes of one node; what is said there has been committed, or is asked for
    "cli/control.py ask": "opens the socket of the one below",
    "cli/control.py _exchange": "an operation, to the serving process on this machine",
    "cli/listener.py Listener.start": "opens the socket of the one below",
    "cli/listener.py Listener._serve": "its reply, after its COMMIT",
    "cli/listener.py _make_tell.tell": "how many objects of how many are taken in, to this machine's own command",
    "taxii/channel.py Channel._send": "between the first process and a worker: counts, stops, and what they lead to",
    "taxii/workers.py _start": "descriptors and the passphrase of the keys, to a worker",
    "taxii/worker.py work": "opens the channel and the listening sockets that it was given",
    "conversion/child.py Child.__init__": "starts a converter, which has no file of the node",
    "conversion/child.py Child._send": "a file of this party's own people, or of a source, to that child",
    "conversion/child.py write_frame": "what it became, back",
    "conversion/child.py _answer_apart": "the same, from a copy of that child to the child",
    "aside.py _start": "starts a child that reads pages, which has no file of the node",
    "aside.py _exchange": "a page that a partner gave, to that child",
    "operations/checking.py Checking._ask": "patterns, to a child of this process that parses them",
    "operations/checking.py _start": "starts it",
    "operations/parser.py main": "whether each parses",
    "operations/audit.py _have_audited": "starts a child of this process that audits, with the folder and two times",
    "operations/auditor.py _say": "what it found of what is committed, back to this process",
    # --- pages for this party's own people, on an address of this machine alone
    "console/app.py ConsoleApp.__call__.send_with_headers": "the result of an operation, after its COMMIT",
    # --- for the operator, on an address of the operator's
    "taxii/admin.py AdminApp.__call__": "health and figures: counts and dates, nothing of an object",
    "taxii/access.py AccessLog.write": "one line for each request, without its content",
    # --- files of the node's own folder, and of its operator
    "node/heads.py write_head": "the signed heads, kept outside the store after the COMMIT of its entries",
    "node/kept.py _write": "a head that a witness is about to cosign, before the COMMIT that keeps it in the store",
    "node/backup.py make_backup": "a copy of what is committed",
    "node/backup.py restore_backup": "the checkpoint of the backup, into the folder that is restored",
    "node/backup.py _copy_file": "the files of the backup, into the folder that is restored",
    "node/backup.py _copy_store": "asks for the copy below",
    "store/sqlite.py SqliteStore._copy_pages": "a copy of what is committed, page by page",
    "node/founding.py _build": "settings of a node that has no log yet",
    "node/witness.py write_evidence": "evidence of a fork, after the COMMIT that keeps it",
    "witness/folder.py _write_new": "settings and keys of a witness that is made",
    "keys.py _write": "private keys, beside those they may follow",
    "taxii/tally.py Tally.begin": "into a file in memory, without a name",
}
