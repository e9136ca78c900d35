"""The Flask application, with a door of its own for FHIR."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Flask

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class Web(Flask):
    """Flask; what lies below `mount` is answered by the WSGI application `mounted`, whatever its method.

    Nothing that Flask prepares for a view is used there: no session, no template, no table of addresses. They would
    cost a read as much as its access check (docs/decisions/0038). A middleware around `wsgi_app` is around both.
    """

    mount = ""
    mounted: "WSGIApplication | None" = None

    def wsgi_app(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer by whoever lives at the address."""
        path = environ.get("PATH_INFO", "")
        if self.mounted is not None and (path == self.mount or path.startswith(f"{self.mount}/")):
            return self.mounted(environ, start_response)
        return super().wsgi_app(environ, start_response)
