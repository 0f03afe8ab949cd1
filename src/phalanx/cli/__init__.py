"""The command line: it parses, calls and prints, and that is all it does.

Exit codes: 0 done, 2 bad input (one sentence), 3 no solution (one sentence), 130 interrupted. A
traceback is never shown; set PHALANX_DEBUG=1 to see one.
"""

import os
import sys

INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    import typer
    from typer.exceptions import Abort, TyperException

    from phalanx._outcome import PhalanxError
    from phalanx.cli import _learning, _play  # noqa: F401  (each adds its commands)
    from phalanx.cli._app import app

    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        result = typer.main.get_command(app)(
            args=arguments or ["--help"], prog_name="phalanx", standalone_mode=False
        )
        if result == INTERRUPTED:  # typer's own answer to Ctrl-C; we say so in words
            raise KeyboardInterrupt
        return result if isinstance(result, int) else 0
    except PhalanxError as error:
        print(f"phalanx: {error}", file=sys.stderr)  # noqa: T201  (the command line speaks here)
        return error.exit_code
    except TyperException as error:  # an unknown option, a missing argument
        print(f"phalanx: {error.format_message()}", file=sys.stderr)  # noqa: T201
        return 2
    except (KeyboardInterrupt, Abort):
        print("phalanx: interrupted.", file=sys.stderr)  # noqa: T201
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if os.environ.get("PHALANX_DEBUG"):
            raise
        print(  # noqa: T201
            f"phalanx: internal error ({type(error).__name__}: {error}); please report it "
            "(PHALANX_DEBUG=1 shows where).",
            file=sys.stderr,
        )
        return 1


def run() -> None:
    """Entry point of the `phalanx` command."""
    from phalanx.cli import _interrupt

    _interrupt.install()
    sys.exit(main())
