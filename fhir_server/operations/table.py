"""The operations that are performed, by the names that the table of addresses gives them."""

from collections.abc import Mapping

from fhir_server.interactions.perform import Performer
from fhir_server.operations.capability_statement_versions import versions
from fhir_server.operations.care_plan_everything import care_plan_everything
from fhir_server.operations.explain import explain
from fhir_server.operations.patient_everything import patient_everything
from fhir_server.operations.resource_meta import meta, meta_add, meta_delete
from fhir_server.operations.resource_validate import validate
from fhir_server.operations.subscription_events import events
from fhir_server.operations.subscription_status import status

PERFORMERS: Mapping[str, Performer] = {
    "explain": explain,
    "Patient-everything": patient_everything,
    "CarePlan-everything": care_plan_everything,
    "CapabilityStatement-versions": versions,
    "Subscription-status": status,
    "Subscription-events": events,
    "Resource-validate": validate,
    "Resource-meta": meta,
    "Resource-meta-add": meta_add,
    "Resource-meta-delete": meta_delete,
}
