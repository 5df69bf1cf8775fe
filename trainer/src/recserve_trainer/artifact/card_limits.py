"""The known limits of a model, told from facts about how it was made and tested."""

from recserve_trainer.artifact.card_results import LONGEST, Facts, K, Measurement
from recserve_trainer.artifact.model_card import Difference, Result, Training

_NDCG = f"ndcg@{K}"
_TIME = {
    "global": (
        "Tested on what came after everything it learnt from. Tastes and the catalogue move on: "
        "the numbers are of that period."
    ),
    "per user": (
        "Split in time within each user, not at one moment: what some users did later was known "
        "when others were tested, so the numbers are likely to be higher than in service."
    ),
    "none": (
        "Split without regard to time: a user's later interactions help to tell its earlier ones, "
        "so the numbers are likely to be higher than in service."
    ),
}


def protocol(facts: Facts) -> str:
    """Says how the test was done, in words a person can check."""
    return (
        f"Each of the {facts.user_count:,} users with a test interaction gets the whole catalogue "
        f"ranked, less what the user had before; all {facts.test_count:,} test interactions are "
        f"relevant, whatever their rating; lists of {K}; every user counts once. Intervals: 95 %, "
        "percentiles of means over users drawn with replacement; differences pair each user with "
        "itself."
    )


def known_limits(
    measured: Measurement, training: Training, index: tuple[str, float]
) -> tuple[str, ...]:
    """Returns one sentence or two for each limit, the weightiest first.

    Args:
        measured: results and facts of the test.
        training: how the model came about.
        index: kind, and share of the exact top 10 it finds.
    """
    facts = measured.facts
    lines = [_against(difference) for difference in measured.differences]
    if not any(difference.baseline == "ease" for difference in measured.differences):
        lines.append("Not held against EASE: users or items are too many for it.")
    lines += [
        _TIME[facts.time_order],
        _chance(measured.results[0]),
        "What a user took counts as relevant and all else as not: an item that the user was never "
        "shown counts as a miss.",
        _low_ratings(facts),
        _new_users(facts),
        _new_items(facts),
        _closed_form(training),
        _index(*index),
    ]
    return tuple(line for line in lines if line)


def _against(difference: Difference) -> str:
    found = difference.metrics[_NDCG]
    low, high = found.low or 0.0, found.high or 0.0
    if low > 0:
        return ""
    verdict = "is below" if high < 0 else "cannot be told from"
    return (
        f"{_NDCG} {verdict} that of {difference.baseline}: difference {found.mean:+.4f} "
        f"({low:+.4f} to {high:+.4f})."
    )


def _chance(result: Result) -> str:
    found = result.metrics[_NDCG]
    half = ((found.high or 0.0) - (found.low or 0.0)) / 2
    return (
        f"{result.user_count:,} users were tested: {_NDCG} is known to about {half:.4f} either "
        "way. The intervals cover who the users are, not how the split and the training fell out."
    )


def _low_ratings(facts: Facts) -> str:
    if not facts.low_rating_share:
        return ""
    return (
        f"{facts.low_rating_share:.0%} of the test interactions have a rating in the lower half of "
        "the scale and count as found all the same."
    )


def _new_users(facts: Facts) -> str:
    line = "Users who are not known and bring no history get the most popular items"
    if not facts.new_user_count:
        return f"{line}."
    return f"{line}; {facts.new_user_count:,} users of the dataset have no history."


def _new_items(facts: Facts) -> str:
    if not facts.new_item_count:
        return ""
    found = (
        f"none of them came into anybody's first {LONGEST}"
        if not facts.new_items_found
        else f"{facts.new_items_found:,} of them came into somebody's first {LONGEST}"
    )
    return (
        f"{facts.new_item_count:,} items have no training interactions; {found}. "
        f"{facts.new_item_test_count:,} of the test interactions are with such items."
    )


def _closed_form(training: Training) -> str:
    if not training.is_single:
        return ""
    return "Fitted in one pass: new interactions reach the weights by another run alone."


def _index(kind: str, recall: float) -> str:
    if kind == "exact" or not recall:
        return ""
    return (
        f"The {kind} index finds {recall:.4f} of the exact top 10; all else here was computed on "
        "exact scores."
    )
