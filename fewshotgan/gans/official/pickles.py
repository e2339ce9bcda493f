"""Read pickles as data: no class of a file is looked up, nothing of it is called.

The stream of a pickle is a program for a small stack machine (`pickletools` describes it). This one knows plain values
and containers; a global is its name, a call or an instance a `Record` of what was asked for. Whoever reads the result
decides what a record means; `gans/official/archives.py` rebuilds tensors and nothing else. Nothing is imported, so a
file can ask for `os.system` and gets a record that says so.

Memory is bounded by the file's: a length is never believed before the bytes are there, and the memo is a dictionary.
"""

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Any

from fewshotgan.files import UserError

Persistent = Callable[[Any], Any]
Rebuild = Callable[["Record"], Any]

CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
EMPTY: dict[str, Callable[[], Any]] = {"EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "EMPTY_DICT": dict, "EMPTY_SET": set}
GATHERED: dict[str, Callable[[list[Any]], Any]] = {
    "LIST": list,
    "TUPLE": tuple,
    "FROZENSET": frozenset,
    "DICT": lambda items: dict(zip(items[::2], items[1::2], strict=True)),
}
FAULTS = (
    ValueError, TypeError, IndexError, KeyError, AttributeError, OverflowError, MemoryError, RuntimeError,
)  # fmt: skip  # what instructions in the wrong order or with wrong arguments raise
WITHOUT_EFFECT = {"PROTO", "FRAME", "STOP"}
REFUSED = {"EXT1", "EXT2", "EXT4"}  # numbers of classes that a program has registered


class Unreadable(UserError):
    """A file can't be read; the text says why, without its name."""


@dataclass(eq=False)
class Record:
    """What a pickle asks for beside plain values.

    Attributes:
        name: of a class or function, such as "torch.nn.modules.conv.Conv2d".
        args: what it would be called with, None for the class or function itself.
        state: of the instance, what `__setstate__` or `__dict__` would get.
        items: of a container that isn't a plain dictionary.
    """

    name: str
    args: tuple[Any, ...] | None = None
    state: Any = None
    items: dict[Any, Any] = field(default_factory=dict)


class _Machine:
    """Runs one pickle.

    Args:
        persistent: returns what a persistent id stands for.
        rebuild: returns what a call stands for: the record itself, or a value in its place.
    """

    def __init__(self, persistent: Persistent, rebuild: Rebuild) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.persistent, self.rebuild = persistent, rebuild

    def step(self, name: str, argument: Any) -> None:
        """Take one instruction."""
        handler = getattr(self, f"do_{name.lower()}", None)
        if handler is not None:
            handler(argument)
        elif name in CONSTANTS:
            self.stack.append(CONSTANTS[name])
        elif name in EMPTY:
            self.stack.append(EMPTY[name]())
        elif name in GATHERED:
            self.stack.append(GATHERED[name](self.gather()))
        elif argument is not None and name not in WITHOUT_EFFECT | REFUSED:
            self.stack.append(argument)  # numbers, text and bytes
        elif name not in WITHOUT_EFFECT:
            raise Unreadable(f"it has the instruction {name}, which no file of weights needs")

    def gather(self) -> list[Any]:
        """Take what lies above the last mark."""
        mark = self.marks.pop()
        taken = self.stack[mark:]
        del self.stack[mark:]
        return taken

    def call(self, what: Any, args: Any, items: dict[Any, Any] | None = None) -> None:
        """Push what a call stands for."""
        name = what.name if isinstance(what, Record) and what.args is None else f"a {type(what).__name__}"
        self.stack.append(self.rebuild(Record(name, tuple(args), items=items or {})))

    # --- stack, marks and memo -----------------------------------------------------------------------------------

    def do_mark(self, _argument: None) -> None:
        self.marks.append(len(self.stack))

    def do_pop(self, _argument: None) -> None:
        if self.marks and self.marks[-1] == len(self.stack):
            self.marks.pop()
        else:
            self.stack.pop()

    def do_pop_mark(self, _argument: None) -> None:
        self.gather()

    def do_dup(self, _argument: None) -> None:
        self.stack.append(self.stack[-1])

    def do_memoize(self, _argument: None) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def do_put(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    do_binput = do_long_binput = do_put

    def do_get(self, index: int) -> None:
        self.stack.append(self.memo[index])

    do_binget = do_long_binget = do_get

    # --- containers ----------------------------------------------------------------------------------------------

    def do_tuple1(self, _argument: None) -> None:
        self.stack[-1:] = [tuple(self.stack[-1:])]

    def do_tuple2(self, _argument: None) -> None:
        self.stack[-2:] = [tuple(self.stack[-2:])]

    def do_tuple3(self, _argument: None) -> None:
        self.stack[-3:] = [tuple(self.stack[-3:])]

    def extend(self, items: list[Any]) -> None:
        """Append to the list, set or record on top."""
        container = self.stack[-1]
        if isinstance(container, list):
            container += items
        elif isinstance(container, set):
            container.update(items)
        else:
            self.update(dict(enumerate(items, len(container.items))))

    def do_append(self, _argument: None) -> None:
        self.extend([self.stack.pop()])

    def do_appends(self, _argument: None) -> None:
        self.extend(self.gather())

    do_additems = do_appends

    def update(self, items: dict[Any, Any]) -> None:
        """Set items of the dictionary or record on top."""
        container = self.stack[-1]
        (container.items if isinstance(container, Record) else container).update(items)

    def do_setitem(self, _argument: None) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.update({key: value})

    def do_setitems(self, _argument: None) -> None:
        self.update(GATHERED["DICT"](self.gather()))

    # --- what would run code -------------------------------------------------------------------------------------

    def do_global(self, argument: str) -> None:
        self.stack.append(Record(argument.replace(" ", ".")))

    def do_stack_global(self, _argument: None) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.stack.append(Record(f"{module}.{name}"))

    def do_reduce(self, _argument: None) -> None:
        args, what = self.stack.pop(), self.stack.pop()
        self.call(what, args)

    do_newobj = do_reduce

    def do_newobj_ex(self, _argument: None) -> None:
        named, args, what = self.stack.pop(), self.stack.pop(), self.stack.pop()
        self.call(what, args, dict(named))

    def do_obj(self, _argument: None) -> None:
        what, *args = self.gather()
        self.call(what, args)

    def do_inst(self, argument: str) -> None:
        self.call(Record(argument.replace(" ", ".")), self.gather())

    def do_build(self, _argument: None) -> None:
        state, what = self.stack.pop(), self.stack[-1]
        if isinstance(what, Record):
            what.state = state  # of anything else, such as the metadata of a state dict, nobody asks

    def do_persid(self, argument: str) -> None:
        self.stack.append(self.persistent(argument))

    def do_binpersid(self, _argument: None) -> None:
        self.stack.append(self.persistent(self.stack.pop()))


def no_persistent(_identity: Any) -> Any:
    """Refuse a persistent id where none can be resolved.

    Raises:
        Unreadable: always.
    """
    raise Unreadable("it points to data outside of itself")


def as_it_is(record: Record) -> Record:
    """Return the record."""
    return record


def read_pickle(file: IO[bytes], persistent: Persistent = no_persistent, rebuild: Rebuild = as_it_is) -> Any:
    """Return the value of the pickle that starts at the file's position, and leave the file behind it.

    Args:
        file: whose `read(n)` returns what is there where it is less than n, as that of `io.BytesIO` and `mmap` does.
        persistent: returns what a persistent id stands for.
        rebuild: returns what a call stands for.

    Raises:
        Unreadable: if it is damaged, or has instructions that no file of weights needs.
    """
    machine = _Machine(persistent, rebuild)
    try:
        for instruction, argument, _position in pickletools.genops(file):
            machine.step(instruction.name, argument)
        value = machine.stack.pop()
    except Unreadable:
        raise
    except FAULTS as error:
        raise Unreadable("it is damaged, or no pickle") from error
    return value
