"""What the control socket answers about runs: begin and end them, check inputs, exchange, warnings.

{"op": "run-begin", "name", "command", "folder", "commit", "pid", "start", "inherited"}    the new run's id
{"op": "run-end", "run", "exit_status"}                                                    the run, its warnings
{"op": "exchange"}                  sends what waits, takes in what other hosts wrote
{"op": "accept", "path", "why", "user"}     what a path has now is what it should have
{"op": "check", "run", "paths"}     what of a run's inputs is not what it was; paths relative to the mount point
"""

from __future__ import annotations

from typing import Any

import msgspec

from vstorefs.ledger import changes
from vstorefs.ledger.manifest import RunStatus
from vstorefs.model import Key, RunId
from vstorefs.mount.backend.pool import Pool
from vstorefs.mount.control.server import Handler
from vstorefs.mount.provenance.runs import Runs
from vstorefs.mount.provenance.uses import Uses
from vstorefs.mount.readings import Readings
from vstorefs.mount.tree.absences import Absences
from vstorefs.mount.tree.invalidation import Forgetting
from vstorefs.mount.writing.commits import Commits
from vstorefs.project import Project
from vstorefs.workers import messages

_DRAIN_S = 30.0
_HASHES_S = 60.0
_FORGET_S = 5.0
_CHECK_S = 24 * 3600.0


class LedgerCalls:
    """Touched by the front's loop only."""

    def __init__(
        self,
        pool: Pool,
        project: Project,
        runs: Runs,
        uses: Uses,
        readings: Readings,
        absences: Absences,
        commits: Commits,
        forgetting: Forgetting,
    ) -> None:
        self._pool = pool
        self._project = project
        self._runs = runs
        self._uses = uses
        self._readings = readings
        self._absences = absences
        self._commits = commits
        self._forgetting = forgetting

    def handlers(self) -> dict[str, Handler]:
        """What the control socket serves."""
        return {
            "run-begin": self._begin,
            "run-end": self._end,
            "exchange": self._exchange,
            "check": self._check,
            "accept": self._accept,
        }

    async def _begin(self, request: dict[str, Any]) -> dict[str, Any]:
        about = {
            "name": str(request.get("name", "")),
            "command": tuple(str(one) for one in request.get("command", ())),
            "folder": str(request.get("folder", "")),
            "commit": request.get("commit"),
        }
        run = await self._runs.begin(about, (int(request["pid"]), int(request["start"])))
        # A folder that a hung store keeps busy is not waited for long.
        await self._forgetting.forget(self._absences.take(), _FORGET_S)
        self._readings.note_inherited([int(one) for one in request.get("inherited", ())], run.id)
        return {"run": run.id}

    async def _end(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._runs.ending(RunId(str(request["run"]))):
            return await self._end_one(RunId(str(request["run"])), int(request["exit_status"]))

    async def _end_one(self, run: RunId, exit_status: int) -> dict[str, Any]:
        self._readings.note_all(run)
        # What the run wrote becomes its outputs when the store has it.
        await self._commits.drain(_DRAIN_S)
        await self._readings.hashed(_HASHES_S)
        await self._uses.settle()
        status = RunStatus.FINISHED if exit_status == 0 else RunStatus.FAILED
        ended = await self._runs.end(run, status, exit_status)
        await self._runs.exchange(whole=False)
        return {
            "run": msgspec.to_builtins(ended.run),
            "warnings": [changes.line(one) for one in ended.warnings],
            "waiting": self._runs.state.waiting,
            "why": self._runs.state.why,
        }

    async def _exchange(self, request: dict[str, Any]) -> dict[str, Any]:
        del request
        await self._uses.settle()
        await self._runs.exchange(whole=False)
        return {"waiting": self._runs.state.waiting, "why": self._runs.state.why}

    async def _accept(self, request: dict[str, Any]) -> dict[str, Any]:
        spec, path = self._project.locate(str(request["path"]))
        await self._uses.settle()
        answer = await self._pool.ask(
            messages.Accept(spec.id, path, str(request["why"]), str(request["user"]))
        )
        await self._runs.exchange(whole=False)
        return {
            "paths": answer.paths,
            "ended": answer.ended,
            "waiting": self._runs.state.waiting,
            "why": self._runs.state.why,
        }

    async def _check(self, request: dict[str, Any]) -> dict[str, Any]:
        paths = []
        for path in request.get("paths", ()):
            if not path and not self._project.single:
                paths += [(spec.id, Key("")) for spec in self._project.stores]
            else:
                spec, key = self._project.locate(str(path))
                paths.append((spec.id, key))
        answer = await self._pool.ask(
            messages.CheckInputs(RunId(str(request["run"])), tuple(paths)), bound_s=_CHECK_S
        )
        return {"warnings": [changes.as_dict(one) for one in answer.warnings]}
