"""A parameter file becomes a Recipe: rates, momenta, decay and limits of every row, as written.

What the files do not say, because the command line of 2012 did, is of net 145's run or of the CIFAR-10 nets': epochs,
batch size, crops, colour noise. Source: 2012 release, layer.py and lr.py.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from alexnet.arch.rows import Conv
from alexnet.arch.spec import Spec
from alexnet.errors import InputError
from alexnet.interop.cuda_convnet.config import Section
from alexnet.interop.cuda_convnet.definition import LARGE_INPUT, Definition
from alexnet.interop.cuda_convnet.draft import Bank
from alexnet.recipes import RECIPES, DExp, Exp, FilterLimits, Linear, Momenta, Rates, Recipe, Schedule, Steps

_LIKE_NET_145, _LIKE_CIFAR, _LIKE_CIFAR_CROPS = "krizhevsky-145", "cifar-18pct", "cifar-11pct"
_CIFAR_CROP = 24  # pixels a side, of CIFAR-10's 32

_SCHEDULE = re.compile(r"(?P<kind>\w+)\s*(?:\[(?P<settings>[^\]]*)\])?")
_KINDS = ("linear", "exp", "dexp", "jdexp")


def like_published(spec: Spec) -> Recipe:
    """The recipe of what was published for such images: net 145, if they are large or its first convolution has a
    stride, as only large ones allow; else the nets for CIFAR-10, by crops if they are of the size of those.
    """
    first = next((row for row in spec.rows if isinstance(row, Conv)), None)
    if spec.input[1] >= LARGE_INPUT or (first and first.stride > 1):
        return RECIPES[_LIKE_NET_145]
    return RECIPES[_LIKE_CIFAR_CROPS if spec.input[1] == _CIFAR_CROP else _LIKE_CIFAR]


def recipe_of(definition: Definition, sections: Mapping[str, Section], *, name: str, source: str) -> Recipe:
    """How the net was trained by a parameter file with these sections.

    Raises:
        InputError: a layer without its section, or a key that is missing or cannot be; names file, line, layer and key.
    """
    like = like_published(definition.spec)
    rates: dict[str, Rates] = {}
    momenta: dict[str, Momenta] = {}
    decay: dict[str, float] = {}
    limits: dict[str, FilterLimits] = {}
    for row, banks in definition.banks.items():
        section = _section(sections, banks[0], definition)
        count, index = len(definition.sections[banks[0].layer].items("inputs")), banks[0].place
        rates[row] = Rates(
            weights=read_schedule(section, "schedW", section.reals("epsW", count)[index]),
            biases=read_schedule(section, "schedB", section.real("epsB")),
        )
        momenta[row] = Momenta(section.reals("momW", count)[index], section.real("momB"))
        decay[row] = section.reals("wc", count, 0.0)[index]
        limits[row] = FilterLimits(
            longest=section.reals("wball", count, 0.0)[index],
            least=section.reals("wcNormMin", count, 0.0)[index],
            most=section.reals("wcNormMax", count, 0.0)[index],
        )
        for key in ("superEps", "superMom"):
            if section.real(key, 0.0):
                section.refuse("is in no released file, and is not read", key)
    if definition.cost not in sections:
        definition.sections[definition.cost].refuse(f"{source} has no section [{definition.cost}], with its coeff")
    if not any(rate.base for each in rates.values() for rate in (each.weights, each.biases)):
        raise InputError(f"{source}: all rates are 0, so that nothing would learn")
    return replace(
        like,
        name=name,
        source=source,
        rates=rates[definition.spec.classifier_rows[0].name],
        row_rates=rates,
        row_momenta=momenta,
        weight_decay=0.0,
        row_decay=decay,
        row_limits={row: limit for row, limit in limits.items() if limit != FilterLimits()},
        loss=definition.loss,
        loss_coefficient=sections[definition.cost].real("coeff"),
        hold_steps=0,
    )


def read_schedule(section: Section, key: str, base: float) -> Schedule:
    """The schedule of a rate that begins at `base`: as released, or as older files have it.

    `default`; `dexp[tgtFactor=250,noiseStdev=0,numSteps=4]`; the same without names, of which two for dexp and jdexp
    are the factor and the number of steps.
    """
    text = section.text(key, "default").strip()
    found = _SCHEDULE.fullmatch(text)
    if found is None or found["kind"] not in ("default", *_KINDS):
        section.refuse(f"{text!r} is no schedule; known: default, {', '.join(f'{kind}[...]' for kind in _KINDS)}", key)
    kind = found["kind"]
    if kind == "default" or not base:
        return Steps(base)
    settings = _settings(section, key, kind, found["settings"] or "")
    factor, noise = settings["tgtfactor"], settings["noisestdev"]
    if factor <= 0 or noise < 0:
        section.refuse(f"{text!r} needs a factor above 0 and no noise below 0", key)
    if kind == "linear":
        return Linear(base, base / factor, noise)
    if kind == "exp":
        return Exp(base, factor, noise)
    steps = settings["numsteps"]
    if steps != int(steps) or steps < 1:
        section.refuse(f"{text!r} needs a whole number of steps, at least 1", key)
    return DExp(base, factor, int(steps), smooth=kind == "jdexp", noise=noise)


def _settings(section: Section, key: str, kind: str, text: str) -> dict[str, float]:
    """tgtfactor, noisestdev and numsteps, named or by their places."""
    names = ["tgtfactor", "noisestdev", "numsteps"][: 3 if kind.endswith("dexp") else 2]
    found = {"noisestdev": 0.0}
    items = [item.strip() for item in text.split(",")]
    if len(names) == 3 and len(items) == 2 and "=" not in text:
        names.remove("noisestdev")
    for place, item in enumerate(items):
        name, has_name, value = (part.strip() for part in item.partition("="))
        name, value = (name.lower(), value) if has_name else (names[place] if place < len(names) else "", name)
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if name not in ("tgtfactor", "noisestdev", "numsteps") or not abs(number) < float("inf"):
            section.refuse(f"{item!r} is no setting of {kind}: {', '.join(names)}", key)
        found[name] = number
    if missing := [name for name in names if name not in found]:
        section.refuse(f"{kind} needs {', '.join(missing)}", key)
    return found


def _section(sections: Mapping[str, Section], bank: Bank, definition: Definition) -> Section:
    if bank.layer not in sections:
        file = next((section.file for section in sections.values()), "the parameter file")
        definition.sections[bank.layer].refuse(f"{file} has no section [{bank.layer}], which says how it is trained")
    return sections[bank.layer]
