"""What the portal is measured against: django-import-export, and the least that any program has to do."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.db import connection, models, transaction
from import_export.fields import Field
from import_export.resources import ModelResource
from import_export.widgets import CharWidget, DateTimeWidget, DecimalWidget
from tablib import Dataset

from offline_portal.checking.currencies import CURRENCIES
from tests.bench import files
from tests.bench.measure import Clock, Spent, Timed


def known_currency(code: str) -> None:
    """A set is quicker than Django's `choices`, which go through a list."""
    if code not in CURRENCIES:
        raise ValidationError("no currency")


def web_address(text: str) -> None:
    """As strict as the portal and quicker than Django's URLValidator."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValidationError("no web address")


class Order(models.Model):
    """The columns of the generated file, each with the limits that the portal checks too."""

    visitor_id = models.CharField(max_length=256)
    sold_at = models.DateTimeField()
    order_number = models.CharField(max_length=256)
    amount = models.DecimalField(max_digits=20, decimal_places=2)
    currency = models.CharField(max_length=3, validators=[known_currency])
    page = models.CharField(max_length=256, blank=True, validators=[web_address])

    class Meta:
        app_label = "bench"


class OrderResource(ModelResource):
    """django-import-export at its fastest: in bulk, with no look at what is there, no differences, no rows kept."""

    visitor_id = Field("visitor_id", "Visitor ID", widget=CharWidget())
    sold_at = Field("sold_at", "Date", widget=DateTimeWidget("%Y-%m-%d %H:%M:%S"))
    order_number = Field("order_number", "Order number", widget=CharWidget())
    amount = Field("amount", "Amount", widget=DecimalWidget())
    currency = Field("currency", "Currency", widget=CharWidget())
    page = Field("page", "Page", widget=CharWidget())

    class Meta:
        model = Order
        fields = ("visitor_id", "sold_at", "order_number", "amount", "currency", "page")
        import_id_fields = ("order_number",)
        use_bulk = True
        batch_size = 1000
        force_init_instance = True
        skip_diff = True
        skip_html_diff = True
        clean_model_instances = True


class Floor(models.Model):
    """The cells as they stand in the file, without an index but that of the primary key."""

    a, b, c, d, e, f = (models.TextField() for _ in range(6))

    class Meta:
        app_label = "bench"


_COLUMNS = "a, b, c, d, e, f"


def make_tables() -> None:
    """The tables of both, in the database of this process."""
    with connection.schema_editor() as editor:
        editor.create_model(Order)
        editor.create_model(Floor)


def importing(path: Path, rows: int) -> Timed:
    """django-import-export reads, checks and stores a CSV file."""

    def run(number: int) -> Spent:
        Order.objects.all()._raw_delete("default")  # type: ignore[attr-defined]
        clock = Clock()
        with clock.running():
            dataset = Dataset().load(path.read_text(encoding="utf-8"), format="csv")
            result = OrderResource().import_data(dataset, use_transactions=True)
        assert not result.has_errors(), result.base_errors or result.row_errors()[0][1][0].error
        assert len(result.invalid_rows) == files.bad(rows)
        assert Order.objects.count() == rows - files.bad(rows)
        return clock.spent

    return run


def bare(path: Path, rows: int) -> Timed:
    """csv.reader and one bulk insert of its cells, with nothing between them."""

    def run(number: int) -> Spent:
        Floor.objects.all()._raw_delete("default")  # type: ignore[attr-defined]
        clock = Clock()
        with clock.running(), path.open(encoding="utf-8", newline="") as file, transaction.atomic():
            _insert(csv.reader(file))
        assert Floor.objects.count() == rows
        return clock.spent

    return run


def _insert(rows: Iterator[list[str]]) -> None:
    next(rows)
    connection.ensure_connection()
    cursor = connection.connection.cursor()
    table = Floor._meta.db_table
    if connection.vendor == "sqlite":
        cursor.executemany(f"INSERT INTO {table} ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)", rows)
        return
    with cursor.copy(f"COPY {table} ({_COLUMNS}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
