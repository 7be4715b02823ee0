"""Arguments of statistics made into arrays once: what cannot be analysed is refused by name first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from numpy.typing import ArrayLike, NDArray

    FloatArray = NDArray[np.float64]
    IntArray = NDArray[np.int64]


def as_vector(values: ArrayLike, name: str, *, least: int = 1, allow_infinite: bool = False) -> FloatArray:
    """Return ``values`` as a one-dimensional array of floats.

    Args:
        values: the numbers.
        name: what the caller calls them, for the message.
        least: how many there must be.
        allow_infinite: whether ``+inf`` (a failed run, worse than every other) may be among them.

    Raises:
        ValueError: wrong shape, too few, NaN, or an infinity that is not allowed.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"{name} must be one-dimensional, not of shape {array.shape}")
    if array.size < least:
        raise ValueError(f"{name} needs at least {least} values and has {array.size}")
    return _known(array, name, allow_infinite=allow_infinite)


def as_table(values: ArrayLike, name: str) -> FloatArray:
    """Return ``values`` as an array of two dimensions, each with two or more entries.

    Raises:
        ValueError: wrong shape, too few along an axis, NaN or infinite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 2 or min(array.shape) <= 1:  # noqa: PLR2004 - a table has rows and columns
        raise ValueError(f"{name} needs two axes of at least 2 entries each, not shape {array.shape}")
    return _known(array, name, allow_infinite=False)


def as_runs(runs: Iterable[ArrayLike], name: str, *, least: int = 2) -> list[FloatArray]:
    """Return one array of checkpoints per run; runs may differ in length.

    Raises:
        ValueError: too few runs, or a run that is too short or holds NaN or infinite values.
    """
    arrays = [as_vector(run, f"{name}[{place}]", least=least) for place, run in enumerate(runs)]
    if len(arrays) <= 1:
        raise ValueError(f"{name} needs at least 2 runs and has {len(arrays)}")
    return arrays


def as_codes(labels: Iterable[Hashable], name: str, size: int) -> IntArray:
    """Return an integer per label, numbered in order of appearance; a label is anything hashable, tuples included.

    Raises:
        ValueError: not ``size`` labels.
    """
    seen: dict[Hashable, int] = {}
    codes = np.array([seen.setdefault(label, len(seen)) for label in labels], dtype=np.int64)
    if codes.size != size:
        raise ValueError(f"{name} needs one label per value: {size}, not {codes.size}")
    return codes


def same_length(**arrays: Sequence[object] | FloatArray) -> None:
    """Refuse arguments that should be parallel and are not.

    Raises:
        ValueError: lengths differ; the message names them.
    """
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError("lengths differ: " + ", ".join(f"{name} has {size}" for name, size in lengths.items()))


def as_share(value: float, name: str) -> float:
    """Return a number strictly between 0 and 1.

    Raises:
        ValueError: outside, or NaN.
    """
    if not 0.0 < value < 1.0:
        raise ValueError(f"{name} must lie between 0 and 1, both excluded, and is {value}")
    return float(value)


def as_positive(value: float, name: str) -> float:
    """Return a finite number above 0.

    Raises:
        ValueError: zero, negative, infinite or NaN.
    """
    if not 0.0 < value < np.inf:
        raise ValueError(f"{name} must be a positive number and is {value}")
    return float(value)


def at_least(value: float, name: str, least: float) -> float:
    """Return a finite number of at least ``least``.

    Raises:
        ValueError: smaller, infinite or NaN.
    """
    if not least <= value < np.inf:
        raise ValueError(f"{name} must be at least {least} and is {value}")
    return value


def as_option(value: str, name: str, legal: Sequence[str]) -> str:
    """Return ``value`` when it is one of the legal words.

    Raises:
        ValueError: it is not; the message lists them.
    """
    if value not in legal:
        raise ValueError(f"{name} must be one of {', '.join(legal)} and is {value!r}")
    return value


def _known(array: FloatArray, name: str, *, allow_infinite: bool) -> FloatArray:
    if np.isnan(array).any():
        raise ValueError(f"{name} holds NaN: leave out what was not measured, or give a failed run as +inf")
    if allow_infinite and np.isneginf(array).any():
        raise ValueError(f"{name} holds -inf; only +inf, a failed run, has a meaning")
    if not allow_infinite and np.isinf(array).any():
        raise ValueError(f"{name} holds infinite values, which are not allowed here")
    return array
