"""Vowpal Wabbit as a whole policy, through vowpal-wabbit-next: any `--cb_explore_adf` command line.

Vowpal Wabbit learns one number per decision: its cost, by how much the utility at the router's trade-off, cut to
[-1, 1], fell short of 1. (What it has not seen it expects to cost nothing: the best there is, so that it is tried. With
the negative utility, which starts as the worst, regret on the linear stream is half as much again.) So the trade-off is
part of what it learns. When the router's changes, the model is learnt anew from the log; a trade-off of a single
request it cannot follow, and a request that asks for one is refused. Limits, and what a reply says of quality, cost and
latency, come from a linear belief that learns the same outcomes beside it.

An example is a shared one, with the embedding as a dense namespace `s` (its length behind it) and the caller's category
in `c`, and one per eligible model, with its name in `a` and its price, provider and tags in `m`.

**State.** The library stores a model, but not all of it: the random numbers of `--bag`, `--rnd` and the mean costs of
`--cb_type dr` go on differently after loading. So loading is made part of the fold: after every CHECKPOINT examples the
model is stored and loaded, and a snapshot is the last stored model and the examples since. It is then the same bits
live, after a restart and in a replay. The library also loads a cut or altered model without a word; so a digest and a
size stand beside it, and both are checked.

**Threads.** A workspace cannot predict while it learns. Two of them take turns: one serves the newest snapshot, the
other is taught what both have not seen, and then becomes the one that serves. Loading a copy instead takes 7 ms for
each publication, teaching a second workspace some 50 us for each outcome. A third learns and never predicts, for the
library counts predictions in what it stores, and what is stored must be a function of the log.
"""

import contextlib
import hashlib
import json
import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from banditd.domain.arrays import AnyArray, Array16, Array32, Array64, Mask
from banditd.domain.comparison import Comparison
from banditd.domain.context import Context
from banditd.domain.decision import Decision, Exclusion, Objective
from banditd.domain.model import ModelSpec
from banditd.domain.outcome import Lesson
from banditd.domain.records import PastChoice
from banditd.domain.router import RouterSpec
from banditd.errors import DataLossError, Reason
from banditd.features.encode import length_feature
from banditd.features.spec import FeatureSpec
from banditd.kernels.decision import SECONDS_PER_MS
from banditd.policies.base import ModelSummary, Prediction, Question, Residuals
from banditd.policies.beliefs.linear import LinearBelief
from banditd.policies.beliefs.linear_snapshot import LinearSnapshot
from banditd.policies.registry import PolicyParameters
from banditd.policies.vowpal_options import FIXED_OPTIONS, require_vowpal

# Examples after which the model is stored and loaded. A restart teaches at most as many again: 60 ms.
CHECKPOINT: Final = 1024
UTILITY_MAX: Final = 1.0
_DIGEST_BYTES: Final = 32
_LINEAR: Final = "linear/"
# A price of a dollar per million tokens is the middle; a factor of 1,000 either way is as far as -1 and 1.
_PRICE_SCALE: Final = 1.0 / math.log(1000.0)
_PRICE_MTOK_USD_MIN: Final = 1e-6


def feature_index(namespace: str, name: str) -> int:
    """Return the index of a named feature: 32 bits of BLAKE2b, which Vowpal Wabbit cuts to the width of its table."""
    return int.from_bytes(hashlib.blake2b(f"{namespace}^{name}".encode(), digest_size=4).digest(), "little")


@dataclass(frozen=True, slots=True)
class Action:
    """What Vowpal Wabbit sees of a model.

    Attributes:
        slot: Number of the model.
        model_id: Its name.
        price_log: Scaled log of its blended price; None where it has none.
        tags: Its tags.
    """

    slot: int
    model_id: str
    price_log: float | None
    tags: tuple[str, ...]


def action_of(model: ModelSpec) -> Action:
    """Return what is seen of a model."""
    price_log = None
    if model.price is not None:
        price_log = math.log(max(model.price.blended_mtok_usd, _PRICE_MTOK_USD_MIN)) * _PRICE_SCALE
    return Action(model.slot, model.model_id, price_log, model.tags)


