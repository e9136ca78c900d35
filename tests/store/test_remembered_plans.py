"""A plan that a process wrote is not read again while its turns stay; whoever took one since makes it be read anew."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fhir_server.fhir.errors import Forbidden
from fhir_server.search.grant import Reader, Stamp
from fhir_server.store.contract import Transaction
from fhir_server.store.mongo.connection import Connection
from fhir_server.store.mongo.store import MongoStore
from fhir_server.store.mongo.writing.ahead import Ahead
from fhir_server.store.mongo.writing.remembered import Changes, Remembered
from fhir_server.store.values import Circle, Foreseen, Stored

Versions = Callable[..., Stored]

WORKFLOW = ("CarePlan", "CareTeam", "Consent", "Goal", "ServiceRequest", "Task")


@pytest.fixture
def other(mongo_url: str, database_name: str) -> Iterator[MongoStore]:
    """The store as another process has it."""
    with MongoStore(mongo_url, database_name, secret=b"s") as made:
        yield made


@pytest.fixture
def plan(other: MongoStore, version_of: Versions) -> str:
    id = str(uuid.uuid4())

    def work(tx: Transaction) -> None:
        tx.guard(id)
        tx.guard(f"Patient/{id}")
        tx.save(version_of("CarePlan", id, plans=(id,), patient=f"Patient/{id}"))
        tx.save(version_of("Task", f"task-{id}", plans=(id,), patient=f"Patient/{id}"))
        tx.save(version_of("Patient", id, plans=(id,), patient=f"Patient/{id}"))
        tx.save_circle(Circle(id, f"Patient/{id}", "als-be", "Organization/1", "Organization/2", "team"))
        tx.log_moves([{"item": f"Task/task-{id}"}], id)

    other.transact(work)
    return id


def foreseen(plan: str, *more: str) -> Foreseen:
    return Foreseen(frozenset({f"CarePlan/{plan}", f"Patient/{plan}", *more}), WORKFLOW, frozenset({f"Patient/{plan}"}))


def seen(tx: Transaction, plan: str) -> list[Any]:
    """All that a plan's workflow rests on."""
    person = f"Patient/{plan}"
    tx.guard(plan)
    return [
        *(tx.in_plan(plan, name) for name in WORKFLOW),
        tx.circle(plan),
        tx.circles_about(person),
        tx.moves(plan),
        tx.read("Patient", plan),
        tx.read("Task", f"task-{plan}"),
    ]


def both(store: MongoStore, other: MongoStore, plan: str, *more: str) -> tuple[list[Any], list[Any]]:
    """What one process sees, perhaps by what it remembers, and what stands in the database."""
    return store.transact(lambda tx: seen(tx, plan), foreseen(plan, *more)), other.transact(lambda tx: seen(tx, plan))


def writes(version_of: Versions, plan: str) -> dict[str, Callable[[Transaction], None]]:
    """Everything that changes a plan."""
    person, task = f"Patient/{plan}", f"task-{plan}"
    readers = (Reader("Organization/9"),)

    def save(type_name: str, id: str, version: int = 1, **how: Any) -> Callable[[Transaction], None]:
        return lambda tx: tx.save(version_of(type_name, id, version, plans=(plan,), patient=person, **how))

    def circle(tx: Transaction) -> None:
        tx.guard(person)
        tx.save_circle(Circle(plan, person, "als-be", "Organization/1", "Organization/2", "team", members=readers))

    def another_circle(tx: Transaction) -> None:
        tx.guard(person)
        tx.save_circle(Circle(f"{plan}-2", person, "als-be", "Organization/3", "Organization/4", "team"))

    def patient(tx: Transaction) -> None:
        tx.guard(person)
        save("Patient", plan, 2)(tx)

    def readers_of_patient(tx: Transaction) -> None:
        tx.guard(person)
        tx.restamp("Patient", plan, Stamp(person, (plan,), readers))

    def several(tx: Transaction) -> None:
        tx.restamp("Task", task, Stamp(person, (plan,), readers))
        assert tx.in_plan(plan, "Task")
        save("Task", task, 2)(tx)

    return {
        "a new Goal": save("Goal", f"goal-{plan}"),
        "a new version": save("Task", task, 2),
        "a deleted Task": save("Task", task, 2, deleted=True),
        "a stamp": lambda tx: tx.restamp("Task", task, Stamp(person, (plan,), readers)),
        "a stamp, then a version": several,
        "a Task that leaves": lambda tx: tx.save(version_of("Task", task, 2, plans=("elsewhere",))),
        "an order of no plan": lambda tx: tx.save(version_of("ServiceRequest", f"order-{plan}")),
        "moves": lambda tx: tx.log_moves([{"item": "Task/1"}, {"item": "Task/2"}], plan),
        "the circle": circle,
        "another circle of the person": another_circle,
        "the Patient": patient,
        "the readers of the Patient": readers_of_patient,
    }


