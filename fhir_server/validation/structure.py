"""Compiles the tables of R4 into closures, one per type and per element with children, each when it is first needed.

Such a closure goes once over an object: known names, types, cardinality, choices, `_name` siblings; then, when nothing
is wrong inside, the invariants of that place. https://hl7.org/fhir/R4/json.html
"""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from fhir_server.definitions.structures import RESOURCE, Element, Structures
from fhir_server.validation.bindings import code_check, concept_check
from fhir_server.validation.element_ids import UNASKED, repeated_ids
from fhir_server.validation.findings import NONE, Check, Finding, Findings, Locals, below, finding, quoted, wrong_type
from fhir_server.validation.implicit_rules import RULED, states_implicit_rules
from fhir_server.validation.invariants import Invariant
from fhir_server.validation.passed import COME_AGAIN, Passed
from fhir_server.validation.primitives import primitive_checks
from fhir_server.validation.references import contained_findings, local_findings, named_extension_check, reference_check

_EMPTY = finding("structure", "An element must have a value or children.", "ele-1")


class Compiler:
    """Makes the checks of resources from the tables of R4 and the invariants of each path."""

    def __init__(self, structures: Structures, invariants: Mapping[str, Sequence[Invariant]]) -> None:
        self._structures = structures
        self._invariants = invariants
        self._primitives = primitive_checks(structures.primitives)
        self._objects: dict[str, Check] = {}
        self._unfinished: dict[str, Check] = {}
        self._passed = Passed()
        self._lock = threading.RLock()

    def resource(self, value: Any) -> list[Finding]:
        """What is wrong with a resource that stands on its own: in a request, or in a Bundle entry."""
        local: Locals = []
        found = list(self._any_resource(value, local))
        if not found and (local or "contained" in value):
            found += [*local_findings(value, local), *repeated_ids(value, local)]
        return found

    def _own_resource(self, value: Any, _: Locals) -> Findings:
        return self.resource(value)

    def _any_resource(self, value: Any, local: Locals) -> Findings:
        if type(value) is not dict:
            return wrong_type(value, "a resource: an object with resourceType")
        stated = value.get("resourceType")
        if type(stated) is not str:
            return below(".resourceType", finding("required", "resourceType must name the type of the resource."))
        if not self._structures.is_resource(stated):
            return below(".resourceType", finding("value", f"{quoted(stated)} must be a resource type of R4."))
        found = self._object(stated)(value, local)
        return [*found, *RULED] if states_implicit_rules(value) else found

    def _contained(self, value: Any, local: Locals) -> Findings:
        own: Locals = []
        found = list(self._any_resource(value, own))
        local.extend(each for each in own if each[1] is not None)
        return found or [*contained_findings(value), *repeated_ids(value, own)]

    def _object(self, path: str) -> Check:
        """The check of an object at a path."""
        return self._objects.get(path) or self._compiled(path)

    def _compiled(self, path: str) -> Check:
        """Compile it; it is known before its children, which may be of the same kind, but to no other thread before all
        of them stand: a check that is half filled refuses what is right and passes what is wrong."""
        with self._lock:
            known = self._objects.get(path) or self._unfinished.get(path)
            if known is not None:
                return known
            is_outermost = not self._unfinished
            parts = _Parts()
            check = self._unfinished[path] = _object_check(parts)
            try:
                self._fill(parts, path)
                if is_outermost:
                    self._objects |= self._unfinished
            finally:
                if is_outermost:
                    self._unfinished = {}
            return check

    def _fill(self, parts: "_Parts", path: str) -> None:
        whole = self._structures.is_resource(path)
        for element in self._structures.elements(path):
            names = element.json_names()
            for name, type_name in names.items():
                value_check = self._value(element, type_name, path)
                check = _array(value_check) if element.repeats else value_check
                parts.checks[name] = self._passed.remembering(check) if whole and type_name in COME_AGAIN else check
                if type_name in self._primitives and not self._structures.is_bare(path, name):
                    parts.siblings["_" + name] = element.repeats
            if element.required:
                parts.required.append((element.name, frozenset(names)))
            if element.choice:
                parts.choices.append((element.name, frozenset(names) | {"_" + name for name in names}))
        if whole:
            parts.checks["resourceType"] = _anything
        parts.is_element, parts.has_own_id = not whole, path != UNASKED
        parts.element = self._object("Element")
        parts.invariants = tuple(self._invariants.get(path, ()))

    def _value(self, element: Element, type_name: str, parent: str) -> Check:
        """The check of one value of an element."""
        if type_name == RESOURCE:
            return self._contained if element.name == "contained" else self._own_resource
        if type_name in self._primitives:
            codes = self._structures.codes(element.value_set) if element.value_set else None
            return code_check(str(element.value_set), codes) if codes else self._primitives[type_name]
        check = self._object(type_name.removeprefix("#"))
        if type_name == "Extension" and parent != "Extension":
            return named_extension_check(check)
        if type_name == "Reference":
            return reference_check(check, self._structures.resource_types, element.targets)
        if type_name == "CodeableConcept" and element.value_set:
            codes = self._structures.codes(element.value_set)
            return concept_check(check, element.value_set, codes) if codes else check
        return check


