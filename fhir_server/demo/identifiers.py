"""Belgian identifiers that pass their check digits and belong to nobody.

SSINs use serial numbers that are never issued (000, 998, 999); company and provider numbers start with digits that
are not given out.
"""

from datetime import date

from fhir_server.fhir.json import Resource

_CORE = "https://www.ehealth.fgov.be/standards/fhir/core/NamingSystem"
SSIN = f"{_CORE}/ssin"
CBE = f"{_CORE}/cbe"
NIHDI = f"{_CORE}/nihdi-organization"
UNISSUED_SERIALS = ("000", "998", "999")


def ssin(born: date, serial: str = "998") -> str:
    """The eleven digits for a birth date and one of the serials that are never issued."""
    if serial not in UNISSUED_SERIALS:
        raise ValueError(f"the serial {serial} may belong to a person; use one of {', '.join(UNISSUED_SERIALS)}")
    nine = f"{born:%y%m%d}{serial}"
    counted = int(f"2{nine}" if born.year >= 2000 else nine)
    return f"{nine}{97 - counted % 97:02d}"


def cbe(eight: str) -> str:
    """The ten digits of a company number from its first eight."""
    return f"{eight}{97 - int(eight) % 97:02d}"


def nihdi(six: str) -> str:
    """The eight digits of a provider number from its first six."""
    return f"{six}{97 - int(six) % 97:02d}"


def identifier(system: str, value: str) -> Resource:
    """An Identifier."""
    return {"system": system, "value": value}
