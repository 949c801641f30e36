"""The exit codes of ``onebrain``, and the one-line messages of errors.

==== ===========================================================================================
 0   Done.
 1   The command failed, or a part of it: a check of ``doctor``, or a line of an import.
 2   The command line is wrong, or an optional part is not installed.
 3   No memory, user or other thing has the id or name that was given.
 4   The key is missing, wrong, or may not do this.
 5   No answer in time: the network, the service, or other writers of the database. Try again later.
 6   The service cannot do this.
 70  A fault of onebrain itself.
130  Interrupted.
==== ===========================================================================================
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import click

from onebrain import errors
from onebrain.cli.output import visible

FAILED: Final = 1
WRONG_USE: Final = 2
NOT_FOUND: Final = 3
NOT_ALLOWED: Final = 4
NO_ANSWER: Final = 5
UNSUPPORTED: Final = 6
FAULT: Final = 70
INTERRUPTED: Final = 130

# Whether the command prints JSON, in the `meta` that all contexts of a command line share.
JSON: Final = "onebrain.json"

# The first row that fits decides, so derived errors stand before their bases.
_CODES: Final[tuple[tuple[type[errors.OneBrainError], int], ...]] = (
    (errors.Unsupported, UNSUPPORTED),
    (errors.MissingDependency, WRONG_USE),
    (errors.OneBrainNotFoundError, NOT_FOUND),
    (errors.OneBrainAuthenticationError, NOT_ALLOWED),
    (errors.OneBrainPermissionError, NOT_ALLOWED),
    (errors.OneBrainTransportError, NO_ANSWER),
    (errors.OneBrainRateLimitError, NO_ANSWER),
    (errors.OneBrainInternalError, NO_ANSWER),
    (errors.DatabaseBusy, NO_ANSWER),
)


class Failure(click.ClickException):
    """An error with its exit code, shown in one line, or as a JSON object if the command prints JSON."""

    def __init__(self, message: str, exit_code: int = FAILED, *, kind: str = "error") -> None:
        super().__init__(message)
        # click declares it for the class.
        object.__setattr__(self, "exit_code", exit_code)
        self.kind = kind
        context = click.get_current_context(silent=True)
        self._as_json = context is not None and bool(context.meta.get(JSON))

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the error on standard error."""
        if self._as_json:
            from onebrain._core.codec import to_json

            row = {"type": self.kind, "message": self.message, "exit_code": self.exit_code}
            click.echo(to_json({"error": row}), file=file, err=True)
            return
        click.echo(
            f"{click.style('Error:', fg='red', bold=True)} {visible(self.message)}", file=file, err=True
        )


def code_of(error: errors.OneBrainError) -> int:
    """Return the exit code of an error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), FAILED)


@contextmanager
def reported() -> Generator[None, None, None]:
    """Turn every error into a `Failure`, so that no traceback is printed, unless ``$ONEBRAIN_TRACEBACK`` is set."""
    try:
        yield
    except click.UsageError as error:
        context = error.ctx or click.get_current_context(silent=True)
        if context is None or not context.meta.get(JSON):
            raise
        raise Failure(error.format_message(), WRONG_USE, kind="UsageError") from None
    except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
        raise
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        raise click.exceptions.Exit(INTERRUPTED) from None
    except errors.OneBrainError as error:
        _trace(error)
        raise Failure(str(error), code_of(error), kind=type(error).__name__) from None
    except OSError as error:
        _trace(error)
        name = f"{error.filename}: " if error.filename else ""
        raise Failure(f"{name}{error.strerror or type(error).__name__}", kind="OSError") from None
    except Exception as error:
        _trace(error)
        # The message of such an error may quote a memory, so only its kind and its place are shown.
        message = f"a fault of onebrain: {type(error).__name__} {_place(error)}"
        raise Failure(f"{message}. Set ONEBRAIN_TRACEBACK=1 to see all of it", FAULT, kind="fault") from None


def _trace(error: BaseException) -> None:
    """Print the traceback if it is asked for."""
    if os.environ.get("ONEBRAIN_TRACEBACK"):
        import traceback

        click.echo("".join(traceback.format_exception(error)), err=True)


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"in {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"


@contextmanager
def installed(part: str, distribution: str) -> Generator[None, None, None]:
    """Report a part that is not installed, with the command that installs it."""
    try:
        yield
    except ImportError as error:
        raise Failure(
            f'the {part} is not installed ({error.name} is missing): pip install "{distribution}>=2"',
            WRONG_USE,
            kind="MissingDependency",
        ) from None
