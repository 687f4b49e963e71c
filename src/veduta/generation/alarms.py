"""What goes wrong when a generator is trained, noticed by figures: each alarm says what it means and what to try."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

AlarmName = Literal["one_colour", "mode_collapse", "discriminator_wins", "discriminator_lost", "memorising"]

#: A picture whose pixels differ this little, beside those of photos, is of one colour.
ONE_COLOUR = 0.25
#: Generated pictures whose features differ this little, beside those of as many photos, are all alike.
COLLAPSED = 0.5
#: The share that a discriminator at 100/0 calls right; below 1 minus that it calls nothing right.
CERTAIN = 0.995
#: So many copies would be seen by chance once in a thousand looks: a training has dozens.
UNLIKELY = 0.001
#: In the first steps everything is grey and alike.
WARM_UP_STEPS = 300


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm: ``figure`` is what was measured, ``limit`` what it has passed."""

    name: AlarmName
    figure: float
    limit: float
    sentence: str


@dataclass(frozen=True, slots=True)
class Signs:
    """What alarms are told by.

    ``contrast``: the standard deviation of a picture's pixels, the mean over pictures, as a share of photos'.
    ``diversity``, ``within``: of the features of some generated pictures, over all and within classes, as a share of
    that of as many photos.
    ``real_right``, ``made_right``: the shares that the discriminator called right since the last look.
    ``closer``: how many of ``pictures`` are closer to a training photo than one in a hundred held-out photos is, and
    ``by_chance`` how likely so many are where none is a copy; None and 1 where too few were held out to say.
    """

    step: int
    contrast: float
    diversity: float
    within: float
    real_right: float
    made_right: float
    closer: int | None
    by_chance: float
    pictures: int


def alarms(signs: Signs) -> list[Alarm]:
    """All that ring."""
    if signs.step < WARM_UP_STEPS:
        return []
    found = []
    if signs.contrast < ONE_COLOUR:
        found.append(
            Alarm(
                "one_colour",
                signs.contrast,
                ONE_COLOUR,
                f"the pictures are nearly of one colour (their contrast is {signs.contrast:.0%} of the photos'): the "
                "generator has left what the discriminator can teach. Go back to the checkpoint before, or start again "
                "with a lower rate (--rate).",
            )
        )
    alike = min(signs.diversity, signs.within)
    if alike < COLLAPSED:
        where = "" if signs.diversity < COLLAPSED else " of each class"
        found.append(
            Alarm(
                "mode_collapse",
                alike,
                COLLAPSED,
                f"the pictures{where} are nearly all alike (their diversity is {alike:.0%} of the photos'): mode "
                "collapse. Try --preset fastgan, augmentation (--augment), a lower rate (--rate), or more photos.",
            )
        )
    if signs.real_right >= CERTAIN and signs.made_right >= CERTAIN:
        found.append(
            Alarm(
                "discriminator_wins",
                min(signs.real_right, signs.made_right),
                CERTAIN,
                f"the discriminator is never wrong ({signs.real_right:.1%} of the photos and {signs.made_right:.1%} of "
                "the generated pictures are called right): it has learnt the photos by heart, and the generator learns "
                "nothing from it. Try augmentation (--augment), more photos, fewer filters, or a lower rate for the "
                "discriminator (--discriminator-rate).",
            )
        )
    if min(signs.real_right, signs.made_right) <= 1 - CERTAIN:
        called = "all pictures real" if signs.made_right < signs.real_right else "all photos generated"
        found.append(
            Alarm(
                "discriminator_lost",
                min(signs.real_right, signs.made_right),
                1 - CERTAIN,
                f"the discriminator calls {called} ({signs.real_right:.1%} of the photos and "
                f"{signs.made_right:.1%} of the generated pictures are called right): it tells the generator nothing. "
                "Try a higher rate for the discriminator (--discriminator-rate), or more filters.",
            )
        )
    if signs.closer is not None and signs.by_chance < UNLIKELY:
        found.append(
            Alarm(
                "memorising",
                signs.by_chance,
                UNLIKELY,
                f"{signs.closer:,} of {signs.pictures:,} generated pictures are closer to a training photo than one in "
                "a hundred held-out photos is, which is no chance: copies. Try more photos, augmentation (--augment), "
                "or stop earlier.",
            )
        )
    return found
