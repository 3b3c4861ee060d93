# SPDX-License-Identifier: Apache-2.0
"""The whole job in eight steps, with real node processes on loopback; every claim is checked as it is made.

./demo                 the eight steps, about half a minute
./demo --keep          leave the nodes running and print their addresses
./demo --bundle FILE   take in a STIX 2.1 bundle of yours as well
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from examples.stage import BUNDLE, REAL_FILES, Stage, UnusableFileError, read_raw, read_with_taxii_client

EXAMPLES = (
    ("An object outside the regions", "location--acc9ce05-269b-5307-b814-30754fd16ce6", "regions"),
    ("One above the TLP ceiling", "indicator--cf1b0740-a8c0-5955-8ea9-df6d93de1ae9", "tlp_ceiling"),
    ("One that nobody has marked", "indicator--85e1c0fb-101d-550a-97c0-706a85f85b67", "tlp_ceiling"),
    (
        "A report about an object that is withheld",
        "report--bf634aa0-28a7-5388-8ebd-31b6b63f8fb6",
        "tlp_ceiling",
    ),
)
NAMES = {
    "aurelia": "Republic of Aurelia, Liaison Service",
    "borealia": "Federation of Borealia, Liaison Service",
    "meridia": "Kingdom of Meridia, Security Directorate",
}


def found_parties(stage: Stage) -> None:
    stage.step(1, "Three parties make their nodes, say who may act, and pin each other's keys by digest")
    stage.say(
        "Aurelia and Borealia are two powers that do not trust each other; Meridia is a state of the region. Each runs "
        "its own node. What binds a party takes two of its people, one of them legal; each is known by a badge. What "
        "another party may sign with stands in its manifest; people compare the digest by telephone."
    )
    for party, name in NAMES.items():
        stage.run(None, "init", str(stage.folder / party), "--party", party, "--name", name)
        stage.pull_by_hand(party)
        stage.recognise(party)
        stage.serve(party)
        stage.register(party)
    for party in NAMES:
        stage.digests[party] = stage.ask(party, "party", "export", str(stage.folder / f"{party}.json"))["digest"]
    for party in NAMES:
        for other in NAMES:
            if other != party:
                file, digest = str(stage.folder / f"{other}.json"), stage.digests[other]
                stage.ask(party, "party", "add", file, "--digest", digest, "--url", stage.urls[other])
    stage.run("aurelia", "party", "list")
    stage.check(len(stage.ask("aurelia", "party", "list")["parties"]) == len(NAMES), "three parties, pinned by digest")


def take_in(stage: Stage, bundle: Path | None) -> None:
    stage.step(2, "Aurelia takes in what it knows: STIX 2.1, kept byte for byte")
    stage.say(
        "349 objects about a fictional armed group and a smuggling ring, in four regions, marked TLP:CLEAR to TLP:RED, "
        "some unmarked on purpose. Taking the file in again changes nothing."
    )
    stage.run("aurelia", "object", "add", str(BUNDLE))
    again = stage.ask("aurelia", "object", "add", str(BUNDLE))
    stage.check(not again["added"] and not again["bad"], "the same file twice changes nothing")
    for file in REAL_FILES:
        stage.run("aurelia", "object", "add", str(file))
    if not REAL_FILES:
        stage.say("(Public STIX files, where they lie beside this folder, are taken in too; here there are none.)")
    if bundle is not None:
        stage.take_in("aurelia", bundle)


def negotiate(stage: Stage) -> str:
    stage.step(3, "An agreement is proposed, questioned, answered and signed; until then nothing moves")
    stage.say(
        "The terms are a text that people can read (examples/agreements/bilateral.toml). Aurelia signs first: one of "
        "its people proposes, and nothing is signed until another, who acts as legal, has approved the very same text."
    )
    terms = str(stage.fill("bilateral.toml"))
    stage.say("What would it release? That is shown before anybody signs:")
    stage.run("aurelia", "agreement", "preview", terms, "--samples", "1", lines=12)
    stage.previewed = stage.ask("aurelia", "agreement", "preview", terms)["gives"][0]["released"]
    stage.run("aurelia", "agreement", "propose", terms, by="liaison", code=9)
    stage.check(not stage.ask("aurelia", "agreement", "list")["agreements"], "one person alone has bound nobody")
    stage.run("aurelia", "agreement", "propose", terms, by="legal")
    agreement: str = stage.wait_for("borealia", lambda: stage.find("borealia", "Exchange of letters"))
    short = agreement[:12]
    stage.run("borealia", "agreement", "status", short)
    stage.say("Has anything been agreed? Not by Borealia. So a pull brings nothing:")
    stage.run("borealia", "pull", "aurelia", code=6)
    question = "Does SY include the border posts on the IQ side?"
    stage.run(
        "borealia", "agreement", "clarify", short, "--clause", "channels.main.regions", "--text", question, by="liaison"
    )
    stage.wait_for("aurelia", lambda: stage.state("aurelia", agreement) == "in clarification")
    stage.run(
        "aurelia", "agreement", "answer", short, "--text", "Yes; both sides of the border are meant.", by="liaison"
    )
    stage.wait_for("borealia", lambda: stage.state("borealia", agreement) == "proposed")
    stage.run_by_two("borealia", "agreement", "accept", short)
    stage.wait_for("aurelia", lambda: stage.state("aurelia", agreement) == "in force")
    stage.run("aurelia", "agreement", "status", short)
    stage.wait_for("borealia", lambda: stage.state("borealia", agreement) == "in force")
    states = {stage.state(party, agreement) for party in ("aurelia", "borealia")}
    stage.check(states == {"in force"}, "both nodes say: in force, signed by both")
    return agreement


def share(stage: Stage) -> None:
    stage.step(4, "Borealia's node pulls; a plain TAXII client gets the same; the rest stays, and says why")
    stage.run("borealia", "pull", "aurelia")
    secret = stage.ask("aurelia", "credential", "create", "borealia")["credential"]
    seen = read_with_taxii_client(stage.urls["aurelia"], "borealia", secret)
    stage.say(f"taxii2-client, a library of others, reads the same collection with a credential: {len(seen)} objects.")
    logged = stage.disclosed("aurelia")
    stage.check(bool(seen) and seen == logged, "the two got the same objects, and the log names each of them")
    stage.check(len(seen) == stage.previewed, "as many as the preview showed before anybody signed")
    stage.say("Could such an object ever end up with Meridia, over any chain of the agreements known here?")
    stage.run("aurelia", "reach", "--attribute", "tlp=amber", "--attribute", "originator=aurelia", "--to", "meridia")
    reach = stage.ask("aurelia", "reach", "--attribute", "tlp=amber", "--attribute", "originator=aurelia")
    stage.check(reach["never"] == ["meridia"], "never, and the certificate says why")
    for what, name, clause in EXAMPLES:
        stage.say(f"{what}:")
        stage.run("aurelia", "explain", name, "--to", "borealia", lines=2)
        told = stage.ask("aurelia", "explain", name, "--to", "borealia")
        stage.check((told["decision"], told["clause"]) == ("withhold", clause), f"withheld by {clause}")
        stage.check(name not in seen, "and it did not leave")


def refuse_coalition(stage: Stage, bilateral: str) -> None:
    stage.step(5, "A coalition is proposed on a basis that Borealia does not recognise")
    stage.say("Its legal officer wrote down once which bases count; the node applies that, and calls nothing lawful.")
    stage.run_by_two("aurelia", "agreement", "propose", str(stage.fill("coalition.toml")))
    coalition: str = stage.wait_for("borealia", lambda: stage.find("borealia", "Coalition Dawn"))
    refused = stage.run("borealia", "agreement", "accept", coalition[:12], by="legal", code=3)
    stage.check("coalition-dawn" in refused, "refused by Borealia's own policy, with the reason")
    reason = "Not without a mandate we recognise."
    stage.run("borealia", "agreement", "reject", coalition[:12], "--reason", reason, by="legal")
    stage.check(stage.state("borealia", bilateral) == "in force", "the bilateral agreement goes on")


def keep_silent(stage: Stage, agreement: str) -> None:
    stage.step(6, "Outsiders learn nothing, not even that there is something")
    collection = stage.collection("aurelia", agreement)
    third = stage.ask("aurelia", "credential", "create", "meridia")["credential"]
    root = f"{stage.urls['aurelia']}/taxii2/borealia/collections"
    asked = {
        "the collection": f"{root}/{collection}/objects/",
        "an object": f"{root}/{collection}/objects/indicator--4c82e062-726a-579a-b34e-f3686f890011/",
        "a random id": f"{root}/00000000-0000-4000-8000-000000000000/objects/",
    }
    who = {"nobody": None, "a wrong credential": "borealia:guess", "Meridia's own credential": f"meridia:{third}"}
    answers = {(name, thing): read_raw(url, login) for thing, url in asked.items() for name, login in who.items()}
    for (name, thing), answer in answers.items():
        stage.say(f"{name} asks for {thing}: {answer.splitlines()[0].decode()}, {len(answer)} bytes", indent=2)
    stage.check(len(set(answers.values())) == 1, "nine answers, one and the same to the byte")


def suspend(stage: Stage, agreement: str) -> None:
    stage.step(7, "Aurelia suspends, alone and at once; it takes one person to stop, and two to go on")
    secret = stage.ask("aurelia", "credential", "create", "borealia")["credential"]
    login = f"borealia:{secret}"
    collection = stage.collection("aurelia", agreement)
    url = f"{stage.urls['aurelia']}/taxii2/borealia/collections/{collection}/objects/?limit=50"
    first = stage.read_page(url, login)
    stage.say(
        f"Borealia is in the middle of reading: it has page one, {len(first['objects'])} objects, and more to come."
    )
    stage.run("aurelia", "agreement", "suspend", agreement[:12], "--reason", "consultations", by="liaison")
    next_page = read_raw(f"{url}&next={first['next']}", login)
    stage.check(b" 404 " in next_page.splitlines()[0], "the next page gets nothing")
    stage.wait_for("borealia", lambda: stage.state("borealia", agreement) == "suspended")
    stage.run("borealia", "pull", "aurelia", code=6)
    stage.say("Borealia cannot lift Aurelia's suspension; Aurelia can.")
    stage.run("borealia", "agreement", "resume", agreement[:12], by="legal", code=6)
    stage.run_by_two("aurelia", "agreement", "resume", agreement[:12])
    stage.wait_for("borealia", lambda: stage.state("borealia", agreement) == "in force")
    stage.check(
        b" 200 " in read_raw(f"{url}&next={first['next']}", login).splitlines()[0], "in force again, it goes on"
    )


def prove(stage: Stage) -> None:
    stage.step(8, "What left is on record, and the record proves itself")
    stage.run("aurelia", "log", "list", "--last", "5")
    stage.run("aurelia", "log", "verify")
    stage.run("aurelia", "log", "checkpoint")
    entry = stage.copy_with_one_byte_changed("aurelia", "copy")
    stage.say(f"A copy of the store, with one byte of entry {entry} changed:")
    told = stage.run("copy", "log", "verify", code=7)
    stage.check(f"entry {entry} " in told, "the copy does not verify, and the message names the entry")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", action="store_true", help="leave the nodes running and print their addresses")
    parser.add_argument("--bundle", type=Path, help="a STIX 2.1 bundle of yours to take in")
    parser.add_argument("--dir", type=Path, help="where to make the nodes (default: a new temporary folder)")
    options = parser.parse_args()
    if options.bundle is not None and not options.bundle.is_file():
        parser.error(f"{options.bundle} is not a file; --bundle takes a STIX 2.1 bundle")
    folder = options.dir or Path(tempfile.mkdtemp(prefix="comity-demo-"))
    folder.mkdir(parents=True, exist_ok=True)
    stage, kept = Stage(folder), False
    try:
        found_parties(stage)
        take_in(stage, options.bundle)
        agreement = negotiate(stage)
        share(stage)
        refuse_coalition(stage, agreement)
        keep_silent(stage, agreement)
        suspend(stage, agreement)
        prove(stage)
        stage.end(keep=options.keep)
        kept = options.keep
    except UnusableFileError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    finally:
        if not kept:
            stage.stop()
        if not kept and options.dir is None:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
