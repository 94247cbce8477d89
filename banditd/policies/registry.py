"""Presets: policies by the field's names, with their parameters and ranges."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from banditd.domain.router import PolicySpec
from banditd.errors import InvalidArgumentError, Reason
from banditd.features.spec import FeatureKind
from banditd.policies.explorers import EXPLORERS
from banditd.policies.vowpal_options import check_command_line, check_interactions, require_vowpal


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a preset.

    Attributes:
        default: Its value where none is given.
        low: Least value, inclusive.
        high: Greatest value, inclusive.
        meaning: What it is, with its unit.
    """

    default: float
    low: float
    high: float
    meaning: str


@dataclass(frozen=True, slots=True)
class TextParameter:
    """A parameter of a preset that is a text.

    Attributes:
        default: Its value where none is given.
        check: Called with a value and the path of its field; returns the value in its plain form, or raises
            InvalidArgumentError.
        meaning: What it is.
    """

    default: str
    check: Callable[[str, str], str]
    meaning: str


@dataclass(frozen=True, slots=True)
class Preset:
    """A policy by name.

    Attributes:
        features: What the rows hold.
        explorer: Name of the explorer.
        parameters: Its parameters.
        belief: Name of the belief.
        texts: Those of its parameters that are texts.
    """

    features: FeatureKind
    explorer: str
    parameters: Mapping[str, Parameter]
    belief: str = "linear"
    texts: Mapping[str, TextParameter] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class ChangeParameters:
    """How a policy follows change; each field is the parameter of its name.

    Attributes:
        fades: Whether evidence grows old.
    """

    change_detection: bool
    newcomer_share: float
    newcomer_outcomes: int
    probe_share: float
    half_life_decisions: float
    half_life_hours: float
    stale_half_life_decisions: float
    fades: bool = field(init=False)

    def __post_init__(self) -> None:
        ages = self.half_life_decisions, self.half_life_hours, self.stale_half_life_decisions
        object.__setattr__(self, "fades", any(age > 0.0 for age in ages))


@dataclass(frozen=True, slots=True)
class PolicyParameters:
    """A resolved policy: every parameter has a value.

    Attributes:
        preset: Name of the preset.
        features: What the rows hold.
        explorer: The explorer, a value of `EXPLORERS`.
        exploration: The explorer's own parameter.
        floor: Share of uniform exploration mixed in: each of K eligible models has at least floor / K.
        slope_penalty: Prior precision of each slope, in units of the noise precision; of quality, until data choose it.
        intercept_penalty: Prior precision of the intercept, in the same units.
        retention: Factor on old evidence of a model per new piece of it; 1 forgets nothing.
        change: How it follows change.
        shrinkage: Whether the data choose the penalty of the slopes of quality: 0 for no.
        observation_weighting: Largest weight of a quality that was unlikely to arrive; up to 1 for all alike.
        values: All parameters by name.
        belief: Name of the belief.
        texts: All parameters that are texts, by name.
    """

    preset: str
    features: FeatureKind
    explorer: int
    exploration: float
    floor: float
    slope_penalty: float
    intercept_penalty: float
    retention: float
    change: ChangeParameters
    shrinkage: float
    observation_weighting: float
    values: Mapping[str, float]
    belief: str
    texts: Mapping[str, str]

    @property
    def has_fixed_objective(self) -> bool:
        """Whether the trade-off is part of all that is learnt, so that no request can have another."""
        return self.belief == "vowpal"

    @property
    def learns_objective(self) -> bool:
        """Whether the trade-off is part of anything that is learnt."""
        return self.has_fixed_objective or any(
            PRESETS[name].belief == "vowpal" for name in self.texts.get("members", "").split()
        )


