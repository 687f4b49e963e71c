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
    ``diversity``: of the features of some generated pictures, as a share of that of as many photos.
    ``real_right``, ``made_right``: the shares that the discriminator called right since the last look.
    ``nearest``: the first percentile of the distance of generated pictures to the nearest training photo, and
    ``nearest_held_out`` the same of photos that were held out; None where none were.
    """

    step: int
    contrast: float
    diversity: float
    real_right: float
    made_right: float
    nearest: float
    nearest_held_out: float | None


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
    if signs.diversity < COLLAPSED:
        found.append(
            Alarm(
                "mode_collapse",
                signs.diversity,
                COLLAPSED,
                f"the pictures are nearly all alike (their diversity is {signs.diversity:.0%} of the photos'): mode "
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
        side = "real" if signs.made_right < signs.real_right else "generated"
        found.append(
            Alarm(
                "discriminator_lost",
                min(signs.real_right, signs.made_right),
                1 - CERTAIN,
                f"the discriminator calls everything {side} ({signs.real_right:.1%} of the photos and "
                f"{signs.made_right:.1%} of the generated pictures are called right): it tells the generator nothing. "
                "Try a higher rate for the discriminator (--discriminator-rate), or more filters.",
            )
        )
    if signs.nearest_held_out is not None and signs.nearest < signs.nearest_held_out:
        found.append(
            Alarm(
                "memorising",
                signs.nearest,
                signs.nearest_held_out,
                "generated pictures are closer to training photos than other real photos are (first percentile of the "
                f"distance {signs.nearest:.3f}, of held-out photos {signs.nearest_held_out:.3f}): copies. Try more "
                "photos, augmentation (--augment), or stop earlier.",
            )
        )
    return found
