"""What a facade shows of its parts: read-only attributes and forwarded methods."""

from collections.abc import Callable
from functools import wraps
from operator import attrgetter
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

T = TypeVar("T")
P = ParamSpec("P")
R = TypeVar("R")


class View(Generic[T]):
    """Shows `owner._run.<path>` and cannot be set.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> class Facade:
    ...     epoch = View[int]("position.epoch", "Epochs trained.")
    ...     def __init__(self):
    ...         self._run = SimpleNamespace(position=SimpleNamespace(epoch=3))
    >>> Facade().epoch
    3
    """

    def __init__(self, path: str, doc: str):
        self._get, self.__doc__ = attrgetter(f"_run.{path}"), doc

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, owner: None, kind: type | None = None) -> "View[T]": ...

    @overload
    def __get__(self, owner: object, kind: type | None = None) -> T: ...

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        return self if owner is None else self._get(owner)

    def __set__(self, owner: Any, value: Any) -> None:
        raise AttributeError(f"{self._name!r} shows where the run stands and cannot be set.")


def forward(part: str, method: Callable[Concatenate[Any, P], R]) -> Callable[Concatenate[Any, P], R]:
    """Return a method that calls one of a part, with its signature and its documentation.

    Examples
    --------
    >>> class Engine:
    ...     def start(self, slowly: bool = False) -> str:
    ...         return "slowly" if slowly else "at once"
    >>> class Car:
    ...     start = forward("_engine", Engine.start)
    ...     def __init__(self):
    ...         self._engine = Engine()
    >>> Car().start(slowly=True)
    'slowly'
    """

    @wraps(method)
    def call(self: Any, *args: P.args, **kwargs: P.kwargs) -> R:
        return method(getattr(self, part), *args, **kwargs)

    return call