WRITES = tuple(writes(lambda *_, **__: None, "p"))  # type: ignore[arg-type]


def written(store: MongoStore, plan: str, write: Callable[[Transaction], None]) -> None:
    def work(tx: Transaction) -> None:
        tx.guard(plan)
        write(tx)

    store.transact(work, foreseen(plan))


MORE = pytest.mark.parametrize("more", [(), ("Organization/1",)], ids=["turns proved", "turns read"])


@MORE
@pytest.mark.parametrize("kind", WRITES)
def test_what_is_remembered_of_an_own_write_is_what_stands(
    store: MongoStore, other: MongoStore, version_of: Versions, plan: str, kind: str, more: tuple[str, ...]
) -> None:
    written(store, plan, writes(version_of, plan)[kind])
    remembered, stands = both(store, other, plan, *more)
    assert remembered == stands


@MORE
@pytest.mark.parametrize("kind", WRITES)
def test_what_another_process_wrote_since_is_seen(
    store: MongoStore, other: MongoStore, version_of: Versions, plan: str, kind: str, more: tuple[str, ...]
) -> None:
    store.transact(lambda tx: seen(tx, plan), foreseen(plan))
    written(other, plan, writes(version_of, plan)[kind])
    remembered, stands = both(store, other, plan, *more)
    assert remembered == stands


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """The collections that each reading ahead asked."""
    found: list[set[str]] = []
    ask = Connection.first_batch

    def noted(connection: Connection, command: dict[str, Any]) -> list[dict[str, Any]]:
        others = {stage["$unionWith"]["coll"] for stage in command["pipeline"] if "$unionWith" in stage}
        found.append({command["aggregate"], *others})
        return ask(connection, command)

    monkeypatch.setattr(Connection, "first_batch", noted)
    return found


def began(store: MongoStore, plan: str, *more: str) -> int:
    """How often a write that goes by the whole plan began."""
    attempts = []
    store.transact(lambda tx: (attempts.append(1), seen(tx, plan)), foreseen(plan, *more))
    return len(attempts)


@pytest.fixture
def asked_by_three(mongo_url: str, database_name: str, plan: str, asked: list[set[str]]) -> Callable[..., list[Any]]:
    """What three writes of a new process asked; another one tries when MongoDB made one of them begin again."""

    def write(*more: str) -> list[Any]:
        for _ in range(9):
            asked.clear()
            with MongoStore(mongo_url, database_name, secret=b"s") as made:
                if [began(made, plan, *more) for _ in range(3)] == [1, 1, 1]:
                    return asked
        raise AssertionError("one of them began again each time")

    return write


def test_while_the_turns_stay_only_they_are_read(asked_by_three: Callable[..., list[Any]]) -> None:
    everything = {"ledger", "circles", "Organization", "Patient", *WORKFLOW}
    assert asked_by_three("Organization/1") == [everything, *[{"ledger", "Organization"}] * 2]


def test_when_nothing_else_is_to_be_read_not_even_they_are(asked_by_three: Callable[..., list[Any]]) -> None:
    assert asked_by_three() == [{"ledger", "circles", "Patient", *WORKFLOW}]


def test_a_refusal_by_what_is_remembered_is_judged_again_by_what_stands(
    store: MongoStore, other: MongoStore, version_of: Versions, plan: str
) -> None:
    goal = f"goal-{plan}"

    def work(tx: Transaction) -> int:
        if not tx.in_plan(plan, "Goal"):
            raise Forbidden("There is no goal.")
        return len(seen(tx, plan))

    store.transact(lambda tx: seen(tx, plan), foreseen(plan))
    with pytest.raises(Forbidden):
        store.transact(work, foreseen(plan))
    written(other, plan, lambda tx: tx.save(version_of("Goal", goal, plans=(plan,))))
    assert store.transact(work, foreseen(plan))


