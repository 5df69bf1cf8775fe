"""Everything that faults are done to, and whether it is all right again."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import grpc

from recserve_client import AsyncRecommenderClient, Event, EventType, RecommenderError

from .certificates import Certificates
from .fleet import Replica
from .ledger import Ledger
from .questions import Kind, Question
from .shelf import Shelf
from .stores import RedisServer, SqliteFiles
from .traffic import Traffic, asked, open_client

_SERVICE = "recserve.v1.RecommendationService"
PATIENCE_S = 90.0


@dataclass
class World:
    """Replicas, store, models and load."""

    folder: Path
    replicas: list[Replica]
    store: RedisServer | SqliteFiles
    shelf: Shelf
    traffic: Traffic
    ledger: Ledger
    certificates: Certificates | None
    say: Callable[[str], None]
    capacity_per_s: float = 0.0
    """Answers of all replicas together, measured without other load."""
    clock_file: Path | None = None
    """Holds the seconds that the last replica's clock is wrong by; None if it cannot be."""
    missing: dict[str, str] = field(default_factory=dict)
    """By name of a fault that cannot be injected here, why."""

    @property
    def roots(self) -> bytes | None:
        """Whom clients trust; None for plain text."""
        return None if self.certificates is None else self.certificates.roots

    def open_client(self, *replicas: Replica, patient: bool = False) -> AsyncRecommenderClient:
        """Opens a new connection to some replicas."""
        return open_client([each.address for each in replicas], self.roots, patient=patient)

    def pick(self, random: Random) -> Replica:
        """Picks a replica."""
        return random.choice(self.replicas)

    async def wrong(self) -> str:
        """Says what is not right now: of any replica, asked directly, or of the store."""
        found = await asyncio.gather(*(self.wrong_with(each) for each in self.replicas))
        return next(filter(None, found), "")

    async def wrong_with(self, replica: Replica, version: int | None = None) -> str:
        """Says what is not right with one replica, which must answer by the newest version."""
        version = version or self.shelf.newest
        try:
            async with self.open_client(replica) as client:
                health = await client.check_health(_SERVICE)
                if health != "serving":
                    return f"{replica.name} is {health}"
                names = self.traffic.feedback.names
                question = Question(Kind.RECOMMEND, (names.users[0],), options={"k": 10})
                [answer] = await asked(client, question)
                problem = self.traffic.oracle.problem(question, [answer])
                if problem or answer.is_degraded:
                    return f"{replica.name} answers {problem or 'without events'}"
                if answer.model_version != version:
                    return f"{replica.name} answers by version {answer.model_version}"
                # The same each time, so that it counts once.
                probe = Event("probe", names.items[0], EventType.VIEW, event_id="probe")
                await client.record_events([probe])
        except (RecommenderError, grpc.RpcError) as error:
            return f"{replica.name}: {error}"
        return ""

    async def wait_until_right(self, timeout_s: float = PATIENCE_S) -> str:
        """Waits until all is right; returns what still is not after the timeout."""
        end_s = time.monotonic() + timeout_s
        while problem := await self.wrong():
            if time.monotonic() > end_s:
                return problem
            await asyncio.sleep(0.1)
        return ""

    async def wait_until(self, check: Callable[[], bool], timeout_s: float = PATIENCE_S) -> bool:
        """Waits until a check holds; returns whether it does."""
        end_s = time.monotonic() + timeout_s
        while not check():
            if time.monotonic() > end_s:
                return False
            await asyncio.sleep(0.05)
        return True
