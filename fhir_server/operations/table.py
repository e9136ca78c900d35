"""The operations that are performed, by the names that the table of addresses gives them."""

from collections.abc import Mapping

from fhir_server.interactions.perform import Performer
from fhir_server.operations.capability_statement_versions import versions
from fhir_server.operations.care_plan_everything import care_plan_everything
from fhir_server.operations.patient_everything import patient_everything
from fhir_server.operations.resource_meta import meta, meta_add, meta_delete

PERFORMERS: Mapping[str, Performer] = {
    "Patient-everything": patient_everything,
    "CarePlan-everything": care_plan_everything,
    "CapabilityStatement-versions": versions,
    "Resource-meta": meta,
    "Resource-meta-add": meta_add,
    "Resource-meta-delete": meta_delete,
}
