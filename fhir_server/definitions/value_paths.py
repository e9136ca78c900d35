"""Where the values of a search parameter stand in a resource: the way to them, and how the table writes it.

A way is written as these are:

    status:code                                               an element, and the datatype at its end
    participant.actor:Reference(Patient)                      only references to one type
    relatedArtifact[type=derived-from].resource:canonical     only below an element whose child has this value
    for[resolve=Patient].identifier:Identifier                only below references to one type
"""

import re
from dataclasses import dataclass

RESOLVED = "resolve"
"""What stands in place of a child where references to one type are meant; no element of FHIR is called so."""

_PATH = re.compile(r"(?P<steps>.+):(?P<datatype>#?[\w.]+)(?:\((?P<only>\w+)\))?")
_STEP = re.compile(r"(?P<name>\w+)(?:\[(?P<element>[\w.]+)=(?P<value>[^\]]*)\])?(?:\.|$)")


@dataclass(frozen=True, slots=True)
class Step:
    """One element of a path by its JSON name; with `element` only where that child has `value`.

    `element` may be a child of a child: with `extension.url` one of the extensions has it. With RESOLVED the element is
    a reference, to a resource of the type `value`.
    """

    name: str
    element: str | None = None
    value: str | None = None


@dataclass(frozen=True, slots=True)
class ElementPath:
    """Where a parameter finds its values: the way from the resource, and the datatype at its end.

    `only` narrows references to those that point to one type. The datatype `existence` stands for "is there, and not
    false" (`Patient.deceased`), `order` for a birth order, which says that there was more than one.
    """

    steps: tuple[Step, ...]
    datatype: str
    only: str | None = None


def path_from(text: str) -> ElementPath:
    """The path that a row of the table writes. Raises ValueError for what is none."""
    match = _PATH.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no path with a datatype")
    steps = tuple(Step(step["name"], step["element"], step["value"]) for step in _STEP.finditer(match["steps"]))
    return ElementPath(steps, match["datatype"], match["only"])
