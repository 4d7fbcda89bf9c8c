// The story with the types that openapi-typescript made, and openapi-fetch.
import createClient from "openapi-fetch";
import type { paths } from "./api";

const [base, email, password] = process.argv.slice(2) as [string, string, string];
const basic = "Basic " + Buffer.from(`${email}:${password}`).toString("base64");
const guest = createClient<paths>({ baseUrl: base });
const ada = createClient<paths>({ baseUrl: base, headers: { Authorization: basic } });

function check(holds: boolean, what: unknown): void {
  if (!holds) throw new Error(JSON.stringify(what));
}

async function story(): Promise<void> {
  const up = await guest.POST("/api/users/signup", { body: { email, password }, params: { header: { "Idempotency-Key": "ts-1" } } });
  check(up.data?.balance === 10, up.error);
  const paid = await ada.POST("/api/users/balance/adjust", { body: { amount: 30 }, params: { header: { "Idempotency-Key": "ts-2" } } });
  check(paid.data?.balance === 40, paid.error);
  const asked = await ada.POST("/api/events/prediction/new", {
    body: { text: "a robbery inside a dream", limit: 2 },
    params: { header: { "Idempotency-Key": "ts-3", Prefer: "wait=30" } },
  });
  check(asked.data?.status === "completed" && asked.data.movies.length === 2, asked.error);
  const lines = await ada.GET("/api/users/transaction/history", { params: { query: { min_position: asked.data?.end_position ?? 0 } } });
  check(lines.data?.items.map((t) => t.amount).join() === "-5,30,10", lines.error ?? lines.data);
  const refused = await ada.POST("/api/users/balance/adjust", { body: { amount: -1000 } });
  check(refused.response.status === 402 && refused.error?.code === "insufficient_funds", refused.error);
}

story().catch((e: unknown) => {
  console.error(e);
  process.exit(1);
});
