"""Who a contact person is to somebody, in words: HL7's codes for it that are in common use.

https://hl7.org/fhir/R4/valueset-relatedperson-relationshiptype.html
"""

from collections.abc import Mapping
from typing import Any

from flask_babel import lazy_pgettext

from fhir_server.fhir.json import Resource
from fhir_server.viewer.texts import concept_text

_CONTACT_ROLES: Mapping[str, Any] = {
    "C": lazy_pgettext("relationship", "emergency contact"),
    "EP": lazy_pgettext("relationship", "emergency contact"),
    "N": lazy_pgettext("relationship", "next of kin"),
    "E": lazy_pgettext("relationship", "employer"),
    "I": lazy_pgettext("relationship", "insurer"),
    "F": lazy_pgettext("relationship", "federal agency"),
    "S": lazy_pgettext("relationship", "state agency"),
    "CP": lazy_pgettext("relationship", "contact person"),
    "BP": lazy_pgettext("relationship", "contact person for bills"),
    "PR": lazy_pgettext("relationship", "person who prepares a referral"),
    "O": lazy_pgettext("relationship", "other contact"),
    "U": lazy_pgettext("relationship", "relationship unknown"),
}
_ROLE_CODES: Mapping[str, Any] = {
    "PRN": lazy_pgettext("relationship", "parent"),
    "MTH": lazy_pgettext("relationship", "mother"),
    "FTH": lazy_pgettext("relationship", "father"),
    "STPMTH": lazy_pgettext("relationship", "stepmother"),
    "STPFTH": lazy_pgettext("relationship", "stepfather"),
    "CHILD": lazy_pgettext("relationship", "child"),
    "DAUC": lazy_pgettext("relationship", "daughter"),
    "SONC": lazy_pgettext("relationship", "son"),
    "STPDAU": lazy_pgettext("relationship", "stepdaughter"),
    "STPSON": lazy_pgettext("relationship", "stepson"),
    "SPS": lazy_pgettext("relationship", "spouse"),
    "HUSB": lazy_pgettext("relationship", "husband"),
    "WIFE": lazy_pgettext("relationship", "wife"),
    "DOMPART": lazy_pgettext("relationship", "partner"),
    "SIGOTHR": lazy_pgettext("relationship", "significant other"),
    "FMRSPS": lazy_pgettext("relationship", "former spouse"),
    "SIB": lazy_pgettext("relationship", "brother or sister"),
    "BRO": lazy_pgettext("relationship", "brother"),
    "SIS": lazy_pgettext("relationship", "sister"),
    "GRPRN": lazy_pgettext("relationship", "grandparent"),
    "GRMTH": lazy_pgettext("relationship", "grandmother"),
    "GRFTH": lazy_pgettext("relationship", "grandfather"),
    "GRNDCHILD": lazy_pgettext("relationship", "grandchild"),
    "GRNDDAU": lazy_pgettext("relationship", "granddaughter"),
    "GRNDSON": lazy_pgettext("relationship", "grandson"),
    "AUNT": lazy_pgettext("relationship", "aunt"),
    "UNCLE": lazy_pgettext("relationship", "uncle"),
    "NIECE": lazy_pgettext("relationship", "niece"),
    "NEPHEW": lazy_pgettext("relationship", "nephew"),
    "COUSN": lazy_pgettext("relationship", "cousin"),
    "INLAW": lazy_pgettext("relationship", "relative by marriage"),
    "PRNINLAW": lazy_pgettext("relationship", "parent-in-law"),
    "MTHINLAW": lazy_pgettext("relationship", "mother-in-law"),
    "FTHINLAW": lazy_pgettext("relationship", "father-in-law"),
    "CHLDINLAW": lazy_pgettext("relationship", "child-in-law"),
    "DAUINLAW": lazy_pgettext("relationship", "daughter-in-law"),
    "SONINLAW": lazy_pgettext("relationship", "son-in-law"),
    "SIBINLAW": lazy_pgettext("relationship", "brother-in-law or sister-in-law"),
    "BROINLAW": lazy_pgettext("relationship", "brother-in-law"),
    "SISINLAW": lazy_pgettext("relationship", "sister-in-law"),
    "FAMMEMB": lazy_pgettext("relationship", "family member"),
    "FRND": lazy_pgettext("relationship", "friend"),
    "NBOR": lazy_pgettext("relationship", "neighbour"),
    "ROOM": lazy_pgettext("relationship", "housemate"),
    "GUARD": lazy_pgettext("relationship", "guardian"),
    "POWATT": lazy_pgettext("relationship", "holder of a power of attorney"),
    "HPOWATT": lazy_pgettext("relationship", "holder of a power of attorney for health care"),
    "RESPRSN": lazy_pgettext("relationship", "responsible party"),
    "ONESELF": lazy_pgettext("relationship", "the person"),
    "DAU": lazy_pgettext("relationship", "daughter"),
    "SON": lazy_pgettext("relationship", "son"),
    "NCHILD": lazy_pgettext("relationship", "child"),
    "NMTH": lazy_pgettext("relationship", "mother"),
    "NFTH": lazy_pgettext("relationship", "father"),
    "NPRN": lazy_pgettext("relationship", "parent"),
    "NSIS": lazy_pgettext("relationship", "sister"),
    "NBRO": lazy_pgettext("relationship", "brother"),
    "NSIB": lazy_pgettext("relationship", "brother or sister"),
}
RELATIONSHIPS: Mapping[str, Mapping[str, Any]] = {
    "http://terminology.hl7.org/CodeSystem/v2-0131": _CONTACT_ROLES,
    "http://hl7.org/fhir/v2/0131": _CONTACT_ROLES,
    "http://terminology.hl7.org/CodeSystem/v3-RoleCode": _ROLE_CODES,
    "http://hl7.org/fhir/v3/RoleCode": _ROLE_CODES,
}
"""The words by system and code; the second address of each system is that of earlier versions of FHIR."""


def relationship_text(concept: Resource, language: str) -> str:
    """The words that somebody wrote; else our word for the first code that is known, else what the codes say."""
    if concept.get("text"):
        return concept_text(concept, language)
    known = (RELATIONSHIPS.get(each.get("system", ""), {}).get(each.get("code")) for each in concept.get("coding", []))
    word = next(filter(None, known), None)
    return str(word) if word else concept_text(concept, language)
