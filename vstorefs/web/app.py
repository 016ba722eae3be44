"""Addresses and answers. Each route asks its page for values and gives them to a template; all block, in threads.

Everything is read only: what changes something is a command that a page gives to type.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from vstorefs import errors, units
from vstorefs.ledger import manifest
from vstorefs.logs import visible
from vstorefs.versions.history.texts import marks_text
from vstorefs.web import texts
from vstorefs.web.pages import directory, history, mounts, run, runs, warnings
from vstorefs.web.paging import number_of
from vstorefs.web.security import ENTRY, Door, Guard
from vstorefs.web.site import Site

_TITLES = {400: "Invalid path", 404: "Not found", 500: "Internal error"}


def application(site: Site, door: Door) -> ASGIApp:
    """The whole server, guarded."""
    routes = _Routes(site, door)
    app = Starlette(
        routes=[
            Route(ENTRY, routes.enter),
            Route("/", routes.runs),
            Route("/runs/{run}", routes.run),
            Route("/runs/{run}/manifest.json", routes.manifest),
            Route("/file", routes.file),
            Route("/mounts", routes.mounts),
            Route("/warnings", routes.warnings),
            Mount("/static", StaticFiles(packages=[("vstorefs.web", "static")])),
        ],
        exception_handlers={
            errors.VstorefsError: routes.failed,
            HTTPException: routes.failed,
            Exception: routes.failed,
        },
    )
    return Guard(app, door)


class _Routes:
    """What each address answers."""

    def __init__(self, site: Site, door: Door) -> None:
        self._site = site
        self._door = door
        self._templates = _templates(site)

    def enter(self, request: Request) -> Response:
        """Exchange the token for the cookie, and go on to an address without it.

        The page itself leads on: a browser sends no strict cookie along a redirect that another program began.
        """
        is_in = self._door.exchange(request.query_params.get("token", ""))
        if not is_in and not self._door.knows(request):
            raise HTTPException(
                403,
                "this URL is invalid or was used already; `vstorefs ui` prints a new one in its terminal",
            )
        response = self._page("enter.html")
        if is_in:
            self._door.let_in(response)
        return response

    def runs(self, request: Request) -> Response:
        """The list of runs."""
        query = request.query_params
        found = runs.show(self._site, query.get("search", ""), query.get("before", ""))
        return self._page("runs.html", page=found)

    def run(self, request: Request) -> Response:
        """One run."""
        query = request.query_params
        found = run.show(
            self._site,
            request.path_params["run"],
            search=query.get("search", "").strip(),
            inputs=number_of(query.get("inputs", "")),
            outputs=number_of(query.get("outputs", "")),
        )
        return self._page("run.html", page=found)

    def manifest(self, request: Request) -> Response:
        """A run's manifest, for programs."""
        found = run.find(self._site, request.path_params["run"])
        data = manifest.encode(self._site.ledger.manifest(found))
        return Response(data, media_type="application/json")

    def file(self, request: Request) -> Response:
        """A file's history, or what is below a directory."""
        query = request.query_params
        path = query.get("path", "").rstrip("/")
        if not path:
            return self._page("find.html", stores=self._site.project.stores)
        number = number_of(query.get("page", ""))
        try:
            found = history.show(
                self._site, path, number=number, old=query.get("old", ""), new=query.get("new", "")
            )
        except errors.NotFound:
            listed = directory.show(self._site, path, number=number)
            if listed is None:
                raise
            return self._page("directory.html", page=listed)
        return self._page("file.html", page=found)

    def mounts(self, request: Request) -> Response:
        """What is mounted, moving and pending."""
        del request
        return self._page("mounts.html", rows=mounts.show(), waiting=self._site.ledger.waiting())

    def warnings(self, request: Request) -> Response:
        """What holds."""
        query = request.query_params
        number = number_of(query.get("page", ""))
        found = warnings.show(self._site, query.get("search", ""), number)
        return self._page("warnings.html", page=found)

    def failed(self, request: Request, error: Exception) -> Response:
        """A page for what went wrong."""
        del request
        status, why = _told(error)
        title = _TITLES.get(status, "Error")
        return self._page("error.html", status=status, code=status, title=title, why=why)

    def _page(self, name: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        text = self._templates.get_template(name).render(sync=self._site.sync, **values)
        return HTMLResponse(text, status)


def _told(error: Exception) -> tuple[int, str]:
    """The status and the words for an error."""
    match error:
        case HTTPException():
            return (
                error.status_code,
                "no such page" if error.status_code == 404 else error.detail,
            )
        case errors.NotFound():
            return 404, str(error)
        case errors.UsageError():
            return 400, str(error)
        case errors.VstorefsError():
            return 503, str(error)
    return 500, f"{type(error).__name__}; the terminal of `vstorefs ui` has the traceback"


def _templates(site: Site) -> Environment:
    """The templates, with what they may use."""
    env = Environment(
        loader=PackageLoader("vstorefs.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., str]] = {
        "visible": visible,
        "size": units.size,
        "moment": units.moment,
        "duration": units.duration,
        "command_line": texts.command_line,
        "short_digests": texts.short_digests,
        "marks": marks_text,
    }
    env.filters.update(filters)
    env.globals.update(
        site=site, address=texts.address, count=units.count, short_id=manifest.SHORT_ID
    )
    return env
