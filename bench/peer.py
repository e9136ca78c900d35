"""The peer's scenarios over HTTP, with authentication, access and audit as they ship, beside its published rates.

The peer is Medplum 5.1.23: one Node process on PostgreSQL and Redis, authenticated by JWT, 16 connections, Tasks of
2.6 KB. Its rates were measured on a machine of this kind on another day; here only ours are measured. Its Tasks have
no consequences. Ours have, so what is written is measured twice: Tasks in their plans, and Observations of that size.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from bench.figures import Figure
from bench.ground import Ground
from bench.load import Conversation, Request, repeating, request, spread_over
from bench.rounds import WARM_UP, Spread, spread
from bench.scene import Case, Scene, observation, play, references, scene, task
from bench.serving import OURS
from fhir_server.fhir.json import Resource, decode, encode

PUBLISHED = "published, of another day"
_OF_A_PERSON = 21
_ACCEPTED = 5
_TOGETHER = 10
_BYTES = 2_600
_SENTENCE = "Mevrouw wordt 's morgens geholpen bij het opstaan, wassen en aankleden. "


@dataclass(frozen=True)
class Scenario:
    """What is asked on each connection, the peer's published rate, and how many times that is aimed at."""

    what: str
    published: float
    aim: float | None
    conversations: list[Conversation]


@dataclass(frozen=True)
class Kind:
    """What is written: by whom, made how for a case, and changed how the so-manieth time."""

    name: str
    headers: dict[str, str]
    made: Callable[[Case], Resource]
    changed: Callable[[Resource, int], Resource]


def peer(ground: Ground) -> list[Figure]:
    """read, searches, create, update and transactions as another server was measured, beside its published rates."""
    found = scene(ground)
    tasks, observations = Kind("Task", found.hosp, _task, _asked_anew), Kind("Observation", found.home, _weight, _noted)
    _fill(ground, found, tasks)
    scenarios = [*_readings(ground, found), *_writings(ground, found, tasks), *_writings(ground, found, observations)]
    return [_figure(ground, scenario) for scenario in scenarios]


def _readings(ground: Ground, found: Scene) -> Iterator[Scenario]:
    many = ground.scale.connections
    reads = [_get(case.task, found.home) for case in found.cases]
    yield Scenario("read a Task", 2939, None, spread_over(reads, many))
    of_a_person = [_get(f"Task?patient={case.patient}&_count=20", found.home) for case in found.cases]
    yield Scenario("search 20 Tasks of a patient", 506, 4, spread_over(of_a_person, many))
    accepted = [_get("Task?status=accepted&_sort=-_lastUpdated&_count=20", found.home)]
    yield Scenario("search the 20 newest accepted Tasks", 541, 4, spread_over(accepted, many))


def _writings(ground: Ground, found: Scene, kind: Kind) -> Iterator[Scenario]:
    """Each connection writes about people of its own, as other people's records are written at the same time."""

    def shared(clients: int, of_cases: Callable[[Sequence[Case]], Conversation]) -> list[Conversation]:
        clients = min(clients, ground.scale.connections, len(found.cases))
        return [of_cases(found.cases[first::clients]) for first in range(clients)]

    def repeated(asked: Callable[[Kind, Case], Request]) -> Callable[[Sequence[Case]], Conversation]:
        return lambda cases: repeating([asked(kind, case) for case in cases])

    yield Scenario(f"create {kind.name}", 284, 2, shared(16, repeated(_create)))
    yield Scenario(f"update {kind.name}", 73, 3, shared(1, lambda cases: _updates(kind, cases)))
    yield Scenario(f"update {kind.name}", 123, 3, shared(8, lambda cases: _updates(kind, cases)))
    for clients, published in ((1, 19), (8, 30)):
        what = f"transaction of {_TOGETHER} x create {kind.name}"
        yield Scenario(what, published, 3, shared(clients, repeated(_transaction)))


def _figure(ground: Ground, scenario: Scenario) -> Figure:
    crowd = ground.crowd(OURS, scenario.conversations)
    crowd.round(min(WARM_UP, ground.scale.seconds))
    rounds = [crowd.round(ground.scale.seconds) for _ in range(ground.scale.rounds)]
    crowd.close()
    rates = spread([each.per_second for each in rounds])
    ratio = Spread(*(rate / scenario.published for rate in (rates.median, rates.least, rates.greatest)))
    clients = len(scenario.conversations)
    what = f"{scenario.what}, {clients} client{'s' if clients > 1 else ''}"
    return Figure("peer", what, f"{rates.median:,.0f}/s", f"{scenario.published:,}/s {PUBLISHED}", ratio, scenario.aim)


def _fill(ground: Ground, found: Scene, kind: Kind) -> None:
    """Tasks for every person, some of them accepted."""

    def fill(cases: Sequence[Case]) -> Conversation:
        for case in cases:
            answer = yield _transaction(kind, case, _OF_A_PERSON)
            for reference in list(references(decode(answer.body)))[:_ACCEPTED]:
                answer = yield _get(reference, found.home)
                yield _put({**decode(answer.body), "status": "accepted"}, found.home)

    each = min(ground.scale.connections, len(found.cases))
    play(ground, [fill(found.cases[first::each]) for first in range(each)])


def _updates(kind: Kind, cases: Sequence[Case]) -> Conversation:
    """One resource of each case, changed again and again, always on the version that was written last."""
    current: dict[str, Resource] = {}
    for time in count():
        for case in cases:
            if case.plan not in current:
                answer = yield _create(kind, case)
                current[case.plan] = decode(answer.body)
            answer = yield _put(kind.changed(current[case.plan], time), kind.headers)
            current[case.plan] = decode(answer.body)


def _get(path: str, headers: dict[str, str]) -> Request:
    return Request("get", request("GET", f"/fhir/{path}", headers))


def _put(resource: Resource, headers: dict[str, str]) -> Request:
    path = f"/fhir/{resource['resourceType']}/{resource['id']}"
    return Request("update", request("PUT", path, headers, encode(resource)))


def _create(kind: Kind, case: Case) -> Request:
    body = encode(kind.made(case))
    return Request("create", request("POST", f"/fhir/{kind.name}", kind.headers, body), expected=201)


def _transaction(kind: Kind, case: Case, how_many: int = _TOGETHER) -> Request:
    asked = {"method": "POST", "url": kind.name}
    entries = [{"resource": kind.made(case), "request": asked} for _ in range(how_many)]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    return Request("transaction", request("POST", "/fhir/", kind.headers, encode(bundle)))


def _task(case: Case) -> Resource:
    return _of_size(task(case))


def _weight(case: Case) -> Resource:
    return _of_size(observation(case))


def _of_size(resource: Resource) -> Resource:
    """The resource with a note that makes it as large as the peer's Tasks."""
    room = _BYTES - len(encode({**resource, "note": [{"text": ""}]}))
    return {**resource, "note": [{"text": (_SENTENCE * (room // len(_SENTENCE) + 1))[:room].strip()}]}


def _asked_anew(resource: Resource, time: int) -> Resource:
    return {**resource, "description": f"Thuisverpleging, {time % 7 + 1} maal per week"}


def _noted(resource: Resource, time: int) -> Resource:
    """Another weight; the note stays."""
    return {**resource, "valueQuantity": {**resource["valueQuantity"], "value": 61.5 + time % 9}}
