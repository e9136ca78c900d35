"""The rows of the performance budget. A row is a function from the ground to its figures."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlencode

from bench import scene as scenes
from bench.caseload import LARGE, NATIONAL, SMALL, Share, ensure
from bench.figures import Figure
from bench.ground import CASES, Ground, free_port
from bench.load import Conversation, Crowd, Request, Round, repeating, request, spread_over
from bench.peer import peer
from bench.processes import memory_of_workers
from bench.rounds import Duel, Spread, duel, spread
from bench.scene import Scene, scene
from bench.serving import BASELINE, JOURNALED, OURS, WITHOUT_AUDIT, serving
from fhir_server.care.task_states import OPEN
from fhir_server.demo.directory import OPERATOR
from fhir_server.fhir.dates import now
from fhir_server.fhir.json import decode, encode

Row = Callable[[Ground], list[Figure]]

PAGE = 50
TOGETHER = 10
UPLOADS = 4
_UNTIL_LOADED = 3_600.0
_MEGABYTE = 1024 * 1024


def read(ground: Ground) -> list[Figure]:
    """read by id, of a chart type: who may read it depends on the circles of its plan."""
    found = scene(ground)
    asked = (
        ("read an Observation, audited as it ships (local)", OURS, 0.55),
        ("read an Observation, audited (journaled)", JOURNALED, 0.55),
        ("read an Observation, without audit", WITHOUT_AUDIT, 0.7),
    )
    against = "one find_one, no audit"
    return [_throughput("read", what, _reads(ground, found, which), against, limit) for what, which, limit in asked]


def create(ground: Ground) -> list[Figure]:
    """create of a chart type."""
    found = scene(ground)
    pairs = [(encode(scenes.observation(case)), case.patient) for case in found.cases]
    ours = [Request("create", request("POST", "/fhir/Observation", found.home, body), 201) for body, _ in pairs]
    bare = [Request("create", request("POST", f"/create/{patient}", {}, body), 201) for body, patient in pairs]
    fought = _duel(ground, OURS, ours, bare)
    return [_throughput("create", "create an Observation", fought, "one journaled majority insert", 0.5)]


def workflow(ground: Ground) -> list[Figure]:
    """create a Task and move it, each with its consequences."""
    found = scene(ground)
    each = ground.scale.connections
    ours = [scenes.workflow(found, found.cases[start::each]) for start in range(min(each, len(found.cases)))]
    bodies = [(encode(scenes.task(case)), case.patient) for case in found.cases]
    bare = [Request("write", request("POST", f"/transaction/{patient}", {}, body)) for body, patient in bodies]
    fought = duel(ground.crowd(OURS, ours), ground.crowd(BASELINE, spread_over(bare, len(ours))), ground.scale)
    steps = ("create a Task", *(f"to {status}" for status in scenes.MOVES))
    times = ", ".join(f"{step} {_milliseconds(spread([r.median(step) for r in fought.ours]).median)}" for step in steps)
    what = "create a Task and move it to its end"
    return [_throughput("task", what, fought, "a transaction of 3 inserts", 0.5, f"p50: {times}")]


def transaction(ground: Ground) -> list[Figure]:
    """ten creates in one transaction, and ten one after the other, by one client on one connection."""
    found = scene(ground)
    together = [encode(scenes.observations_at_once(case, TOGETHER)) for case in found.cases]
    singles = [encode(scenes.observation(case)) for case in found.cases]
    many = [Request("transaction", request("POST", "/fhir/", found.home, body)) for body in together]
    one = [Request("create", request("POST", "/fhir/Observation", found.home, body), 201) for body in singles]
    fought = duel(ground.crowd(OURS, [repeating(many)]), ground.crowd(OURS, [repeating(one)]), ground.scale)
    ours, theirs = (spread([_rate(r) for r in rounds]).median for rounds in (fought.ours, fought.theirs))
    told = f"{ours * TOGETHER:,.0f} resources/s", f"{theirs:,.0f} resources/s, one by one"
    ratio = spread([TOGETHER * _rate(a) / _rate(b) for a, b in zip(fought.ours, fought.theirs, strict=True)])
    return [Figure("transaction", f"create {TOGETHER} Observations in a transaction", *told, ratio, 3.0)]


def note(ground: Ground) -> list[Figure]:
    """update of a Task's note."""
    found = scene(ground)
    each = min(ground.scale.connections, len(found.cases))
    ours = [scenes.notes(found, found.cases[start::each]) for start in range(each)]
    bodies = [(encode(scenes.task(case)), case.task.partition("/")[2]) for case in found.cases]
    bare = [Request("update", request("PUT", f"/update/{id}", {}, body)) for body, id in bodies]
    fought = duel(ground.crowd(OURS, ours), ground.crowd(BASELINE, spread_over(bare, each)), ground.scale)
    against = "a transaction of guard, current, history, audit"
    return [_throughput("note", "add a note to a Task", fought, against, 0.5)]


