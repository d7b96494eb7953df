"""The methods' formulas against reference numbers; each method's own check is in its file of cases."""

import pytest

from tests.methods.oracles import evaluated, oracle_cases


@pytest.mark.parametrize(("check", "case"), oracle_cases())
def test_a_method_reproduces_its_reference_numbers(check, case):
    check(evaluated(case), case["settings"], case["output"])
