#!/usr/bin/env python3
"""verify.py EXPORT: verifies a log of Kassa by docs/format.md alone, and prints what it found and the trial balance as JSON. Exit code 1 where
there is a fault: one that contradicts the entries before it ends the run; after one that no program of the ledger would have written, it goes on."""
import base64, hashlib, json, re, struct, sys
from collections import Counter, defaultdict
from datetime import datetime, timedelta, timezone
from functools import reduce
from types import SimpleNamespace
ENDS, GRANTS, ORDERS = {"PredictionCompleted", "PredictionFailed", "PredictionExpired"}, {"AdminGranted", "AdminRevoked"}, {"RoleGranted", "RoleRevoked", "AccountLocked", "AccountUnlocked"}
TWO_SCHEMAS = (QUESTIONS := ENDS | {"PredictionRequested"}) | {"BonusGranted", "Deposited", "Withdrawn", "BalanceAdjusted"}
MOVES = TWO_SCHEMAS | {"PredictionRefunded", "CreditsForfeited", "BalanceMovedIn"}
STREAMS = {"MoveInAccepted": "house-move-in", "PriceSet": "house-prices", "PeriodClosed": "house-periods", "ViewsAttested": "house-attestations", "CatalogueRecorded": "house-catalogue", "LedgerVerified": "house-verifications"}
LIMITS = {"Adjustment" + what for what in ("LimitsSet", "Counted", "Proposed", "Approved", "Rejected", "Expired")}
TYPES = MOVES | GRANTS | LIMITS | ORDERS | STREAMS.keys() | {"EmailClaimed", "PaymentClaimed", "SignedUp", "ErasureRequested", "ErasureCancelled", "PersonalDataErased", "PredictionConfirmed"}
SCHEMAS = {(t, 1) for t in TYPES} | {(t, 2) for t in TWO_SCHEMAS} | {(t, 3) for t in QUESTIONS} | {("PredictionCompleted", 4), ("ErasureCancelled", 2)}
WRITERS = defaultdict(lambda: {"user"}, {
    **{t: {"system"} for t in ENDS | {"CreditsForfeited", "PersonalDataErased", "AdjustmentExpired", "ViewsAttested", "CatalogueRecorded"}}, **{t: {"operator"} for t in GRANTS | {"MoveInAccepted", "BalanceMovedIn", "PriceSet", "AdjustmentLimitsSet", "LedgerVerified"}},
    **{t: {"user", "system"} for t in ("Withdrawn", "PaymentClaimed")}, **{t: {"user", "operator"} for t in (*ORDERS, "ErasureRequested", "ErasureCancelled", "EmailClaimed", "SignedUp")}})
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
def need(holds, what):
    if not holds:
        raise ValueError(what)
def once(pairs):
    need(len(dict(pairs)) == len(pairs), "a member comes twice")
    return dict(pairs)
class Entry:  # its fields, from its bytes
    def __init__(self, raw):
        self.raw, self.at = raw, 1
        need(0 < len(raw) <= 32768 and raw[0] == 1, "not an entry of format 1")
        self.position, self.version, self.schema, micros = (self.varint() for _ in range(4))
        self.time = datetime.fromtimestamp(0, timezone.utc) + timedelta(microseconds=micros)
        self.stream, self.type, self.actor, self.cause = (self.text().decode() for _ in range(4))
        self.json = json.loads(self.text(), object_pairs_hook=once)
        need(self.at == len(raw), "bytes behind the payload")
        need((self.type, self.schema) in SCHEMAS, "of a later program")
        self.user = self.json["user_id"] if self.type not in STREAMS and self.type != "AdjustmentLimitsSet" else ""
    def varint(self):
        value, start, byte = 0, self.at, 128
        while byte >= 128:
            need(self.at < len(self.raw), "the entry ends in a number")
            byte, self.at = self.raw[self.at], self.at + 1
            value |= (byte & 127) << 7 * (self.at - 1 - start)
        need(value < 2**63 and (byte or self.at == start + 1), "a number in another form")
        return value
    def text(self):
        size = self.varint()
        self.at += size
        need(self.at <= len(self.raw), "the entry ends in a text")
        return self.raw[self.at - size:self.at]
    def __getitem__(self, name):
        return self.json[name]
