"""What a trial found, in words, and the setting without which its numbers would mean nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

from alexnet.experiments.claims.claim import Study
from alexnet.experiments.claims.finding import Effect
from alexnet.experiments.claims.machine import describe_machine

_FORMATS = {"points": "{:+.2f}", "times": "{:.2f}", "share": "{:+.3f}"}
_UNITS = {"points": " points", "times": " times", "share": ""}


def describe_effects(effects: Sequence[Effect]) -> str:
    """Every effect with its interval and what would have been seen, one after the other."""
    return "; ".join(map(describe_effect, effects))


def describe_effect(effect: Effect) -> str:
    """`without LRN: top-1 +1.31 points (+0.42 to +2.20; 1.3 would be seen in 80 % of such trials)`."""
    number = _FORMATS[effect.unit].format
    more = []
    if effect.low is not None:
        more.append(
            f"{number(effect.low)} to {number(effect.high)}"
            if effect.high is not None
            else f"above {number(effect.low)}"
        )
    if effect.detectable is not None:
        more.append(f"{_least_seen(effect)} would be seen in 80 % of such trials")
    inside = f" ({'; '.join(more)})" if more else ""
    return f"{effect.what} {number(effect.value)}{_UNITS[effect.unit]}{inside}"


def _least_seen(effect: Effect) -> str:
    """No difference of errors is of 100 points."""
    assert effect.detectable is not None
    return "none" if effect.unit == "points" and effect.detectable >= 100 else f"{effect.detectable:.2g}"


def describe_training(study: Study, runs: Sequence[Mapping[str, Any]], **more: Any) -> dict[str, Any]:
    """The setting of runs, as plain JSON; of each what `facts_of` its folder says. The runs of one trial may come from
    several machines, and be of the precisions that are fast there.
    """
    first, setting = runs[0], study.setting
    machines = [run["machine"] for run in runs]
    return {
        **describe_data(study),
        **more,
        **{name: first[name] for name in ("recipe", "batch_size")},
        "precision": _all_of("precision", runs),
        "epochs": setting.epochs,
        "seeds": setting.seeds,
        "limit_train_batches": study.asked.limit_train_batches,
        "machine": first["machine"] | {name: _all_of(name, machines) for name in ("device", "processor")},
    }


def _all_of(name: str, facts: Sequence[Mapping[str, Any]]) -> str:
    return " and ".join(dict.fromkeys(str(each[name]) for each in facts))


def describe_data(study: Study) -> dict[str, Any]:
    """On what errors were measured, as plain JSON."""
    held_out = study.held_out
    return {
        "data": study.dataset.name,
        "split": held_out,
        "images": len(study.dataset.split(held_out)),
        "views": "center",
    }


def describe_weights(study: Study, **more: Any) -> dict[str, Any]:
    """The setting of a look at what trained weights make of images, as plain JSON."""
    asked = study.asked
    return {
        **describe_data(study),
        "weights": list(asked.weights),
        **more,
        "machine": describe_machine(asked.device),
    }


def setting_line(setting: Mapping[str, Any]) -> str:
    """A setting in one line."""
    words = []
    if "images" in setting:
        words.append(f"{setting['data']} {setting['split']}, {setting['images']:,} images, views: {setting['views']}")
    if "gallery" in setting:
        words.append(f"neighbours among {setting['gallery']:,} of train")
    if "net" in setting:
        words += _training_words(setting)
    if "weights" in setting:
        words.append(f"weights {', '.join(setting['weights'])}")
    return "; ".join([*words, setting["machine"]["processor"]])


def _training_words(setting: Mapping[str, Any]) -> list[str]:
    words = [f"{setting['net']}, recipe {setting['recipe']}, {_duration(setting)}"]
    if limit := setting.get("limit_train_batches"):
        words.append(f"only {_count(limit, 'step')} an epoch")
    return [*words, f"{_count(setting['seeds'], 'seed')}, {setting['precision']} on {setting['machine']['device']}"]


def _duration(setting: Mapping[str, Any]) -> str:
    if "steps" in setting:
        return f"the first {_count(setting['steps'], 'step')} on {setting['data']}"
    epochs = _count(setting["epochs"], "epoch")
    if "child_epochs" in setting:
        children = " and ".join(setting["child_recipes"])
        return f"{epochs} of the parent; {setting['child_epochs']} of the children, by {children}"
    if "until_error" in setting:
        return f"until {setting['until_error']:.0%} training error, {epochs} at most"
    return epochs


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")
