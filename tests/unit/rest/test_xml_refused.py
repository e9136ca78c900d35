"""Hostile and mistaken XML is refused in one sentence that says what, where, and what would be right."""

import time

import pytest

from fhir_server.fhir.errors import InvalidResource
from fhir_server.rest.xml.decode import MOST_ISSUES, decode
from fhir_server.rest.xml.document import DEEPEST, NotXml

XMLNS = 'xmlns="http://hl7.org/fhir"'
XHTML = 'xmlns="http://www.w3.org/1999/xhtml"'
LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10 if i else "ha"}">' for i in range(12))


def issues_of(inner: str, root: str = "Patient") -> list[tuple[str | None, str]]:
    """Path and text of what is refused."""
    with pytest.raises(InvalidResource) as refused:
        decode(f"<{root} {XMLNS}>{inner}</{root}>".encode())
    return [(issue.path, issue.diagnostics) for issue in refused.value.issues]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (f'<!DOCTYPE Patient [{LAUGHS}]><Patient {XMLNS}><language value="&l11;"/></Patient>', "document type"),
        (f'<!DOCTYPE Patient SYSTEM "file:///etc/passwd"><Patient {XMLNS}/>', "document type"),
        (f'<!DOCTYPE P [<!ENTITY x SYSTEM "file:///etc/passwd">]><Patient {XMLNS}>&x;</Patient>', "document type"),
        (f'<!DOCTYPE P [<!ENTITY % x SYSTEM "http://127.0.0.1:9/x"> %x;]><Patient {XMLNS}/>', "document type"),
        (f'<Patient {XMLNS}><language value="&nbsp;"/></Patient>', "undefined entity at line 1, column "),
        (f'<?xml-stylesheet href="http://127.0.0.1:9/x"?><Patient {XMLNS}/>', "processing instructions"),
        (f"<Patient {XMLNS}><?php x ?></Patient>", "processing instructions"),
        (f'<?xml version="1.0" encoding="ISO-8859-1"?><Patient {XMLNS}/>', "UTF-8"),
        (f'<?xml version="1.0" encoding="UTF-7"?><Patient {XMLNS}/>', "UTF-8"),
        (f"<Patient {XMLNS}><active></Patient>", "mismatched tag at line 1, column "),
        (f'<Patient {XMLNS}><active value="true" value="true"/></Patient>', "duplicate attribute"),
        (f"<Patient {XMLNS}/><Patient {XMLNS}/>", "junk after document element"),
        (f'<Patient {XMLNS}><x:id value="a"/></Patient>', "unbound prefix"),
        (f'<Patient {XMLNS}><language value="&#0;"/></Patient>', "invalid character number"),
        (f'<Patient {XMLNS}><language value="\x01"/></Patient>', "not well-formed"),
        ("<Patient/>", "namespace http://hl7.org/fhir"),
        ('<Patient xmlns="http://hl7.org/FHIR"/>', "namespace http://hl7.org/fhir"),
        (f"<Patient {XMLNS}>{'<extension>' * 300}", "nested deeper"),
        ('{"resourceType": "Patient"}', "not well-formed"),
        ("", "no element found"),
    ],
)
def test_what_is_no_harmless_xml_is_not_read(body: str, told: str) -> None:
    with pytest.raises(NotXml, match=told):
        decode(body.encode())


@pytest.mark.parametrize(
    "body", [b"\xff\xfe<\x00P\x00", b"<Patient \xff/>", b"<P\xed\xa0\x80/>", b"\x00", b"\xef\xbb\xbf"]
)
def test_what_is_no_utf_8_is_not_read(body: bytes) -> None:
    with pytest.raises(NotXml):
        decode(body)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("before", ["", "\n", '<?xml version="1.0"?>'])
def test_utf_16_is_not_read_whether_it_says_so_or_not(before: str, encoding: str) -> None:
    with pytest.raises(NotXml, match="UTF-8"):
        decode(f"{before}<Patient {XMLNS}><active value='true'/></Patient>".encode(encoding))


