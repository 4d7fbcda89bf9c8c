"""What schemathesis checks beside its own checks.

Its positive_data_acceptance wants every request that the schema allows to be accepted. Here such a
request may be refused too, for a reason that no schema can say, and for no other.
"""

import schemathesis

# Each depends on the ledger, on what was sent before, or on what words mean.
BEYOND_SCHEMAS = {
    "condition_not_read",  # filters are what was read out of this text
    "idempotency_key_reused",  # the same key with other content
    "insufficient_funds",
    "invalid_cursor",  # cursors are the server's own, and end with the list
    "invalid_email",  # a domain that IDNA refuses, or characters that cannot be seen
    "invalid_film",  # codes of genres and countries, texts without an outer space, and so on
    "invalid_moment",  # a position beyond the end of the ledger, or no position, time or date
    "invalid_movies",  # films of this answer
    "invalid_name",  # characters that cannot be seen
    "invalid_period",  # a month beside days, one day without the other, or days in the wrong order
    "invalid_position",  # beyond the end of the ledger
    "invalid_reason",  # no letter, or characters that cannot be seen
    "invalid_reference",  # as a reason
    "invalid_reset_token",  # tokens are the server's own
    "invalid_scope",  # one twice, or that of admins by somebody else
    "invalid_synonyms",  # words that are the same, or that films are not searched by
    "invalid_text",  # no letter and no digit
    "period_too_long",  # more days or movements than a statement has
    "weak_password",  # among the first that are guessed
}


class UnexplainedRefusal(AssertionError):
    """A request that the schema allows was refused for something that a schema can say."""


@schemathesis.check
def refused_beyond_schemas_only(ctx, response, case):
    if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code not in (400, 402, 413, 415, 422):
        return
    code = response.json()["code"]
    if code not in BEYOND_SCHEMAS:
        raise UnexplainedRefusal(f"the schema allows what was refused with {code}: {response.json()['detail']}")