def model_features(action: Action) -> tuple[AnyArray, Array32]:
    """Return indices and values of the namespace `m`: provider (what stands before a slash), price and tags."""
    features = [(f"tag={tag}", 1.0) for tag in action.tags]
    if "/" in action.model_id:
        features.append((f"provider={action.model_id.split('/', 1)[0]}", 1.0))
    if action.price_log is not None:
        features.append(("price", action.price_log))
    indices = np.array([feature_index("m", name) for name, _ in features], np.uint64)
    return indices, np.array([value for _, value in features], np.float32)


@dataclass(frozen=True, slots=True)
class VowpalExample:
    """What one outcome teaches.

    Attributes:
        embedding: Shape (Din,), float16.
        input_tokens: Length of the prompt; negative means unknown.
        category: The caller's category, or empty.
        actions: Numbers of the eligible models, into the table of actions.
        chosen: Which of these was chosen.
        cost: By how much its utility fell short of 1, in [0, 2].
        probability: With which it was chosen, (0, 1].
    """

    embedding: Array16
    input_tokens: int
    category: str
    actions: tuple[int, ...]
    chosen: int
    cost: float
    probability: float


class Workspace:
    """A workspace of the library with its examples of models. One thread at a time: hold `lock`.

    Args:
        arguments: The command line.
        base: A stored model; None for an empty one.
        generation: Examples that it has learnt.
    """

    def __init__(self, arguments: tuple[str, ...], base: bytes | None, generation: int) -> None:
        import vowpal_wabbit_next

        self._vw: Any = vowpal_wabbit_next
        if base is None:
            self._workspace = self._vw.Workspace(list(arguments))
        else:
            self._workspace = self._vw.Workspace(list(FIXED_OPTIONS), model_data=base)
        self._actions: dict[Action, Any] = {}
        # Examples of the models of the snapshot that it served last: looking them up takes as long as predicting.
        self._offered: tuple[Action, ...] = ()
        self._examples: list[Any] = []
        self._indices: AnyArray = np.zeros(0, np.uint64)
        self._values: Array32 = np.zeros(0, np.float32)
        self._unlabelled = self._vw.CBLabel()
        self._shared_label = self._vw.CBLabel(shared=True)
        self.generation = generation
        self.lock = threading.Lock()

    def serialize(self) -> bytes:
        """Return the stored model."""
        stored: bytes = self._workspace.serialize()
        return stored

    def learn(self, example: VowpalExample, table: Sequence[Action]) -> None:
        """Learn one example."""
        actions = [self._action(table[i]) for i in example.actions]
        shared = self._shared(example.embedding, example.input_tokens, example.category)
        chosen = actions[example.chosen]
        chosen.set_label(self._vw.CBLabel(label=(0, example.cost, example.probability)))
        self._workspace.learn_one([shared, *actions])
        chosen.set_label(self._unlabelled)
        self.generation += 1

    def predict(self, context: Context, actions: tuple[Action, ...], named: list[int]) -> list[tuple[int, float]]:
        """Return pairs of an index into *named* and a probability, in the library's order.

        Args:
            context: What is known.
            actions: All models of a snapshot.
            named: Indices of those that are eligible.
        """
        if self._offered is not actions:
            self._offered, self._examples = actions, [self._action(action) for action in actions]
        shared = self._shared(context.embedding, context.input_tokens, context.category)
        found: list[tuple[int, float]] = self._workspace.predict_one([shared, *[self._examples[k] for k in named]])
        return found

    def _shared(self, embedding: Array16, input_tokens: int, category: str) -> Any:
        width = len(embedding) + 1
        if len(self._indices) != width:
            names = [str(i) for i in range(width - 1)] + ["length"]
            self._indices = np.array([feature_index("s", name) for name in names], np.uint64)
            self._values = np.empty(width, np.float32)
        self._values[:-1] = embedding
        self._values[-1] = length_feature(input_tokens)
        shared = self._vw.Example()
        # Without a length there is no such feature: the library keeps one of value 0, which costs time.
        count = width if input_tokens >= 0 else width - 1
        shared["s"].push_many_features(self._indices[:count], self._values[:count])
        if category:
            shared["c"].push_feature(feature_index("c", category), 1.0)
        shared.set_label(self._shared_label)
        return shared

    def _action(self, action: Action) -> Any:
        found = self._actions.get(action)
        if found is None:
            found = self._vw.Example()
            found["a"].push_feature(feature_index("a", action.model_id), 1.0)
            indices, values = model_features(action)
            if len(indices):
                found["m"].push_many_features(indices, values)
            found.set_label(self._unlabelled)
            self._actions[action] = found
        return found