class Tree:  # of RFC 6962, as the roots of its complete subtrees
    def __init__(self):
        self.peaks = []  # (number of leaves, root)
    def add(self, leaf):
        size, root = 1, leaf
        while self.peaks and self.peaks[-1][0] == size:
            size, root = 2 * size, hashlib.sha256(b"\1" + self.peaks.pop()[1] + root).digest()
        self.peaks.append((size, root))
    def root(self):
        peaks = [peak for _, peak in self.peaks] or [hashlib.sha256().digest()]
        return reduce(lambda right, left: hashlib.sha256(b"\1" + left + right).digest(), reversed(peaks))
def leaf(raw):
    return hashlib.sha256(b"\0" + raw).digest()
class Log:
    def __init__(self):
        self.tree, self.size, self.times, self.append, self.faults, self.closed = Tree(), 0, [], None, [], datetime(2020, 1, 1, tzinfo=timezone.utc)
        self.versions, self.accounts, self.holders, self.house, self.events = Counter(), {}, {}, Counter(), Counter()
        self.commands, self.payments, self.predictions, self.claimed, self.booked, self.now = set(), set(), set(), Counter(), Counter(), datetime.now(timezone.utc)
        self.alone, self.daily, self.day, self.counted, self.approved, self.used, self.proposals = 0, 0, "", None, None, Counter(), {}
        self.roots, self.moved, self.films, self.price, self.move_open, self.joined = [], [], None, None, None, 0  # whether a move was accepted and is not over; accounts that it opened
    def rule(self, holds, what):
        self.faults += [] if holds else [[self.size + 1, what]]
    def add(self, raw):
        self.tree.add(leaf(raw))
        e = Entry(raw)
        need(e.position == self.size + 1 and e.time.year >= 2020, f"position {e.position}, {e.time}")
        self.rule(self.closed <= e.time <= self.now + 5 * MINUTE, f"the time {e.time}")
        (begins := self.append != (e.actor, e.cause, e.time)) and self.end_append()
        self.author(e, begins)
        self.versions[e.stream], self.events[e.type] = self.versions[e.stream] + 1, self.events[e.type] + 1
        need(e.version == self.versions[e.stream] and e.stream == STREAMS.get(e.type, "house-adjustments" if e.type in LIMITS else e.stream), f"{e.type} as version {e.version} of {e.stream}")
        {"EmailClaimed": self.claim, "PaymentClaimed": self.claim, "MoveInAccepted": self.accept, "PriceSet": self.set_price, "PeriodClosed": self.close}.get(
            e.type, self.record if e.type in STREAMS else self.adjustment if e.type in LIMITS else self.account)(e)
        self.times.append(e.time)
        self.roots.append(self.tree.root().hex())
        self.size, self.append = e.position, (e.actor, e.cause, e.time)
    def end_append(self):
        self.faults += [[left.position, "counted or approved, and not done"] for left in (self.counted, self.approved) if left]
        need(self.claimed == self.booked, f"claims {dict(self.claimed)}, and what they are for {dict(self.booked)}")
        self.claimed, self.booked, self.counted, self.approved = Counter(), Counter(), None, None
    def author(self, e, begins):
        (kind, _, who), (what, _, rest) = e.actor.partition(":"), e.cause.partition(":")
        self.rule(kind in WRITERS[e.type] and bool(who) == (kind != "operator"), f"{e.type} by {e.actor}")
        command, admin = rest.partition(":")[0] if what == "command" else "", e.json.get("admin_id")
        self.rule(what == "position" and rest.isdecimal() and rest == str(int(rest)) and 1 <= int(rest) < e.position if kind == "system" else command, f"the cause {e.cause}")
        need(not command or not begins or command not in self.commands, "the command was done before")
        self.commands.add(command)
        self.rule(not admin or who == admin and (admin != e.user or (e.type, e.schema) == ("BalanceAdjusted", 1)) and admin in self.accounts and self.accounts[admin].has["admin"], f"{admin} is no admin, or of their own account")
        self.rule(kind != "user" or (e.type == "BalanceAdjusted" or admin or who == e.user and e.type not in ORDERS) and (
            e.type in ("Deposited", "PaymentClaimed") or who not in self.accounts or not self.accounts[who].has["locked"]), f"{who} is locked, no admin, or not whose account it is")
    def claim(self, e):
        mail = e.type == "EmailClaimed"
        need(e.stream.startswith("email-" if mail else ("payment-", "payout-")) and (e.version == 1 or mail and self.accounts[self.holders[e.stream]].erased), "it is another person's, or claimed before")
        self.holders[e.stream] = e.user
        self.claimed["e-mail" if mail else e.stream, e.user] += 1
    def accept(self, e):
        need(min(e["people"], e["bought"], e["given"]) >= 0, "not an acceptance")
        moved = self.joined, -self.house["house:moved_in"], -self.house["house:given_moved_in"]
        self.rule(self.move_open is not False and (not e["final"] or moved == (e["people"], e["bought"], e["given"])), "the move was over, or ends otherwise")
        self.move_open = not e["final"]
    def close(self, e):
        begin, self.closed, before = datetime.fromisoformat(e["from"]), datetime.fromisoformat(e["until"]), self.closed
        self.rule(e["position"] == next((n for n, time in enumerate(self.times) if time >= self.closed), self.size), "another entry than its last")
        need(before <= begin < self.closed <= e.time and 0 <= e["position"] <= self.size and len(e["digest"]) == 64, "the period")
    def record(self, e):  # what the house says of its views, its films, and who verified the log
        need(all(len(hash) == 64 for hash in [e.json.get("root", 64 * "0")] + [v["state"] for v in e.json.get("views", ())]) and min(e.json.get(n, 0) for n in ("films", "vectors", "revision", "faults")) >= 0, "no hash, or less than none")
        if e.type == "ViewsAttested":
            need((names := [v["view"] for v in e["views"]]) and all(names) and names == sorted(set(names)) and all(0 < v["position"] < e.position for v in e["views"]), "views that cannot be")
            self.rule(all(v["state"] == self.state(v["position"]) for v in e["views"] if v["view"] == "balances_v2"), "another state of the balances")
        elif e.type == "CatalogueRecorded":
            before, self.films = self.films, (e["catalogue_version"], e["root"], e["revision"])
            self.rule(before != self.films, "it changes nothing")
        else:
            need(0 < len(e["by"].encode()) <= 100 and 0 < e["position"] < e.position and bool(e["faults"]) == ("first_fault" in e.json), "a verification that cannot be")
            self.rule(e["root"] == self.roots[e["position"] - 1], "another log was verified")
    def state(self, upto):  # of the view of balances
        rows = {user: struct.unpack("<1024H", hashlib.shake_128(row.encode()).digest(2048)) for at, user, row in self.moved if at <= upto}
        return hashlib.sha256(struct.pack("<1024H", *reduce(lambda sums, row: [(a + b) % 65536 for a, b in zip(sums, row)], rows.values(), [0] * 1024))).hexdigest()
    def note(self, e, b):  # the row of a balance, from here on
        self.moved.append((e.position, e.user, f'user_id="{e.user}"\0available={b["available"] + b["given"]} held={b["held"] + b["given_held"]} given={b["given"]} given_held={b["given_held"]} position={e.position}'))
    def set_price(self, e):
        currency, credit = e.json.get("currency", ""), e.json.get("credit_price", 0)
        need(0 < e["price"] <= 10**6 and (re.fullmatch("[A-Z]{3}", currency) and 0 < credit <= 10**6 or (currency, credit) == ("", 0)), "a price that cannot be")
        self.rule(e.json != self.price, "it changes nothing")
        self.price = e.json
    def adjustment(self, e):
        admin, name = e.json.get("admin_id"), e.json.get("proposal_id")
        if e.type == "AdjustmentLimitsSet":
            self.alone, self.daily = e["four_eyes_above"], e["daily_limit"]
            need(0 <= self.alone <= 10**6 and 0 <= self.daily <= 10**12, "limits that are none")
        elif e.type == "AdjustmentCounted":
            self.rule(e["used"] <= self.daily, "over the daily limit")
            day = max(self.day, e.time.strftime("%Y-%m-%d"))
            self.day, self.used, self.counted = day, self.used if day == self.day else Counter(), e
            self.used[e.user] += e["amount"]
            need(0 < e["amount"] <= 10**6 and self.used[e.user] == e["used"], "another sum of the day")
        elif e.type == "AdjustmentProposed":
            need(self.proposals.setdefault(name, e) is e and 0 < abs(e["amount"]) <= 10**6, "proposed twice, or no amount")
            self.count(admin, e["amount"])
        else:
            p = self.proposals.get(name)
            need(p and p.user == e.user, "no such proposal is open")
            until, expires, self.proposals[name] = datetime.fromisoformat(p["expires_at"]), e.type == "AdjustmentExpired", None
            self.rule(e.time + SECOND >= until and e.cause == f"position:{p.position}" if expires else e.time < until, "early, late or of another cause")
            if e.type == "AdjustmentApproved":
                self.rule(admin != p["admin_id"], "approved by who proposed it")
                self.count(admin, p["amount"])
                self.approved, e.proposal = e, p
    def count(self, admin, amount):
        c, self.counted = self.counted, None
        self.rule(not self.daily or c and (c.user, c["amount"]) == (admin, abs(amount)), "not counted for the daily limit")
    def adjusted(self, a, e):
        if self.approved and self.approved.user == e.user:
            by, p, self.approved = self.approved["admin_id"], self.approved.proposal, None
            kind, n = p.json.get("kind"), p["amount"]
            given = 0 if kind == "bought" else n if kind or n > 0 else -min(-n, a.balance["given"])
            self.rule([e.json.get(k) for k in ("admin_id", "amount", "given_amount", "reason", "reference")] == [by, n, given, p["reason"], p.json.get("reference")], "another adjustment than was approved")
        else:
            self.rule(not self.alone or abs(e["amount"]) <= self.alone, "above the limit without another admin")
            self.count(e["admin_id"], e["amount"])
    def account(self, e):
        need(e.stream == "account-" + e.user, f"an entry of {e.user} in {e.stream}")
        if e.type in ("SignedUp", "BalanceMovedIn") and e.actor == "operator":
            self.rule(self.move_open, "moved in without acceptance")
            self.joined += e.type == "SignedUp"
        if e.type == "SignedUp":
            need(e.version == 1, "a sign-up over an account")
            self.booked["e-mail", e.user] += 1  # available and held, in a balance, are those of bought credits
            self.accounts[e.user] = SimpleNamespace(joined=e.time, has=Counter(), erased=False, erasure=None, month="", refunds=0, holds={}, paid=[], balance=Counter())
            return self.note(e, Counter())
        a = self.accounts.get(e.user)
        need(a is not None and not a.erased, "there is no such account")
        undivided = e.schema == 1 and e.type in TWO_SCHEMAS
        need(not undivided or not a.balance["given"] + a.balance["given_held"], "schema 1 beside given credits")
        given = 0 if undivided else self.given(a, e)
        self.follow(a, e, given)
        e.type in MOVES and self.move(a, e, given)
    def given(self, a, e):
        asked, of = e.json.get("prediction_id"), {"BonusGranted": lambda: e["amount"], "PredictionRequested": lambda: min(e["price"], a.balance["given"])}
        of["PredictionRefunded"] = lambda: next((p["given"] for p in a.paid if p["id"] == asked), 0)
        return of.get(e.type, lambda: a.holds.get(asked, (0, 0))[1] if e.type in ENDS else e.json.get("given_amount", 0))()
    def follow(self, a, e, given):
        if e.type == "BonusGranted":
            self.rule(e.version == 2 and self.booked["e-mail", e.user], "a bonus without a sign-up")
        elif handle := {"BalanceAdjusted": self.adjusted, "PredictionRefunded": self.refund}.get(e.type):
            handle(a, e)
        elif e.type in ("Deposited", "Withdrawn"):
            stream = ("payment-" if e.type == "Deposited" else "payout-") + e["provider"] + "/" + e["payment"]
            self.rule(stream not in self.payments, "the payment was booked before")
            self.payments.add(stream)
            self.booked[stream, e.user] += e.schema == 2
            e.actor.startswith("system:") and self.of_erasure(a, e)
        elif e.type == "PredictionRequested":
            self.rule(e["prediction_id"] not in self.predictions and len(a.holds) < 64, "the question was asked before, or too many are open")
            self.rule(not self.price or not e["price"] or e["price"] == self.price["price"], "another price than the one that was set")
            self.predictions.add(e["prediction_id"])
            need(e["prediction_id"] not in a.holds and (e["price"] == 0) == ("follow_up" in e.json), "it is held already, or a question is free that is no follow-up")
            a.holds[e["prediction_id"]] = e["price"], given, datetime.fromisoformat(e["expires_at"]), e.position, "follow_up" in e.json and self.follow_up(a, e, e["follow_up"])
        elif e.type in ENDS:
            need(e["prediction_id"] in a.holds and a.holds[e["prediction_id"]][0] == e["price"], "no hold is open, or of another price")
            price, _, until, asked, first = a.holds.pop(e["prediction_id"])
            self.rule(e.cause == f"position:{asked}" and (e.type != "PredictionExpired" or e.time + SECOND >= until), "the cause is not its request, or it expires early")
            if first:
                first["answers"] += [e["prediction_id"]] * (e.type == "PredictionCompleted")
                first["number"] -= e.type == "PredictionExpired" or e.json.get("reason") in ("worker_failed", "text_erased")
            elif e.type == "PredictionCompleted":
                a.paid = (a.paid + [{"id": e["prediction_id"], "price": price, "given": given, "at": e.time, "number": 0, "answers": [e["prediction_id"]]}])[-32:]
        elif e.type == "PredictionConfirmed":
            paid = next((p for p in a.paid if e["prediction_id"] in p["answers"] and "refunded" not in p), None)
            need(paid, "no paid answer, or its conversation is over")
            self.rule(e.time <= paid["at"] + DAY, "confirmed late")
            a.paid.remove(paid)
        elif e.type in GRANTS | ORDERS:
            state, now = "locked" if e.type.startswith("Account") else e.json.get("role", "admin"), e.type.endswith(("Granted", "Locked"))
            need(state in ("admin", "auditor") or e.type.startswith("Account"), "no such role")
            self.rule(a.has[state] != now, "it changes nothing")
            a.has[state] = now
        elif e.type in ("ErasureRequested", "ErasureCancelled"):
            need(a.erasure or e.json.get("bought") in ("withdraw", "forfeit"), "no erasure was requested, or bought credits become nothing known")
            a.erasure = (datetime.fromisoformat(e["due_at"]), e.position) if e.type == "ErasureRequested" else None
        elif e.type == "CreditsForfeited":
            self.of_erasure(a, e)
            need((e["amount"] - given, given) == (a.balance["available"], a.balance["given"]), "not all credits")
        elif e.type == "PersonalDataErased":
            self.of_erasure(a, e)
            need(not any(a.balance.values()) and not a.holds, "credits are left")
            a.erased, a.has = True, Counter()
    def follow_up(self, a, e, f):
        paid = next((p for p in a.paid if p["id"] == f["of"] and "refunded" not in p), None)
        need(paid and all(h[4] is not paid for h in a.holds.values()) and paid["number"] + 1 == f["number"], "it follows no paid answer, another follow-up is open, or it has another number")
        paid["number"] += 1
        self.rule(1 <= f["within_seconds"] <= 86400 and e.time <= paid["at"] + SECOND * f["within_seconds"] and f["number"] <= f["refinements"] <= 10 and len(f.get("excluded", ())) <= 150, "too many follow-ups, or late")
        return paid
    def refund(self, a, e):
        paid = next((p for p in a.paid if p["id"] == e["prediction_id"] and p["price"] == e["price"]), {"refunded": True})
        was, a.month = a.month, max(a.month, e.time.strftime("%Y-%m"))
        a.refunds = a.refunds * (was == a.month) + 1
        need("refunded" not in paid and a.refunds == e["number"], "not the refund of a paid answer, or another number of refunds")
        self.rule(a.joined + DAY * e["account_days"] <= e.time <= paid["at"] + DAY and e["number"] <= e["per_month"] <= 100 and 0 <= e["account_days"] <= 366, "too many refunds, late, or too soon")
        paid["refunded"] = True
    def of_erasure(self, a, e):
        need(a.erasure or e.type == "Withdrawn", "no erasure was requested")
        self.rule(a.erasure and e.cause == f"position:{a.erasure[1]}" and e.time + SECOND >= a.erasure[0], "no erasure is due")
    def move(self, a, e, given):
        amount = e.json.get("amount", e.json.get("price"))
        need((amount > 0 or e.type in QUESTIONS) and 0 <= given <= amount or e.type in ("BalanceAdjusted", "BalanceMovedIn") and amount and amount * given >= 0 and abs(given) <= abs(amount), "the amount")
        ways = {
            "BonusGranted": ("house:given_bonus", "given", "house:bonus", "available"), "Deposited": ("", "", "house:cash", "available"), "Withdrawn": ("", "", "available", "house:cash"),
            "PredictionRequested": ("given", "given_held", "available", "held"), "PredictionCompleted": ("given_held", "house:given_spent", "held", "house:revenue"),
            "PredictionFailed": ("given_held", "given", "held", "available"), "PredictionExpired": ("given_held", "given", "held", "available"),
            "PredictionRefunded": ("house:given_spent", "given", "house:revenue", "available"), "BalanceAdjusted": ("house:given_adjustments", "given", "house:adjustments", "available"),
            "BalanceMovedIn": ("house:given_moved_in", "given", "house:moved_in", "available"), "CreditsForfeited": ("given", "house:given_forfeited", "available", "house:forfeited")}[e.type]
        want = [(ways[i], sign * n) for k, n in ((0, given), (2, amount - given)) if n for i, sign in ((k, -1), (k + 1, 1))]
        need(e["postings"] == [{"account": w if w.startswith("house:") else f"user:{e.user}:{w}", "amount": n} for w, n in want], "the postings are not those of the event")
        b = a.balance
        for way, n in want:
            (self.house if way.startswith("house:") else b)[way] += n
        need(min(b.values()) >= 0 and sum(b.values()) <= 10**12, "a balance is below zero, or too high")
        need((stated := (e["available"], e["held"], e.json.get("given", 0), e.json.get("given_held", 0))) == (b["available"] + b["given"], b["held"] + b["given_held"], b["given"], b["given_held"]), f"it says {stated}")
        want and self.note(e, b)
    def report(self):
        self.end_append()
        users = sum((a.balance for a in self.accounts.values()), Counter())
        given = sum(n for account, n in self.house.items() if account.startswith("house:given_")) + users["given"] + users["given_held"]
        need(given == 0 == sum(self.house.values()) + sum(users.values()), "a book does not sum to zero")
        return {"size": self.size, "root": self.tree.root().hex(), "accounts": len(self.accounts), "events": dict(self.events),
                "house": dict(self.house), "users": {k: users[k] for k in ("available", "held", "given", "given_held")}}
def entries(lines):
    head = json.loads(next(lines, "{}"))
    need(head.get("format") == "kassa-log" and head["version"] == 1 and head["from"] == 1, "not an export from the beginning")
    for position in range(1, head["upto"] + 1):
        line = json.loads(next(lines, "{}"))
        need(line.get("position") == position, f"the line of position {position} is missing")
        yield base64.b64decode(line["entry"], validate=True), line["leaf"], head["root"]
    need(next(lines, None) is None, "lines behind the last entry")
def verify(lines):
    log, root, report = Log(), hashlib.sha256().hexdigest(), {}
    try:
        for raw, stated, root in entries(lines):
            need(stated == leaf(raw).hex(), "the entry is not the one that was hashed")
            log.add(raw)
        report = log.report()
        need(root == report["root"], "the root is another")
    except (KeyError, ValueError, TypeError) as fault:
        log.faults.append([log.size + 1, str(fault)])
    return report | {"faults": log.faults}
if __name__ == "__main__":
    print(json.dumps(found := verify(iter(open(sys.argv[1], encoding="utf-8")))))
    sys.exit(1 if found["faults"] else 0)