class _Parts:
    """What an object's check looks at; filled after the check exists."""

    def __init__(self) -> None:
        self.checks: dict[str, Check] = {}
        self.siblings: dict[str, bool] = {}
        self.required: list[tuple[str, frozenset[str]]] = []
        self.choices: list[tuple[str, frozenset[str]]] = []
        self.invariants: tuple[Invariant, ...] = ()
        self.is_element = self.has_own_id = True
        self.element: Check = _anything


def _object_check(parts: _Parts) -> Check:
    checks, required, choices = parts.checks, parts.required, parts.choices

    def check(value: Any, local: Locals) -> Findings:
        if type(value) is not dict:
            return wrong_type(value, "an object")
        if not value:
            return _EMPTY
        found: list[Finding] = []
        for name, child in value.items():
            check_child = checks.get(name)
            if check_child is None:
                found += _sibling_findings(parts, name, value, local)
            elif problems := check_child(child, local):
                found += below("." + name, _without_aligned_nulls(problems, child, value.get("_" + name)))
        for element, names in required:
            if names.isdisjoint(value) and not any("_" + name in value for name in names):
                found.append(Finding("." + element, "required", f"{element} must be given."))
        for element, names in choices:
            if not names.isdisjoint(value):
                found += _choice_findings(element, names, value)
        if "id" in value and parts.is_element:
            if len(value) == 1:
                found += _EMPTY
            if parts.has_own_id:
                local.append((value["id"], None))
        if found:
            return found
        for invariant in parts.invariants:
            if not invariant.holds(value):
                found.append(Finding("", "invariant", invariant.text, invariant.key))
        return found

    return check


def _array(check: Check) -> Check:
    def check_array(value: Any, local: Locals) -> Findings:
        if type(value) is not list:
            return wrong_type(value, "an array: this element may repeat")
        if not value:
            return finding("structure", "An array must not be empty; leave the element out.")
        found: list[Finding] = []
        for position, item in enumerate(value):
            if problems := check(item, local):
                found += below(f"[{position}]", problems)
        return found

    return check_array


def _sibling_findings(parts: _Parts, name: str, value: dict[str, Any], local: Locals) -> list[Finding]:
    """`_name` carries the id and extensions of the primitive `name`; any other name is unknown here."""
    repeats = parts.siblings.get(name)
    if repeats is None:
        advice = _KNOWN.get(name, "R4 has no such element here; use an extension for what it does not define.")
        return below("." + quoted(name)[1:-1], finding("structure", f"Unknown element {quoted(name)}: {advice}"))
    if not repeats:
        return below("." + name, _sibling(parts.element, value[name], value.get(name[1:]), local))
    return below("." + name, _array_sibling(parts.element, value[name], value.get(name[1:]), local))


def _sibling(element: Check, sibling: Any, value: Any, local: Locals) -> Findings:
    """Beside a value an id alone is enough; without one there must be extensions."""
    if value is not None and type(sibling) is dict and sibling.keys() == {"id"}:
        return [found for found in element(sibling, local) if found.rule != "ele-1"]
    return element(sibling, local)


def _array_sibling(element: Check, sibling: Any, values: Any, local: Locals) -> list[Finding]:
    """Nulls keep `_name` in step with the values; where there is no value there must be an element."""
    if type(sibling) is not list:
        return list(wrong_type(sibling, "an array: this element may repeat"))
    if not sibling or all(item is None for item in sibling):
        return list(finding("structure", "An array must hold something besides null; leave the element out."))
    if type(values) is list and len(sibling) > len(values):
        return list(
            finding("structure", f"This must not be longer than its {len(values)} values; fill them with null.")
        )
    found: list[Finding] = []
    beside = values if type(values) is list else []
    for position, item in enumerate(sibling):
        if item is not None:
            value = beside[position] if position < len(beside) else None
            found += below(f"[{position}]", _sibling(element, item, value, local))
        elif values is None:
            found += below(f"[{position}]", wrong_type(item, "an element: there is no value beside it"))
    return found


def _without_aligned_nulls(problems: Findings, values: Any, sibling: Any) -> Findings:
    """In an array of primitives null is right where the sibling holds the element's extensions."""
    if type(values) is not list or type(sibling) is not list:
        return problems
    aligned = {f"[{i}]" for i, (v, s) in enumerate(zip(values, sibling, strict=False)) if v is None and s is not None}
    return [problem for problem in problems if problem.path not in aligned]


def _choice_findings(element: str, names: frozenset[str], value: dict[str, Any]) -> Findings:
    given = sorted({name.removeprefix("_") for name in names & value.keys()})
    if len(given) == 1:
        return NONE
    return below(f".{element}", finding("structure", f"Only one of {', '.join(given)} may be given."))


def _anything(_: Any, __: Locals) -> Findings:
    return NONE


_KNOWN = {
    "resourceType": "only resources have a resourceType.",
    "fhir_comments": "comments were removed from FHIR's JSON after DSTU2.",
}