@dataclass(slots=True)
class Course:
    """What has been taught: a stored model and the examples since. What is there is never changed, only added to.

    Attributes:
        arguments: The command line.
        base: The stored model; None for an empty one.
        generation: Examples that it has learnt.
        examples: Those after it.
        table: The actions that they name.
    """

    arguments: tuple[str, ...]
    base: bytes | None
    generation: int
    examples: list[VowpalExample] = field(default_factory=list)
    table: list[Action] = field(default_factory=list)

    def teach(self, workspace: Workspace, generation: int) -> None:
        """Teach a workspace what it has not seen, up to a generation."""
        for example in self.examples[workspace.generation - self.generation : generation - self.generation]:
            workspace.learn(example, self.table)

    def workspace(self, generation: int) -> Workspace:
        """Return a new workspace of a generation."""
        made = Workspace(self.arguments, self.base, self.generation)
        self.teach(made, generation)
        return made


class VowpalSnapshot:
    """A frozen Vowpal Wabbit policy over K models.

    Args:
        linear: What is expected of the models.
        course: What was taught.
        generation: How much of it.
        workspace: Of that generation now; where it has moved on, another one is made.
        actions: The models.
    """

    __slots__ = ("_actions", "_course", "_generation", "_linear", "_workspace")

    def __init__(
        self,
        linear: LinearSnapshot,
        course: Course,
        generation: int,
        workspace: Workspace,
        actions: tuple[Action, ...],
    ) -> None:
        self._linear = linear
        self._course = course
        self._generation = generation
        self._workspace = workspace
        self._actions = actions

    @property
    def learnt_count(self) -> int:
        """Qualities learnt so far, over all models."""
        return self._linear.learnt_count

    @property
    def evidence(self) -> None:
        """Not told."""
        return

    @property
    def latency_half_variance(self) -> Array64:
        """Half the variance of a log latency around what `predict` expects: shape (K,)."""
        return self._linear.latency_half_variance

    def predict(self, row: Array32, category: str = "") -> Prediction:
        """Return what the linear belief expects."""
        return self._linear.predict(row, category)

    def predict_rows(self, rows: Array32, categories: Sequence[str] | None = None) -> Prediction:
        """Return the same for rows (B, N)."""
        return self._linear.predict_rows(rows, categories)

    def fill_pmf(self, question: Question, eligible: Mask, out_pmf: Array64) -> None:
        """Write Vowpal Wabbit's probabilities over the eligible models."""
        candidates = question.candidates
        picked = [i for i, left in enumerate(eligible.tolist()) if left]
        named = picked if candidates is None else candidates[picked].tolist()
        values = [0.0] * len(out_pmf)
        # They come sorted by probability, in float32: scattered back by index, and summed to 1 again.
        for index, probability in self._predict(question.context, named):
            values[picked[index]] = probability
        out_pmf[:] = values
        out_pmf /= out_pmf.sum()

    def _predict(self, context: Context, named: list[int]) -> list[tuple[int, float]]:
        workspace = self._workspace
        with workspace.lock:
            if workspace.generation == self._generation:
                return workspace.predict(context, self._actions, named)
        # A reader that is two publications late, or a replay: the workspace now serves a newer snapshot.
        self._workspace = workspace = self._course.workspace(self._generation)
        with workspace.lock:
            return workspace.predict(context, self._actions, named)


