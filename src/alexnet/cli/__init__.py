"""The command line: one file a verb, which parses and prints. Every failure is one line and an exit status."""

import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from time import sleep
from typing import Annotated

import typer

import alexnet
from alexnet.cli.failures import EXAMPLE, INTERRUPTED, describe_failure, is_first_here, is_told_elsewhere
from alexnet.cli.progress import discard, say
from alexnet.errors import UnknownNameError

# Verb to the module that holds a function of the same name and an EXAMPLE, in the order of the help.
VERBS = {
    "nets": "alexnet.cli.nets",
    "summary": "alexnet.cli.summary",
    "prepare": "alexnet.cli.prepare",
    "train": "alexnet.cli.train",
    "evaluate": "alexnet.cli.evaluate",
    "predict": "alexnet.cli.predict",
    "features": "alexnet.cli.features",
    "similar": "alexnet.cli.similar",
    "weights": "alexnet.cli.weights",
    "verify": "alexnet.cli.verify",
    "convert": "alexnet.cli.convert",
    "compress": "alexnet.cli.compress",
    "claims": "alexnet.cli.claims",
    "demo": "alexnet.cli.demo",
}

DEBUG = "--debug"

# torchrun ends all processes once one has ended: those that have nothing to say leave the one that speaks the time to.
SECONDS_TO_SPEAK = 3.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (default: the process's own) and give its exit status.

    0 done; 2 bad arguments or input; 1 a run that failed; 130 Ctrl-C. A failure is one line on stderr, with a traceback
    only under `--debug`, which may stand anywhere.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = DEBUG in arguments
    arguments = [argument for argument in arguments if argument != DEBUG] or ["--help"]
    if not debug:  # torch's own words on a connection are a page of C++; read when it is imported, which is later
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    _replace_what_the_terminal_cannot_show()
    try:
        _run(arguments)
        sys.stdout.flush()
    except typer.Exit as finished:
        return finished.exit_code
    except BrokenPipeError:  # `alexnet nets | head -1`: whoever read our output has what they wanted
        _discard_what_stdout_refuses()
    except KeyboardInterrupt:
        if is_first_here():
            say("alexnet: interrupted")
        return INTERRUPTED
    except Exception as error:
        if debug:
            traceback.print_exc()
        _discard_what_stdout_refuses()
        line, exit_status = describe_failure(error)
        if is_told_elsewhere(error):
            sleep(SECONDS_TO_SPEAK)
        else:
            say(f"alexnet: error: {line}")
        return exit_status
    return 0


def _run(arguments: list[str]) -> None:
    verb = arguments[0]
    if verb not in VERBS and not verb.startswith("-"):
        raise UnknownNameError("verb", verb, VERBS)
    command = typer.main.get_command(_app())
    with command.make_context("alexnet", arguments) as context:
        command.invoke(context)


def _app() -> typer.Typer:
    modules = {verb: import_module(home) for verb, home in VERBS.items()}
    examples = [f"alexnet {verb} {module.EXAMPLE}".rstrip() for verb, module in modules.items()]
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.callback(epilog="\b\nExamples:\n  " + "\n  ".join(examples))(_options)
    for (verb, module), example in zip(modules.items(), examples, strict=True):
        function = getattr(module, verb)
        what = (function.__doc__ or "").split("\n", 1)[0]  # given whole, or it would be cut for the list of verbs
        app.command(verb, short_help=what, epilog=f"{EXAMPLE}{example}")(function)
    return app


def _print_version(asked: bool) -> None:
    if asked:
        print(f"alexnet {alexnet.__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option(DEBUG, help="Show the traceback of a failure.")] = False,
) -> None:
    """AlexNet as it was in 2012, at the speed of today's hardware."""


def _replace_what_the_terminal_cannot_show() -> None:
    """A class name or a bar must not stop a run where only ASCII can be printed."""
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="replace")


def _discard_what_stdout_refuses() -> None:
    """On a full disk or a closed pipe."""
    try:
        sys.stdout.flush()
    except OSError:
        discard(sys.stdout)
