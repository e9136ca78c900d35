"""FHIR's XML, in and out: another spelling of the same resources, driven by the tables of R4.

JSON is what is stored; XML is read into the same dict and written from it. Nothing here is imported before the first
request that speaks XML. https://hl7.org/fhir/R4/xml.html
"""

FHIR = "http://hl7.org/fhir"
"""The namespace of every element but those of the narrative."""