class VowpalBelief:
    """Vowpal Wabbit and a linear belief beside it, both learning; the writer's thread only.

    Args:
        policy: The router's.
        features: The encoding, for the linear belief.
        router: Its settings: the trade-off that is learnt.
        models: The catalogue.
    """

    def __init__(
        self, policy: PolicyParameters, features: FeatureSpec, router: RouterSpec, models: tuple[ModelSpec, ...]
    ) -> None:
        require_vowpal()
        self._linear = LinearBelief(policy, features, router.quality_guess)
        self._objective: Objective = router.objective
        interactions = [word for each in policy.texts["interactions"].split() for word in ("--interactions", each)]
        self._arguments = (*policy.texts["command_line"].split(), *interactions, *FIXED_OPTIONS)
        self._actions = {model.slot: action_of(model) for model in models}
        self._course = Course(self._arguments, None, 0)
        self._numbers: dict[Action, int] = {}
        self._workspaces: list[Workspace] = []
        # Learns and never predicts: the library counts predictions, too, and the count is part of what it stores.
        self._teacher: Workspace | None = Workspace(self._arguments, None, 0)
        self._last_offered: tuple[Action, ...] = ()

    def learn(
        self,
        model: ModelSpec,
        row: Array32,
        lesson: Lesson,
        category: str = "",
        decision: Decision | None = None,
    ) -> Residuals:
        """Learn what was seen of one model; Vowpal Wabbit learns where a decision has got its quality.

        What the linear belief missed by is told: it predicts deviations, Vowpal Wabbit none.
        """
        utility = self._utility(model, row, lesson)
        residuals = self._linear.learn(model, row, lesson)
        if decision is not None and utility is not None and np.isfinite(row).all():
            self._learn_choice(model, utility, category, decision)
        return residuals

    def witness(
        self,
        context: Context,
        row: Array32,
        seen: Sequence[tuple[ModelSpec, Lesson]],
        choice: PastChoice | None,
    ) -> None:
        """Teach Vowpal Wabbit what is known of a prompt from elsewhere.

        Where nobody is known to have chosen, each model is learnt as the draw of somebody who drew all that were seen
        alike: every draw of his is there, so that costs weighted by propensities are right.
        """
        offered = [model.slot for model, _ in seen] if choice is None or not choice.slots else list(choice.slots)
        known = [slot for slot in offered if slot in self._actions]
        for model, lesson in seen:
            utility = self._utility(model, row, lesson)
            if utility is not None and model.slot in known and np.isfinite(row).all():
                propensity = 1.0 / len(offered) if choice is None else choice.propensity
                self._learn_example(context, context.category, known, model.slot, utility, propensity)

    def recall(self, count_max: int) -> Array32:
        """Return some of the contexts from which the linear belief has learnt, shape (n, N)."""
        return self._linear.recall(count_max)

    def widen(self, model: ModelSpec, metric: int) -> None:
        """Have the linear belief take a metric for worth little; Vowpal Wabbit follows change at its learning rate."""
        self._linear.widen(model, metric)

    def fade(self, model: ModelSpec, share: float) -> None:
        """Have the linear belief keep a share of a model's evidence."""
        self._linear.fade(model, share)

    def start_like(self, model: ModelSpec, sibling: ModelSpec) -> None:
        """Have the linear belief expect what is expected of a sibling."""
        self._linear.start_like(model, sibling)

    def freeze_faded(self, models: tuple[ModelSpec, ...], shares: Mapping[int, float]) -> VowpalSnapshot:
        """Return `freeze` with the linear belief's deviations widened."""
        return self._frozen(models, self._linear.freeze_faded(models, shares))

    def compare(self, model_a: ModelSpec, model_b: ModelSpec, row: Array32, comparison: Comparison) -> None:
        """Have the linear belief learn who did better; Vowpal Wabbit learns costs only."""
        self._linear.compare(model_a, model_b, row, comparison)

    def change_model(self, old: ModelSpec | None, new: ModelSpec | None) -> None:
        """Take note of a model that came, changed or went."""
        self._linear.change_model(old, new)
        if new is not None:
            self._actions[new.slot] = action_of(new)
        elif old is not None:
            self._actions.pop(old.slot, None)

    def freeze(
        self,
        models: tuple[ModelSpec, ...],
        *,
        live: bool = False,  # noqa: ARG002 - as others have it
    ) -> VowpalSnapshot:
        """Return a frozen copy that speaks of *models*, in their order."""
        return self._frozen(models, self._linear.freeze(models))

    def summary(self, model: ModelSpec) -> ModelSummary:
        """Return what the linear belief holds of one model."""
        return self._linear.summary(model)

    def to_arrays(self) -> dict[str, AnyArray]:
        """Return the whole state as named arrays: the stored model with its digest and size, and what came after."""
        course, model = self._course, self._course.base or b""
        check = hashlib.blake2b(model, digest_size=_DIGEST_BYTES).digest() + len(model).to_bytes(8, "little")
        about = {
            "arguments": list(course.arguments),
            "generation": course.generation,
            "table": [_listed(action) for action in course.table],
            "actions": [_listed(self._actions[slot]) for slot in sorted(self._actions)],
            "categories": [example.category for example in course.examples],
            "embedding": len(course.examples[0].embedding) if course.examples else 0,
        }
        examples = course.examples
        width = int(about["embedding"]) if isinstance(about["embedding"], int) else 0
        arrays: dict[str, AnyArray] = {
            "vowpal/model": np.frombuffer(model, np.uint8),
            "vowpal/check": np.frombuffer(check, np.uint8),
            "vowpal/about": np.frombuffer(json.dumps(about).encode(), np.uint8),
            "vowpal/embeddings": np.array([e.embedding for e in examples], np.float16).reshape(len(examples), width),
            "vowpal/counts": np.array([(e.input_tokens, e.chosen, len(e.actions)) for e in examples], np.int64).reshape(
                -1, 3
            ),
            "vowpal/labels": np.array([(e.cost, e.probability) for e in examples]).reshape(-1, 2),
            "vowpal/offered": np.array([i for e in examples for i in e.actions], np.int64),
        }
        return arrays | {_LINEAR + name: array for name, array in self._linear.to_arrays().items()}

    def load_arrays(self, arrays: Mapping[str, AnyArray]) -> None:
        """Put the state that `to_arrays` returned in the place of this one.

        Raises:
            DataLossError: The arrays do not fit, or the stored model is not the one that was stored.
        """
        try:
            course, actions = self._read(arrays)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise _unfit("a model of Vowpal Wabbit", str(error)) from error
        self._linear.load_arrays(
            {name.removeprefix(_LINEAR): array for name, array in arrays.items() if name.startswith(_LINEAR)}
        )
        self._course, self._actions, self._workspaces, self._teacher = course, actions, [], None
        self._numbers = {action: i for i, action in enumerate(course.table)}

    def digest(self) -> bytes:
        """Return 16 bytes over the state: equal digests mean bit-identical state."""
        hasher = hashlib.blake2b(digest_size=16)
        for name, array in self.to_arrays().items():
            hasher.update(name.encode())
            hasher.update(array.tobytes())
        return hasher.digest()

    @property
    def _generation(self) -> int:
        return self._course.generation + len(self._course.examples)

    def _learn_choice(self, model: ModelSpec, utility: float, category: str, decision: Decision) -> None:
        """Teach Vowpal Wabbit what came of a decision."""
        if decision.slot != model.slot:
            return
        choice = decision.choice
        eligible = np.flatnonzero(choice.exclusions == Exclusion.ELIGIBLE).tolist()
        known = [k for k in eligible if int(decision.slots[k]) in self._actions]
        if choice.index not in known or not 0.0 < choice.propensity <= 1.0:
            return
        slots = [int(decision.slots[k]) for k in known]
        self._learn_example(decision.context, category, slots, model.slot, utility, choice.propensity)

    def _learn_example(
        self, context: Context, category: str, slots: list[int], chosen: int, utility: float, propensity: float
    ) -> None:
        """Teach Vowpal Wabbit the utility of the one of *slots* that was chosen."""
        if len(self._course.examples) == CHECKPOINT:
            self._store()
        example = VowpalExample(
            embedding=context.embedding,
            input_tokens=context.input_tokens,
            category=category,
            actions=tuple(self._number(self._actions[slot]) for slot in slots),
            chosen=slots.index(chosen),
            cost=UTILITY_MAX - utility,
            probability=propensity,
        )
        self._course.examples.append(example)
        if self._teacher is not None:
            self._teacher.learn(example, self._course.table)

    def _frozen(self, models: tuple[ModelSpec, ...], linear: LinearSnapshot) -> VowpalSnapshot:
        return VowpalSnapshot(
            linear,
            self._course,
            self._generation,
            self._current(),
            self._offered(models),
        )

    def _utility(self, model: ModelSpec, row: Array32, lesson: Lesson) -> float | None:
        """Return the utility at the router's trade-off, cut to [-1, 1]; what was not seen is as expected."""
        if lesson.quality is None or not math.isfinite(lesson.quality):
            return None
        utility, objective = lesson.quality, self._objective
        cost, latency = lesson.cost_usd, lesson.latency_ms
        if (objective.usd_weight > 0.0 and cost is None) or (objective.second_weight > 0.0 and latency is None):
            foreseen = self._linear.freeze((model,)).predict(row)
            cost = float(foreseen.cost_usd[0]) if cost is None else cost
            latency = float(foreseen.latency_ms[0]) if latency is None else latency
        if objective.usd_weight > 0.0 and cost is not None and not math.isnan(cost):
            utility -= objective.usd_weight * cost  # where neither price nor cost is known, it counts as nothing
        if objective.second_weight > 0.0 and latency is not None:
            utility -= objective.second_weight * SECONDS_PER_MS * latency
        if math.isnan(utility):
            return None
        return min(max(utility, -UTILITY_MAX), UTILITY_MAX)

    def _offered(self, models: tuple[ModelSpec, ...]) -> tuple[Action, ...]:
        """Return what is seen of the models: the same tuple as long as it holds the same."""
        actions = tuple(self._actions.get(model.slot) or action_of(model) for model in models)
        if actions != self._last_offered:
            self._last_offered = actions
        return self._last_offered

    def _number(self, action: Action) -> int:
        number = self._numbers.get(action)
        if number is None:
            number = self._numbers[action] = len(self._course.table)
            self._course.table.append(action)
        return number

    def _current(self) -> Workspace:
        """Return a workspace of the newest generation: the one that serves, or the other one after teaching it."""
        generation = self._generation
        for workspace in self._workspaces:
            if workspace.generation == generation:
                return workspace
        if len(self._workspaces) < 2:
            workspace = self._course.workspace(generation)
        else:
            workspace = self._workspaces.pop(0)
            with workspace.lock:
                if workspace.generation < self._course.generation:
                    workspace = self._course.workspace(generation)
                else:
                    self._course.teach(workspace, generation)
        self._workspaces.append(workspace)
        return workspace

    def _store(self) -> None:
        """Store the model and go on from what was stored."""
        if self._teacher is None:
            self._teacher = self._course.workspace(self._generation)
        stored = self._teacher.serialize()
        self._course = Course(self._arguments, stored, self._generation)
        self._teacher = self._course.workspace(self._generation)
        self._numbers, self._workspaces = {}, []

    def _read(self, arrays: Mapping[str, AnyArray]) -> tuple[Course, dict[int, Action]]:
        model, check = arrays["vowpal/model"].tobytes(), arrays["vowpal/check"].tobytes()
        if int.from_bytes(check[_DIGEST_BYTES:], "little") != len(model):
            raise _unfit(f"a model of {int.from_bytes(check[_DIGEST_BYTES:], 'little')} bytes", f"{len(model)}")
        if hashlib.blake2b(model, digest_size=_DIGEST_BYTES).digest() != check[:_DIGEST_BYTES]:
            raise _unfit("the model that was stored", "another of the same size")
        about = json.loads(arrays["vowpal/about"].tobytes())
        if tuple(about["arguments"]) != self._arguments:
            raise _unfit(" ".join(self._arguments), " ".join(about["arguments"]))
        table = [_action(listed) for listed in about["table"]]
        examples, at = [], 0
        counts, labels = arrays["vowpal/counts"].tolist(), arrays["vowpal/labels"].tolist()
        offered = arrays["vowpal/offered"].tolist()
        for embedding, (tokens, chosen, count), (cost, probability), category in zip(
            arrays["vowpal/embeddings"], counts, labels, about["categories"], strict=True
        ):
            picked = tuple(offered[at : at + count])
            if not (picked and 0 <= chosen < len(picked) and max(picked) < len(table)):
                raise _unfit("examples that name actions", f"{picked}")
            examples.append(VowpalExample(embedding.copy(), tokens, category, picked, chosen, cost, probability))
            at += count
        course = Course(self._arguments, model or None, about["generation"], examples, table)
        if model:
            # What the digest let pass, the library must take.
            with contextlib.suppress(ImportError):
                Workspace(self._arguments, model, 0)
        return course, {action.slot: action for action in map(_action, about["actions"])}


def _listed(action: Action) -> list[Any]:
    return [action.slot, action.model_id, action.price_log, list(action.tags)]


def _action(listed: list[Any]) -> Action:
    return Action(listed[0], listed[1], listed[2], tuple(listed[3]))


def _unfit(wanted: str, got: str) -> DataLossError:
    return DataLossError(Reason.CORRUPT_RECORD, f"snapshot: expected {wanted}, got {got}")
