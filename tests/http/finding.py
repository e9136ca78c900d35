"""Whether a search finds what was just stored."""

from urllib.parse import quote

from fhir_server.fhir.json import Resource
from tests.http.test_searching import ids
from tests.world import Party


def stored(party: Party, resource: Resource) -> Resource:
    """The resource as it was stored."""
    reply = party.post(resource)
    assert reply.status == 201, reply.body
    made: Resource = reply.body
    return made


def finds(party: Party, resource: Resource, name: str, text: str) -> bool:
    """Whether a parameter finds this resource."""
    place = f"{resource['resourceType']}?_id={resource['id']}&{quote(name, safe=':')}={quote(text, safe='')}"
    return ids(party.get(place)) == [resource["id"]]
