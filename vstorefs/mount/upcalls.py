"""An upcall's border: errors of our family become an errno by the one table, and bugs an EIO with a traceback."""

from __future__ import annotations

import errno
import functools
import logging
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

import pyfuse3

from vstorefs import errors

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")


def upcall(handler: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """Turn a handler's errors into an errno."""

    @functools.wraps(handler)
    async def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await handler(*args, **kwargs)
        except pyfuse3.FUSEError:
            raise
        except errors.VstorefsError as error:
            if not isinstance(error, errors.NotFound):
                log.warning("%s", error)
            raise pyfuse3.FUSEError(errors.to_errno(error)) from error
        except OSError as error:
            log.warning("%s: %s", handler.__name__, error)
            raise pyfuse3.FUSEError(error.errno or errno.EIO) from error
        except Exception as error:
            log.exception("internal error, in %s", handler.__name__)
            raise pyfuse3.FUSEError(errno.EIO) from error

    return wrapper
