#!/usr/bin/env python3
"""verify.py EXPORT: verifies a log of Kassa by docs/format.md alone, and prints what it found and the trial balance as JSON. Exit code 1 where
there is a fault: one that contradicts the entries before it ends the run; after one that no program of the ledger would have written, it goes on."""
import base64, hashlib, json, sys
from collections import Counter, defaultdict
from datetime import datetime, timedelta, timezone
from functools import reduce
from types import SimpleNamespace

ENDS, GRANTS = {"PredictionCompleted", "PredictionFailed", "PredictionExpired"}, {"AdminGranted", "AdminRevoked"}
ORDERS = {"RoleGranted", "RoleRevoked", "AccountLocked", "AccountUnlocked"}
TWO_SCHEMAS = (QUESTIONS := ENDS | {"PredictionRequested"}) | {"BonusGranted", "Deposited", "Withdrawn", "BalanceAdjusted"}
MOVES = TWO_SCHEMAS | {"PredictionRefunded", "CreditsForfeited", "BalanceMovedIn"}
LIMITS = {"Adjustment" + what for what in ("LimitsSet", "Counted", "Proposed", "Approved", "Rejected", "Expired")}
TYPES = MOVES | GRANTS | LIMITS | ORDERS | {"EmailClaimed", "PaymentClaimed", "SignedUp", "ErasureRequested", "ErasureCancelled", "PersonalDataErased", "MoveInAccepted", "PriceSet", "PeriodClosed", "PredictionConfirmed"}
SCHEMAS = {(t, 1) for t in TYPES} | {(t, 2) for t in TWO_SCHEMAS} | {(t, 3) for t in QUESTIONS} | {("PredictionCompleted", 4), ("ErasureCancelled", 2)}
WRITERS = defaultdict(lambda: {"user"}, {
    **{t: {"system"} for t in ENDS | {"CreditsForfeited", "PersonalDataErased", "AdjustmentExpired"}}, **{t: {"operator"} for t in GRANTS | {"MoveInAccepted", "BalanceMovedIn", "PriceSet", "AdjustmentLimitsSet"}},
    **{t: {"user", "system"} for t in ("Withdrawn", "PaymentClaimed")}, **{t: {"user", "operator"} for t in (*ORDERS, "ErasureRequested", "ErasureCancelled", "EmailClaimed", "SignedUp")}})
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)

def need(holds, what):
    if not holds:
        raise ValueError(what)
