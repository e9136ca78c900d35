"""The special parameter `near`: locations within a distance of a place.

https://hl7.org/fhir/R4/location.html#search

A position is kept as longitude and latitude; distances are those on a sphere of the Earth's equatorial radius.
"""

import math
import re
from decimal import Decimal
from typing import Any

from fhir_server.definitions.search_parameters import SearchParameter
from fhir_server.fhir.errors import MalformedRequest
from fhir_server.search.escaping import split
from fhir_server.search.query import Near

EARTH_KM = 6378.1
FARTHEST_KM = 20_000.0
USUAL_KM = 50.0

_KM = {"km": 1.0, "m": 0.001, "[mi_i]": 1.609344, "[mi_us]": 1.609347, "mi": 1.609344}
_NUMBER = re.compile(r"-?\d{1,9}(?:\.\d{1,20})?", re.ASCII)


def parse(text: str, parameter: SearchParameter) -> Near:
    """`latitude|longitude|distance|unit`; without a distance 50 km, without a unit km. Raises MalformedRequest."""
    latitude, longitude, distance, unit = [*split(text, "|"), "", "", ""][:4]
    numbers = all(_NUMBER.fullmatch(each) for each in (latitude, longitude, distance or "0"))
    if text.count("|") > 3 or not numbers or (unit or "km") not in _KM:
        raise MalformedRequest(
            f"{text!r} is no place for {parameter.code!r}; write LATITUDE|LONGITUDE|DISTANCE|UNIT with a unit of "
            f"{', '.join(_KM)}."
        )
    place = position({"latitude": Decimal(latitude), "longitude": Decimal(longitude)})
    reach = float(distance) * _KM[unit or "km"] if distance else USUAL_KM
    if place is None or not 0 <= reach <= FARTHEST_KM:
        raise MalformedRequest(
            f"{parameter.code!r} takes a latitude of -90 to 90, a longitude of -180 to 180 and at most 20000 km."
        )
    return Near(place[1], place[0], reach)


def position(value: Any) -> list[float] | None:
    """Longitude and latitude of a stored position; None when they are none on Earth."""
    if not isinstance(value, dict):
        return None
    longitude, latitude = value.get("longitude"), value.get("latitude")
    if not isinstance(longitude, int | float | Decimal) or not isinstance(latitude, int | float | Decimal):
        return None
    found = [float(longitude), float(latitude)]
    return found if abs(found[0]) <= 180 and abs(found[1]) <= 90 else None


def meets(asked: Near, place: list[float]) -> bool:
    """Whether a stored place lies within the distance."""
    (east, north), (other_east, other_north) = (
        map(math.radians, each) for each in (place, (asked.longitude, asked.latitude))
    )
    between = (
        math.sin((north - other_north) / 2) ** 2
        + math.cos(north) * math.cos(other_north) * math.sin((east - other_east) / 2) ** 2
    )
    return 2 * EARTH_KM * math.asin(math.sqrt(min(1.0, between))) <= asked.km