_FLOOR = Parameter(0.005, 0.0, 1.0, "share of uniform exploration mixed in; 0 forgoes off-policy evaluation")
_SLOPE = Parameter(1.0, 1e-6, 1e6, "prior precision of a slope, in units of the noise precision")
_INTERCEPT = Parameter(1.0, 1e-6, 1e6, "prior precision of the intercept, in units of the noise precision")
_RETENTION = Parameter(1.0, 0.5, 1.0, "factor on a model's old evidence per new piece of it; 1 forgets nothing")
_HALF_LIFE_MAX = 1e9
# See `ChangeParameters`. The share of a newcomer is what finding out costs at most: at 0.2, fifteen outcomes take some
# seventy-five decisions, and a model that is worth nothing has had fifteen of them.
_CHANGE: Final[Mapping[str, Parameter]] = MappingProxyType(
    {
        "change_detection": Parameter(1.0, 0.0, 1.0, "1: a detected change opens the metric's regression; 0: never"),
        "newcomer_share": Parameter(0.2, 0.0, 1.0, "largest share of all models that came later and are not yet known"),
        "newcomer_outcomes": Parameter(15.0, 0.0, 1e6, "qualities after which a model is known"),
        "probe_share": Parameter(0.05, 0.0, 1.0, "largest share of a model that is coming back after failures"),
        "half_life_decisions": Parameter(
            0.0, 0.0, _HALF_LIFE_MAX, "decisions of the router in which a model's evidence halves; 0: never"
        ),
        "half_life_hours": Parameter(0.0, 0.0, _HALF_LIFE_MAX, "hours in which a model's evidence halves; 0: never"),
        "stale_half_life_decisions": Parameter(
            0.0, 0.0, _HALF_LIFE_MAX, "as half_life_decisions, but only while nothing is seen of the model; 0: never"
        ),
    }
)
_SHRINKAGE = Parameter(1.0, 0.0, 1.0, "1: the data choose the penalty of the slopes of quality; 0: it stays as given")
# Of a rate of one in fifty, a weight of 10 still corrects a factor of ten; variance grows with the bound.
_OBSERVATION = Parameter(
    0.0, 0.0, 100.0, "largest weight of a quality that was unlikely to arrive; up to 1: all count alike"
)
_ALPHA = Parameter(1.5, 0.0, 100.0, "standard deviations of optimism")


def _preset(features: FeatureKind, explorer: str, **own: Parameter) -> Preset:
    shared = {
        "floor": _FLOOR,
        "slope_penalty": _SLOPE,
        "intercept_penalty": _INTERCEPT,
        "retention": _RETENTION,
        "shrinkage": _SHRINKAGE,
        "observation_weighting": _OBSERVATION,
        **_CHANGE,
    }
    return Preset(features, explorer, MappingProxyType(shared | own))


def _tabled(belief: str, features: FeatureKind, **own: Parameter) -> Preset:
    """Return a preset whose belief is no regression: it has no penalties, and forgets nothing."""
    return Preset(features, "ucb", MappingProxyType({"floor": _FLOOR, "alpha": _ALPHA, **_CHANGE} | own), belief)


def _vowpal(command_line: str) -> Preset:
    """Return a preset of Vowpal Wabbit; costs and latencies are expected by a linear belief beside it."""
    texts = {
        "command_line": TextParameter(
            f"--cb_explore_adf {command_line}", check_command_line, "Vowpal Wabbit's options, without interactions"
        ),
        "interactions": TextParameter(
            "sa ca",
            check_interactions,
            "pairs (or more) of namespaces: s embedding and length, c category, a model, m its price, provider, tags",
        ),
    }
    parameters = {"floor": _FLOOR, "slope_penalty": _SLOPE, "intercept_penalty": _INTERCEPT, **_CHANGE}
    return Preset(FeatureKind.LINEAR, "greedy", MappingProxyType(parameters), "vowpal", MappingProxyType(texts))


