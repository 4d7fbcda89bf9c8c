"""The story with the client that openapi-python-client made (package kassa_api)."""

import base64
import sys

from kassa_api.api.people import adjust, balance, sign_up, transactions
from kassa_api.api.predictions import predict
from kassa_api.client import AuthenticatedClient, Client
from kassa_api.models import Move, NewAccount, Problem, Question

email = "ada@example.org"
base, password = sys.argv[1:]
token = base64.b64encode(f"{email}:{password}".encode()).decode()
ada = AuthenticatedClient(base, token=token, prefix="Basic")


def move(amount, key):
    return adjust.sync_detailed(client=ada, body=Move(amount=amount), idempotency_key=key)


up = sign_up.sync(client=Client(base), body=NewAccount(email, password), idempotency_key="key-1")
assert up.balance == 10, up

paid = move(30, "key-2")
assert paid.parsed.balance == 40, paid
again = move(30, "key-2")
assert again.headers["Idempotent-Replayed"] == "true" and again.parsed.position == paid.parsed.position, again

question = Question(text="a robbery inside a dream", limit=2)
asked = predict.sync(client=ada, body=question, idempotency_key="key-3", prefer="wait=30")
assert asked.status == "completed" and len(asked.movies) == 2, asked
wallet = balance.sync(client=ada, min_position=asked.end_position)
assert wallet.balance == 35, wallet

page = transactions.sync(client=ada, limit=2, min_position=asked.end_position)
rest = transactions.sync(client=ada, limit=2, cursor=page.next_cursor, min_position=asked.end_position)
assert [line.amount for line in page.items + rest.items] == [-5, 30, 10], (page, rest)

out = move(-12, "key-4")
assert out.parsed.balance == 23, out
refused = move(-1000, "key-5")
assert refused.status_code == 402 and isinstance(refused.parsed, Problem), refused
assert refused.parsed.code == "insufficient_funds", refused