def synthea(ground: Ground) -> list[Figure]:
    """load of Synthea's Bundles by the operator, 4 uploads at once; wants --synthea or SAMEN_TEST_SYNTHEA."""
    files = sorted(ground.synthea.glob("*.json")) if ground.synthea else []
    if not files:
        return []
    scene(ground)
    operator = ground.headers(OPERATOR.reference, "samen/import", "samen/operate")
    # Hospitals and practitioners are files of their own, to which those of the people refer by a condition.
    shared = [file for file in files if "Information" in file.name]
    resources = sum(len(decode(file.read_bytes())["entry"]) for file in files)
    taken = _uploads(ground, operator, shared, 1) + _uploads(ground, operator, sorted({*files} - {*shared}), UPLOADS)
    rate = resources / taken
    what = f"load {resources:,} resources of Synthea, {UPLOADS} uploads at once"
    return [Figure("synthea", what, f"{rate:,.0f} resources/s", f"{taken:.1f} s", spread([1.0]))]


def search(ground: Ground) -> list[Figure]:
    """search of 20 Observations of one patient."""
    found = scene(ground)
    asked = [f"/fhir/Observation?patient={case.patient}&_count=20" for case in found.cases]
    ours = [Request("search", request("GET", path, found.home)) for path in asked]
    bare = [Request("search", request("GET", f"/search/{case.patient}", {})) for case in found.cases]
    fought = _duel(ground, OURS, ours, bare)
    return [_throughput("search", "search 20 of a patient", fought, "one find of 20, spliced", 0.6)]


def worklist(ground: Ground) -> list[Figure]:
    """page of a worklist, of a million Tasks and of fifty thousand."""
    scale = ground.scale
    many = ensure(ground, scale.many_tasks, Share(scale.many_patients, scale.few_patients))
    few = ensure(ground, scale.few_tasks, Share(0, scale.few_patients))
    fought = duel(_asking_as(ground, many, NATIONAL), _asking_as(ground, few, NATIONAL), scale)
    what = f"worklist: {PAGE} late of {scale.many_tasks:,} Tasks"
    return [_latency("worklist", what, fought, f"of {scale.few_tasks:,} Tasks", _examined(ground, many, NATIONAL))]


def organisation(ground: Ground) -> list[Figure]:
    """page of a worklist of an organisation with 50,000 patients, and with 50, in one database."""
    scale = ground.scale
    name = ensure(ground, scale.many_tasks, Share(scale.many_patients, scale.few_patients))
    fought = duel(_asking_as(ground, name, LARGE), _asking_as(ground, name, SMALL), scale)
    what = f"worklist of an organisation with {scale.many_patients:,} patients"
    return [
        _latency("organisation", what, fought, f"with {scale.few_patients} patients", _examined(ground, name, LARGE))
    ]


def start(ground: Ground) -> list[Figure]:
    """first answer after the start of the server, on a database that exists."""
    scene(ground)
    times = spread([_first_answer(ground, number) for number in range(ground.scale.starts)])
    told = f"{times.median:.2f} s"
    return [Figure("start", "first answer after start", told, "2 s", _over(times, 2.0), 1.0, at_most=True)]


def memory(ground: Ground) -> list[Figure]:
    """memory of each server process, after the rows before this one have worked it."""
    found = scene(ground)
    crowd = ground.crowd(OURS, [repeating(_observations(found)) for _ in range(ground.scale.connections)])
    crowd.round(ground.scale.seconds)
    crowd.close()
    workers = memory_of_workers(ground.process(OURS))
    if not workers:
        return []  # only Linux tells
    resident = spread([worker.resident / _MEGABYTE for worker in workers])
    own = spread([worker.proportional / _MEGABYTE for worker in workers])
    detail = f"{own.median:.0f} MB when pages shared between processes are divided among them"
    told = f"{resident.greatest:.0f} MB"
    return [
        Figure("memory", "memory of a worker", told, "150 MB", _over(resident, 150.0), 1.0, at_most=True, detail=detail)
    ]


