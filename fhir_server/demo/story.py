"""The ALS story, steps 1 to 3, told over HTTP by organisations that each authenticate as themselves."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from fhir_server.demo.client import FhirClient, Refused
from fhir_server.demo.directory import CASEMANAGER, HOME, HOSP, OUT
from fhir_server.demo.referral import MIA, NURSING, Person, referral
from fhir_server.demo.wording import with_translations
from fhir_server.fhir.dates import instant, now
from fhir_server.fhir.json import Resource

_WORDS = {
    "Task": "the Task",
    "ServiceRequest": "the order",
    "CarePlan": "the plan",
    "CareTeam": "the team",
    "Patient": "the person",
    "Condition": "the chart",
}

BODY_WEIGHT = {"system": "http://loinc.org", "code": "29463-7", "display": "Body weight"}

Say = Callable[[str], None]
Hear = Callable[[str, str, int], list[Resource]]


@dataclass(frozen=True)
class Cast:
    """The clients of the story, and `hear(party, focus, times)`: what a party was told about a reference by then."""

    hosp: FhirClient
    home: FhirClient
    casemanager: FhirClient
    out: FhirClient
    hear: Hear


def tell(cast: Cast, say: Say, person: Person = MIA) -> dict[str, str]:
    """Tell steps 1 to 3; what was made, by type. Raises when the server does not do as it promises."""
    made = _refer(cast, say, person)
    _accept(cast, say, made)
    _work(cast, say, made)
    for refusal in _refusals(cast, made):
        say(f"   Refused: {refusal}")
    return made


def _refer(cast: Cast, say: Say, person: Person) -> dict[str, str]:
    say(f"1  {HOSP.name} refers {person.given} {person.family}: person, diagnosis, consent, order and Task, as one.")
    made = cast.hosp.transact(with_translations(referral(now(), person)))
    made["CarePlan"] = cast.hosp.read(made["Task"])["basedOn"][0]["reference"]
    plan = cast.hosp.read(made["CarePlan"])
    made["CareTeam"] = plan["careTeam"][0]["reference"]
    say(f'   In the same commit the server opens a plan, "{plan["title"]}" ({plan["status"]}), and its team:')
    say(f"   {_members(cast.hosp, made)}.")
    _hear(cast, say, "home", HOME.name, made["Task"], "requested", 1)
    return made


def _accept(cast: Cast, say: Say, made: dict[str, str]) -> None:
    say(f"2  {HOME.name} {_sees(cast.home, made)}.")
    say(f"   {OUT.name}, an organisation outside, {_sees(cast.out, made)}.")
    for status in ("received", "accepted"):
        _move(cast.home, made["Task"], status)
    say(f"   {HOME.name} accepts; in the same commit it is in the team and {_sees(cast.home, made)}.")


def _work(cast: Cast, say: Say, made: dict[str, str]) -> None:
    _move(cast.home, made["Task"], "in-progress")
    procedure = _record_visit(cast.home, made)
    say(f"3  {HOME.name} works, records a procedure and an observation, and completes the Task with its output.")
    _move(cast.home, made["Task"], "completed", output=_output(procedure))
    _hear(cast, say, "hosp", HOSP.name, made["Task"], "completed", 5)
    say(f"   The part of {HOME.name} ends: it {_sees(cast.home, made)}.")
    cast.hosp.change(made["ServiceRequest"], status="completed")
    say(f"   {HOSP.name} completes the order. {CASEMANAGER.name} keeps the plan: it {_sees(cast.casemanager, made)}.")


def _move(client: FhirClient, task: str, status: str, **elements: object) -> None:
    client.change(task, status=status, lastModified=instant(now()), **elements)


def _record_visit(home: FhirClient, made: dict[str, str]) -> str:
    moment = now()
    procedure = _record(
        home,
        {
            "resourceType": "Procedure",
            "basedOn": [{"reference": made["ServiceRequest"]}],
            "status": "completed",
            "code": {"coding": [NURSING], "text": "Thuisverpleging"},
            "subject": {"reference": made["Patient"]},
            "performedPeriod": {"start": instant(moment - timedelta(minutes=40)), "end": instant(moment)},
            "performer": [{"actor": {"reference": HOME.reference}}],
        },
    )
    _record(
        home,
        {
            "resourceType": "Observation",
            "basedOn": [{"reference": made["ServiceRequest"]}],
            "status": "final",
            "code": {"coding": [BODY_WEIGHT], "text": "Lichaamsgewicht"},
            "subject": {"reference": made["Patient"]},
            "effectiveDateTime": instant(moment),
            "performer": [{"reference": HOME.reference}],
            "valueQuantity": {"value": 61.50, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
        },
    )
    return f"Procedure/{procedure['id']}"


def _record(home: FhirClient, resource: Resource) -> Resource:
    return home.create(with_translations(resource))


def _output(procedure: str) -> list[Resource]:
    return [with_translations({"type": {"text": "Verrichte zorg"}, "valueReference": {"reference": procedure}})]


def _refusals(cast: Cast, made: dict[str, str]) -> Iterator[str]:
    """What must not be possible, tried."""
    tries: list[tuple[str, Callable[[], object]]] = [
        ("a completed Task back in progress", lambda: _move(cast.home, made["Task"], "in-progress")),
        ("the hospital moving the nurses' Task", lambda: _move(cast.hosp, made["Task"], "accepted")),
        ("a stranger reading it", lambda: cast.out.read(made["Task"])),
    ]
    for told, attempt in tries:
        try:
            attempt()
        except Refused as refused:
            yield f"{told} ({refused})"
        else:
            raise RuntimeError(f"the server allowed {told}")


def _members(client: FhirClient, made: dict[str, str]) -> str:
    team = client.read(made["CareTeam"])
    active = [p["member"]["reference"] for p in team["participant"] if "end" not in p.get("period", {})]
    return ", ".join(_name(client, reference) for reference in active)


def _name(client: FhirClient, reference: str) -> str:
    resource = client.read(reference)
    name = resource.get("name", reference)
    return (
        name if isinstance(name, str) else f"{' '.join(name[0].get('given', []))} {name[0].get('family', '')}".strip()
    )


def _sees(client: FhirClient, made: dict[str, str]) -> str:
    """What a party can read of the case, in words."""
    seen = [word for kind, word in _WORDS.items() if client.status_of(made[kind]) == 200]
    if _WORDS["Patient"] in seen and "name" not in client.read(made["Patient"]):
        seen[seen.index(_WORDS["Patient"])] = "where the person lives and what she speaks"
    hidden = [word for word in _WORDS.values() if word not in seen]
    if not hidden:
        return "reads " + ", ".join(seen)
    return f"reads {', '.join(seen)}; not {', '.join(hidden)}" if seen else "sees nothing of it"


def _hear(cast: Cast, say: Say, party: str, name: str, focus: str, status: str, times: int) -> None:
    """One notification for each move of the Task so far, its creation the first."""
    heard = cast.hear(party, focus, times)
    if len(heard) != times:
        raise RuntimeError(f"{name} was told {len(heard)} times about {focus}, not {times} times")
    say(f"   {name} is notified that the Task is {status}: only its address travels, no content.")
