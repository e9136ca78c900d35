"""The server goes only where a receiver can be."""

import pytest

from fhir_server.subscriptions.endpoints import endpoint_faults, may_connect


@pytest.mark.parametrize(
    "url",
    [
        "https://receiver.example/notify",
        "https://receiver.example",
        "https://receiver.example:8443/a/b-c_d.e~f%20g",
        "https://93.184.215.14/notify",
        "https://[2606:4700::1111]/notify",
        "https://xn--caf-dma.example/",
        "https://3com.example/",
    ],
)
def test_public_https_endpoints_are_accepted(url: str) -> None:
    assert endpoint_faults(url, http_endpoints=False) == []


@pytest.mark.parametrize(
    "url",
    [
        "http://receiver.example/notify",
        "http://127.0.0.1:9000/",
        "ftp://receiver.example/",
        "file:///etc/passwd",
        "//receiver.example/notify",
        "receiver.example/notify",
        "https://",
        "https:///notify",
        "https://user:secret@receiver.example/",
        "https://receiver.example@evil.example/",
        "https://receiver.example/?token=1",
        "https://receiver.example/?",
        "https://receiver.example/#part",
        "https://receiver.example:0/",
        "https://receiver.example:99999/",
        "https://receiver.example:port/",
        "https://receiver.example\\@evil.example/",
        "https://receiver.example/a b",
        "https://receiver.example/\r\nHost: evil",
        "https://receiver.example/\tx",
        "https://récepteur.example/",
        "https://receiver%2eexample/",
        "https://receiver..example/",
        "https://-receiver.example/",
        "https://receiver_.example/",
        "https://receiver.example./",
        "https://localhost/",
        "https://a.localhost/",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://0.0.0.0/",
        "https://10.1.2.3/",
        "https://192.168.1.1/",
        "https://172.16.0.9/",
        "https://100.64.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[::]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[fe80::1]/",
        "https://[fe80::1%25eth0]/",
        "https://[fc00::1]/",
        "https://receiver.example/" + "a" * 2048,
    ],
)
def test_tricky_private_and_unencrypted_endpoints_are_refused(url: str) -> None:
    faults = endpoint_faults(url, http_endpoints=False)
    assert faults
    assert all("https" in fault or "endpoint" in fault for fault in faults)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9000/notify", "http://localhost:9000/", "http://[::1]:9000/", "https://10.0.0.1/"]
)
def test_development_admits_http_on_this_machine_and_private_addresses(url: str) -> None:
    assert endpoint_faults(url, http_endpoints=True) == []


@pytest.mark.parametrize(
    "url", ["http://receiver.example/", "http://10.0.0.1/", "http://user@127.0.0.1/", "http://127.0.0.1/?a=b"]
)
def test_development_admits_nothing_else(url: str) -> None:
    assert endpoint_faults(url, http_endpoints=True)


@pytest.mark.parametrize(
    ("address", "production", "development"),
    [
        ("93.184.215.14", True, True),
        ("10.0.0.5", True, True),
        ("127.0.0.1", False, True),
        ("::1", False, True),
        ("::ffff:127.0.0.1", False, True),
        ("169.254.169.254", False, False),
        ("fe80::1%eth0", False, False),
        ("0.0.0.0", False, False),
        ("224.0.0.1", False, False),
    ],
)
def test_a_name_cannot_lead_to_what_only_this_machine_reaches(
    address: str, production: bool, development: bool
) -> None:
    assert may_connect(address, http_endpoints=False) is production
    assert may_connect(address, http_endpoints=True) is development