@pytest.mark.parametrize(
    ("inner", "path", "told"),
    [
        ('<nickname value="Mia"/>', "Patient", "Unknown element <nickname>"),
        ('<Active value="true"/>', "Patient", "Unknown element <Active>"),
        ('<x:active xmlns:x="urn:x" value="true"/>', "Patient", "must be in the namespace http://hl7.org/fhir"),
        ('<active xmlns="" value="true"/>', "Patient", "must be in the namespace http://hl7.org/fhir"),
        ("<text><status value='generated'/><div>x</div></text>", "Patient.text", "namespace http://www.w3.org/1999/xh"),
        ('<active value="true" Value="true"/>', "Patient.active", "Unknown attribute 'Value'"),
        ('<name><family value="A" x="1"/></name>', "Patient.name[0].family", "Unknown attribute 'x'"),
        ('<name value="A"/>', "Patient.name[0]", "Unknown attribute 'value'"),
        ('<name/><name><given value="A"/><given/></name>', "Patient.name[1].given[1]", "must have a value or children"),
        ('<active value="true">true</active>', "Patient.active", "Text may stand only in the narrative"),
        ("<name>\u00a0</name>", "Patient.name[0]", "Text may stand only in the narrative"),
        ('<active value="true"/><active value="true"/>', "Patient", "<active> may stand here only once"),
        ('<active value="true"/><id value="a"/>', "Patient", "<id> comes too late"),
        ('<name><extension><url value="a"/></extension></name>', "Patient.name[0].extension[0]", "it is an attribute"),
        ('<deceasedBoolean value="true"/><deceasedDateTime value="2026"/>', "Patient", "may stand here only once"),
        ("<contained/>", "Patient.contained[0]", "A resource must stand here"),
        ("<contained><Patient/><Patient/></contained>", "Patient.contained[0]", "holds one resource"),
        ("<contained><Robot/></contained>", "Patient.contained[0]", "<Robot> must be a resource type of R4"),
        ('<contained id="c"><Patient/></contained>', "Patient.contained[0]", "Unknown attribute 'id'"),
        ('<contained><Patient><x/></Patient></contained>', "Patient.contained[0]", "Unknown element <x>"),
        (f"<{'x' * 5000}/>", "Patient", "Unknown element <" + "x" * 60 + "…>"),
    ],
)  # fmt: skip
def test_what_r4_does_not_define_is_refused_where_it_stands(inner: str, path: str, told: str) -> None:
    [(where, text)] = issues_of(inner)

    assert where == path
    assert told in text


@pytest.mark.parametrize(
    "attribute", ['xsi:schemaLocation="x y" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"']
)
def test_a_document_names_no_schema(attribute: str) -> None:
    with pytest.raises(InvalidResource, match="Unknown attribute"):
        decode(f"<Patient {XMLNS} {attribute}/>".encode())


@pytest.mark.parametrize("value", ["1", ">", " ' "])
def test_no_element_has_sixty_four_attributes(value: str) -> None:
    def document(attributes: int) -> bytes:
        listed = "".join(f' a{number} = "{value}"' for number in range(attributes))
        return f"<Patient {XMLNS}><active value='true'{listed}/></Patient>".encode()

    with pytest.raises(NotXml, match="more attributes"):
        decode(document(63))
    with pytest.raises(InvalidResource, match="Unknown attribute"):
        decode(document(62))


def test_an_unknown_resource_is_refused() -> None:
    assert issues_of("", "Robot") == [("resourceType", "<Robot> must be a resource type of R4.")]


def test_all_that_is_wrong_is_told_at_once() -> None:
    inner = "<x><y>z</y></x><name><family/><z/></name>text<gender/>"

    assert [path for path, _ in issues_of(inner)] == [
        "Patient",
        "Patient.name[0].family",
        "Patient.name[0]",
        "Patient",
        "Patient.gender",
    ]


def test_no_more_is_told_than_anyone_reads() -> None:
    assert len(issues_of("<x/>" * 1000)) == MOST_ISSUES


def test_comments_and_blanks_are_passed_over() -> None:
    body = f'<!-- a --><Patient {XMLNS}>\n\t<!-- b --> <active value="true"/>\r\n</Patient><!-- c -->'

    assert decode(body.encode()) == {"resourceType": "Patient", "active": True}
    assert decode(b"\xef\xbb\xbf" + body.encode()) == {"resourceType": "Patient", "active": True}


def test_a_narrative_may_be_nested_as_deep_as_the_document() -> None:
    def nested(depth: int) -> bytes:
        div = f"<div {XHTML}>{'<div>' * depth}{'</div>' * depth}</div>"
        return f"<Patient {XMLNS}><text><status value='generated'/>{div}</text></Patient>".encode()

    assert decode(nested(DEEPEST - 3))["text"]["div"].count("<div>") == DEEPEST - 3
    with pytest.raises(NotXml, match="nested deeper"):
        decode(nested(DEEPEST - 2))


BIG = {
    "elements": lambda: "><x/>" + "<x/>" * 5_000_000,
    "depth": lambda: ">" + "<x>" * 6_000_000,
    "attribute": lambda: ' id="' + "a" * 20_000_000,
    "comment": lambda: "><!--" + "-a" * 10_000_000,
    "attributes": lambda: " ".join(f" a{i}='1'" for i in range(1_500_000)) + "/>",
    "text": lambda: ">" + "&lt;" * 5_000_000 + "</Patient>",
}


@pytest.mark.parametrize("kind", BIG)
def test_twenty_megabytes_are_refused_in_seconds(kind: str) -> None:
    body = f"<Patient {XMLNS}{BIG[kind]()}".encode()
    started = time.perf_counter()

    with pytest.raises((NotXml, InvalidResource)):
        decode(body)

    assert time.perf_counter() - started < 30
