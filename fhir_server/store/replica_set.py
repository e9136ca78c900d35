"""The replica set of one member that an embedded MongoDB is."""

from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

REPLICA_SET = "samen"
_HOST = "127.0.0.1"


def is_primary(port: int | None, *, settle: bool = False) -> bool:
    """Whether the mongod on `port` takes writes; `settle` brings its replica set nearer to that when it does not."""
    client: MongoClient[dict[str, Any]]
    with MongoClient(_HOST, port, directConnection=True, serverSelectionTimeoutMS=500) as client:
        try:
            if client.admin.command("hello").get("isWritablePrimary"):
                return True
            if settle:
                _settle_replica_set(client, f"{_HOST}:{port}")
        except PyMongoError:
            return False
    return False


def _settle_replica_set(client: MongoClient[dict[str, Any]], address: str) -> None:
    """Initiate the set the first time; afterwards tell it the port it has now."""
    config = client.local["system.replset"].find_one()
    if config is None:
        member = {"_id": 0, "host": address}
        client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": [member]})
    elif config["members"][0]["host"] != address:
        config["members"][0]["host"] = address
        config["version"] += 1
        client.admin.command("replSetReconfig", config, force=True)
