"""Worlds are found by name, and a wrong name gets help."""

import pytest

import phalanx as px
from phalanx.scenarios import LinearScenario, Scenario


def test_the_built_in_names():
    names = ["two-by-two", "battery-fleet", "battery-fleet-limits", "power-grid"]
    assert px.scenario_names() == names


@pytest.mark.parametrize("name", px.scenario_names())
def test_every_world_is_a_scenario_with_a_title(name):
    found = px.scenario(name)
    assert isinstance(found, LinearScenario if name == "power-grid" else Scenario)
    assert found.title


def test_the_reference_case_is_the_theory_pages(two_by_two):
    found = px.scenario("two-by-two")
    assert (found.n_agents, found.game.horizon, found.gamma) == (100, 10, "auto")
    assert px.solve(found.game, 3.0).value == px.solve(two_by_two, 3.0).value


def test_a_misspelt_name_names_the_nearest():
    with pytest.raises(px.InputError, match=r"'batery-fleet'; did you mean 'battery-fleet'\?"):
        px.scenario("batery-fleet")


def test_an_unheard_of_name_lists_all():
    with pytest.raises(px.InputError, match=r"'qqq'; the built-in ones are two-by-two, battery"):
        px.scenario("qqq")


def test_a_sentence_about_a_file_begins_with_its_name(tmp_path):
    (tmp_path / "mine.toml").write_text('[system]\nkind = "mean-field"\n')
    with pytest.raises(px.InputError, match=r"^mine.toml: the key 'A' is missing in \[system\]"):
        px.scenario(tmp_path / "mine.toml")
