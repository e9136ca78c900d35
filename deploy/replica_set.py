"""Joins the members of a MongoDB replica set and makes its users; running it again changes nothing but the password
(and mends what an older version of this file left: the first member was preferred as primary for good).

    MONGO_ADMIN_PASSWORD=... MONGO_SAMEN_PASSWORD=... python replica_set.py HOST:PORT HOST:PORT HOST:PORT

Run it on the machine (or in the network) of the first member: a database without users lets only its own machine in.
It makes two users: `admin`, who may do everything, and `samen`, who may read and write the one database of that name.
"""

import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pymongo import MongoClient
from pymongo.errors import AutoReconnect, OperationFailure, PyMongoError

SET = "samen"
DATABASE = "samen"
PATIENCE = 120.0
AUTHENTICATION_FAILED = 18
ALREADY_INITIATED = 23
USER_EXISTS = 51003
# A member that has not found the others or a primary, or lost it a moment ago, says so in these ways; waiting helps.
NOT_YET = {74, 91, 109, 189, 308, 10107, 11600, 11602, 13435, 13436}

Client = MongoClient[dict[str, Any]]
Result = TypeVar("Result")


def main(members: Sequence[str], admin_password: str, samen_password: str) -> None:
    """Bring the set and its users about. Raises PyMongoError when a member does not let it."""
    if not has_users(members[0], admin_password):
        initiate(members)
        patiently(lambda: make_admin(members[0], admin_password))
    with whole_set(members, admin_password) as client:
        patiently(lambda: prefer_nobody(client))
        patiently(lambda: make_samen(client, samen_password))
        print(f"The set {SET} stands: {', '.join(state_of(client))}")


def has_users(member: str, admin_password: str) -> bool:
    """Whether the first user is there and has this password."""
    with first_member(member, username="admin", password=admin_password) as client:
        try:
            patiently(lambda: client.admin.command("hello"))
            client.admin.command("replSetGetStatus")
        except OperationFailure as refusal:
            if refusal.code != AUTHENTICATION_FAILED:
                raise
            return False
    return True


def initiate(members: Sequence[str]) -> None:
    """Join the members; the first is preferred as primary, so that the first user can be made on it."""
    priorities = first_preferred(len(members))
    joined = [{"_id": n, "host": host, "priority": priorities[n]} for n, host in enumerate(members)]
    configuration = {"_id": SET, "members": joined}
    with first_member(members[0]) as client:
        try:
            patiently(lambda: client.admin.command("replSetInitiate", configuration))
        except OperationFailure as refusal:
            if refusal.code == ALREADY_INITIATED:
                return
            if refusal.code == 13:
                raise SystemExit(
                    "The database has an administrator whose password is not the one given. "
                    "Give MONGO_ADMIN_PASSWORD as it was when the set was made."
                ) from None
            raise


def make_admin(member: str, password: str) -> None:
    """The first user; afterwards nobody gets in without a name, from this machine neither."""
    with first_member(member) as client:
        create_user(client, "admin", "admin", password, [{"role": "root", "db": "admin"}])


def first_preferred(count: int) -> list[int]:
    """The priorities with which a set begins."""
    return [2] + [1] * (count - 1)


def prefer_nobody(client: Client) -> None:
    """Who is primary stays it; priorities of one's own are left alone.

    A preferred member that comes back takes the place of the one that serves, and under many writes it may fail at
    that: both have lost the vote then, and nobody is primary for ten seconds.
    """
    configuration = client.admin.command("replSetGetConfig")["config"]
    members = configuration["members"]
    if [member["priority"] for member in members] != first_preferred(len(members)):
        return
    for member in members:
        member["priority"] = 1
    configuration["version"] += 1
    client.admin.command("replSetReconfig", configuration)


def make_samen(client: Client, password: str) -> None:
    """The server's user; its password becomes the one given."""
    roles = [{"role": "readWrite", "db": DATABASE}]
    if not create_user(client, DATABASE, "samen", password, roles):
        client[DATABASE].command("updateUser", "samen", pwd=password, roles=roles)


def create_user(client: Client, database: str, name: str, password: str, roles: list[dict[str, str]]) -> bool:
    """False when the user is already there."""
    try:
        client[database].command("createUser", name, pwd=password, roles=roles, writeConcern={"w": "majority"})
    except OperationFailure as refusal:
        if refusal.code != USER_EXISTS:
            raise
        return False
    return True


def first_member(member: str, **credentials: Any) -> Client:
    """Alone, over the loopback address, whatever its name in the set."""
    port = int(member.rpartition(":")[2])
    return MongoClient("127.0.0.1", port, directConnection=True, serverSelectionTimeoutMS=5000, **credentials)


def whole_set(members: Sequence[str], admin_password: str) -> Client:
    """As the administrator, wherever the primary is."""
    return MongoClient(
        list(members), replicaSet=SET, username="admin", password=admin_password, serverSelectionTimeoutMS=30000
    )


def state_of(client: Client) -> list[str]:
    """`host state` of each member."""
    return [f"{member['name']} {member['stateStr']}" for member in client.admin.command("replSetGetStatus")["members"]]


def patiently(ask: Callable[[], Result]) -> Result:
    """What `ask` answers, asked again while the members are still finding each other."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return ask()
        except (AutoReconnect, OperationFailure) as trouble:
            passing = isinstance(trouble, AutoReconnect) or trouble.code in NOT_YET
            if not passing or time.monotonic() > deadline:
                raise
        time.sleep(0.5)


def required(name: str) -> str:
    """A setting from the environment, or the end."""
    value = os.environ.get(name, "")
    if not value:
        raise SystemExit(f"{name} is not set; deploy/prepare writes it into deploy/secrets/mongo.env")
    return value


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    try:
        main(sys.argv[1:], required("MONGO_ADMIN_PASSWORD"), required("MONGO_SAMEN_PASSWORD"))
    except PyMongoError as error:
        raise SystemExit(f"The set could not be made: {error}") from error
