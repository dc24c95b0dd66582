"""`python -m bench NAME`: run one benchmark and print what it measured."""

from __future__ import annotations

import argparse

from bench import browse, connect, edit, flood, ingest, loss, outage, slow_clients, storm, web

#: Benchmarks by name; each adds its arguments to a parser and runs with what was given.
BENCHMARKS = {
    "browse": browse,
    "connect": connect,
    "edit": edit,
    "flood": flood,
    "ingest": ingest,
    "loss": loss,
    "outage": outage,
    "slow-clients": slow_clients,
    "storm": storm,
    "web": web,
}


def main() -> int:
    """Run the benchmark that the command line names; return the exit status."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    commands = parser.add_subparsers(dest="name", required=True)
    for name, module in BENCHMARKS.items():
        summary = (module.__doc__ or "").partition("\n")[0]
        module.add_arguments(commands.add_parser(name, help=summary, description=summary))
    arguments = parser.parse_args()
    status: int = BENCHMARKS[arguments.name].run(arguments)
    return status


if __name__ == "__main__":
    raise SystemExit(main())
