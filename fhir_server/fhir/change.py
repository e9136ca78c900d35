"""What a write does to one resource."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from fhir_server.fhir.dates import instant
from fhir_server.fhir.json import Resource

_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True)
class Change:
    """A resource before and after a write: no `before` is a create, no `after` a delete."""

    before: Resource | None
    after: Resource | None

    @property
    def resource(self) -> Resource:
        """The state that says what this is about: after the write, or before a delete."""
        resource = self.after if self.after is not None else self.before
        if resource is None:
            raise ValueError("a change needs a state before or after")
        return resource

    @property
    def type(self) -> str:
        """The resource type."""
        return str(self.resource["resourceType"])

    @property
    def reference(self) -> str:
        """`Type/id`."""
        return f"{self.type}/{self.resource['id']}"

    @property
    def creates(self) -> bool:
        """True when the resource did not exist before."""
        return self.before is None


def time_of_version(moment: datetime, before: datetime) -> datetime:
    """The moment of a write, and later than that of the version `before` it, though that server's clock ran ahead."""
    return max(moment, before + _MILLISECOND)


def as_version(resource: Resource, version: int, moment: datetime) -> Resource:
    """The resource with a version and its time in the meta; the order of the elements stays, a new meta follows the id.

    https://hl7.org/fhir/R4/resource.html#Meta
    """
    meta = {**resource.get("meta", {}), "versionId": str(version), "lastUpdated": instant(moment)}
    if "meta" in resource:
        return {**resource, "meta": meta}
    head = {name: resource[name] for name in ("resourceType", "id")}
    return {**head, "meta": meta, **{name: value for name, value in resource.items() if name not in head}}
