"""Test data for users: rows of files and iterables, each handed out once over a whole test.

The way of a row: a source (CSV, JSON, Python) gives values, a supply puts them into an order, a
stock has some of them at hand, and the desk of a feeder hands them out to users. Where the rows are
the whole test's and there are workers, stock and supply are apart: the master has the supply, and
leases rows to the stocks of its workers.
"""

from protouser.feeders._feeder import Feeder
from protouser.feeders._file_feeders import CsvFeeder, JsonFeeder
from protouser.feeders._row import Row

__all__ = ["CsvFeeder", "Feeder", "JsonFeeder", "Row"]