def moment(text):
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(whole + "." + (fraction + "000000")[:6] + "+00:00")
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
        self.user = self.json["user_id"] if self.type not in ("MoveInAccepted", "PriceSet", "PeriodClosed", "AdjustmentLimitsSet") else ""
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
        self.price, self.move_open, self.joined = None, None, 0  # whether a move was accepted and is not over; accounts that it opened
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
        need(e.version == self.versions[e.stream], f"version {e.version} of {e.stream}")
        {"EmailClaimed": self.claim_email, "PaymentClaimed": self.claim_payment, "MoveInAccepted": self.accept, "PriceSet": self.set_price, "PeriodClosed": self.close}.get(e.type, self.adjustment if e.type in LIMITS else self.account)(e)
        self.times.append(e.time)
        self.size, self.append = e.position, (e.actor, e.cause, e.time)
    def end_append(self):
        self.faults += [[left.position, "counted or approved, and not done"] for left in (self.counted, self.approved) if left]
        need(self.claimed == self.booked, f"claims {dict(self.claimed)}, and what they are for {dict(self.booked)}")
        self.claimed, self.booked, self.counted, self.approved = Counter(), Counter(), None, None
    def author(self, e, begins):
        (kind, _, who), (what, _, rest) = e.actor.partition(":"), e.cause.partition(":")
        self.rule(kind in WRITERS[e.type] and bool(who) == (kind != "operator"), f"{e.type} by {e.actor}")
        command, admin = rest.partition(":")[0] if what == "command" else "", e.json.get("admin_id")
        earlier = what == "position" and rest.isdecimal() and rest == str(int(rest)) and 1 <= int(rest) < e.position
        self.rule(earlier if kind == "system" else command, f"the cause {e.cause}")
        need(not command or not begins or command not in self.commands, "the command was done before")
        self.commands.add(command)
        self.rule(not admin or who == admin and (admin != e.user or (e.type, e.schema) == ("BalanceAdjusted", 1)) and admin in self.accounts and self.accounts[admin].has["admin"], f"{admin} is no admin, or of their own account")
        self.rule(kind != "user" or e.type == "BalanceAdjusted" or admin or who == e.user and e.type not in ORDERS, "on another person's account, or by no admin")
        self.rule(kind != "user" or e.type in ("Deposited", "PaymentClaimed") or who not in self.accounts or not self.accounts[who].has["locked"], f"{who} is locked")
    def claim_email(self, e):
        need(e.stream.startswith("email-") and (e.version == 1 or self.accounts[self.holders[e.stream]].erased), "the e-mail is another person's")
        self.holders[e.stream] = e.user
        self.claimed["e-mail", e.user] += 1
    def claim_payment(self, e):
        need(e.stream.startswith(("payment-", "payout-")) and e.version == 1, "the claim of a payment is not alone")
        self.claimed[e.stream, e.user] += 1
    def accept(self, e):
        need(e.stream == "house-move-in" and min(e["people"], e["bought"], e["given"]) >= 0, "not an acceptance")
        moved = self.joined, -self.house["house:moved_in"], -self.house["house:given_moved_in"]
        self.rule(self.move_open is not False and (not e["final"] or moved == (e["people"], e["bought"], e["given"])), "the move was over, or ends otherwise")
        self.move_open = not e["final"]
    def close(self, e):
        begin, self.closed, before = moment(e["from"]), moment(e["until"]), self.closed
        self.rule(e["position"] == next((n for n, time in enumerate(self.times) if time >= self.closed), self.size), "another entry than its last")
        need(e.stream == "house-periods" and before <= begin < self.closed <= e.time and 0 <= e["position"] <= self.size and len(e["digest"]) == 64, "the period")
    def set_price(self, e):
        currency, credit = e.json.get("currency", ""), e.json.get("credit_price", 0)
        stated = len(currency) == 3 and currency.isascii() and currency.isalpha() and currency.isupper() and 0 < credit <= 10**6
        need(e.stream == "house-prices" and 0 < e["price"] <= 10**6 and (stated or not currency and not credit), "a price that cannot be")
        self.rule(e.json != self.price, "it changes nothing")
        self.price = e.json
    def adjustment(self, e):
        need(e.stream == "house-adjustments", f"{e.type} in {e.stream}")
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
            until, expires, self.proposals[name] = moment(p["expires_at"]), e.type == "AdjustmentExpired", None
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
            p, by, self.approved = self.approved.proposal, self.approved["admin_id"], None
            kind, n = p.json.get("kind"), p["amount"]
            given = 0 if kind == "bought" else n if kind or n > 0 else -min(-n, a.balance["given"])
            have = [e.json.get(k) for k in ("admin_id", "amount", "given_amount", "reason", "reference")]
            self.rule(have == [by, n, given, p["reason"], p.json.get("reference")], "another adjustment than was approved")
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
            return
        a = self.accounts.get(e.user)
        need(a is not None and not a.erased, "there is no such account")
        undivided = e.schema == 1 and e.type in TWO_SCHEMAS
        need(not undivided or not a.balance["given"] + a.balance["given_held"], "schema 1 beside given credits")
        given = 0 if undivided else self.given(a, e)
        self.follow(a, e, given)
        e.type in MOVES and self.move(a, e, given)
        if e.type == "PersonalDataErased":
            need(not any(a.balance.values()) and not a.holds, "credits are left")
            a.erased, a.has = True, Counter()
    def given(self, a, e):
        if e.type in ("BonusGranted", "PredictionRequested"):
            return e["amount"] if e.type == "BonusGranted" else min(e["price"], a.balance["given"])
        if e.type == "PredictionRefunded":
            return next((p["given"] for p in a.paid if p["id"] == e["prediction_id"]), 0)
        return a.holds.get(e["prediction_id"], (0, 0))[1] if e.type in ENDS else e.json.get("given_amount", 0)
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
            need(e["prediction_id"] not in a.holds, "it is held already")
            self.rule(e["prediction_id"] not in self.predictions and len(a.holds) < 64, "the question was asked before, or too many are open")
            self.rule(not self.price or not e["price"] or e["price"] == self.price["price"], "another price than the one that was set")
            self.predictions.add(e["prediction_id"])
            need((e["price"] == 0) == ("follow_up" in e.json), "only a follow-up is free")
            a.holds[e["prediction_id"]] = e["price"], given, moment(e["expires_at"]), e.position, "follow_up" in e.json and self.follow_up(a, e, e["follow_up"])
        elif e.type in ENDS:
            need(e["prediction_id"] in a.holds, "no hold is open")
            price, _, until, asked, first = a.holds.pop(e["prediction_id"])
            need(price == e["price"], "another price")
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
            a.erasure = (moment(e["due_at"]), e.position) if e.type == "ErasureRequested" else None
        elif e.type in ("CreditsForfeited", "PersonalDataErased"):
            self.of_erasure(a, e)
            need(e.type != "CreditsForfeited" or (e["amount"] - given, given) == (a.balance["available"], a.balance["given"]), "not all credits")
    def follow_up(self, a, e, f):
        paid = next((p for p in a.paid if p["id"] == f["of"] and "refunded" not in p), None)
        need(paid and all(h[4] is not paid for h in a.holds.values()), "it follows no paid answer, or another follow-up is open")
        need(paid["number"] + 1 == f["number"], "another number of follow-ups")
        paid["number"] += 1
        self.rule(1 <= f["within_seconds"] <= 86400 and e.time <= paid["at"] + SECOND * f["within_seconds"] and f["number"] <= f["refinements"] <= 10 and len(f.get("excluded", ())) <= 150, "too many follow-ups, or late")
        return paid
    def refund(self, a, e):
        paid = next((p for p in a.paid if p["id"] == e["prediction_id"] and p["price"] == e["price"]), {"refunded": True})
        need("refunded" not in paid, "not the refund of a paid answer")
        was, a.month = a.month, max(a.month, e.time.strftime("%Y-%m"))
        a.refunds = a.refunds * (was == a.month) + 1
        need(a.refunds == e["number"], "another number of refunds")
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
        full = [{"account": w if w.startswith("house:") else f"user:{e.user}:{w}", "amount": n} for w, n in want]
        need(e["postings"] == full, "the postings are not those of the event")
        b = a.balance
        for way, n in want:
            (self.house if way.startswith("house:") else b)[way] += n
        need(min(b.values()) >= 0 and sum(b.values()) <= 10**12, "a balance is below zero, or too high")
        need((stated := (e["available"], e["held"], e.json.get("given", 0), e.json.get("given_held", 0))) == (b["available"] + b["given"], b["held"] + b["given_held"], b["given"], b["given_held"]), f"it says {stated}")
    def report(self):
        self.end_append()
        users = sum((a.balance for a in self.accounts.values()), Counter())
        for book in True, False:
            need(sum(n for account, n in self.house.items() if account.startswith("house:given_") == book) + sum(users[k] for k in (("given", "given_held") if book else ("available", "held"))) == 0, "a book does not sum to zero")
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