def test_who_takes_no_turn_proves_them_all_the_same(
    store: MongoStore, other: MongoStore, version_of: Versions, plan: str
) -> None:
    """Another circle of the person is another plan's; it changes in the person's turn, which nobody takes here."""
    store.transact(lambda tx: seen(tx, plan), foreseen(plan))

    def opened(tx: Transaction) -> None:
        tx.guard(f"Patient/{plan}")
        tx.save_circle(Circle(f"{plan}-2", f"Patient/{plan}", "als-be", "Organization/3", "Organization/4", "team"))

    other.transact(opened)
    assert len(store.transact(lambda tx: tx.circles_about(f"Patient/{plan}"), foreseen(plan))) == 2


def test_who_is_overtaken_after_the_turns_were_read_begins_again(
    store: MongoStore, other: MongoStore, version_of: Versions, plan: str
) -> None:
    goal = version_of("Goal", f"goal-{plan}", plans=(plan,))
    store.transact(lambda tx: seen(tx, plan), foreseen(plan))
    attempts = []

    def work(tx: Transaction) -> list[Any]:
        attempts.append(1)
        if len(attempts) == 1:
            written(other, plan, lambda tx: tx.save(goal))
        return seen(tx, plan)

    assert [goal] in store.transact(work, foreseen(plan))
    assert len(attempts) >= 2, "and as often as others make it"


def test_what_failed_is_not_remembered(store: MongoStore, other: MongoStore, version_of: Versions, plan: str) -> None:
    store.transact(lambda tx: seen(tx, plan), foreseen(plan))

    def work(tx: Transaction) -> None:
        tx.guard(plan)
        tx.save(version_of("Goal", f"goal-{plan}", plans=(plan,)))
        assert tx.in_plan(plan, "Goal")
        raise KeyError

    with pytest.raises(KeyError):
        store.transact(work, foreseen(plan))
    remembered, stands = both(store, other, plan)
    assert remembered == stands


def ahead(plan: str, *, governed: bool = True, lying: int = 0, said: str = "", version_of: Versions) -> Ahead:
    content = {"description": said}
    tasks = [version_of("Task", f"{plan}-{number}", plans=(plan,), content=content) for number in range(lying)]
    return Ahead(
        stored={("Task", task.id): task for task in tasks},
        lying={(plan, name): tasks if name == "Task" else [] for name in WORKFLOW},
        circles={plan: Circle(plan, "Patient/1", "als-be", "o/1", "o/2", "team")} if governed else {},
        moves={plan: []},
        turns={plan: 1},
    )


def test_a_plan_that_nobody_governs_or_that_is_large_is_not_remembered(version_of: Versions) -> None:
    remembered = Remembered()
    remembered.keep(ahead("imported", governed=False, version_of=version_of), {}, Changes())
    remembered.keep(ahead("large", lying=301, version_of=version_of), {}, Changes())
    remembered.keep(ahead("small", lying=300, version_of=version_of), {"small": 2}, Changes())
    assert (remembered.find(["imported"]), remembered.find(["large"]), remembered.find(["small", "b"])) == (None,) * 3
    found = remembered.find(["small"])
    assert found is not None
    assert found.turns == {"small": 2}


def test_many_small_plans_are_remembered_or_few_large_ones_and_not_for_long(version_of: Versions) -> None:
    remembered = Remembered()

    def kept(many: int, said: str) -> int:
        """How many are remembered of so many plans, each kept twice."""
        for number in (number for number in range(many) for _ in range(2)):
            remembered.keep(ahead(f"plan-{number}", lying=1, said=said, version_of=version_of), {}, Changes())
        assert remembered.find([f"plan-{many - 1}"]) is not None, "the last one is"
        return sum(remembered.find([f"plan-{number}"]) is not None for number in range(many))

    assert kept(500, "small") == 500
    assert 20 <= kept(50, "x" * 1024 * 1024) < 24
    over = Remembered(seconds=0)
    over.keep(ahead("plan", version_of=version_of), {}, Changes())
    assert over.find(["plan"]) is None
