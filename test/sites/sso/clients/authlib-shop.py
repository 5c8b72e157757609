"""A shop that signs people in with Authlib: how it is set up stands in its environment, and its pages come from whoever starts it."""

import os

from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.flask_client import OAuth
from flask import Flask, redirect, session
from urllib.parse import urlencode

env = os.environ
app = Flask(__name__)
app.secret_key = "a shop that keeps its cookies to itself"
origin = env["SHOP_ORIGIN"]
shop = OAuth(app).register(
    "relaymint",
    client_id=env["SHOP_CLIENT_ID"],
    client_secret=env["SHOP_CLIENT_SECRET"],
    server_metadata_url=env["SHOP_METADATA"],
    client_kwargs={"scope": "openid wallet", "code_challenge_method": "S256"},
)


@app.get("/")
def home():
    who = session.get("who")
    return env["SHOP_NOBODY"] if who is None else env["SHOP_SOMEBODY"].replace("WHO", who)


@app.get("/login")
def login():
    return shop.authorize_redirect(f"{origin}/callback")


@app.get("/callback")
def callback():
    try:
        token = shop.authorize_access_token()
    except OAuthError as error:
        return f"refused: {error.error}", 403
    session.update(who=token["userinfo"]["wallet_address"], token=token["id_token"])
    return redirect("/")


@app.get("/logout")
def logout():
    asked = {"id_token_hint": session.pop("token", ""), "post_logout_redirect_uri": f"{origin}/"}
    session.clear()
    return redirect(f"{shop.load_server_metadata()['end_session_endpoint']}?{urlencode(asked)}")


app.run("127.0.0.1", int(env["SHOP_PORT"]))