def _check_members(value: str, field: str) -> str:
    """Return the names of a portfolio's members with one blank between them; refuse what none can be made of."""
    names = value.split()
    allowed = sorted(
        name
        for name, preset in PRESETS.items()
        if preset.belief in _MEMBER_BELIEFS and (preset.explorer == "ucb" or preset.belief == "vowpal")
        if preset.features in _MEMBER_FEATURES
    )
    if not set(names) <= set(allowed) or len(set(names)) != len(names) or len(names) > _MEMBERS_MAX:
        raise InvalidArgumentError(
            Reason.BAD_POLICY_PARAMETER,
            field,
            f"at most {_MEMBERS_MAX} different ones of {', '.join(allowed)}",
            repr(value[:64]),
        )
    vowpal = [name for name in names if PRESETS[name].belief == "vowpal"]
    if len(vowpal) == len(names):
        raise InvalidArgumentError(
            Reason.BAD_POLICY_PARAMETER, field, "a member besides those of Vowpal Wabbit", repr(value[:64])
        )
    if vowpal:
        require_vowpal()
    return " ".join(names)


_MEMBERS_MAX: Final = 8
_MEMBER_BELIEFS: Final = frozenset({"linear", "category", "knn", "vowpal"})
_MEMBER_FEATURES: Final = frozenset({FeatureKind.LINEAR, FeatureKind.CLUSTERS, FeatureKind.INTERCEPT_ONLY})

# The explorer's own parameter has a name of its own in each preset.
_EXPLORATION_NAMES: Final = ("alpha", "deviation_scale", "gamma_scale", "temperature")

PRESETS: Final[Mapping[str, Preset]] = MappingProxyType(
    {
        "linucb": _preset(FeatureKind.LINEAR, "ucb", alpha=_ALPHA),
        "lin_thompson": _preset(
            FeatureKind.LINEAR, "thompson", deviation_scale=Parameter(0.6, 0.0, 100.0, "factor on the deviations")
        ),
        "squarecb": _preset(
            FeatureKind.LINEAR,
            "inverse_gap",
            gamma_scale=Parameter(50.0, 0.0, 1e6, "gamma = gamma_scale * sqrt(qualities learnt + 1)"),
        ),
        "epsilon_greedy": _preset(
            FeatureKind.LINEAR, "greedy", floor=Parameter(0.03, 0.0, 1.0, "share of uniform exploration: epsilon")
        ),
        "softmax": _preset(
            FeatureKind.LINEAR, "softmax", temperature=Parameter(0.025, 1e-9, 1e6, "utility that counts as one e-fold")
        ),
        "adaptive": _preset(
            FeatureKind.LINEAR,
            "ucb",
            alpha=Parameter(2.0, _ALPHA.low, _ALPHA.high, _ALPHA.meaning),
            retention=Parameter(0.995, 0.5, 1.0, _RETENTION.meaning),
        ),
        "nonlinear": _preset(
            FeatureKind.FOURIER,
            "ucb",
            alpha=_ALPHA,
            slope_penalty=Parameter(0.3, _SLOPE.low, _SLOPE.high, _SLOPE.meaning),
        ),
        "duel": Preset(
            FeatureKind.LINEAR,
            "ucb",
            MappingProxyType(
                {
                    "floor": _FLOOR,
                    "alpha": _ALPHA,
                    "slope_penalty": Parameter(16.0, 1e-6, 1e6, "prior precision of a slope of the utility, in logits"),
                    "intercept_penalty": Parameter(
                        1.0, 1e-6, 1e6, "prior precision of the intercept of the utility, in logits"
                    ),
                    "observation_weighting": _OBSERVATION,
                    **_CHANGE,
                }
            ),
            "duel",
        ),
        "constant": _preset(FeatureKind.INTERCEPT_ONLY, "ucb", alpha=_ALPHA),
        "uniform": _preset(
            FeatureKind.INTERCEPT_ONLY, "greedy", floor=Parameter(1.0, 1.0, 1.0, "1: every eligible model alike")
        ),
        "category": _tabled("category", FeatureKind.CLUSTERS, observation_weighting=_OBSERVATION),
        "knn": _tabled(
            "knn",
            FeatureKind.LINEAR,
            alpha=Parameter(2.0, _ALPHA.low, _ALPHA.high, _ALPHA.meaning),
            neighbours=Parameter(192.0, 1.0, 256.0, "nearest prompts per model; whole number"),
        ),
        "portfolio": Preset(
            FeatureKind.LINEAR,
            "ucb",
            MappingProxyType(
                {
                    "floor": _FLOOR,
                    "alpha": _ALPHA,
                    "slope_penalty": _SLOPE,
                    "intercept_penalty": _INTERCEPT,
                    "shrinkage": _SHRINKAGE,
                    "member_share": Parameter(0.01, 1e-6, 0.125, "least weight of each member"),
                    "memory": Parameter(2000.0, 1.0, 1e9, "decisions after which a member's record counts a third"),
                    **_CHANGE,
                }
            ),
            "portfolio",
            MappingProxyType(
                {
                    "members": TextParameter(
                        "linucb category knn constant",
                        _check_members,
                        "presets that it is made of; the first one's errors are watched for change",
                    )
                }
            ),
        ),
        "vowpal_squarecb": _vowpal("--squarecb --gamma_scale 100"),
        "vowpal_cover": _vowpal("--cover 5 --cb_type mtr --clip_p 0.1"),
        "vowpal_bag": _vowpal("--bag 5 --clip_p 0.1"),
        "vowpal_softmax": _vowpal("--softmax --lambda 40 --clip_p 0.1"),
        "vowpal_epsilon": _vowpal("--epsilon 0.05 --clip_p 0.1"),
    }
)


