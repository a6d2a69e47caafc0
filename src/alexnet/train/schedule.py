"""Learning rates as functions of a run's progress (facts of the 2012 release: lr.cu, the parameter files' logs)."""

from math import ceil

from alexnet.recipes import DExp, Exp, Linear, Plateau, Poly, Recipe, Schedule, Steps

# A held first rate takes at most this part of the run, so that every run ends with its small rates. Ours.
MOST_OF_THE_RUN = 0.7

SMOOTH_FROM, SMOOTH_UNTIL = 0.2, 0.9  # of the 2012 release's `jdexp`


def rate_at(schedule: Schedule, progress: float, plateaus: int = 0) -> float:
    """The rate at `progress` (0 to 1); `plateaus` counts how often validation error has stopped improving."""
    match schedule:
        case Steps():
            return next((rate for start, rate in reversed(schedule.drops) if progress >= start), schedule.base)
        case DExp() if schedule.frozen_from is not None and progress >= schedule.frozen_from:
            return 0.0
        case DExp(num_rates=1):
            return schedule.base
        case DExp():
            # Rate i holds while progress <= (i + 1) / n: the boundary itself still belongs to the earlier rate.
            index = min(max(ceil(progress * schedule.num_rates) - 1, 0), schedule.num_rates - 1)
            between = index - 0.5 if schedule.smooth and _is_second_half(progress, index, schedule.num_rates) else index
            return float(schedule.base * schedule.factor ** (-between / (schedule.num_rates - 1)))
        case Exp():
            return float(schedule.base * schedule.factor**-progress)
        case Linear():
            return schedule.base * (1 - progress) + schedule.final * progress
        case Poly():
            return float(schedule.base * (1 - progress) ** schedule.power)
        case Plateau():
            return float(schedule.base / schedule.factor ** min(plateaus, schedule.times))


def _is_second_half(progress: float, index: int, num_rates: int) -> bool:
    """Whether a rate but the first has been in force for half of its time; not at either end of the run."""
    return index > 0 and SMOOTH_FROM < progress < SMOOTH_UNTIL and progress > (index + 0.5) / num_rates


def recipe_progress(recipe: Recipe, step: int, total_steps: int) -> float:
    """Where the recipe stands at `step` of `total_steps`: step / total_steps, bent where the first rate is held."""
    progress = step / total_steps
    weights = recipe.rates.weights
    if not recipe.hold_steps or not isinstance(weights, Steps) or not weights.drops:
        return progress
    first_drop = weights.drops[0][0]
    held = min(recipe.hold_steps / total_steps, MOST_OF_THE_RUN)
    if held <= first_drop:
        return progress
    if progress < held:
        return progress * first_drop / held
    return first_drop + (progress - held) * (1 - first_drop) / (1 - held)


def warmup_share(recipe: Recipe, step: int) -> float:
    """What part of its rates a recipe gives update number `step` (from 0): all, once it has warmed up."""
    return min(1.0, (step + 1) / recipe.warmup_steps) if recipe.warmup_steps else 1.0


def crops_by_epoch(recipe: Recipe, crop: int) -> tuple[int, ...]:
    """The side of each epoch's images where the net's own is `crop`; nothing where they are all of that size.

    The last epoch is of the net's own, however short the run: its errors are measured, and it is used, at that size.
    """
    growing = range(recipe.epochs - 1)
    sides = (*(round(crop * rate_at(recipe.image_share, epoch / recipe.epochs)) for epoch in growing), crop)
    return () if set(sides) == {crop} else sides
