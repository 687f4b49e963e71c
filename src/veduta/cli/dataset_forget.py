"""``veduta dataset forget``: photos that somebody does not want here."""

from __future__ import annotations

from typing import Annotated

import typer

from veduta.cli.job import say


def forget(
    what: Annotated[
        str,
        typer.Argument(
            metavar="URL-OR-AUTHOR",
            help="The address of a photo, of its page, or an author's name.",
            show_default=False,
        ),
    ],
) -> None:
    """Remove photos that were fetched from the internet, by their address, their page or their author.

    \b
    veduta dataset forget https://www.flickr.com/photos/ada/123
    veduta dataset forget "Ada Lovelace"

    They go from every collection of `veduta classify`, are never fetched again, and models that learnt from them are
    marked; `veduta classify --retrain` learns anew without them.
    """
    from veduta.workflows.forget import forget as forget_photos

    removed = forget_photos(what)
    say(f"removed {removed.photos:,} photo{'s' * (removed.photos != 1)}; none will be fetched again.")
    if removed.collections:
        say(f"from: {', '.join(removed.collections)}")
    for name in removed.models:
        say(f"the model {name} learnt from them and is marked; make it anew: veduta classify --retrain -c CLASSES")
