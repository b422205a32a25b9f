"""The shop's rows: products and orders, in PostgreSQL.

DATABASE_URL says where. A query that meets a lost connection, as while the database moves to
another replica, is tried again on a new one for some seconds; a change is one transaction, so
trying again never does it twice.
"""

import os
import threading
import time
from contextlib import contextmanager

import psycopg2
import psycopg2.errors
import psycopg2.extras

PATIENCE = 15  # seconds until a database that cannot be reached is an error

SCHEMA = """
CREATE TABLE IF NOT EXISTS products (
    id serial PRIMARY KEY,
    name text NOT NULL CHECK (name <> ''),
    price_cents integer NOT NULL CHECK (price_cents >= 0),
    stock integer NOT NULL CHECK (stock >= 0),
    photo text,
    photo_type text
);
CREATE TABLE IF NOT EXISTS orders (
    id uuid PRIMARY KEY,
    product integer NOT NULL REFERENCES products ON DELETE CASCADE,
    customer text NOT NULL,
    placed_at timestamptz NOT NULL DEFAULT now()
);
"""

# Two replicas start at the same time; only one may make the tables.
SCHEMA_LOCK = 7352

LOST = (psycopg2.OperationalError, psycopg2.InterfaceError, psycopg2.errors.ReadOnlySqlTransaction)


class SoldOut(Exception):
    """There is none left."""


class Catalogue:
    """Products and orders. Each thread has a connection of its own."""

    def __init__(self, url=None):
        self._url = url or os.environ["DATABASE_URL"]
        self._local = threading.local()

    def prepare(self):
        """Makes the tables if they are missing."""

        def work(cursor):
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (SCHEMA_LOCK,))
            cursor.execute(SCHEMA)

        self._do(work, patience=60)

    def products(self):
        def work(cursor):
            cursor.execute(
                "SELECT p.*, count(o.id) AS sold FROM products p LEFT JOIN orders o ON o.product = p.id"
                " GROUP BY p.id ORDER BY p.id"
            )
            return cursor.fetchall()

        return self._do(work)

    def product(self, number):
        def work(cursor):
            cursor.execute("SELECT * FROM products WHERE id = %s", (number,))
            return cursor.fetchone()

        return self._do(work)

    def add(self, name, price_cents, stock, photo=None, photo_type=None):
        def work(cursor):
            cursor.execute(
                "INSERT INTO products (name, price_cents, stock, photo, photo_type)"
                " VALUES (%s, %s, %s, %s, %s) RETURNING id",
                (name, price_cents, stock, photo, photo_type),
            )
            return cursor.fetchone()["id"]

        return self._do(work)

    def order(self, number, customer, order_id):
        """Takes one from the stock. The same order id is one order, however often it is sent."""

        def work(cursor):
            cursor.execute("SELECT 1 FROM orders WHERE id = %s", (order_id,))
            if cursor.fetchone():
                return
            cursor.execute("UPDATE products SET stock = stock - 1 WHERE id = %s AND stock > 0", (number,))
            if cursor.rowcount == 0:
                raise SoldOut
            cursor.execute(
                "INSERT INTO orders (id, product, customer) VALUES (%s, %s, %s)", (order_id, number, customer)
            )

        return self._do(work)

    def remove(self, number):
        """Deletes a product; answers its photo's key."""

        def work(cursor):
            cursor.execute("DELETE FROM products WHERE id = %s RETURNING photo", (number,))
            row = cursor.fetchone()
            return row and row["photo"]

        return self._do(work)

    def check(self):
        """Asks the database for anything at all."""
        self._do(lambda cursor: cursor.execute("SELECT 1"), patience=2)

    def _do(self, work, patience=PATIENCE):
        deadline = time.monotonic() + patience
        while True:
            try:
                with self._transaction() as cursor:
                    return work(cursor)
            except LOST:
                self._forget()
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    @contextmanager
    def _transaction(self):
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = psycopg2.connect(
                self._url, connect_timeout=3, cursor_factory=psycopg2.extras.RealDictCursor
            )
            self._local.connection = connection
        with connection, connection.cursor() as cursor:
            yield cursor

    def _forget(self):
        connection = getattr(self._local, "connection", None)
        self._local.connection = None
        if connection is not None:
            connection.close()