ROWS: Mapping[str, Row] = {
    "read": read,
    "create": create,
    "task": workflow,
    "note": note,
    "transaction": transaction,
    "search": search,
    "peer": peer,
    "worklist": worklist,
    "organisation": organisation,
    "synthea": synthea,
    "memory": memory,
    "start": start,
}

LEFT_OUT = {
    "synthea": "name a folder of Synthea's transaction Bundles by --synthea or SAMEN_TEST_SYNTHEA",
    "memory": "only Linux tells what processes use",
}
"""Rows that bring no figure everywhere, and why."""


def _first_answer(ground: Ground, number: int) -> float:
    """Seconds from the start of `fhir-server serve` to its first answer that asked the database."""
    begun = time.perf_counter()
    with serving(OURS, ground.environment(CASES), free_port(), ground.data / f"start-{number}.log"):
        return time.perf_counter() - begun


def _uploads(ground: Ground, operator: dict[str, str], files: list[Path], at_once: int) -> float:
    """Seconds until each file is loaded, so many at a time, each connection taking the next that waits."""
    waiting = iter(files)

    def conversation() -> Conversation:
        for file in waiting:
            yield Request(file.name, request("POST", "/fhir/", operator, file.read_bytes()))

    crowd = ground.crowd(OURS, [conversation() for _ in range(at_once)])
    lasted = crowd.round(_UNTIL_LOADED).lasted
    crowd.close()
    return lasted


def _observations(found: Scene) -> list[Request]:
    return [
        Request("read", request("GET", f"/fhir/{reference}", found.home))
        for case in found.cases
        for reference in case.observations
    ]


def _reads(ground: Ground, found: Scene, which: str) -> Duel:
    references = [reference for case in found.cases for reference in case.observations]
    bare = [Request("read", request("GET", f"/read/{reference}", {})) for reference in references]
    return _duel(ground, which, _observations(found), bare)


def _duel(ground: Ground, which: str, ours: list[Request], bare: list[Request]) -> Duel:
    return duel(
        ground.crowd(which, spread_over(ours, ground.scale.connections)),
        ground.crowd(BASELINE, spread_over(bare, ground.scale.connections)),
        ground.scale,
    )


def _late() -> str:
    asked = {"status": ",".join(sorted(OPEN)), "due": f"eb{now():%Y-%m-%d}T00:00:00Z", "_sort": "due", "_count": PAGE}
    return f"/fhir/Task?{urlencode(asked)}"


def _asking_as(ground: Ground, database: str, party: str) -> Crowd:
    asked = Request("worklist", request("GET", _late(), ground.headers(party, database=database)))
    return ground.crowd(OURS, [repeating([asked])], database)


def _examined(ground: Ground, database: str, party: str) -> str:
    """What MongoDB says of one page."""
    ground.port(OURS, database)
    with ground.profiled(database) as found:
        crowd = _asking_as(ground, database, party)
        crowd.round(0.05)
        crowd.close()
    asked = next(each for each in found if each.get("op") == "query" and each["ns"].endswith(".Task"))
    return f"MongoDB examined {asked['keysExamined']} keys and {asked['docsExamined']} documents"


def _throughput(row: str, what: str, fought: Duel, against: str, limit: float, detail: str = "") -> Figure:
    ours, theirs = (spread([_rate(r) for r in rounds]).median for rounds in (fought.ours, fought.theirs))
    told = f"{ours:,.0f}/s", f"{theirs:,.0f}/s {against}"
    spent = fought.of(lambda r: r.per_processor_second)
    return Figure(row, what, *told, fought.of(_rate), limit, by_processor=spent, detail=detail)


def _latency(row: str, what: str, fought: Duel, against: str, detail: str) -> Figure:
    ours, theirs = (spread([r.median() for r in rounds]).median for rounds in (fought.ours, fought.theirs))
    ratio = fought.of(lambda r: r.median())
    told = f"{_milliseconds(theirs)} {against}"
    return Figure(row, what, _milliseconds(ours), told, ratio, 1.3, at_most=True, detail=detail)


def _rate(found: Round) -> float:
    return found.per_second


def _over(found: Spread, limit: float) -> Spread:
    return Spread(found.median / limit, found.least / limit, found.greatest / limit)


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"
