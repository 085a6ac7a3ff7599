"""What people call their columns, in English, German, French and Turkish: aliases that several vendors share.

Case, accents, spaces and signs do not count when a header is compared (see `offline_portal.mapping`).
"""

from __future__ import annotations


def listed(text: str) -> tuple[str, ...]:
    """The names in a text that separates them by commas."""
    return tuple(name for part in text.split(",") if (name := part.strip()))


TIME = listed(
    "timestamp, date, datetime, date and time, time, event time, event date, when, occurred at, happened at, "
    "created at, order date, purchase date, purchased at, transaction date, sale date, sold at, sold on, "
    "booking date, booked at, closed date, close date, conversion time, conversion date, "
    "Datum, Zeitpunkt, Zeitstempel, Datum und Uhrzeit, Uhrzeit, Zeit, Kaufdatum, Bestelldatum, Buchungsdatum, "
    "Verkaufsdatum, Verkauft am, Gekauft am, Abschlussdatum, Rechnungsdatum, "
    "date et heure, horodatage, heure, date d'achat, date de commande, date de vente, date de réservation, "
    "date de transaction, "
    "tarih, tarih ve saat, zaman, zaman damgası, saat, sipariş tarihi, satın alma tarihi, satış tarihi, "
    "işlem tarihi, rezervasyon tarihi"
)
AMOUNT = listed(
    "amount, value, total, total value, revenue, order total, order value, order amount, basket total, price, "
    "total price, grand total, sale amount, sales amount, sale value, transaction value, transaction total, "
    "transaction amount, purchase amount, booking value, "
    "Betrag, Wert, Summe, Gesamt, Gesamtbetrag, Gesamtsumme, Gesamtpreis, Gesamtwert, Umsatz, Preis, Bestellwert, "
    "Warenkorbwert, Rechnungsbetrag, Kaufbetrag, Buchungswert, "
    "montant, montant total, valeur, prix, prix total, chiffre d'affaires, total de la commande, "
    "montant de la commande, montant de l'achat, total TTC, "
    "tutar, toplam, toplam tutar, değer, fiyat, toplam fiyat, ciro, gelir, sipariş tutarı, sepet tutarı, "
    "satış tutarı, işlem tutarı"
)
CURRENCY = listed(
    "currency, currency code, iso currency, ccy, curr, Währung, Währungscode, Waehrung, WKZ, "
    "devise, code devise, monnaie, para birimi, para birimi kodu, döviz, döviz cinsi"
)
ORDER = listed(
    "transaction id, transaction, transaction number, transaction ref, transaction reference, order id, order number, "
    "order no, order ref, order reference, order, purchase id, booking id, booking number, booking reference, "
    "invoice number, invoice id, receipt number, reference, reference number, "
    "Transaktions-ID, Transaktionsnummer, Bestellnummer, Bestell-ID, Bestell-Nr., Bestellung, Auftragsnummer, "
    "Auftrags-Nr., Auftrag, Buchungsnummer, Rechnungsnummer, Belegnummer, Referenz, Vorgangsnummer, "
    "numéro de commande, n° de commande, id commande, commande, identifiant de transaction, id transaction, "
    "numéro de transaction, transaction n°, numéro de réservation, numéro de facture, référence, "
    "işlem numarası, işlem no, işlem kimliği, işlem id, sipariş numarası, sipariş no, sipariş id, sipariş, "
    "rezervasyon no, fatura no, fatura numarası, fiş no, referans, referans no"
)
EMAIL = listed(
    "email, email address, customer email, user email, client email, contact email, buyer email, mail, "
    "E-Mail-Adresse, Mailadresse, Kunden-E-Mail, E-Mail Kunde, "
    "adresse e-mail, adresse mail, courriel, e-mail client, "
    "e-posta, e-posta adresi, müşteri e-posta, e-posta müşteri"
)
CUSTOMER = listed(
    "customer, customer id, customer number, client id, user, user id, person, person id, contact, member id, "
    "Kunde, Kundennummer, Kunden-ID, Kunden-Nr., Benutzer, Benutzer-ID, Kontakt, Person, Personen-ID, "
    "client, numéro client, identifiant client, id client, utilisateur, identifiant, personne, "
    "müşteri, müşteri no, müşteri numarası, müşteri id, kullanıcı, kullanıcı id, kişi, kimlik, üye no"
)
VISITOR = listed(
    "visitor code, visitor, visitor id, visitor number, Besuchercode, Besucher, Besucher-ID, Besuchernummer, "
    "Besucherkennung, code visiteur, visiteur, identifiant visiteur, id visiteur, code du visiteur, "
    "identifiant du visiteur, ziyaretçi kodu, ziyaretçi, ziyaretçi kimliği, ziyaretçi no, ziyaretçi id"
)
EVENT = listed(
    "event, event name, action, activity, what happened, conversion name, conversion, "
    "Ereignis, Ereignisname, Aktion, Vorgang, Konversion, "
    "événement, nom de l'événement, action réalisée, olay, olay adı, etkinlik, etkinlik adı, işlem, dönüşüm"
)
PAGE = listed(
    "url, page, page url, web page, web address, link, landing page, "
    "Seite, Seiten-URL, Webseite, Webadresse, page web, adresse web, lien, url de la page, "
    "sayfa, sayfa adresi, web sayfası, bağlantı, web adresi"
)
