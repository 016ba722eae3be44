"""A history as a value: what is there before, what programs do, what goes wrong, when the front dies.

A seed names one; what is left of it after steps were taken out (`shrink.py`) is one as well.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from tests.simulation.model import Op
from tests.simulation.troubles import Kind, Trouble

INPUT = "input"
"""A file that programs only read, where it is there."""
NAMES = ("x", "y", "t.tmp", "d", "e", "d/x", "d/y", "e/x")
_MODES = ("r", "r", "w", "wc", "wc", "wct", "wct", "wt", "rw", "rwc", "ac")
_KINDS = (
    *(("open",) * 10),
    *(("rename",) * 5),
    *(("unlink",) * 3),
    *(("stat",) * 2),
    *(("list",) * 2),
    *(("mkdir",) * 2),
    "truncate",
    "rmdir",
    "symlink",
    "readlink",
)
_KINDS_OPEN = (
    *_KINDS[4:],
    *(("write",) * 10),
    *(("close",) * 8),
    *(("read",) * 4),
    *(("fsync",) * 4),
    *(("ftruncate",) * 2),
)
_ON_OPEN_FILES = {"read", "write", "close", "fsync", "ftruncate"}
_SIZES = (0, 1, 5, 20, 40)


@dataclass(frozen=True)
class Step:
    """What a program does next, after `pause_s` seconds."""

    op: Op
    pause_s: float = 0.0


@dataclass(frozen=True)
class Program:
    """Programs of one family share their names, which begin with its letter. `is_run`: it is a run of its own."""

    family: str
    steps: tuple[Step, ...]
    is_run: bool = False


@dataclass(frozen=True)
class Plan:
    """See the head of the module. `kills`: when the front dies, in seconds since the beginning."""

    seed: int
    versioned: bool
    through: bool
    files: tuple[tuple[str, bytes], ...]
    folders: tuple[str, ...]
    programs: tuple[Program, ...]
    troubles: tuple[Trouble, ...]
    kills: tuple[float, ...]

    def size(self) -> int:
        """How much there is in it."""
        steps = sum(len(one.steps) for one in self.programs)
        pauses = sum(step.pause_s > 0 for one in self.programs for step in one.steps)
        rest = len(self.files) + len(self.folders) + len(self.troubles) + len(self.kills)
        return 10 * steps + 10 * rest + pauses

    def lines(self) -> list[str]:
        """It, for people."""
        layout = "native" if self.versioned else "portable"
        found = [f"layout {layout}, close = {'through' if self.through else 'back'}"]
        found += [f"there: {path} {data!r}" for path, data in self.files]
        found += [f"there: {path}/" for path in self.folders]
        for number, program in enumerate(self.programs):
            who = f"program {number}{', a run' if program.is_run else ''}"
            found += [f"{who}: {_told(step)}" for step in program.steps]
        found += [
            f"trouble: {one.kind.name} from {one.start_s:.1f} to {one.end_s:.1f} s, {one.share:.0%}"
            for one in self.troubles
        ]
        return found + [f"kill at {one:.2f} s" for one in self.kills]


def _told(step: Step) -> str:
    op = step.op
    about = [op.kind, op.path, op.other, op.mode]
    if op.kind in {"open", "read", "write", "close", "fsync", "ftruncate"}:
        about.append(f"#{op.slot}")
    if op.kind in {"write", "truncate", "ftruncate"}:
        about.append(f"at {op.offset}")
    if op.data:
        about.append(repr(op.data))
    pause = f" (after {step.pause_s:.2f} s)" if step.pause_s else ""
    return " ".join(one for one in about if one) + pause


def plan_of(seed: int) -> Plan:
    """The history of a seed."""
    chance = random.Random(f"plan {seed}")
    families = "abc"[: chance.choice((1, 1, 2, 2, 3))]
    folders = tuple(f"{one}{name}" for one in families for name in "de" if chance.random() < 0.5)
    files = tuple(
        (f"{one}{name}", f"{one}{name} was there before. ".encode())
        for one in families
        for name in ("x", "y", "d/x", INPUT)
        if chance.random() < 0.5 and ("/" not in name or f"{one}d" in folders)
    )
    programs = []
    for one in families:
        there = {
            path
            for path in (*folders, *(path for path, _ in files))
            if path[0] == one and path[1:] != INPUT
        }
        programs += [Program(one, _steps(chance, one, there)) for _ in range(chance.choice((1, 2)))]
    span = max(sum(step.pause_s for step in one.steps) for one in programs) + 1.0
    return Plan(
        seed,
        chance.random() < 0.6,
        chance.random() < 0.75,
        files,
        folders,
        tuple(programs),
        _troubles(chance, span),
        tuple(sorted(chance.uniform(0.0, span) for _ in range(chance.choice((0, 0, 0, 1, 1, 2))))),
    )


def _steps(chance: random.Random, family: str, there: set[str]) -> tuple[Step, ...]:
    """What a program does; it mostly names what may be there, and uses what it has open."""
    hurry = chance.random() < 0.6
    steps, slots = list[Step](), set[int]()
    while len(steps) < chance.randint(3, 12):
        ops = [_op(chance, family, there, slots)]
        if not slots and chance.random() < 0.15:
            ops = _saves(chance, family)
        for op in ops:
            _expect(op, there, slots)
            drawn = chance.random()
            pause_s = 0.0 if drawn < (0.8 if hurry else 0.3) else drawn * (0.3 if hurry else 10.0)
            steps.append(Step(op, pause_s))
    return tuple(steps)


def _saves(chance: random.Random, family: str) -> list[Op]:
    """What editors do: all of a file anew, once or, as after an error, twice."""
    path, data = _any(chance, family), f"<{chance.randrange(10**6)}>".encode()
    syncs = [Op("fsync")] if chance.random() < 0.5 else []
    once = [Op("open", path, mode="wct"), Op("write", data=data), *syncs, Op("close")]
    return once * chance.choice((1, 2))


def _op(chance: random.Random, family: str, there: set[str], slots: set[int]) -> Op:
    kind = chance.choice(_KINDS_OPEN if slots else _KINDS)
    if kind in _ON_OPEN_FILES:
        return _on_open_file(chance, kind, chance.choice(sorted(slots)))
    match kind:
        case "open":
            return _open(chance, family, there, slots)
        case "truncate":
            return Op(kind, _known(chance, family, there), offset=chance.choice(_SIZES))
        case "rename":
            return Op(kind, _known(chance, family, there), _any(chance, family))
        case "symlink":
            return Op(kind, _any(chance, family), _any(chance, family))
        case "mkdir":
            return Op(kind, family + chance.choice("de"))
        case "list":
            return Op(kind, chance.choice(("", f"{family}d", f"{family}e")))
        case _:
            return Op(kind, _known(chance, family, there))


def _on_open_file(chance: random.Random, kind: str, slot: int) -> Op:
    if kind == "write":
        data = f"<{chance.randrange(10**6)}>".encode() * chance.choice((1, 1, 3))
        return Op(kind, slot=slot, offset=chance.choice((0, 0, 0, 3, 10, 30)), data=data)
    offset = chance.choice(_SIZES) if kind == "ftruncate" else 0
    return Op(kind, slot=slot, offset=offset)


def _open(chance: random.Random, family: str, there: set[str], slots: set[int]) -> Op:
    free = chance.choice([one for one in (0, 0, 0, 1) if one not in slots] or [0])
    if chance.random() < 0.12:
        return Op("open", family + INPUT, slot=free, mode="r")
    mode = chance.choice(_MODES)
    path = _any(chance, family) if "c" in mode else _known(chance, family, there)
    return Op("open", path, slot=free, mode=mode)


def _any(chance: random.Random, family: str) -> str:
    return family + chance.choice(NAMES)


def _known(chance: random.Random, family: str, there: set[str]) -> str:
    return chance.choice(sorted(there)) if there and chance.random() < 0.9 else _any(chance, family)


def _expect(op: Op, there: set[str], slots: set[int]) -> None:
    """What may be there, and be open, after a step. A guess: what really is, the model knows."""
    match op.kind:
        case "open" if "c" in op.mode or op.path in there:
            slots.add(op.slot)
            there.add(op.path)
        case "close":
            slots.discard(op.slot)
        case "mkdir" | "symlink":
            there.add(op.path)
        case "unlink" | "rmdir":
            there.discard(op.path)
        case "rename" if op.path in there:
            there.discard(op.path)
            there.add(op.other)


def _troubles(chance: random.Random, span: float) -> tuple[Trouble, ...]:
    found = []
    for _ in range(chance.choice((0, 0, 1, 1, 1, 2))):
        kind = chance.choice(
            (
                Kind.AWAY,
                Kind.AWAY,
                Kind.FLAKY,
                Kind.LOST,
                Kind.KEY,
                Kind.JOURNAL,
                Kind.STAGING,
                Kind.DEATHS,
            )
        )
        start = chance.uniform(-0.5, span)
        length = chance.choice((0.05, 1.0, 20.0, 150.0))
        share = 1.0 if kind is Kind.AWAY else chance.choice((0.1, 0.3, 1.0))
        if kind is Kind.DEATHS:
            share = min(share, 0.3)
        family = chance.choice("ab") if kind is Kind.KEY else ""
        found.append(Trouble(kind, max(0.0, start), start + length, share, family))
    return tuple(found)
