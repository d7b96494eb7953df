"""Predictions that learners type: kept as they are, shown beside what was measured."""

import numpy as np
import pandas as pd
import pytest

from mmpid.errors import InputError
from mmpid.lessons import Prediction


def test_differences_are_measured_minus_predicted_and_open_questions_have_none():
    outcome = Prediction(audio=0.5, image=None, joint=1).compare(audio=0.75, image=0.2, joint=np.float32(0.5))
    assert outcome.differences == {"audio": 0.25, "joint": -0.5}


def test_a_row_of_a_frame_is_taken_and_names_are_escaped():
    row = pd.DataFrame({"<b>": [0.4], "unasked": [1.0]}).iloc[0]
    outcome = Prediction(**{"<b>": 0.1}).compare(row)
    assert outcome.differences == pytest.approx({"<b>": 0.3})
    assert "<b>" not in outcome._repr_html_() and len(outcome.rows) == 1


@pytest.mark.parametrize(("word", "verdict"), [("Rises ", "same"), ("falls", "other")])
def test_words_are_compared_without_case_and_spaces(word, verdict):
    assert repr(Prediction(r=word).compare(r="rises")).split()[-1] == verdict


@pytest.mark.parametrize("wrong", [lambda: Prediction(r=[1]), lambda: Prediction(r=1).compare(u=1)])
def test_other_answers_and_missing_values_are_named(wrong):
    with pytest.raises(InputError, match="`(r|measured)` must"):
        wrong()
