"""The session of one write: it begins when something is asked or sent there, and most writes never need it.

What they read was read ahead, and what they write goes along with others (0030), so a session would be made, given a
transaction and ended for nothing.
"""

from pymongo.client_session import ClientSession
from pymongo.read_concern import ReadConcern

from fhir_server.store.mongo.connection import DURABLE, Connection
from fhir_server.store.mongo.writing.committing import abort, commit


class OwnSession:
    """A session for one attempt after the other; whoever has it ends it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._session: ClientSession | None = None

    @property
    def in_use(self) -> bool:
        """Whether something was asked or sent in the transaction of this attempt."""
        return self._session is not None and self._session.in_transaction

    def begun(self) -> ClientSession:
        """The session, in a transaction that lasts until `abort` or `commit`."""
        if self._session is None:
            self._session = self._connection.client.start_session(causal_consistency=False)
        if not self._session.in_transaction:
            self._session.start_transaction(ReadConcern("snapshot"), DURABLE)
        return self._session

    def abort(self) -> None:
        """End the transaction without effect, if there is one."""
        if self._session is not None:
            abort(self._session)

    def commit(self) -> None:
        """Commit the transaction. Raises the driver's error when nothing was kept, Unknown when nobody knows."""
        commit(self.begun())

    def close(self) -> None:
        """Let go of the session."""
        if self._session is not None:
            self._session.end_session()
