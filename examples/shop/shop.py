"""A small web shop: products with pictures, and orders.

Rows live in PostgreSQL (catalogue.py), pictures in a bucket (photos.py); the process itself keeps
nothing, so any number of it can run side by side.
"""

import socket
import uuid

from flask import Flask, Response, abort, jsonify, redirect, render_template, request, url_for

from catalogue import Catalogue, SoldOut
from photos import NotAPicture, Photos

LARGEST_UPLOAD = 10 * 1024 * 1024
MOST_STOCK = 1_000_000
HIGHEST_PRICE = 1_000_000


def create_app():
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_UPLOAD
    catalogue, photos = Catalogue(), Photos()
    catalogue.prepare()

    @app.get("/")
    def index():
        return render_template(
            "index.html",
            products=catalogue.products(),
            new_order=uuid.uuid4,
            pod=socket.gethostname(),
            message=request.args.get("message", ""),
        )

    @app.post("/products")
    def add():
        try:
            name, price, stock = read_product(request.form)
            photo = save_photo(request.files.get("photo"))
        except ValueError as error:
            return back(str(error))
        number = catalogue.add(name, price, stock, *photo)
        return jsonify(id=number) if wants_json() else back(f"{name} is in the shop")

    @app.post("/products/<int:number>/order")
    def order(number):
        try:
            order_id = uuid.UUID(request.form.get("order", "")) if "order" in request.form else uuid.uuid4()
            catalogue.order(number, request.form.get("customer", "").strip() or "somebody", str(order_id))
        except ValueError:
            return back("The order has no valid number")
        except SoldOut:
            return back("Sold out")
        return back("Thank you!")

    @app.post("/products/<int:number>/delete")
    def delete(number):
        photo = catalogue.remove(number)
        if photo:
            photos.remove(photo)
        return back("Removed")

    @app.get("/products.json")
    def products():
        return jsonify(catalogue.products())

    @app.get("/products/<int:number>/photo")
    def photo(number):
        product = catalogue.product(number)
        found = product and product["photo"] and photos.open(product["photo"])
        if not found:
            abort(404)
        length, pieces = found
        headers = {"Content-Length": str(length), "Cache-Control": "public, max-age=3600"}
        return Response(pieces, mimetype=product["photo_type"], headers=headers)

    @app.get("/healthz")
    def healthz():
        catalogue.check()
        photos.check()
        return "ok\n"

    def save_photo(file):
        if not file or not file.filename:
            return None, None
        try:
            return photos.save(file.stream, file.mimetype), file.mimetype
        except NotAPicture:
            raise ValueError("A picture is a PNG, JPEG, WebP or GIF file") from None

    return app


def read_product(form):
    """Name, price in cents and stock; what is wrong is said in a ValueError."""
    name = form.get("name", "").strip()
    if not 1 <= len(name) <= 80:
        raise ValueError("A product needs a name of at most 80 letters")
    try:
        price = round(float(form.get("price", "")) * 100)
    except (ValueError, OverflowError):
        raise ValueError("The price is a number such as 4.50") from None
    if not 0 <= price <= HIGHEST_PRICE * 100:
        raise ValueError(f"The price is from 0 to {HIGHEST_PRICE}")
    try:
        stock = int(form.get("stock", "1"))
    except ValueError:
        raise ValueError("The stock is a whole number") from None
    if not 0 <= stock <= MOST_STOCK:
        raise ValueError(f"The stock is from 0 to {MOST_STOCK}")
    return name, price, stock


def wants_json():
    return request.accept_mimetypes.best == "application/json"


def back(message):
    return redirect(url_for("index", message=message), code=303)
