"""What every question to MongoDB needs: where it is asked, for how long at most, and together with whom."""

from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.database import Database

from fhir_server.store.mongo.circles.seen import SeenCircles
from fhir_server.store.mongo.connection import Connection
from fhir_server.store.mongo.documents import Document
from fhir_server.store.mongo.questions import Questions


class Answering:
    """Whatever answers from the database.

    Raises Unavailable when there is no answer within `seconds`, TooCostly when a search takes longer than `search_ms`.
    """

    _seen_circles: SeenCircles | None = None
    _questions: Questions | None = None

    @property
    def _session(self) -> ClientSession | None:
        """The session of the transaction inside which is asked, if there is one."""
        return None

    def __init__(
        self,
        connection: Connection,
        *,
        secret: bytes,
        seconds: float,
        search_ms: int,
    ) -> None:
        self._connection = connection
        self._secret = secret
        self._seconds = seconds
        self._search_ms = search_ms

    def _before_asking(self, *type_names: str) -> None:
        """A chance to bring what is on its way to the collections of these types."""

    def _asked_together(self) -> Questions:
        if self._questions is None:
            raise NotImplementedError("a transaction asks questions of its own")
        return self._questions

    @property
    def _database(self) -> Database[Document]:
        return self._connection.database

    def _collection(self, name: str) -> Collection[Document]:
        return self._connection.collection(name)
