"""What a PATCH asks: a JSON Patch or a FHIRPath Patch, read before it meets a resource.

https://hl7.org/fhir/R4/http.html#patch
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fhir_server.fhir import json_patch
from fhir_server.fhir.errors import FhirError, InvalidResource, MalformedRequest
from fhir_server.fhir.json import NotJson, Resource, decode_sent
from fhir_server.interactions.patching import fhirpath_operations, fhirpath_patch
from fhir_server.validation.implicit_rules import NOT_UNDERSTOOD, states_implicit_rules

JSON_PATCH = "application/json-patch+json"
# What is generated from the data says nothing beyond them, so it may be left out.
_TOLD_BY_DATA = frozenset({"generated", "extensions"})
PATCH_FORMATS = (JSON_PATCH, "application/fhir+json", "application/fhir+xml")


@dataclass(frozen=True)
class Patch:
    """A patch that was understood. `says_version`: it begins with a test of `meta.versionId`, so is based on one.

    `asks`: what becomes of it tells what stands in the resource, as with a `test`; it is for who may read that.
    """

    change: Callable[[Resource], Any]
    says_version: bool = False
    asks: bool = False

    def of(self, resource: Resource) -> Resource:
        """The changed resource. Raises InvalidResource when the patch cannot be applied to this one."""
        changed = self.change(resource)
        if not isinstance(changed, dict):
            raise MalformedRequest("A patch leaves a resource, not another kind of value.", rule="patch")
        kept = [name for name in ("resourceType", "id") if changed.get(name) != resource.get(name)]
        if kept:
            raise MalformedRequest(
                f"A patch does not change the {kept[0]} of a resource.",
                f"{resource['resourceType']}.{kept[0]}",
                "patch",
            )
        return _without_what_was(resource, changed)


def _without_what_was(before: Resource, after: Resource) -> Resource:
    """What a patch left, without a narrative that it did not touch: it tells what the resource said before.

    Raises InvalidResource for a narrative that says more than the data: nobody leaves that out unseen.
    """
    told = after.get("text")
    status = told.get("status") if isinstance(told, dict) and told == before.get("text") else None
    if status in {None, "empty"} or _data(before) == _data(after):
        return after
    if status not in _TOLD_BY_DATA:
        wrong = f"The narrative ({status}) says more than the data, and what was: patch it as well, or remove it."
        raise InvalidResource(wrong, f"{after['resourceType']}.text", "patch")
    return {name: value for name, value in after.items() if name != "text"}


def _data(resource: Resource) -> Resource:
    """What a narrative may tell."""
    return {name: value for name, value in resource.items() if name not in {"text", "meta"}}


def read_patch(body: Any) -> Patch:
    """The patch that a body holds: a list is a JSON Patch, Parameters a FHIRPath Patch. Raises MalformedRequest."""
    if isinstance(body, list):
        operations = json_patch.read(body)
        return _shallow(
            lambda resource: json_patch.apply(operations, resource),
            json_patch.tests(operations, "meta", "versionId"),
            asks=json_patch.asks(operations),
        )
    if isinstance(body, dict) and body.get("resourceType") == "Parameters":
        if states_implicit_rules(body):
            raise MalformedRequest(NOT_UNDERSTOOD, "Parameters.implicitRules", "implicit-rules")
        steps = fhirpath_operations.read(body)
        asks = any(step.kind == "where" for each in steps for step in each.steps)
        return _shallow(lambda resource: fhirpath_patch.apply(steps, resource), asks=asks)
    raise MalformedRequest(
        f"A patch is a JSON Patch ({JSON_PATCH}, a list of operations) or a FHIRPath Patch (a Parameters resource).",
        rule="patch",
    )


def read_json_patch(body: bytes) -> Any:
    """The JSON of a JSON Patch as it was sent. Raises MalformedRequest unless it is a list."""
    try:
        patch = decode_sent(body)
    except NotJson as error:
        raise MalformedRequest(f"The patch is not JSON: {error}.", rule="json") from error
    if not isinstance(patch, list):
        raise MalformedRequest("A JSON Patch is a list of operations.", rule="patch")
    return patch


def unpacked(resource: Any) -> Any:
    """The patch that an entry of a Bundle carries: in a Binary a JSON Patch, else what stands there."""
    if not isinstance(resource, dict) or resource.get("resourceType") != "Binary":
        return resource
    data = resource.get("data")
    stated = str(resource.get("contentType")).partition(";")[0].strip().lower()
    if stated != JSON_PATCH or not isinstance(data, str):
        told = f"A Binary with a patch has the contentType {JSON_PATCH} and the patch, in base64, as data."
        raise MalformedRequest(told, "entry.resource.contentType", "patch")
    try:
        return read_json_patch(base64.b64decode(data, validate=True))
    except ValueError as error:
        raise MalformedRequest("The data of the Binary are not base64.", "entry.resource.data", "patch") from error


def _shallow(change: Callable[[Resource], Any], says_version: bool = False, *, asks: bool = False) -> Patch:
    """The patch, refused when it nests deeper than can be followed."""

    def changed(resource: Resource) -> Any:
        try:
            return change(resource)
        except RecursionError as error:
            raise _too_deep() from error

    return Patch(changed, says_version, asks)


def _too_deep() -> FhirError:
    return MalformedRequest("The patch is nested too deep.", rule="patch")
