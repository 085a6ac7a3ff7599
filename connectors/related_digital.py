"""Related Digital: purchases offline, as lines of a text file that the platform reads on a schedule.

File contract and sources: docs/vendors/related_digital.md.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Context, Decimal
from typing import Any
from zoneinfo import ZoneInfo

from connectors import headers
from connectors.base import Choice, Field, Issue, Payload
from connectors.by_file import FileConnector
from connectors.headers import listed

PURCHASE = "7"
MOST_ATTRIBUTES = 300
"""The highest transaction attribute: they are unlimited at the vendor, but a line must end somewhere."""
LONGEST_TEXT = 4_000
# Moments that can be written in every time zone of the world with a year of four digits.
EARLIEST, LATEST = "1000-01-03", "9999-12-29"

FIXED = (
    "timestamp", "customer_id", "event_type", "category", "event_name", "num1", "num2",
    *(f"var{number}" for number in range(1, 6)), *(f"attr{number}" for number in range(1, 11)),
)  # fmt: skip
"""The field keys of the first 22 columns, in their order."""
TITLES = (
    "Time Stamp", "Customer ID", "Event Type", "Category", "Event Name", "Num1", "Num2",
    *(f"Var {number}" for number in range(1, 6)), *(f"EventName Attr{number}" for number in range(1, 11)),
)  # fmt: skip
_FAMILY = "transaction_attr:"
_NUMBERS = ("num1", "num2")
_EXACT = Context(prec=100)
_BREAKS = re.compile("\r\n|[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]")
_ATTRIBUTE = re.compile(r"[1-9][0-9]{0,2}")
_EXAMPLES = ("blue", "M", "cotton", "2014", "yes", "A6", "A7", "A8", "A9", "A10")
_LATER = "Lines of a purchase can carry it; what it means is settled in your Related Digital panel."


def _free_field(key: str, label: str, example: str, aliases: str) -> Field:
    return Field(key, label, "text", help=_LATER, example=example, max_length=LONGEST_TEXT, aliases=listed(aliases))


class RelatedDigital(FileConnector):
    """One line a product of a purchase; 22 columns, and as many transaction attributes as are mapped, at least one."""

    slug = "related_digital"
    name = "Related Digital"
    docs = "https://relateddigital.atlassian.net/wiki/spaces/RMCKBT/pages/428966184/Offline+Data"
    api_version = "offline data file"
    default_timezone = "Europe/Istanbul"
    best_evidence = "delivered"

    own_settings = (
        Field(
            "header", "First line with names", "boolean", default=False,
            help="Whether the file begins with a line of column names. Related Digital takes both.",
        ),
        Field(
            "decimal", "Decimal mark", "choice", default=".", example=".",
            choices=(Choice(".", "Dot (199.80)"), Choice(",", "Comma (199,80)")),
            help="How numbers are written into the file. Ask Related Digital what your import definition expects.",
        ),
    )  # fmt: skip

    fields = (
        Field(
            "timestamp", "Date and time", "timestamp", True, role="time", example="2014-05-25 12:25:43",
            help="When it was bought. It is written into the file in the time zone of the destination.",
            aliases=headers.TIME,
        ),
        Field(
            "customer_id", "Customer ID", "text", True, personal=True, role="person", example="C-1001",
            max_length=LONGEST_TEXT,
            help="The id of the customer, the same as on your website and in your app.",
            aliases=(*headers.CUSTOMER, *headers.EMAIL),
        ),
        Field(
            "event_type", "Event Type", "choice", example=PURCHASE, choices=(Choice(PURCHASE, "Purchase"),),
            help="Leave it out: every line is a purchase (7), the only type that Related Digital names.",
            aliases=listed("event type code, type, Ereignistyp, type d'événement, olay tipi, olay türü, etkinlik tipi"),
        ),
        Field(
            "category", "Category", "text", example="CAT-9", max_length=LONGEST_TEXT,
            help="The code of the product's category, as in your product feed.",
            aliases=listed(
                "category code, category id, product category, Kategorie, Kategoriecode, Warengruppe, catégorie, "
                "code catégorie, kategori, kategori kodu, ürün kategorisi"
            ),
        ),
        Field(
            "event_name", "Product code (Event Name)", "text", True, role="reference", example="SKU-55",
            max_length=LONGEST_TEXT,
            help="The code of the product, as in your product feed. A basket of three products is three lines.",
            aliases=listed(
                "event name, product code, product, product id, product number, sku, item, item code, item id, "
                "article, article number, Produkt, Produktcode, Produktnummer, Artikel, Artikelnummer, Artikel-Nr., "
                "Artikelcode, produit, code produit, référence produit, code article, ürün, ürün kodu, ürün no, "
                "ürün id, stok kodu, malzeme kodu"
            ),
        ),
        Field(
            "num1", "Quantity (Num1, Purchase Amount)", "number", True, example="2",
            help="How many pieces were bought. Related Digital calls it Purchase Amount.",
            aliases=listed(
                "num1, quantity, qty, pieces, units, count, number of items, purchase amount, purchase quantity, "
                "Menge, Anzahl, Stück, Stückzahl, Kaufmenge, quantité, qté, nombre, nombre d'articles, "
                "adet, miktar, sayı, satın alma adedi, ürün adedi"
            ),
        ),
        Field(
            "num2", "Line total (Num2, Total Sales)", "money", "conditional", role="amount", example="199.80",
            help="Quantity times unit price of this line. Map it, or the unit price, from which it is computed.",
            aliases=listed(
                "num2, total sales, line total, total, total value, amount, revenue, line amount, sales amount, "
                "row total, Zeilensumme, Gesamt, Gesamtbetrag, Summe, Betrag, Umsatz, Positionssumme, "
                "total de la ligne, montant, montant total, chiffre d'affaires, "
                "toplam, toplam tutar, tutar, satır toplamı, toplam satış, ciro"
            ),
        ),
        Field(
            "unit_price", "Unit price", "money", example="99.90",
            help="The price of one piece. It is not sent: where there is no line total, quantity times unit price is.",
            aliases=listed(
                "price, unit cost, item price, price each, piece price, Preis, Einzelpreis, Stückpreis, "
                "prix, prix unitaire, fiyat, birim fiyat, birim fiyatı, adet fiyatı"
            ),
        ),
        _free_field("var1", "Var 1", "Istanbul", "city, store city, Stadt, Ort, ville, şehir, il"),
        _free_field("var2", "Var 2", "Store 12", "store, shop, branch, Filiale, magasin, mağaza, şube"),
        _free_field("var3", "Var 3", "Retail", "business unit, Geschäftsbereich, unité commerciale, iş birimi"),
        _free_field("var4", "Var 4", "Card", "payment method, Zahlungsart, mode de paiement, ödeme yöntemi"),
        _free_field("var5", "Var 5", "Spring", "campaign, Kampagne, campagne, kampanya"),
        *(
            _free_field(f"attr{number}", f"EventName Attr{number}", example, f"Attribut {number}, öznitelik {number}")
            for number, example in enumerate(_EXAMPLES, 1)
        ),
        Field(
            "transaction_attr:*", "Transaction attribute", "text", role="reference", example="PO-778",
            max_length=LONGEST_TEXT,
            help="EventTransaction Attr1, Attr2, …: something about the whole purchase. The number of the purchase may "
            "go into one of them.",
            aliases=(
                "transaction attr:*", "transaction attr*", "EventTransaction Attr*", "event transaction attr*",
                "transaction_attr*", "Transaktionsattribut*", "attribut de transaction*", "işlem özelliği*",
            ),
        ),
    )  # fmt: skip

    sample = (
        ("Tarih", "Müşteri", "Ürün kodu", "Kategori", "Adet", "Birim fiyat", "Şehir", "Mağaza", "Transaction Attr 1"),
        ("2026-11-02 09:12:45", "C-1001", "SKU-55", "CAT-9", "2", "99.90", "İstanbul", "Kadıköy", "PO-778"),
        ("2026-11-02 09:12:45", "C-1001", "SKU-12", "CAT-3", "1", "249.00", "İstanbul", "Kadıköy", "PO-778"),
        ("2026-11-02 09:40:10", "C-1002", "SKU-71", "CAT-9", "3", "15.50", "Ankara", "Çankaya", "PO-779"),
        ("2026-11-02 10:05:00", "C-1003", "SKU-08", "CAT-1", "1", "1249.00", "İzmir", "Bornova", "PO-780"),
        ("2026-11-02 10:31:27", "C-1004", "SKU-55", "CAT-9", "4", "99.90", "Bursa", "Nilüfer", "PO-781"),
        ("2026-11-02 11:02:10", "", "SKU-33", "CAT-2", "1", "560.00", "Bursa", "Nilüfer", "PO-782"),
        ("2026-11-02 11:48:36", "C-1006", "SKU-19", "CAT-4", "2", "18.20", "Antalya", "Lara; Outlet", "PO-783"),
        ("2026-11-02 13:20:00", "C-1007", "SKU-64", "", "1", "310.75", "Adana", "Seyhan", "PO-784"),
        ("2026-11-02 14:09:58", "C-1008", "SKU-64", "CAT-7", "two", "310.75", "Adana", "Seyhan", "PO-785"),
        ("2026-11-02 15:33:19", "C-1009", "SKU-27", "CAT-2", "2.5", "24.00", "Konya", "Selçuklu", "PO-786"),
        ("2026-11-02 16:00:00", "C-1010", "SKU-41", "CAT-5", "1", "99.00", "İstanbul", "Beşiktaş", "PO-787"),
        ("2026-11-02 16:00:00", "C-1010", "SKU-42", "CAT-5", "1", "45.50", "İstanbul", "Beşiktaş", "PO-787"),
        ("2026-11-03 08:55:41", "C-1011", "SKU-90", "CAT-6", "6", "7.25", "İzmir", "Bornova", "PO-788"),
        ("2026-11-03 09:17:22", "C-1012", "SKU-55", "CAT-9", "1", "", "Ankara", "Çankaya", "PO-789"),
        ("2026-11-03 09:45:00", "C-1013", "SKU-03", "CAT-1", "2", "12.00", "Ankara", "Kızılay", "PO-790"),
        ("2026-11-03 10:12:13", "C-1014", "SKU-77", "CAT-8", "1", "870.00", "Trabzon", "", "PO-791"),
        ("2026-11-03 10:50:50", "C-1015", "", "CAT-8", "1", "33.33", "Trabzon", "Meydan", "PO-792"),
        ("2026-11-03 11:30:00", "C-1016", "SKU-81", "CAT-3", "5", "150.00", "Samsun", "Atakum", "PO-793"),
        ("2026-11-03 12:04:44", "C-1017", "SKU-29", "CAT-4", "1", "27.80", "Mersin", "Mezitli", "PO-794"),
        ("2026-11-03 13:28:15", "C-1018", "SKU-50", "CAT-2", "2", "615.40", "İstanbul", "Şişli “Cevahir”", "PO-795"),
        ("yesterday", "C-1019", "SKU-51", "CAT-2", "1", "58.00", "İstanbul", "Şişli", "PO-796"),
        ("2026-11-03 14:59:59", "C-1020", "SKU-66", "CAT-7", "1", "104.25", "Eskişehir", "Odunpazarı", ""),
        ("2026-11-03 15:21:08", "C-1021", "SKU-14", "CAT-1", "10", "9.90", "Gaziantep", "Şahinbey", "PO-798"),
        ("2026-11-03 16:40:30", "C-1022", "SKU-38", "CAT-6", "1", "1899.00", "Kayseri", "Melikgazi", "PO-799"),
        ("2026-11-04 09:05:12", "C-1023", "SKU-20", "CAT-5", "3", "72.15", "İstanbul", "Kadıköy", "PO-800"),
    )  # fmt: skip

    def check_keys(self, keys: Collection[str]) -> list[Issue]:
        """Transaction attributes are numbered."""
        message = f"Transaction attributes are numbered from 1 to {MOST_ATTRIBUTES}, such as transaction_attr:1."
        return [
            Issue(key, "not_numbered", message)
            for key in keys
            if key.startswith(_FAMILY) and not _is_attribute(key.removeprefix(_FAMILY))
        ]

    def check(self, values: dict[str, Any], settings: Mapping[str, Any]) -> list[Issue]:
        """Adds event type and line total; the unit price is used up by that."""
        issues: list[Issue] = []
        values.setdefault("event_type", PURCHASE)
        if not EARLIEST <= values.get("timestamp", EARLIEST) < LATEST:
            message = "No time stamp can be written for this year. Correct it, or leave the row out."
            issues.append(Issue("timestamp", "too_far_away", message))
        price, quantity = values.pop("unit_price", None), values.get("num1")
        total = line_total(quantity, price) if quantity and price else None
        if "num2" not in values and total is not None:
            values["num2"] = total
        elif "num2" not in values and (quantity or price is None):
            message = "Neither the line total nor the unit price is given. Fill in one of them, or leave the row out."
            issues.append(Issue("num2", "missing", message, instead="unit_price"))
        elif total is not None and Decimal(values["num2"]) != Decimal(total):
            message = f"Quantity times unit price is {total}; the line total given is sent all the same."
            issues.append(Issue("num2", "another_total", message, warning=True))
        return issues

    def text(self, payloads: Sequence[Payload], settings: Mapping[str, Any], keys: Collection[str]) -> bytes:
        """The lines: `;` between fields, quotes only where needed, CRLF after each line, UTF-8 without a mark."""
        named = {key for payload in payloads for key in payload.values} | set(keys)
        last = max((int(key.removeprefix(_FAMILY)) for key in named if key.startswith(_FAMILY)), default=1)
        columns = (*FIXED, *(f"{_FAMILY}{number}" for number in range(1, last + 1)))
        zone = ZoneInfo(settings.get("timezone") or self.default_timezone)
        mark = settings.get("decimal") or "."
        lines = [_line(payload.values, columns, zone, mark) for payload in payloads]
        if settings.get("header") is True:
            titles = (*TITLES, *(f"EventTransaction Attr{number}" for number in range(1, last + 1)))
            lines.insert(0, ";".join(titles))
        return "".join(f"{line}\r\n" for line in lines).encode()

    def first_line(self, settings: Mapping[str, Any]) -> int:
        """The second where the first holds the names."""
        return 2 if settings.get("header") is True else 1


def line_total(quantity: str, price: str) -> str:
    """Quantity times unit price, exact; no more decimals than it needs, but at least those of the price."""
    total = _EXACT.multiply(Decimal(quantity), Decimal(price))
    whole, dot, part = format(total, "f").partition(".")
    least = len(price.partition(".")[2])
    part = part[:least] + part[least:].rstrip("0")
    return f"{whole}.{part}" if dot and part else whole


def _is_attribute(number: str) -> bool:
    return _ATTRIBUTE.fullmatch(number) is not None and int(number) <= MOST_ATTRIBUTES


def _line(values: Mapping[str, Any], columns: Sequence[str], zone: ZoneInfo, mark: str) -> str:
    fields = {key: _quoted(str(value)) for key, value in values.items()}
    moment = datetime.fromisoformat(values["timestamp"]).astimezone(zone)
    fields["timestamp"] = moment.replace(tzinfo=None).isoformat(" ", "seconds")
    if mark != ".":
        fields |= {key: fields[key].replace(".", mark) for key in _NUMBERS if key in fields}
    return ";".join([fields.get(column, "") for column in columns])


def _quoted(text: str) -> str:
    """The text without line breaks, in quotes where it holds a semicolon or a quote."""
    if not text.isprintable():
        text = _BREAKS.sub(" ", text)
    return '"' + text.replace('"', '""') + '"' if ";" in text or '"' in text else text
