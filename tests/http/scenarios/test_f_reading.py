"""Scenarios F: who may read what. Every cell of actor and type is in tests/access; here the story's own words."""

from tests.access.circle import TO_THE_END, asked, made, walk
from tests.access.test_searches import matches, pages
from tests.world import Case, Party, Reply, World

# What `als-be` names, and what says that there is more.
BEFORE_ACCEPTANCE = frozenset({"resourceType", "id", "meta", "gender", "address", "communication"})


def all_of(case: Case) -> list[str]:
    assert case.consent is not None
    return [case.patient, case.condition, case.consent, case.order, case.task, case.plan, case.team]


def ways_to(party: Party, reference: str) -> list[Reply]:
    """Every way to one resource by its id."""
    type_name, _, id = reference.partition("/")
    return [
        party.get(reference),
        party.get(f"{reference}/_history"),
        party.get(f"{reference}/_history/1"),
        party.ask("HEAD", reference),
        party.put({"resourceType": type_name, "id": id}) if type_name == "Patient" else party.get(reference),
    ]


def test_f1_an_active_member_reads_plan_team_tasks_person_and_chart(world: World) -> None:
    hosp, home, other = world.hospital(), world.party(), world.party()
    case = world.case(hosp, home)
    walk(home, case.task, "accepted")
    order, task = asked(hosp, other, case)
    goal = made(hosp, {"resourceType": "Goal", "lifecycleStatus": "active", "description": {"text": "eats"},
                       "subject": {"reference": case.patient}})  # fmt: skip

    assert {home.get(reference).status for reference in [*all_of(case), order, task, goal]} == {200}


def test_f2_who_has_left_reads_plan_team_and_its_task_but_no_chart(world: World) -> None:
    """The scenario says 403 for the chart; here it is as absent as for anybody outside (design, section 5)."""
    hosp, home = world.hospital(), world.party()
    case = world.case(hosp, home)
    own = ""
    for step in TO_THE_END:
        walk(home, case.task, step)
        if step == "in-progress":
            own = made(home, {"resourceType": "Observation", "status": "final", "code": {"text": "weight"},
                              "subject": {"reference": case.patient}})  # fmt: skip

    assert {home.get(reference).status for reference in (case.plan, case.team, case.task, case.order, own)} == {200}
    assert {home.get(reference).status for reference in (case.patient, case.condition, case.consent or "")} == {404}
    new = {"resourceType": "Observation", "status": "final", "code": {"text": "weight"},
           "subject": {"reference": case.patient}}  # fmt: skip
    reply = home.post(new)
    assert (reply.status, reply.paths) == (422, {"Observation.subject.reference"})


def test_f4_an_outsider_gets_the_one_constant_404_and_each_denial_is_kept(
    world: World,
) -> None:
    hosp, home, out = world.hospital(), world.party(), world.party()
    case = world.case(hosp, home)
    absent = out.get("Patient/never-there").raw
    before = _denials(world, out)

    replies = [(reference, way) for reference in all_of(case) for way in ways_to(out, reference)]

    for reference, reply in replies:
        assert reply.status == 404, reference
        assert reply.raw in {absent, b""}, reference
    assert _denials(world, out) == before + len(replies)
    for reference in all_of(case):
        type_name, _, id = reference.partition("/")
        found = out.get(f"{type_name}?_id={id}&_total=accurate")
        assert (found.body["total"], found.entries) == (0, [])


def _denials(world: World, party: Party) -> int:
    bodies = [event["body"] for event in world.audit().find({}, {"body": 1})]
    return sum(party.reference.encode() in body and b'"outcome":"4"' in body for body in bodies)


def test_f5_a_search_finds_permitted_tasks_alone_with_a_total_and_pages_that_agree(world: World) -> None:
    """An offered owner sees its own Task of the many; a member all; includes bring nothing that a read would not."""
    hosp, home, offered = world.hospital(), world.party(), world.party()
    case = world.case(hosp, home)
    walk(home, case.task, "accepted")
    own = [asked(hosp, offered, case)[1] for _ in range(3)]
    place = f"Task?patient={case.patient}&_total=accurate&_count=2&_include=Task:patient&_include=Task:focus"

    seen = pages(offered, place)
    members = pages(home, place)

    found = [reference for reference in matches(seen) if reference.startswith("Task/")]
    assert sorted(found) == sorted(own)
    assert {reply.body["total"] for reply in seen} == {3}
    assert {reference.partition("/")[0] for reference in matches(seen)} == {"Task", "ServiceRequest", "Patient"}
    assert {frozenset(r) for reply in seen for r in reply.entries if r["resourceType"] == "Patient"} == {
        BEFORE_ACCEPTANCE
    }
    assert {reply.body["total"] for reply in members} == {4}
    assert case.patient in matches(members)
    for reference in matches(seen):
        assert offered.get(reference).status == 200


def test_f5_a_person_who_is_hidden_cannot_be_found_by_what_is_searched(world: World) -> None:
    """No parameter tells by yes or no: an identifier, a name or a reference of a hidden person finds nothing."""
    hosp, home, out = world.hospital(), world.party(), world.party()
    case = world.case(hosp, home)
    patient = hosp.read(case.patient)
    identifier = patient["identifier"][0]

    for asked_for in (
        f"identifier={identifier['system']}|{identifier['value']}",
        f"birthdate={patient['birthDate']}&family={patient['name'][0]['family']}",
        f"birthdate={patient['birthDate']}&_id={patient['id']}",
        f"gender={patient['gender']}&_id={patient['id']}",
        f"_id={patient['id']}&_sort=birthdate",
        f"_id={patient['id']}&_has:Task:patient:status=requested",
        f"_id={patient['id']}&_lastUpdated=gt2020-01-01",
    ):
        for party in (out, home):
            reply = party.get(f"Patient?{asked_for}&_total=accurate")
            assert (reply.status, reply.body["total"], reply.entries) == (200, 0, []), asked_for
        assert hosp.get(f"Patient?{asked_for}").entries
    assert out.get(f"Task?patient={case.patient}&_total=accurate").body["total"] == 0
