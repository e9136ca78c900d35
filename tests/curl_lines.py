"""The curl lines of the documents as requests, so that tests perform what the pages say."""

import shlex
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Asked:
    """What a curl line sends; the headers are named as `world.Party.ask` takes them, without Authorization."""

    method: str
    url: str
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)


def asked_by(line: str, base: str) -> Asked:
    """The request of `curl ... "$BASE/..."`; every line authenticates with `Authorization: Bearer $TOKEN`."""
    method, url, body, headers = "GET", "", None, {}
    words = iter(shlex.split(line.replace("$BASE", base).replace("\\$", "$"))[1:])
    for word in words:
        if word == "-X":
            method = next(words)
        elif word == "-d":
            body = next(words).encode()
        elif word == "-H":
            name, _, value = next(words).partition(": ")
            headers[name.replace("-", "_")] = value
        else:
            url = word
    assert headers.pop("Authorization") == "Bearer $TOKEN"
    return Asked(method, url.removeprefix(f"{base}/"), body, headers)
