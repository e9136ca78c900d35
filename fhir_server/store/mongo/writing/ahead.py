"""What a write will ask for, read by one command before its transaction begins.

A question inside a transaction costs as much as one outside, and only outside can several be asked by one command. To
read ahead is sound all the same. A guard counts the writes of a plan or a person, each of which takes its next turn,
and whatever decides on a plan or on a person's circles changes in such a turn alone. The turns are read first, the rest
after them; when the transaction then takes exactly the next turn, nothing changed between.
Two shortcuts spare even that. What is remembered of a plan (`remembered.py`) needs only its turns to be read again:
while they stay, so does what lies behind them; and when nothing else is to be read, they are not read either, for the
write itself proves them. And what a write only refers to is not read when it was seen a moment ago (`lately_seen.py`).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fhir_server.fhir.json import Resource
from fhir_server.fhir.reference import parse_reference
from fhir_server.store.mongo.circles.documents import circle_from
from fhir_server.store.mongo.documents import CIRCLES, Document, stored_from
from fhir_server.store.mongo.ledger import LEDGER, key_of
from fhir_server.store.mongo.writing.parts import MOVE, TURN, Part, Parts
from fhir_server.store.values import Circle, Foreseen, Key, Stored


@dataclass
class Ahead:
    """What was read: of each thing that was looked for, what there was, which may be nothing."""

    stored: dict[Key, Stored | None] = field(default_factory=dict)
    lying: dict[tuple[str, str], list[Stored]] = field(default_factory=dict)
    circles: dict[str, Circle] = field(default_factory=dict)
    people: set[str] = field(default_factory=set)
    moves: dict[str, list[Resource]] = field(default_factory=dict)
    turns: dict[str, int] = field(default_factory=dict)
    unread: bool = False
    """Whether some of it is only remembered: its turns are to be proved, and even a refusal may be mistaken."""

    def about(self, patient: str) -> list[Circle]:
        """The circles about one of `people`."""
        return [circle for circle in self.circles.values() if circle.patient == patient]


@dataclass(frozen=True)
class _Wanted:
    references: frozenset[str]
    plans: frozenset[str]
    people: frozenset[str]

    @property
    def keys(self) -> list[str]:
        """The guards of what is wanted."""
        return sorted(self.plans | self.people)

    def without(self, known: Iterable[Key]) -> "_Wanted":
        """The same, but for these resources."""
        return replace(self, references=self.references - {"/".join(key) for key in known})


def read_ahead(
    questions: Parts, foreseen: Foreseen, known: Ahead | None = None, seen: Mapping[Key, Stored] | None = None
) -> Ahead:
    """What is foreseen; a second command reads the plans that only the first one could tell.

    `known` is what is remembered of the plan that the write names, `seen` what was seen a moment ago. Raises
    MoreToCome when it is more than one answer of the database holds.
    """
    wanted = _Wanted(frozenset(foreseen.references), plans_of(foreseen), foreseen.people)
    seen = seen or {}
    recalled = _recalled(questions, foreseen, wanted, known, seen) if known is not None else None
    if recalled is not None:
        return recalled
    ahead = Ahead(stored=dict(seen), unread=bool(seen)) if not foreseen.workflow else Ahead()
    _gather(questions, foreseen, wanted.without(ahead.stored), ahead)
    if foreseen.workflow:
        more = _led_to(ahead, foreseen)
        if more.plans - wanted.plans:
            _gather(questions, foreseen, replace(more, plans=more.plans - wanted.plans), ahead)
    return ahead


def plans_of(foreseen: Foreseen) -> frozenset[str]:
    """The plans that the write names, when it follows the workflow of plans."""
    named = filter(None, map(parse_reference, foreseen.references if foreseen.workflow else ()))
    return frozenset(each.id for each in named if each.type == "CarePlan")


def _recalled(
    questions: Parts, foreseen: Foreseen, wanted: _Wanted, known: Ahead, seen: Mapping[Key, Stored]
) -> Ahead | None:
    """What is known of the plan, with the rest read now; None when it is too little, or a turn was taken since.

    When the rest was seen a moment ago, nothing is read.
    """
    if not known.turns.keys() >= set(wanted.keys):
        return None
    workflow = [f"{name}/" for name in foreseen.workflow]
    named = {each for each in wanted.references if not each.startswith(tuple(workflow))}
    rest = _Wanted(frozenset(named - {"/".join(key) for key in known.stored}), frozenset(), frozenset())
    if not rest.without(seen).references and all(known.turns.values()):
        return replace(known, stored={**seen, **known.stored}, unread=True)
    ahead = replace(known, stored=dict(known.stored), turns=dict.fromkeys(known.turns, 0))
    _look_for(rest, (), ahead)
    turns = Part(LEDGER, TURN, tuple(sorted(known.turns)))
    _read(questions, [turns, *_parts(rest, ())], rest, ahead)
    return ahead if ahead.turns == known.turns else None


def _led_to(ahead: Ahead, foreseen: Foreseen) -> _Wanted:
    """The plans, and their people, that what was found lies in."""
    found = [each for each in ahead.stored.values() if each and each.type in foreseen.workflow]
    plans = frozenset(plan for each in found for plan in each.stamp.plans)
    return _Wanted(frozenset(), plans, frozenset(each.stamp.patient for each in found if each.stamp.patient))


def _gather(questions: Parts, foreseen: Foreseen, wanted: _Wanted, ahead: Ahead) -> None:
    """Read what is wanted, the turns of the guards before everything that they guard."""
    workflow = foreseen.workflow if wanted.plans else ()
    _look_for(wanted, workflow, ahead)
    _read(questions, list(_parts(wanted, workflow)), wanted, ahead)


def _read(questions: Parts, parts: Sequence[Part], wanted: _Wanted, ahead: Ahead) -> None:
    for document in questions.read(parts) if parts else ():
        _put(document, wanted, ahead)


def _parts(wanted: _Wanted, workflow: Sequence[str]) -> Iterator[Part]:
    """The collections to read, each with what is asked of it."""
    ids: dict[str, list[str]] = defaultdict(list)
    for parsed in filter(None, map(parse_reference, sorted(wanted.references))):
        ids[parsed.type].append(parsed.id)
    plans = tuple(sorted(wanted.plans))
    if workflow:
        yield Part(LEDGER, TURN, tuple(wanted.keys))
    if wanted.people:
        yield Part(CIRCLES, "patient", tuple(sorted(wanted.people)))
    elif workflow:
        yield Part(CIRCLES, "_id", plans)
    for name in sorted({*ids, *workflow}):
        # What a write names of the workflow lies in its plan as a rule; a second condition costs as much as a question.
        yield Part(name, "plans", plans) if name in workflow else Part(name, "_id", tuple(ids[name]))
    if workflow:
        yield Part(LEDGER, MOVE, plans)


def _look_for(wanted: _Wanted, workflow: Sequence[str], ahead: Ahead) -> None:
    """Note what was looked for, so that what is not found is known to be absent."""
    for parsed in filter(None, map(parse_reference, wanted.references)):
        if parsed.type not in workflow:
            ahead.stored.setdefault((parsed.type, parsed.id), None)
    ahead.people |= wanted.people
    for plan in wanted.plans:
        ahead.moves.setdefault(plan, [])
        ahead.lying.update({(plan, name): [] for name in workflow})
    for key in wanted.keys if workflow else ():
        ahead.turns.setdefault(key, 0)


def _put(document: Document, wanted: _Wanted, ahead: Ahead) -> None:
    """Note a document, which tells by its fields what it is."""
    id = document["_id"]
    name = document.get("type")
    if "turn" in document:
        ahead.turns[key_of(id)] = document["turn"]
    elif "members" in document:
        ahead.circles[id] = circle_from(document)
    elif name is None:
        ahead.moves[document["plan"]].append({name: each for name, each in document.items() if name != "_id"})
    else:
        stored = stored_from(name, id, document)
        ahead.stored[(name, stored.id)] = stored
        for plan in wanted.plans.intersection(stored.stamp.plans):
            if not stored.deleted and (plan, name) in ahead.lying:
                ahead.lying[(plan, name)].append(stored)
