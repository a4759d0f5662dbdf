"""``edgewright run``: inference."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgewright.cli.session import Debug, Json, On, emit, messages, verb

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the verb to the program."""
    app.command("run")(run_bundle)


@verb
def run_bundle(
    bundle: Annotated[Path, typer.Argument(help="The bundle's folder.")],
    inputs: Annotated[
        Path, typer.Option("-i", "--inputs", help="An .npz file with an array for each input.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The .npz file to write, one array an output.")
    ],
    on: On = "host",
    threads: Annotated[int, typer.Option(help="Threads that share the work.")] = 1,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Run a bundle on arrays of an .npz file."""
    from edgewright import api
    from edgewright.tensor_files import read_npz, write_npz

    loaded = api.load(bundle)
    arrays = loaded.run(read_npz(inputs), on=on, threads=threads)
    write_npz(output, arrays)
    if as_json:
        emit(
            {
                "output": str(output),
                "outputs": {
                    name: {"shape": list(array.shape), "dtype": array.dtype.name}
                    for name, array in arrays.items()
                },
            }
        )
    else:
        messages().print(f"Wrote {output}", markup=False, soft_wrap=True)
