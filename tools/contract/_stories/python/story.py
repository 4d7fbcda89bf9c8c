"""The story with the client that openapi-python-client made (package kassa_api)."""

import sys

from kassa_api.api.people import adjust, sign_up, transactions
from kassa_api.api.predictions import predict
from kassa_api.client import AuthenticatedClient, Client
from kassa_api.models import Move, NewAccount, Problem, Question

base, email, password = sys.argv[1:]
up = sign_up.sync(client=Client(base), body=NewAccount(email, password), idempotency_key="python-1")
assert up.balance == 10, up
import base64

token = base64.b64encode(f"{email}:{password}".encode()).decode()
ada = AuthenticatedClient(base, token=token, prefix="Basic")
paid = adjust.sync(client=ada, body=Move(amount=30), idempotency_key="python-2")
assert paid.balance == 40, paid
asked = predict.sync(client=ada, body=Question(text="a robbery inside a dream", limit=2), idempotency_key="python-3", prefer="wait=30")
assert asked.status == "completed" and len(asked.movies) == 2, asked
lines = transactions.sync(client=ada, min_position=asked.end_position)
assert [t.amount for t in lines.items] == [-5, 30, 10], lines
refused = adjust.sync(client=ada, body=Move(amount=-1000))
assert isinstance(refused, Problem) and refused.code == "insufficient_funds", refused
