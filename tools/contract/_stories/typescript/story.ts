// The story with the types that openapi-typescript made, and openapi-fetch.
import createClient from "openapi-fetch";
import type { paths } from "./api";

const email = "ada@example.org";
const [base, password] = process.argv.slice(2) as [string, string];
const basic = "Basic " + Buffer.from(`${email}:${password}`).toString("base64");
const guest = createClient<paths>({ baseUrl: base });
const ada = createClient<paths>({ baseUrl: base, headers: { Authorization: basic } });

function check(holds: boolean, what: unknown): void {
  if (!holds) throw new Error(JSON.stringify(what));
}

function adjust(amount: number, key: string) {
  return ada.POST("/api/users/balance/adjust", { body: { amount }, params: { header: { "Idempotency-Key": key } } });
}

async function history(min_position: number): Promise<number[]> {
  const amounts: number[] = [];
  let cursor: string | undefined;
  do {
    const page = await ada.GET("/api/users/transaction/history", { params: { query: { limit: 2, cursor, min_position } } });
    if (!page.data) throw new Error(JSON.stringify(page.error));
    amounts.push(...page.data.items.map((line) => line.amount));
    cursor = page.data.next_cursor || undefined;
  } while (cursor);
  return amounts;
}

async function story(): Promise<void> {
  const up = await guest.POST("/api/users/signup", { body: { email, password }, params: { header: { "Idempotency-Key": "key-1" } } });
  check(up.data?.balance === 10, up.error);

  const paid = await adjust(30, "key-2");
  check(paid.data?.balance === 40, paid.error);
  const again = await adjust(30, "key-2");
  check(again.data?.position === paid.data?.position && again.response.headers.get("Idempotent-Replayed") === "true", again);

  const asked = await ada.POST("/api/events/prediction/new", {
    body: { text: "a robbery inside a dream", limit: 2 },
    params: { header: { "Idempotency-Key": "key-3", Prefer: "wait=30" } },
  });
  check(asked.data?.status === "completed" && asked.data.movies.length === 2, asked);
  const ended = asked.data?.end_position ?? 0;
  const wallet = await ada.GET("/api/users/balance", { params: { query: { min_position: ended } } });
  check(wallet.data?.balance === 35, wallet);
  check((await history(ended)).join() === "-5,30,10", "history");

  const out = await adjust(-12, "key-4");
  check(out.data?.balance === 23, out.error);
  const refused = await adjust(-1000, "key-5");
  check(refused.response.status === 402 && refused.error?.code === "insufficient_funds", refused);
}

story().catch((e: unknown) => {
  console.error(e);
  process.exit(1);
});
