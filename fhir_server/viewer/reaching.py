"""Where a person is reached, and by whom she is known: address, telephone, family doctor, contact persons, numbers."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from fhir_server.fhir.json import Resource
from fhir_server.viewer.questions import Questions
from fhir_server.viewer.relationships import relationship_text
from fhir_server.viewer.task_rows import Party, party_shown
from fhir_server.viewer.texts import person_name
from fhir_server.viewer.words import GENDERS, Word

_SHOWN = {"phone", "email", "sms"}
_BELGIAN = re.compile(r"(\d\d)(\d\d)(\d\d)(\d\d\d)(\d\d)")


@dataclass(frozen=True)
class Contact:
    """Somebody to call in the person's place: the name, who that is to her, telephone and e-mail."""

    name: str
    relationship: str
    telecoms: tuple[str, ...]


@dataclass(frozen=True)
class Reach:
    """What is known of how to reach and to identify a person; empty where nothing is."""

    national_numbers: tuple[str, ...]
    gender: Word | None
    address: tuple[str, ...]
    telecoms: tuple[str, ...]
    doctors: tuple[Party, ...]
    contacts: tuple[Contact, ...]


def reach_of(person: Resource, questions: Questions, systems: Collection[str], language: str) -> Reach:
    """How the person is reached; `systems` are those of national identifiers."""
    doctors = person.get("generalPractitioner", [])
    known = questions.directory(each.get("reference", "") for each in doctors)
    shown = (party_shown(each, known, questions.actor.parties, language) for each in doctors)
    numbers = (each.get("value", "") for each in person.get("identifier", []) if each.get("system") in systems)
    return Reach(
        national_numbers=tuple(_grouped(number) for number in numbers if number),
        gender=GENDERS.get(person.get("gender", "")),
        address=_address(person.get("address", [])),
        telecoms=_telecoms(person),
        doctors=tuple(doctor for doctor in shown if doctor and doctor.name),
        contacts=tuple(_contact(each, language) for each in person.get("contact", [])),
    )


def _contact(contact: Resource, language: str) -> Contact:
    name = person_name({"name": [contact["name"]]}) if "name" in contact else ""
    words = (relationship_text(each, language) for each in contact.get("relationship", []))
    return Contact(name, ", ".join(filter(None, words)), _telecoms(contact))


def _address(addresses: Iterable[Resource]) -> tuple[str, ...]:
    """The lines of the address at home, else of the first one that is not of the past."""
    current = [each for each in addresses if each.get("use") != "old"]
    home: Resource = next((each for each in current if each.get("use") == "home"), next(iter(current), {}))
    town = " ".join(home[name] for name in ("postalCode", "city") if home.get(name))
    lines = [*home.get("line", []), town] if home.get("line") or town else [str(home.get("text", ""))]
    return tuple(filter(None, lines))


def _telecoms(holder: Resource) -> tuple[str, ...]:
    current = (each for each in holder.get("telecom", []) if each.get("use") != "old")
    # A number is not broken between two lines.
    values = (
        each.get("value", "").replace(" ", "\N{NO-BREAK SPACE}") for each in current if each.get("system") in _SHOWN
    )
    return tuple(filter(None, values))


def _grouped(number: str) -> str:
    """A Belgian national number in the groups in which it is printed; any other as it is."""
    found = _BELGIAN.fullmatch(number)
    return "{}.{}.{}-{}.{}".format(*found.groups()) if found else number
