"""What the control socket answers about runs: begin and end them, check inputs, exchange, warnings."""

from __future__ import annotations

from typing import Any

from vstorefs import errors
from vstorefs.control import runs as asked
from vstorefs.control.protocol import Request
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

    def handlers(self) -> dict[type[Request[Any]], Handler]:
        """What the control socket serves."""
        return {
            asked.BeginRun: self._begin,
            asked.EndRun: self._end,
            asked.Exchange: self._exchange,
            asked.CheckInputs: self._check,
            asked.AcceptChange: self._accept,
        }

    async def _begin(self, request: asked.BeginRun) -> asked.RunBegun:
        about = {
            "name": request.name,
            "command": request.command,
            "folder": request.folder,
            "commit": request.commit,
        }
        run = await self._runs.begin(about, (request.pid, request.start))
        # A folder that a hung store keeps busy is not waited for long.
        await self._forgetting.forget(self._absences.take(), _FORGET_S)
        self._readings.note_inherited(list(request.inherited), run.id)
        return asked.RunBegun(run.id)

    async def _end(self, request: asked.EndRun) -> asked.RunEnded:
        run = RunId(request.run)
        with self._runs.ending(run):
            return await self._end_one(run, request.exit_status)

    async def _end_one(self, run: RunId, exit_status: int) -> asked.RunEnded:
        self._readings.note_all(run)
        # What the run wrote becomes its outputs when the store has it.
        await self._commits.drain(_DRAIN_S)
        await self._readings.hashed(_HASHES_S)
        await self._uses.send_notes()
        status = RunStatus.FINISHED if exit_status == 0 else RunStatus.FAILED
        ended = await self._runs.end(run, status, exit_status)
        if ended.run is None:
            raise errors.NotFound("that run has ended already", key=run)
        await self._runs.exchange(whole=False)
        warnings = tuple(changes.line(one) for one in ended.warnings)
        state = self._runs.state
        return asked.RunEnded(ended.run, warnings, state.waiting, state.why)

    async def _exchange(self, request: asked.Exchange) -> asked.Exchanged:
        del request
        await self._uses.send_notes()
        await self._runs.exchange(whole=False)
        return asked.Exchanged(self._runs.state.waiting, self._runs.state.why)

    async def _accept(self, request: asked.AcceptChange) -> asked.Accepted:
        spec, path = self._project.locate(request.path)
        await self._uses.send_notes()
        answer = await self._pool.ask(messages.Accept(spec.id, path, request.why, request.user))
        await self._runs.exchange(whole=False)
        state = self._runs.state
        return asked.Accepted(answer.paths, answer.ended, state.waiting, state.why)

    async def _check(self, request: asked.CheckInputs) -> asked.InputsChecked:
        paths = []
        for path in request.paths:
            if not path and not self._project.single:
                paths += [(spec.id, Key("")) for spec in self._project.stores]
            else:
                spec, key = self._project.locate(path)
                paths.append((spec.id, key))
        answer = await self._pool.ask(
            messages.CheckInputs(RunId(request.run), tuple(paths)), bound_s=_CHECK_S
        )
        return asked.InputsChecked(answer.warnings)
