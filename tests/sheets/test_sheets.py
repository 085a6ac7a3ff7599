"""The spreadsheet that a person fills in is the one that maps itself."""

from __future__ import annotations

import io

import pytest
from openpyxl import load_workbook

import connectors
from connectors.base import Connector
from offline_portal import mapping, sheets
from offline_portal.checking import compile_plan

CONNECTORS = list(connectors.all_connectors().values())


@pytest.mark.parametrize("connector", CONNECTORS, ids=lambda connector: connector.slug)
def test_a_template_maps_itself_and_its_examples_are_ready(connector: Connector) -> None:
    [sheet] = load_workbook(io.BytesIO(sheets.template_xlsx(connector))).worksheets
    header, *rows = [[str(cell or "") for cell in row] for row in sheet.iter_rows(values_only=True)]
    assert len(rows) == 2
    found = mapping.auto(connector, header, rows, None, {})
    assert {source["column"] for source in found.values()} == set(header), "every column is for something"
    assert not {field.key for field in connector.fields if not field.is_family} - set(found)
    settings = {field.key: field.default for field in connector.settings if field.default is not None}
    plan = compile_plan(connector, found, header, settings, "UTC")
    assert [plan.check(row).problems for row in rows] == [[], []]


@pytest.mark.parametrize("connector", CONNECTORS, ids=lambda connector: connector.slug)
def test_help_and_choices_stand_where_they_are_needed(connector: Connector) -> None:
    [sheet] = load_workbook(io.BytesIO(sheets.template_xlsx(connector))).worksheets
    assert all(cell.comment and len(cell.comment.text) > 10 for cell in sheet[1])
    with_choices = [field for field in connector.fields if field.choices]
    assert len(sheet.data_validations.dataValidation) == len(with_choices)


@pytest.mark.parametrize("connector", CONNECTORS, ids=lambda connector: connector.slug)
def test_the_sample_is_the_same_in_both_forms(connector: Connector) -> None:
    [sheet] = load_workbook(io.BytesIO(sheets.sample_xlsx(connector))).worksheets
    rows = [tuple(str(cell or "") for cell in row) for row in sheet.iter_rows(values_only=True)]
    assert tuple(rows) == connector.sample
