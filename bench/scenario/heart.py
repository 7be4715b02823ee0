"""The heartbeat by which it is noticed that a side is gone: it is asked again and again whether it lives."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Self

from bench.errors import MeasureError, QmpError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class Heart:
    """Beats from the block's beginning until it is not answered, or the block ends.

    Args:
        beat: returns when the answer is there.
        period_s: from one beat to the next.
        timeout_s: how long an answer may take.
    """

    def __init__(self, beat: Callable[[], Awaitable[object]], period_s: float, timeout_s: float) -> None:
        self._beat = beat
        self._period_s = period_s
        self._timeout_s = timeout_s
        self._answered = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Begin to beat."""
        self._lost = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        self._lost.cancel()
        await asyncio.gather(self._lost, return_exceptions=True)

    async def _listen(self) -> float:
        while True:
            began = time.monotonic()
            try:
                async with asyncio.timeout(self._timeout_s):
                    await self._beat()
            except (TimeoutError, QmpError, OSError):
                return time.monotonic()
            self._answered.set()
            await asyncio.sleep(max(0.0, began + self._period_s - time.monotonic()))

    async def heard(self) -> None:
        """Wait for the first answer.

        Raises:
            MeasureError: it does not come.
        """
        answered = asyncio.create_task(self._answered.wait())
        await asyncio.wait((answered, self._lost), return_when=asyncio.FIRST_COMPLETED)
        answered.cancel()
        self.require()

    def require(self) -> None:
        """Return when no beat was missed.

        Raises:
            MeasureError: one was: before anything befell the side, somebody would have taken over.
            StoreError: one could not be put on record.
        """
        if self._lost.done():
            self._lost.result()  # an error of another kind, a full disk say, tells of itself
            words = f"a heartbeat was not answered within {self._timeout_s:g} s, and nothing had befallen that side"
            raise MeasureError(words, cause="heartbeat-early")

    async def lost(self, deadline_s: float) -> float:
        """Return when (on the monotonic clock) the first beat was missed.

        Raises:
            MeasureError: all that were sent until the deadline were answered.
        """
        try:
            # A beat that is missed was sent up to a period after the blow, and is then waited for.
            async with asyncio.timeout(self._period_s + self._timeout_s + deadline_s):
                return await asyncio.shield(self._lost)
        except TimeoutError as error:
            words = f"the heartbeat was answered for {deadline_s:g} s after the side was struck"
            raise MeasureError(words, cause="heartbeat-deaf") from error
