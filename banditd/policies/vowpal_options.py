"""Which command lines of Vowpal Wabbit are taken: what chooses how it learns and explores, and nothing else.

Vowpal Wabbit's options also read and write files, open ports and fork. So options are taken by a list of what is
known to be safe, not refused by a list of what is known not to be.
"""

import re
from functools import lru_cache
from importlib.util import find_spec
from typing import Final

from banditd.errors import FailedPreconditionError, InvalidArgumentError, Reason

COMMAND_LINE_MAX: Final = 1024
BITS_MAX: Final = 22
# Given by banditd: no log on the console, and the counts kept, so that a stored model is the model.
FIXED_OPTIONS: Final = ("--quiet", "--preserve_performance_counters")

_PLAIN: Final = re.compile(r"-?[A-Za-z0-9_.][A-Za-z0-9_.+-]*|-[0-9.][0-9.e+-]*")
_INTERACTION: Final = re.compile(r"[scam]{2,4}")
# By whether a value follows.
_WITHOUT_VALUE: Final = frozenset(
    {
        "--cb_explore_adf", "--squarecb", "--elim", "--greedify", "--nounif", "--regcb", "--regcbopt", "--softmax",
        "--synthcover", "--first_only", "--adaptive", "--invariant", "--normalized", "--sgd", "--noconstant", "--coin",
        "--ftrl", "--pistol", "--no_bias_regularization", "--large_action_space",
    }
)  # fmt: skip
_WITH_VALUE: Final = frozenset(
    {
        "--epsilon", "--bag", "--cover", "--psi", "--first", "--lambda", "--gamma_scale", "--gamma_exponent",
        "--mellowness", "--cb_min_cost", "--cb_max_cost", "--rnd", "--rnd_alpha", "--rnd_invlambda", "--synthcoversize",
        "--synthcoverpsi", "--cb_type", "--clip_p", "-l", "--learning_rate", "--power_t", "--initial_t",
        "--decay_learning_rate", "--l1", "--l2", "-b", "--bit_precision", "--random_seed", "--loss_function",
        "--link", "--min_prediction", "--max_prediction", "--nn", "--lrq", "--ftrl_alpha", "--ftrl_beta",
        "--constant", "-C", "--initial_weight", "--ignore", "--ignore_linear", "--keep", "--quantile_tau",
    }
)  # fmt: skip


def check_command_line(value: str, field: str) -> str:
    """Return a command line with one blank between options.

    Args:
        value: As it came.
        field: Path of the field that holds it.

    Raises:
        InvalidArgumentError: `BAD_POLICY_PARAMETER`; the message names the option.
        FailedPreconditionError: `POLICY_UNAVAILABLE`: vowpal-wabbit-next is not installed.
    """
    require_vowpal()
    if len(value) > COMMAND_LINE_MAX:
        raise _refused(field, f"at most {COMMAND_LINE_MAX} characters", f"{len(value)}")
    words = [part for word in value.split() for part in (word.split("=", 1) if word.startswith("--") else [word])]
    seen: set[str] = set()
    waiting = ""
    for word in words:
        if waiting:
            if not _PLAIN.fullmatch(word):
                raise _refused(field, f"a plain value for {waiting}", repr(word[:64]))
            if waiting in {"-b", "--bit_precision"} and not (word.isdigit() and 1 <= int(word) <= BITS_MAX):
                raise _refused(field, f"{waiting} 1..{BITS_MAX}", repr(word[:64]))
            waiting = ""
        elif word in _WITH_VALUE:
            waiting = word
        elif word not in _WITHOUT_VALUE:
            hint = "; interactions have a parameter of their own" if word in _INTERACTING else ""
            raise _refused(field, f"options that choose how to learn and explore{hint}", repr(word[:64]))
        seen.add(word)
    if waiting:
        raise _refused(field, f"a value for {waiting}", "none")
    if "--cb_explore_adf" not in seen:
        raise _refused(field, "--cb_explore_adf among the options", repr(value[:64]))
    _try(tuple(words), field)
    return " ".join(words)


_INTERACTING: Final = frozenset({"-q", "--quadratic", "--cubic", "--interactions"})


def check_interactions(value: str, field: str) -> str:
    """Return interactions with one blank between them; empty means none."""
    words = value.split()
    if len(words) > 16:
        raise _refused(field, "at most 16 interactions", f"{len(words)}")
    for word in words:
        if not _INTERACTION.fullmatch(word):
            raise _refused(field, "two to four letters of s, c, a and m each, with blanks between", repr(word[:64]))
    return " ".join(words)


def require_vowpal() -> None:
    """Raise where there is no Vowpal Wabbit.

    Raises:
        FailedPreconditionError: `POLICY_UNAVAILABLE`.
    """
    if find_spec("vowpal_wabbit_next") is None:
        raise FailedPreconditionError(
            Reason.POLICY_UNAVAILABLE,
            "policy: the vowpal presets need vowpal-wabbit-next, which is not installed; it has no wheels for Python "
            "3.13 and later",
        )


def _refused(field: str, expected: str, got: str) -> InvalidArgumentError:
    return InvalidArgumentError(Reason.BAD_POLICY_PARAMETER, field, expected, got)


def _try(words: tuple[str, ...], field: str) -> None:
    problem = _problem(words)
    if problem:
        raise _refused(field, "a command line that Vowpal Wabbit takes", problem)


@lru_cache(maxsize=64)
def _problem(words: tuple[str, ...]) -> str:
    """Return what Vowpal Wabbit says against a command line; empty if it takes it. Kept, since asking takes 5 ms."""
    import vowpal_wabbit_next

    try:
        vowpal_wabbit_next.Workspace([*words, *FIXED_OPTIONS])
    except (RuntimeError, ValueError) as error:
        return repr(str(error)[:200])
    return ""