def resolve(spec: PolicySpec, field: str = "policy") -> PolicyParameters:
    """Return *spec* with every parameter filled in.

    Args:
        spec: Name and parameters.
        field: Path of the field that holds it, for messages.

    Raises:
        InvalidArgumentError: `UNKNOWN_POLICY` or `BAD_POLICY_PARAMETER`.
    """
    preset = PRESETS.get(spec.preset)
    if preset is None:
        raise InvalidArgumentError(
            Reason.UNKNOWN_POLICY, f"{field}.preset", "one of " + ", ".join(sorted(PRESETS)), repr(spec.preset[:64])
        )
    for name, value in spec.parameters.items():
        parameter = preset.parameters.get(name)
        if parameter is None:
            raise InvalidArgumentError(
                Reason.BAD_POLICY_PARAMETER,
                f"{field}.parameters",
                f"names among {', '.join(sorted(preset.parameters))}",
                repr(name[:64]),
            )
        if not (math.isfinite(value) and parameter.low <= value <= parameter.high):
            raise InvalidArgumentError(
                Reason.BAD_POLICY_PARAMETER,
                f"{field}.parameters[{name!r}]",
                f"{parameter.low:g}..{parameter.high:g}",
                f"{value:g}",
            )
    for name in spec.texts:
        if name not in preset.texts:
            raise InvalidArgumentError(
                Reason.BAD_POLICY_PARAMETER,
                f"{field}.texts",
                f"names among {', '.join(sorted(preset.texts))}" if preset.texts else "none for this preset",
                repr(name[:64]),
            )
    texts = {
        name: text.check(spec.texts.get(name, text.default), f"{field}.texts[{name!r}]")
        for name, text in preset.texts.items()
    }
    values = {name: spec.parameters.get(name, parameter.default) for name, parameter in preset.parameters.items()}
    return PolicyParameters(
        preset=spec.preset,
        features=preset.features,
        explorer=EXPLORERS[preset.explorer],
        exploration=next((values[name] for name in _EXPLORATION_NAMES if name in values), 0.0),
        floor=values["floor"],
        slope_penalty=values.get("slope_penalty", _SLOPE.default),
        intercept_penalty=values.get("intercept_penalty", _INTERCEPT.default),
        retention=values.get("retention", _RETENTION.default),
        change=ChangeParameters(
            change_detection=values["change_detection"] >= 0.5,
            newcomer_share=values["newcomer_share"],
            newcomer_outcomes=int(values["newcomer_outcomes"]),
            probe_share=values["probe_share"],
            half_life_decisions=values["half_life_decisions"],
            half_life_hours=values["half_life_hours"],
            stale_half_life_decisions=values["stale_half_life_decisions"],
        ),
        shrinkage=values.get("shrinkage", 0.0),
        observation_weighting=values.get("observation_weighting", 0.0),
        values=MappingProxyType(values),
        belief=preset.belief,
        texts=MappingProxyType(texts),
    )
