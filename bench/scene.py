"""The cases of a run, told over HTTP: people referred by a hospital, home nurses in their teams, charts that fill."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

from bench.ground import Ground
from bench.load import Conversation, Crowd, Request, request
from bench.serving import OURS
from fhir_server.care.tasks import TASK_CODES
from fhir_server.demo.directory import HOME, HOSP, OPERATOR, directory
from fhir_server.demo.referral import referral
from fhir_server.fhir.dates import instant, now
from fhir_server.fhir.json import Resource, decode, encode

_UNTIL_DONE = 3_600.0
MOVES = ("received", "accepted", "in-progress", "completed")


@dataclass(frozen=True)
class Case:
    """One person's references, as the referral made them."""

    patient: str
    order: str
    task: str
    plan: str
    observations: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scene:
    """The cases, and what the requests of the hospital and of the nurses carry."""

    hosp: dict[str, str]
    home: dict[str, str]
    cases: tuple[Case, ...]


@lru_cache(maxsize=1)
def scene(ground: Ground) -> Scene:
    """The cases of this run, made through the server, so that everything the gate does has been done to them."""
    ground.begin_afresh()
    operator = ground.headers(OPERATOR.reference, "samen/import", "samen/operate")
    hosp = ground.headers(HOSP.reference, "samen/open-plans")
    home = ground.headers(HOME.reference)
    [programme] = ground.parts().services.programmes.values()
    loading = request("POST", "/fhir/", operator, encode(directory(programme)))
    play(ground, [once(Request("directory", loading))])
    cases: list[Case] = []
    share = -(-ground.scale.cases // ground.scale.connections)
    play(ground, [_open(hosp, home, share, ground.scale.observations, cases) for _ in range(ground.scale.connections)])
    return Scene(hosp, home, tuple(cases[: ground.scale.cases]))


def once(*requests: Request) -> Conversation:
    """These requests, once."""
    for each in requests:  # noqa: UP028 what is sent into `yield from` would reach the iterator
        yield each


def observation(case: Case, number: int = 0) -> Resource:
    """A body weight, of about a kilobyte as a device would send it."""
    return {
        "resourceType": "Observation",
        "basedOn": [{"reference": case.order}],
        "status": "final",
        "category": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                        "code": "vital-signs",
                        "display": "Vital Signs",
                    }
                ]
            }
        ],
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7", "display": "Body weight"}]},
        "subject": {"reference": case.patient},
        "effectiveDateTime": instant(now() - timedelta(hours=number)),
        "performer": [{"reference": HOME.reference}],
        "valueQuantity": {"value": 61.50, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
        "note": [{"text": "Gewogen in de tilhulp, voor het ontbijt. " * 6}],
    }


def task(case: Case) -> Resource:
    """Another Task for the case's order, from the hospital to the nurses."""
    moment = now()
    return {
        "resourceType": "Task",
        "basedOn": [{"reference": case.plan}],
        "status": "requested",
        "intent": "order",
        "code": {"coding": [{"system": TASK_CODES, "code": "fulfill"}]},
        "description": "Thuisverpleging: hulp bij ADL, tweemaal per week",
        "focus": {"reference": case.order},
        "for": {"reference": case.patient},
        "authoredOn": instant(moment),
        "lastModified": instant(moment),
        "requester": {"reference": HOSP.reference},
        "owner": {"reference": HOME.reference},
        "restriction": {"period": {"end": (moment.date() + timedelta(days=7)).isoformat()}},
    }


def workflow(scene: Scene, cases: tuple[Case, ...]) -> Conversation:
    """The hospital asks, the nurses move the Task to its end, case after case: what each step does is in the commit."""
    while True:
        for case in cases:
            answer = yield Request(
                "create a Task", request("POST", "/fhir/Task", scene.hosp, encode(task(case))), expected=201
            )
            moved = decode(answer.body)
            for status in MOVES:
                answer = yield Request(f"to {status}", _put({**moved, "status": status}, scene.home))
                moved = decode(answer.body)


def notes(scene: Scene, cases: tuple[Case, ...]) -> Conversation:
    """The nurses add a note to the Task of each case in turn, always on the version that they read last."""
    current: dict[str, Resource] = {}
    while True:
        for case in cases:
            if case.task not in current:
                answer = yield Request("read the Task", request("GET", f"/fhir/{case.task}", scene.home))
                current[case.task] = decode(answer.body)
            told = [*current[case.task].get("note", []), {"text": "Gezien"}]
            answer = yield Request("add a note", _put({**current[case.task], "note": told}, scene.home))
            current[case.task] = decode(answer.body)


def observations_at_once(case: Case, how_many: int) -> Resource:
    """A transaction that creates so many measurements of a person."""
    request = {"method": "POST", "url": "Observation"}
    entries = [{"resource": observation(case, number), "request": request} for number in range(how_many)]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def _open(hosp: dict[str, str], home: dict[str, str], times: int, observations: int, cases: list[Case]) -> Conversation:
    """Refer a person, let the nurses accept, fill the chart; the plan stays open and the nurses stay in it."""
    for _ in range(times):
        answer = yield Request("open", request("POST", "/fhir/", hosp, encode(referral(now()))))
        made = _locations(decode(answer.body))
        answer = yield Request("read", request("GET", f"/fhir/{made['Task']}", hosp))
        moved = decode(answer.body)
        case = Case(made["Patient"], made["ServiceRequest"], made["Task"], moved["basedOn"][0]["reference"])
        for status in MOVES[:-1]:
            answer = yield Request("move", _put({**moved, "status": status}, home))
            moved = decode(answer.body)
        written = []
        for number in range(observations):
            body = encode(observation(case, number))
            answer = yield Request("fill", request("POST", "/fhir/Observation", home, body), expected=201)
            written.append(f"Observation/{decode(answer.body)['id']}")
        cases.append(Case(case.patient, case.order, case.task, case.plan, tuple(written)))


def _put(resource: Resource, headers: dict[str, str]) -> bytes:
    body = encode({**resource, "lastModified": instant(now())})
    return request("PUT", f"/fhir/{resource['resourceType']}/{resource['id']}", headers, body)


def _locations(answer: Resource) -> dict[str, str]:
    return {reference.split("/")[0]: reference for reference in references(answer)}


def references(answer: Resource) -> Iterator[str]:
    """`Type/id` of what a transaction made, in the order of its entries."""
    for entry in answer["entry"]:
        yield "/".join(entry["response"]["location"].partition("/_history/")[0].split("/")[-2:])


def play(ground: Ground, conversations: list[Conversation]) -> None:
    """Hold conversations that end by themselves."""
    crowd: Crowd = ground.crowd(OURS, conversations)
    crowd.round(_UNTIL_DONE)
    crowd.close()
