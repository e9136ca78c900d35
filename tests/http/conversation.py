"""A long conversation at random: organisations write in transactions, join and leave, and a model keeps account."""

import base64
import random
import uuid
from dataclasses import dataclass, field

from fhir_server.demo.referral import consent
from fhir_server.fhir.dates import instant, now
from fhir_server.fhir.json import Resource, encode
from tests.access.circle import asked, made, walk
from tests.http.conversation_model import CHART, SYSTEM, TYPES, Circle, Model, renamed, same
from tests.world import Case, Party, Reply, World

RESTRICTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "V"}


@dataclass
class Conversation:
    """Two hospitals, a service that works for both of their patients, and the case manager who keeps both plans."""

    world: World
    chance: random.Random
    parties: dict[str, Party] = field(default_factory=dict)
    cases: dict[str, Case] = field(default_factory=dict)
    run: str = field(default_factory=lambda: uuid.uuid4().hex)
    begun: str = field(default_factory=lambda: instant(now()))

    def __post_init__(self) -> None:
        world, home = self.world, self.world.party()
        circles = []
        for hosp in (world.hospital(), world.hospital()):
            case = world.case(hosp, home)
            walk(home, case.task, "accepted")
            self.cases[case.patient], self.parties[hosp.reference] = case, hosp
            at_work = {home.reference: case.task}
            circles.append(
                Circle(case.plan, case.patient, hosp.reference, world.custodian.reference, at_work, str(case.consent))
            )
        self.parties |= {home.reference: home, world.custodian.reference: world.custodian}
        self.home, self.model = home, Model(circles)

    # What is said

    def body(self, type_name: str, who: str, person: str | None, names: dict[str, tuple[str, str | None]]) -> Resource:
        """A resource that `who` may write; `names` are the fullUrls of what its Bundle creates, with their persons."""
        chance, model = self.chance, self.model
        key = {"system": SYSTEM, "value": f"{self.run}-{chance.randrange(9)}"}
        about: Resource = {"identifier": [key], "meta": {"tag": [{"system": SYSTEM, "code": self.run}]}}
        if type_name == "Practitioner":
            return {"resourceType": type_name, **about, "name": [{"family": f"F{chance.randrange(5)}"}]}
        if type_name == "List":
            items = [name for name, (kind, _) in names.items() if kind != "List"]
            items += model.readable(who, *CHART, "Practitioner")
            chosen = chance.sample(items, min(len(items), chance.randrange(4)))
            entries = {"entry": [{"item": {"reference": each}} for each in chosen]} if chosen else {}
            return {"resourceType": type_name, **about, "status": "current", "mode": "working", **entries}
        if chance.random() < 0.2:
            about["meta"]["security"] = [RESTRICTED]
        about |= {"subject": {"reference": person}, "language": chance.choice(["nl", "fr", "de"])}
        if type_name == "Encounter":
            return {"resourceType": type_name, **about, "status": "finished", "class": {"code": "AMB"}}
        visits = [name for name, (kind, whose) in names.items() if (kind, whose) == ("Encounter", person)]
        visits += [each for each in model.readable(who, "Encounter") if self.may_lead(who, each, person)]
        led = {"encounter": {"reference": chance.choice(visits)}} if visits and chance.random() < 0.6 else {}
        status = {"Observation": "final", "Flag": "active"}[type_name]
        return {"resourceType": type_name, **about, "status": status, "code": {"text": "said"}, **led}

    def may_lead(self, who: str, visit: str, person: str | None) -> bool:
        """Whether `who` may add to what the visit belongs to."""
        kept = self.model.kept[visit]
        return kept.person == person and kept.now.plan in {None, self.model.plan_of(who, person)}

    def entries(self, who: str) -> list[Resource]:
        """Entries of every kind that `who` may send, each about another resource."""
        chance, model = self.chance, self.model
        persons = [each.person for each in model.circles if model.reads_person(who, each.person)]
        types = [name for name in TYPES if persons or name not in CHART]
        names: dict[str, tuple[str, str | None]] = {}
        for _ in range(1 + chance.randrange(5)):
            kind = chance.choice(types)
            named = f"urn:uuid:{uuid.UUID(int=chance.getrandbits(128), version=4)}"
            names[named] = (kind, chance.choice(persons) if kind in CHART else None)
        told = [
            {
                "fullUrl": name,
                "resource": self.body(kind, who, person, names),
                "request": {"method": "POST", "url": kind},
            }
            for name, (kind, person) in names.items()
        ]
        own = [each for each, kept in model.kept.items() if kept.author == who]
        for reference in chance.sample(own, min(len(own), chance.randrange(4))):
            told.append(self.changed(who, reference, names))
        written = {each["request"]["url"] for each in told}
        read = [each for each in model.readable(who, *TYPES) if each not in written]
        told += [{"request": {"method": "GET", "url": each}} for each in chance.sample(read, min(len(read), 2))]
        chance.shuffle(told)
        return told

    def changed(self, who: str, reference: str, names: dict[str, tuple[str, str | None]]) -> Resource:
        """An update, a patch or a delete of something of `who`'s own; what was deleted is brought back."""
        kept = self.model.kept[reference]
        way = self.chance.choice(["PUT", "PATCH", "DELETE"])
        request = {"method": way, "url": reference, "ifMatch": f'W/"{kept.now.number}"'}
        if way == "DELETE" and kept.type == "List" and kept.now.said is not None:
            return {"request": request}
        if way == "PATCH" and kept.now.said is not None:
            steps = [{"op": "add", "path": "/language", "value": self.chance.choice(["nl", "fr", "en"])}]
            data = base64.b64encode(encode(steps)).decode()
            patch = {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": data}
            return {"resource": patch, "request": request, "patch": steps[0]["value"]}
        readable = kept.person is None or self.model.reads_person(who, kept.person)
        if not readable and kept.now.said is not None:
            return {
                "resource": {**kept.now.said, "id": kept.id, "language": "en"},
                "request": {**request, "method": "PUT"},
            }
        body = self.body(kept.type, who, kept.person, names)
        return {"resource": {**body, "id": kept.id}, "request": {**request, "method": "PUT"}}

    # What is done

    def write(self) -> None:
        """A transaction that succeeds, whose every entry is answered as the model expects."""
        who = self.chance.choice(list(self.parties))
        entries = self.entries(who)
        reply = self.send(who, entries)
        assert reply.status == 200, (reply.body, entries)
        told = list(zip(entries, reply.body.get("entry", []), strict=True))
        made_here = {e["fullUrl"]: _place(r) for e, r in told if "fullUrl" in e}
        for entry, response in sorted(told, key=_encounters_first):
            method, url = entry["request"]["method"], entry["request"]["url"]
            if method == "GET":
                continue
            reference = made_here.get(entry.get("fullUrl", ""), url)
            said = self.said(entry, made_here)
            before = len(self.model.kept[reference].versions) if reference in self.model.kept else 0
            self.model.write(who, reference, said, method)
            version = self.model.kept[reference].now
            expected = version.status if len(self.model.kept[reference].versions) > before else "200"
            assert response["response"]["status"][:3] == expected, (entry, response)
            if said is not None:
                assert response["response"]["etag"] == f'W/"{version.number}"', (entry, response)
        for entry, response in told:
            if entry["request"]["method"] == "GET":
                said = self.model.kept[entry["request"]["url"]].now.said
                assert same(response["resource"], said or {}), (entry, response)

    def said(self, entry: Resource, made_here: dict[str, str]) -> Resource | None:
        """What an entry leaves, with the names of other entries replaced."""
        if entry["request"]["method"] == "DELETE":
            return None
        if "patch" in entry:
            return {**(self.model.kept[entry["request"]["url"]].now.said or {}), "language": entry["patch"]}
        return renamed(entry["resource"], made_here)

    def write_in_vain(self) -> None:
        """A transaction with one entry that must be refused: none of the others is done, and no hidden name is told."""
        who = self.chance.choice(list(self.parties))
        status, wrong = self.chance.choice(list(self.wrong(who)))
        place = wrong["request"]["url"]
        entries = [each for each in self.entries(who) if "/" not in place or each["request"]["url"] != place]
        entries.append(wrong)
        self.chance.shuffle(entries)
        reply = self.send(who, entries)
        assert reply.status == status, (reply.body, wrong)
        asked_for = encode(entries)
        hidden = [kept for each, kept in self.model.kept.items() if not self.model.knows(who, each)]
        assert not [
            kept.reference for kept in hidden if kept.id.encode() in reply.raw and kept.id.encode() not in asked_for
        ]

    def wrong(self, who: str) -> list[tuple[int, Resource]]:
        """Entries that `who` may not send, and how each is refused."""
        model = self.model
        nobody = {"resourceType": "Flag", "status": "active", "code": {"text": "x"}}
        persons = [each.person for each in model.circles if not model.reads_person(who, each.person)]
        found = [
            (
                422,
                {"resource": {**nobody, "subject": {"reference": each}}, "request": {"method": "POST", "url": "Flag"}},
            )
            for each in ["Patient/nobody", *persons]
        ]
        for reference, kept in model.kept.items():
            stale = {"method": "DELETE" if kept.type == "List" else "PUT", "url": reference, "ifMatch": 'W/"99"'}
            sent = {} if kept.type == "List" else {"resource": {**(kept.now.said or {}), "id": kept.id}}
            if not model.knows(who, reference):
                found += [(404, {**sent, "request": stale}), (404, {"request": {"method": "GET", "url": reference}})]
            elif kept.author == who and kept.now.said is not None:
                found.append((412, {**sent, "request": stale}))
            elif kept.author != who and kept.now.said is not None:
                changed = {**kept.now.said, "id": kept.id, "language": "en"}
                found.append((403, {"resource": changed, "request": {"method": "PUT", "url": reference}}))
        return found

    def send(self, who: str, entries: list[Resource]) -> Reply:
        """A transaction."""
        sent = [{name: value for name, value in entry.items() if name != "patch"} for entry in entries]
        return self.parties[who].transact({"resourceType": "Bundle", "type": "transaction", "entry": sent})

    def move(self) -> None:
        """The service leaves a plan or comes back, or the person withdraws the consent or gives it anew."""
        circle = self.chance.choice(self.model.circles)
        case, hosp = self.cases[circle.person], self.parties[circle.opened_by]
        if circle.agreed and self.chance.random() < 0.6:
            task = circle.at_work.pop(self.home.reference, None)
            if task is not None:
                walk(self.home, task, "in-progress", "completed")
            else:
                circle.at_work[self.home.reference] = asked(hosp, self.home, case, "accepted")[1]
        elif circle.agreed:
            assert hosp.change(circle.consent, status="inactive").status == 200
            circle.agreed = False
        else:
            circle.consent = made(hosp, consent(circle.person, now(), hosp.reference))
            circle.agreed = True


def _place(response: Resource) -> str:
    """`Type/id` of what an entry made."""
    return "/".join(response["response"]["location"].split("/")[-4:-2])


def _encounters_first(told: tuple[Resource, Resource]) -> bool:
    """What leads to a plan is placed before what it leads."""
    return told[0]["request"]["url"].partition("/")[0] != "Encounter"
