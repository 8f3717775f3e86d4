"""A refusal names the parameter that would have helped, apart from its words, and survives a process."""

import pickle

import pytest

from pipelines.errors import DataError, FormatError, ParameterError, PipelineError, Remedy

REMEDIES = [Remedy("crs", "EPSG:32615"), Remedy("columns", {"easting": "X", "northing": "Y"})]


@pytest.mark.parametrize(
    "error",
    [
        PipelineError("no", REMEDIES),
        ParameterError("crs", "x", "is none", REMEDIES),
        DataError("grid", 3, "is none", REMEDIES),
        FormatError("a.csv", "has none", line=4, field="x", remedies=REMEDIES),
        FormatError("a.csv", "has none"),
    ],
)
def test_an_error_is_the_same_after_it_crossed_a_process(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (str(again), again.statement, again.remedies) == (str(error), error.statement, error.remedies)
    assert vars(again) == vars(error)


def test_the_message_spells_the_remedies_for_python_and_the_statement_leaves_them_out():
    error = FormatError("a.csv", "has no CRS", remedies=[Remedy("crs", "EPSG:32615"), Remedy("share", 0.05)])
    assert str(error) == 'a.csv: has no CRS; give crs="EPSG:32615" or share=0.05'
    assert error.statement == "a.csv: has no CRS"
    assert str(FormatError("a.csv", "is empty")) == "a.csv: is empty"


def test_what_is_spelt_for_python_is_python():
    assert str(REMEDIES[1]) == 'columns={"easting": "X", "northing": "Y"}'
