"""What an agent is asked through, and what of this machine's paths has a counterpart on its host."""

from __future__ import annotations

import errno
import re
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import HostError
from bench.host.reach import FULL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.host.reach import Reach
    from bench.host.wire import Wire

Argv = tuple[str, ...]


class Counterparts:
    """Paths of this machine with what stands for each on a far one, and the folders here that files there follow to."""

    def __init__(self) -> None:
        self._places: dict[str, str] = {}
        self._form = re.compile(r"(?!)")
        self._near: dict[str, Path] = {}

    def __contains__(self, path: object) -> bool:
        return path in self._places

    def know(self, near: str, far: str) -> None:
        """Have one path stand for another, and for what is below it."""
        self._places[near] = far
        names = "|".join(re.escape(near) for near in sorted(self._places, key=len, reverse=True))
        self._form = re.compile(rf"({names})(?![^/,:;=\s'\"])")

    def there(self, text: str) -> str:
        """Return a text with every path that has a counterpart replaced by it."""
        return self._form.sub(lambda match: self._places[match[1]], text)

    def followed(self, folder: Path) -> str:
        """Return the name of a far folder whose files follow to this one."""
        name = str(len(self._near))
        self._near[name] = folder
        return name

    def keep(self, name: str, at: int, data: bytes) -> None:
        """Write a piece of a far file into its near counterpart."""
        place, _, rest = name.partition("/")
        folder = self._near.get(place)
        parts = Path(rest).parts
        if folder is None or not parts or ".." in parts or rest.startswith("/"):
            return
        path = folder / rest
        with suppress(OSError):  # a full disk here: said by whoever looks whether there is room
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with path.open("r+b" if at and path.exists() else "wb") as file:
                file.seek(at)
                file.write(data)


class FarEnd:
    """A host with an agent on it, as far as every part of :class:`bench.host.remote.Remote` needs it.

    Attributes:
        reach: how it is reached.
        facts: what the agent says of itself and the machine: ``node``, ``kernel``, ``machine``, ``python``, ``boot``.
        wire: the connection.
        counterparts: what our paths are there.
        run_folder: the folder there that goes with the agent.
    """

    def __init__(self, wire: Wire, reach: Reach) -> None:
        self.reach = reach
        self.facts: dict[str, Any] = {}
        self.wire = wire
        self.counterparts = Counterparts()
        self.run_folder = ""
        self._numbers = 0

    @property
    def name(self) -> str:
        """What messages call the node."""
        return self.wire.name

    def there(self, text: str) -> str:
        """Return a text with every path that has a counterpart replaced by it."""
        return self.counterparts.there(text)

    def far(self, path: Path) -> str:
        """Return what stands for a path there."""
        return self.there(str(path.absolute()))

    def command(self, argv: Argv) -> Argv:
        """Return what a person types here to run ``argv`` there."""
        return self.reach.shown(tuple(map(self.there, argv)))

    def number(self) -> int:
        """Return a number that no process and no channel there has yet."""
        self._numbers += 1
        return self._numbers

    @contextmanager
    def writing(self, what: str) -> Iterator[None]:
        """Take what the far system says in the block for a refusal to write there; ``what``: that could not be done.

        Raises:
            HostError: it refused.
        """
        try:
            yield
        except OSError as error:
            raise self.refused(what, error) from error

    def refused(self, what: str, error: OSError) -> HostError:
        """Return the error of what cannot be written there: a disk of that host is full, or its folder closed to us."""
        cause = FULL if error.errno in (errno.ENOSPC, errno.EDQUOT) else "far-workdir"
        return HostError(f"{what} on the {self.name}'s host: {error.strerror}", cause=cause)
